"""Write every kind of output and read each one back by the ffmpeg program.

    python benchmarks/outputs.py --into docs/formats.md
    python benchmarks/outputs.py --only libx265 prores_ks

Gray films of 8, 10 and 12 bits go through the program with a network that paints everything in one
known colour, by every encoder into every container, and by each source's own codec. Of what comes
out, the ffmpeg program counts the frames, and says their times, layout, size and colour tags, that
colour and the luma; it must play without a word. What can't be made must be refused in a sentence
before the network was asked. Exit code 1 when anything else is seen.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from clips import line
from decoded import Shown, frames_of, luma_of, packets_of, rgb_of, words_while_playing
from numpy.typing import NDArray
from pages import put_table
from skimage import color as judge
from sources import ffmpeg
from torch import Tensor

from vidcolor.errors import VidcolorError
from vidcolor.inference import Engine
from vidcolor.jobs.events import Event, Warned
from vidcolor.jobs.local import Order, run_film
from vidcolor.media.choice import known_encoders
from vidcolor.models.standin import StandinModel
from vidcolor.settings import Settings

AB = (24.0, -18.0)
"""The known colour, Lab units."""

WITHIN = 1.0
"""Lab units: half a code of 8-bit chroma is about 0.6 of a or b at this brightness."""

LEAST_LUMA_DB = 42.0
"""A picture encoded; 45 and more is seen of these. Another range would give 20."""

FRAMES, RATE = 8, 24
BITS = (8, 10, 12)
CONTAINERS = ("mp4", "m4v", "mov", "mkv", "webm")
SIZE, ODD, NARROW, SMALL, TINY = "64x48", "161x121", "48x48", "16x16", "2x2"
MILLISECOND = Fraction(1, 1000)

Luma = NDArray[np.float32]
Range = Literal["tv", "pc"]


@dataclass(frozen=True)
class Film:
    """A source: gray, its luma a soft moving wave about the middle, with a sine beside it."""

    bits: int = 8
    sampling: str = "420"
    size: str = SIZE
    matrix: str = "smpte170m"
    """Primaries and transfer are named after it."""

    range: Range = "tv"
    sound: str = "aac"
    video: str = "ffv1 -level 3"
    """The encoder's name, and words for it."""

    suffix: str = "mkv"

    @property
    def pixel_format(self) -> str:
        return f"yuv{self.sampling}p" + ("" if self.bits == 8 else f"{self.bits}le")

    @property
    def width_height(self) -> tuple[int, int]:
        width, height = self.size.split("x")
        return int(width), int(height)


COLOURS: tuple[tuple[str, Range], ...] = (
    ("smpte170m", "tv"),
    ("bt709", "tv"),
    ("smpte170m", "pc"),
    ("bt709", "pc"),
)
"""Matrix and range: BT.601 and BT.709, limited and full."""

SHAPES = {
    "4:2:2": Film(sampling="422"),
    "4:4:4": Film(sampling="444"),
    **{size: Film(size=size) for size in (ODD, NARROW, SMALL, TINY)},
}
"""Other layouts and sizes, by their column."""

