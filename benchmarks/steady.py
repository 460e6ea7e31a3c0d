"""Every table and plot of docs/steady.md, from one command.

    python benchmarks/steady.py CLIPS/colour CLIPS/bw --listed CLIPS.md --into docs/steady.md

The first folder holds colour films, which are recoloured and measured as `vidcolor evaluate
--clips` does; all folders are searched for cuts (see cuts.py); ways of gathering are compared on
the first one's (see gathering.py). Films whose name has one of --without in it are left out of
what is measured. The plots are drawn from the sample film of examples/make_sample.py, which anyone
may show, and from the measured figures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray
from pages import put_table

from vidcolor.color import ColorSpace
from vidcolor.evaluation.bench import Candidate
from vidcolor.evaluation.figures import PER_FRAME, FilmEvaluation, FilmMeasures
from vidcolor.evaluation.files import film_sentences, film_tables, markdown
from vidcolor.evaluation.films import evaluate_films
from vidcolor.frames import BEGINNING, END
from vidcolor.inference import open_engine
from vidcolor.media.choice import choose_encoder, picture_format
from vidcolor.media.probe import probe
from vidcolor.pipeline import Colorizer, film_facts
from vidcolor.resample import shrink
from vidcolor.settings import PRESETS, Settings

SUFFIXES = (".mp4", ".mkv", ".avi", ".webm", ".mov")
HERE = Path(__file__).parent

FLOORS = (
    ("E_warp_ab, of per-frame's", "warp_error_ab", 0.5, 0.35),
    ("CDC's distance to the truth's, of per-frame's", "cdc_distance", 0.6, 0.35),
)
"""What balanced must keep under, and what we want."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--listed", type=Path, required=True, help="where the cuts are listed")
    parser.add_argument("--without", nargs="*", default=["bbb", "bigbuckbunny"])
    parser.add_argument("--limit", type=int, help="frames of each film (default all)")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--threads", type=int, default=0, help="0 for all cores")
    parser.add_argument("--into", type=Path, required=True)
    options = parser.parse_args()
    page: Path = options.into
    films = [
        path
        for path in sorted(options.clips[0].iterdir())
        if path.suffix in SUFFIXES and not any(part in path.name for part in options.without)
    ]
    own = [str(options.into), "--without", *options.without]
    run("cuts.py", *map(str, options.clips), "--listed", str(options.listed), "--into", str(page))
    run("gathering.py", str(options.clips[0]), "--into", *own)
    candidate = Candidate(
        label=options.model, settings=Settings(model=options.model, threads=options.threads)
    )
    evaluation = evaluate_films(
        [candidate], films, source="colour films", limit=options.limit, report=report
    )
    *_, (title, means) = film_tables(evaluation)
    sentences = list(film_sentences(evaluation))
    put_table(page, "films", [f"{title}.", "", *markdown(means).splitlines(), "", *sentences])
    put_table(page, "floors", table_of_floors(evaluation))
    put_table(page, "each", table_of_each(evaluation))
    pictures = page.parent / "pictures"
    with tempfile.TemporaryDirectory() as scratch:
        film = Path(scratch) / "sample.mkv"
        maker = HERE.parent / "examples" / "make_sample.py"
        subprocess.run([sys.executable, str(maker), str(film)], check=True)
        draw_strip(film, options.model, pictures / "steady-strip.jpg")
    draw_along(evaluation, pictures / "steady-along.png")
    return 0


def run(script: str, *words: str) -> None:
    subprocess.run([sys.executable, str(HERE / script), *words], check=True)


def report(done: int, total: int) -> None:
    if done % 50 == 0:
        print(f"{done} of {total} frames", file=sys.stderr)


def measures_of(evaluation: FilmEvaluation) -> dict[str, FilmMeasures]:
    """The means by the way of colouring."""
    rows = zip(evaluation.renderings, evaluation.means, strict=True)
    return {row.way or row.label: means for row, means in rows}