SOURCES = {
    "H.264": Film(video="libx264 -crf 1"),
    "H.264, 10 bits": Film(10, video="libx264 -crf 1"),
    "H.264, 4:2:2, 10 bits": Film(10, "422", video="libx264 -crf 1"),
    "HEVC": Film(video="libx265 -crf 1 -x265-params log-level=none"),
    "HEVC, 10 bits": Film(10, video="libx265 -crf 1 -x265-params log-level=none"),
    "HEVC, 12 bits": Film(12, video="libx265 -crf 1 -x265-params log-level=none"),
    "AV1": Film(video="libsvtav1 -crf 1"),
    "AV1, 10 bits": Film(10, video="libsvtav1 -crf 1"),
    "AV1, odd size": Film(size=ODD, video="libaom-av1 -crf 1 -cpu-used 8"),
    "VP9": Film(video="libvpx-vp9 -crf 1 -b:v 0"),
    "VP9, 4:4:4": Film(sampling="444", video="libvpx-vp9 -crf 1 -b:v 0"),
    "VP9, 10 bits": Film(10, video="libvpx-vp9 -crf 1 -b:v 0"),
    "FFV1": Film(),
    "FFV1, 16 bits": Film(16, "444"),
    "ProRes 422": Film(10, "422", video="prores_ks", suffix="mov"),
    "ProRes 4444": Film(10, "444", video="prores_ks", suffix="mov"),
    "VP8": Film(video="libvpx -crf 4 -b:v 4M"),
    "MPEG-2": Film(video="mpeg2video -q:v 2"),
    "MPEG-4": Film(video="mpeg4 -q:v 2"),
    "Motion JPEG": Film(video="mjpeg -q:v 2", range="pc"),
    "Theora": Film(video="libtheora -q:v 10"),
    "DNxHR": Film(10, "422", "256x120", video="dnxhd -profile:v dnxhr_hqx", suffix="mov"),
    "uncompressed": Film(10, "422", video="rawvideo"),
}
"""Films in many codecs, for `--codec source`."""


@dataclass
class Outcome:
    """What became of one film."""

    refused: str = ""
    """The program's sentence, where it made nothing."""

    layout: str = ""
    """The pixel format that came out."""

    codec: str = ""
    """The encoder that was taken."""

    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class Notes:
    """What cells can't hold: sentences, by the numbers that stand in the cells."""

    sentences: list[str] = field(default_factory=list)

    def number(self, sentence: str) -> str:
        """The number of a sentence; those that differ in depth, size, layout or codec share one."""
        kinds = [kind_of(each) for each in self.sentences]
        if kind_of(sentence) not in kinds:
            self.sentences.append(sentence)
            return f"({len(self.sentences)})"
        return f"({kinds.index(kind_of(sentence)) + 1})"

    def lines(self) -> list[str]:
        return [f"{n}. {text}" for n, text in enumerate(self.sentences, start=1)]


def kind_of(sentence: str) -> str:
    names = r"\b\d+-bit\b|\b\d+x\d+\b|\(yuv\w+\)|; use .*|stay \w+: no encoder for \w+"
    return re.sub(names, "", sentence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="ENCODER", help="`source` is one, too")
    parser.add_argument("--out", type=Path, metavar="TABLE.md", help="write the table there too")
    parser.add_argument("--into", type=Path, metavar="PAGE.md", help="and between a page's marks")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the films there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outputs-") as scratch:
        lab = Laboratory(given.keep or Path(scratch))
        lines = table_of(lab, given.only or [*known_encoders(), "source"])
    print("\n".join(lines))
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if given.into:
        put_table(given.into, "outputs", lines)
    sys.exit("\n".join(lab.problems) or 0)


def table_of(lab: Laboratory, encoders: Sequence[str]) -> list[str]:
    """The tables, and what their numbers mean."""
    lines, notes = [], Notes()
    chosen = [name for name in encoders if name != "source"]
    if chosen:
        header = ("encoder, bits", *CONTAINERS, *SHAPES)
        lines += [line(header), line("---" for _ in header)]
        lines += [line(encoder_row(lab, name, bits, notes)) for name in chosen for bits in BITS]
    if "source" in encoders:
        header = ("`--codec source`", "encoder", "layout", "")
        lines += ["", line(header), line("---" for _ in header)]
        lines += [line(source_row(lab, name, film, notes)) for name, film in SOURCES.items()]
    return [*lines, "", *notes.lines()]


def encoder_row(lab: Laboratory, encoder: str, bits: int, notes: Notes) -> Iterator[str]:
    """One encoder at one depth: every container with every kind of colour, then other shapes."""
    yield f"`{encoder}`, {bits}"
    for container in CONTAINERS:
        sound = "libopus" if container == "webm" else "aac"
        outcomes = {
            (matrix, range_): lab.make(
                Film(bits, matrix=matrix, range=range_, sound=sound), encoder, container
            )
            for matrix, range_ in COLOURS
        }
        yield colours_cell(outcomes, notes)
    container = "mov" if encoder == "prores_ks" else "mkv"
    for film in SHAPES.values():
        film = replace(film, bits=bits)
        yield cell_of(lab.make(film, encoder, container), film, notes)


def colours_cell(outcomes: dict[tuple[str, Range], Outcome], notes: Notes) -> str:
    """One word where all colours fared alike; else what became of limited and of full range."""
    cells = {
        (matrix, range_): cell_of(outcome, Film(matrix=matrix, range=range_), notes)
        for (matrix, range_), outcome in outcomes.items()
    }
    if len(set(cells.values())) == 1:
        return next(iter(cells.values()))
    words = {"tv": "limited range", "pc": "full range"}
    by_range = {kind: {cells[key] for key in cells if key[1] == kind} for kind in words}
    return ", ".join(f"{words[kind]} {' '.join(sorted(by_range[kind]))}" for kind in words)


def source_row(lab: Laboratory, name: str, film: Film, notes: Notes) -> Iterator[str]:
    outcome = lab.make(film, "source", "mkv")
    yield name
    yield f"`{outcome.codec}`" if outcome.codec else "–"
    yield outcome.layout or "–"
    yield cell_of(outcome, film, notes)


def cell_of(outcome: Outcome, film: Film, notes: Notes) -> str:
    if outcome.problems:
        return f"**{'; '.join(outcome.problems)}**"
    if outcome.refused:
        return notes.number(outcome.refused)
    sampling = re.match(r"yuvj?(\d)(\d)(\d)", outcome.layout)
    richer = sampling is not None and "".join(sampling.groups()) != film.sampling
    words = ["✓", *(["as " + ":".join(sampling.groups())] if sampling and richer else [])]
    return " ".join([*words, *(notes.number(warning) for warning in outcome.warnings)])


# The run


class OneColor(StandinModel):
    """Paints everything in AB, and knows whether it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = False

    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        self.asked = True
        n, _, h, w = lightness.shape
        plane = torch.tensor(AB).reshape(1, 2, 1, 1)
        return plane.expand(n, 2, h // 2, w // 2).to(lightness.dtype)


class Laboratory:
    """A folder of films, and what has been found out about their outputs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, film: Film, codec: str, container: str) -> Outcome:
        """Run the program over a film, and judge what it made or said."""
        source = make_film(film, self.folder)
        output = self.folder / f"{source.stem}.{codec}.color.{container}"
        outcome, model = Outcome(), OneColor()

        def hear(event: Event) -> None:
            if isinstance(event, Warned):
                outcome.warnings.append(event.text)
            outcome.codec = getattr(event, "encoder", outcome.codec)

        def engine(settings: Settings) -> Engine:
            return Engine(model.eval(), torch.device("cpu"), 1)

        settings = Settings(model="standin", codec=codec, threads=1)
        order = Order(source=source, output=output, settings=settings, overwrite=True)
        try:
            run_film(order, open_engine=engine, report=hear)
            outcome.layout, outcome.problems = judged(film, source, output, outcome.codec)
        except VidcolorError as error:
            outcome.refused = str(error).replace(f"{self.folder}/", "")
            if model.asked:
                outcome.problems.append("refused after the network was asked")
        except Exception as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
        self.problems += [f"{output.name}: {problem}" for problem in outcome.problems]
        return outcome


def make_film(film: Film, folder: Path) -> Path:
    """The film, unless it is there."""
    encoder = film.video.split()[0]
    words = (encoder, film.pixel_format, film.size, film.matrix, film.range, film.sound)
    path = folder / f"{'.'.join(words)}.{film.suffix}"
    if path.exists():
        return path
    unit, full = 1 << (film.bits - 8), film.range == "pc"
    middle = 128 * unit if full else round((16 + 219 / 2) * unit)
    wave = f"{middle}+{16 * unit}*sin(X/6+N/3)*cos(Y/5)"
    filters = (
        f"format={film.pixel_format}",
        f"geq=lum='{wave}':cb={128 * unit}:cr={128 * unit}",
        f"setparams=range={film.range}:colorspace={film.matrix}"
        f":color_primaries={film.matrix}:color_trc={film.matrix}",
    )
    picture = f"color=size={film.size}:rate={RATE},trim=end_frame={FRAMES}"
    sound = f"sine=frequency=440:sample_rate=48000:duration={FRAMES / RATE}"
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound)
    coded = ("-color_range", film.range, "-c:v", *film.video.split(), "-c:a", film.sound)
    unfinished = path.with_name(f"unfinished.{film.suffix}")
    ffmpeg(*inputs, "-vf", ",".join(filters), *coded, "-strict", "-2", str(unfinished))
    unfinished.rename(path)
    return path