def table_of_floors(evaluation: FilmEvaluation) -> Iterator[str]:
    """What each preset has of the per-frame method's figures."""
    found = measures_of(evaluation)
    plain, truth = found[PER_FRAME], found["truth"]
    yield f"| | {' | '.join(PRESETS)} | at most | goal |"
    yield f"|---|{'---:|' * (len(PRESETS) + 2)}"
    for words, name, most, goal in FLOORS:
        cells = [f"{getattr(found[p], name) / getattr(plain, name):.2f}" for p in PRESETS]
        yield f"| {words} | {' | '.join(cells)} | {most} | {goal} |"
    assert truth.warp_error_ab
    cells = [f"{(found[p].warp_error_ab or 0) / truth.warp_error_ab:.2f}" for p in PRESETS]
    yield f"| E_warp_ab, of the truth's | {' | '.join(cells)} | 1 | |"
    cells = [f"{(found[p].psnr or 0) - (plain.psnr or 0):+.2f}" for p in PRESETS]
    yield f"| PSNR over per-frame's, dB | {' | '.join(cells)} | at least 0 | |"
    cells = [f"{found[p].ciede2000 - plain.ciede2000:+.2f}" for p in PRESETS]
    yield f"| CIEDE2000 over per-frame's | {' | '.join(cells)} | 0 | |"
    cells = [f"{100 * found[p].colorfulness / plain.colorfulness:.1f} %" for p in PRESETS]
    yield f"| colourfulness, of per-frame's | {' | '.join(cells)} | at least 97 % | |"
    network = [found[p].network_milliseconds or 0 for p in (PER_FRAME, *PRESETS)]
    cells = [f"{each / network[0]:.2f}" for each in network[1:]]
    yield f"| network time, of per-frame's | {' | '.join(cells)} | | |"


def table_of_each(evaluation: FilmEvaluation) -> Iterator[str]:
    """E_warp_ab of every film."""
    yield f"| film | {' | '.join(row.label for row in evaluation.renderings)} |"
    yield f"|---|{'---:|' * len(evaluation.renderings)}"
    for film in evaluation.films:
        errors = [each.measures.warp_error_ab for each in film.figures]
        cells = ["-" if error is None else f"{error:.2f}" for error in errors]
        yield f"| {film.name} | {' | '.join(cells)} |"


def draw_along(evaluation: FilmEvaluation, picture: Path) -> None:
    """E_warp_ab from frame to frame, of the two films where the methods differ most."""
    labels = [row.label for row in evaluation.renderings]
    shown = {PER_FRAME: "tab:gray", "balanced": "tab:red", "truth": "tab:blue"}
    places = {row.way or row.label: n for n, row in enumerate(evaluation.renderings)}

    def gain(n: int) -> float:
        figures = evaluation.films[n].figures
        plain, ours = (figures[places[name]].measures for name in (PER_FRAME, "balanced"))
        return (plain.warp_error_ab or 0) - (ours.warp_error_ab or 0)

    most = sorted(range(len(evaluation.films)), key=gain)[-2:]
    figure, axes = pyplot.subplots(len(most), 1, figsize=(10, 3 * len(most)), squeeze=False)
    for axis, n in zip(axes[:, 0], most, strict=True):
        film = evaluation.films[n]
        for name, colour in shown.items():
            series = film.figures[places[name]].warp_errors_ab
            values = [np.nan if value is None else value for value in series]
            axis.plot(film.seconds[1:], values, color=colour, label=labels[places[name]], lw=0.9)
        axis.set_title(film.name, fontsize=10)
        axis.set_xlabel("seconds", fontsize=8)
        axis.set_ylabel("E_warp_ab, Lab units", fontsize=8)
        axis.set_ylim(0, None)
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, dpi=80)


def draw_strip(film: Path, model: str, picture: Path) -> None:
    """One column of pixels through time: frame by frame above, balanced below."""
    ways = {
        "frame by frame": Settings(model=model, smoothing=False, anchor_every=1),
        "balanced": Settings.load(preset="balanced", model=model),
    }
    figure, axes = pyplot.subplots(len(ways), 1, figsize=(11, 5.5))
    for axis, (name, settings) in zip(axes, ways.items(), strict=True):
        axis.imshow(column(film, settings), aspect="auto", interpolation="nearest")
        axis.set_title(name, fontsize=10)
        axis.set_yticks([])
        axis.set_xlabel("frame", fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, dpi=90)


def column(film: Path, settings: Settings) -> NDArray[np.float32]:
    """(height, frames, 3) R'G'B' of the film's middle column."""
    info = probe(film)
    shape = picture_format(info, choose_encoder(info, settings))
    colorizer = Colorizer(info, film_facts(info), settings, open_engine(settings), shape)
    space = ColorSpace(info.tags, bit_depth=info.bit_depth)
    size = (shape.chroma_width, shape.chroma_height)
    columns = []
    with closing(colorizer.pictures(BEGINNING, END)) as pictures:
        for shown in pictures:
            rgb = space.rgb(shrink(shown.y, size), shown.u, shown.v)
            columns.append(rgb[:, rgb.shape[1] // 2])
    return np.asarray(np.stack(columns, 1), np.float32)


if __name__ == "__main__":
    sys.exit(main())