# The judging


def judged(film: Film, source: Path, output: Path, codec: str) -> tuple[str, list[str]]:
    """The layout that came out, and what is wrong."""
    before, after = shown(source), tuple(frames_of(output))
    width, height = film.width_height
    layouts = sorted({frame.pixel_format for frame in after})
    problems = [*frame_problems(before, after, output, codec)]
    if not problems:
        depths = [depth_of(frames[0].pixel_format) for frames in (before, after)]
        lumas = (
            luma_of(path, width, height, bits) / 2**bits
            for path, bits in zip((source, output), depths, strict=True)
        )
        problems += luma_problems(*lumas, lossless=codec == "ffv1")
        lab = judge.rgb2lab(rgb_of(output, width, height)[-1]).mean((0, 1))
        problems += [
            f"{name} is {found:.2f}, not {wanted:g}"
            for name, found, wanted in zip("ab", lab[1:], AB, strict=True)
            if abs(found - wanted) >= WITHIN
        ]
    problems += sound_problems(source, output)
    if said := words_while_playing(output):
        problems.append(f"ffmpeg says {said}")
    return " ".join(layouts), problems


@cache
def shown(film: Path) -> tuple[Shown, ...]:
    return tuple(frames_of(film))


def frame_problems(
    before: Sequence[Shown], after: Sequence[Shown], output: Path, codec: str
) -> Iterator[str]:
    """What of number, times, layout, size and tags isn't as it was."""
    if len(before) != len(after):
        yield f"{len(before)} frames became {len(after)}"
        return
    times = (abs(new.seconds - old.seconds) for old, new in zip(before, after, strict=True))
    if max(times) > near(output):
        yield "frames have moved"
    looks: dict[str, Callable[[Shown], str]] = {
        "depth": lambda frame: str(depth_of(frame.pixel_format)),
        "size": lambda frame: frame.size,
        "tags": lambda frame: "/".join(frame.tags),
    }
    for name, look in looks.items():
        old, new = ({look(frame) for frame in frames} for frames in (before, after))
        # ProRes of 4:4:4 has no depth of its own, and is read as 12 bits.
        deeper = name == "depth" and codec == "prores_ks" and new == {"12"}
        if old != new and not deeper:
            yield f"{name} {', '.join(sorted(old))} became {', '.join(sorted(new))}"


def near(output: Path) -> Fraction:
    """How far times may be from where they were: Matroska counts milliseconds."""
    return MILLISECOND if output.suffix in (".mkv", ".webm") else Fraction(1, 48000)


def depth_of(pixel_format: str) -> int:
    bits = re.search(r"p(\d+)", pixel_format)
    return int(bits[1]) if bits else 8


def luma_problems(old: Luma, new: Luma, *, lossless: bool) -> Iterator[str]:
    """What is wrong with the luma, of two films' frames in 0..1."""
    noise = float(np.mean((old - new) ** 2))
    if lossless and noise:
        yield "luma isn't equal"
    elif noise and -10 * np.log10(noise) < LEAST_LUMA_DB:
        yield f"luma is another: {-10 * np.log10(noise):.0f} dB"


def sound_problems(source: Path, output: Path) -> Iterator[str]:
    old, new = packets_of(source, "a:0"), packets_of(output, "a:0")
    if [packet.digest for packet in old] != [packet.digest for packet in new]:
        yield "sound isn't equal"
    elif max(abs(b.seconds - a.seconds) for a, b in zip(old, new, strict=True)) > MILLISECOND:
        yield "sound has moved"


if __name__ == "__main__":
    main()
