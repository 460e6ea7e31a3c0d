"""Make films of every kind of file, run the program over them, and print what was kept of each.

    python benchmarks/formats.py --into docs/formats.md
    python benchmarks/formats.py --only hevc 'gray*' --keep /tmp/formats

Every film is run twice: as anybody would, and once more into Matroska with FFV1, which loses
nothing, so that the luma can be compared bit for bit. Both outputs are compared with their source
by decoding and by hashing packets, and the ffmpeg program must read them without a word. What
differs though no warning speaks of it is a defect, in bold, and so is a warning that none of the
sentences in exceptions.py explains; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import comparison
import imageio_ffmpeg
from clips import DAMAGED, Row, Run, describe, judge_checks, judge_run, line, traceback_in
from comparison import FINE_WORDS, Check, compare_finely
from exceptions import letters_of, sentences
from matrix import GROUPS, SOURCES
from pages import put_table
from sources import MakingError, Source, make, place_of

SUFFIXES_NOT_IN_FOLDERS = {".h264"}
"""Raw streams, which a folder of films isn't searched for; they are named one by one."""

CODE_OF_FILES = """
import json, sys
from vidcolor.cli import plain_output, run_arguments
plain_output()
for source, output, *words in json.load(sys.stdin):
    print(json.dumps({"event": "film", "source": source}), flush=True)
    run_arguments(["run", source, "-o", output, *words, *sys.argv[1:]])
"""
"""A program that runs the command once for each film without starting Python anew."""

NAMES = {
    "frames": "frames",
    "times": "times",
    "luma": "luma",
    "audio": "sound",
    "subtitles": "subtitles",
    "chapters": "chapters",
    "attachments": "attachments",
    "covers": "other pictures",
    "data": "data",
    "tags": "tags",
    "picture": "shape and colour tags",
    "inside": "inside the pictures",
    "sync": "in step",
}
"""The areas, as the table calls them."""

INSIDE = ("hdr", "transparency", "captions")
"""Areas that few films have anything in; they share a column."""

CELLS = ("source", "what it is", "output", *NAMES, "but")
HEADER = tuple(NAMES.get(cell, cell) for cell in CELLS)

SAID = re.compile(r" differ: .*\.$")
"""How the judge says that a difference has been told of."""


@dataclass
class Batch:
    """What the program did with many films: by source, what it said and where the output is."""

    exact: bool
    """Whether the outputs are without loss."""

    runs: dict[str, Run] = field(default_factory=dict)
    outputs: dict[str, Path] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, metavar="TABLE.md", help="write the table there too")
    parser.add_argument("--into", type=Path, metavar="PAGE.md", help="and between a page's marks")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names, also with * ? []")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep sources and outputs in its films/, plain/ and exact/",
    )
    given = parser.parse_args()
    chosen = choose(given.only)
    if not chosen:
        parser.error(f"no source is called {' or '.join(given.only)}")
    with tempfile.TemporaryDirectory(prefix="formats-") as scratch:
        rows = table_of(chosen, given.keep or Path(scratch))
    lines = [totals(rows), *table_lines(rows, chosen), "", "### But", "", *sentences()]
    print("\n".join(lines))
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if given.into:
        put_table(given.into, "formats", lines)
    sys.exit(any(row.problems for row in rows))


def choose(only: list[str] | None) -> list[Source]:
    """The sources whose name, with or without its suffix, is or matches one of `only`."""
    return [
        source
        for source in SOURCES
        if only is None
        or any(
            fnmatch(name, each) for each in only for name in (source.file, Path(source.file).stem)
        )
    ]


def table_of(chosen: list[Source], folder: Path) -> list[Row]:
    """Make the sources, run the program over them twice, and judge; a row for each source."""
    films, failed = folder / "films", {}
    for source in chosen:
        try:
            make(source, films)
        except MakingError as error:
            failed[source.file] = str(error)
    for name in ("plain", "exact"):
        shutil.rmtree(folder / name, ignore_errors=True)
    paths = [place_of(source, films) for source in chosen if source.file not in failed]
    say(f"{len(paths)} films made; running the program over them")
    words = {place_of(source, films): source.given.split() for source in chosen}
    plain = run_folder(films, paths, folder / "plain")
    run_again(plain, words, folder / "plain")
    say("once more, without loss")
    exact = run_files(paths, folder / "exact", words)
    say("comparing")
    rows = []
    for source in chosen:
        row = Row({"source": f"`{source.file}`", "what it is": source.what}, "")
        rows.append(row)
        if source.file in failed:
            row.problems.append(f"can't be made: {failed[source.file]}")
            row.cells["but"] = f"**{row.problems[0]}**"
        else:
            judge(row, place_of(source, films), plain, exact, woven=WOVEN in source.given)
    return rows


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# Runs


def run_folder(films: Path, paths: list[Path], outputs: Path) -> Batch:
    """`vidcolor run FOLDER`, and by name what it doesn't look for in folders."""
    batch = Batch(exact=False)
    apart = [str(path) for path in paths if path.suffix in SUFFIXES_NOT_IN_FOLDERS]
    command = [sys.executable, "-m", "vidcolor", "run", str(films), *apart, "--recursive"]
    command += ["-o", f"{outputs}/", "--model", "standin", "--json", "--debug"]
    hidden: list[Path] = []
    try:
        while killer := spoken(command, batch):
            # What is hidden is passed over, and what was made is left alone.
            hidden.append(killer.rename(killer.with_name(f".{killer.name}")))
    finally:
        for path in hidden:
            path.rename(path.with_name(path.name[1:]))
    return batch


def run_again(batch: Batch, words: dict[Path, list[str]], outputs: Path) -> None:
    """The films that are refused without words of their own, each with its own."""
    for path, own in words.items():
        if own and str(path) in batch.runs:
            del batch.runs[str(path)]
            command = [sys.executable, "-m", "vidcolor", "run", str(path), *own]
            command += ["-o", f"{outputs}/", "--model", "standin", "--json", "--debug"]
            spoken(command, batch)


def run_files(
    paths: list[Path], outputs: Path, words: dict[Path, list[str]] | None = None
) -> Batch:
    """Each film by itself, into Matroska, without any loss; with the words some need."""
    batch = Batch(exact=True)
    outputs.mkdir()
    command = [sys.executable, "-c", CODE_OF_FILES, "--model", "standin", "--codec", "ffv1"]
    command += ["--json", "--debug"]
    left = paths
    while left:
        films = [
            (str(path), str(outputs / f"{path.name}.mkv"), *(words or {}).get(path, ()))
            for path in left
        ]
        spoken(command, batch, json.dumps(films))
        left = [path for path in left if str(path) not in batch.runs]
    return batch


def spoken(command: list[str], batch: Batch, given: str = "") -> Path | None:
    """Run the program and note in `batch` what it says; returns the film it died of, if any."""
    done = subprocess.run(
        command,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    last = listen(done.stdout.splitlines(), batch)
    if done.returncode in range(4):
        return None
    if not last:
        raise RuntimeError(f"exit code {done.returncode}: {done.stdout[-500:]}")
    batch.runs[last].code = done.returncode
    return Path(last)


def listen(lines: Iterable[str], batch: Batch) -> str:
    """Note in `batch` what was said of which film; returns the last film spoken of."""
    run, name, loose = Run(0, 0.0), "", list[str]()
    for text in lines:
        event = event_of(text)
        if event is None:
            loose.append(text)
            word, _, rest = text.partition(": ")
            if word == "warning":
                note(run, rest, name)
            run.traceback = traceback_in("\n".join(loose))
        elif event["event"] == "film":
            name = str(event["source"])
            run = batch.runs.setdefault(name, Run(0, 0.0))
            loose.clear()
        else:
            if event["event"] == "started" and not name:
                # A film that is alone isn't announced.
                name = str(event["source"])
                run = batch.runs.setdefault(name, run)
            take(event, run, name, batch)
    return name


def take(event: dict[str, Any], run: Run, name: str, batch: Batch) -> None:
    """One event of one film."""
    kind = event["event"]
    if kind == "warning":
        note(run, event["text"], name)
    elif kind == "started":
        batch.outputs[name] = Path(event["output"])
    elif kind == "finished" and event["made"]:
        run.code = DAMAGED if event["damaged"] or event["missing"] else 0
    elif kind == "failed":
        run.code, run.sentence = event["exit_code"], told(event["error"], name)
    elif kind == "together":
        # A film in colour among others is passed over, which is no failure of theirs.
        for film in event["films"]:
            left = batch.runs.get(film["source"] or "")
            if left and film["error"] and not left.sentence:
                left.code, left.sentence = 1, told(film["error"], film["source"])


def note(run: Run, warning: str, name: str) -> None:
    if told(warning, name) not in run.warnings:
        run.warnings.append(told(warning, name))


def told(sentence: str, name: str) -> str:
    """A table tells of films, not of where somebody keeps them."""
    return sentence.replace(name, Path(name).name) if name else sentence


def event_of(text: str) -> dict[str, Any] | None:
    try:
        event = json.loads(text)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


# Judging


@dataclass
class Judged(Row):
    """One output compared with its source."""

    notes: list[str] = field(default_factory=list)


WOVEN = "--deinterlace off"
"""Words of films that shall stay interlaced."""


def judge(row: Row, film: Path, plain: Batch, exact: Batch, *, woven: bool = False) -> None:
    """Fill a row: everything from the plain run, the luma from the exact one."""
    first, second = judged(film, plain, woven=woven), judged(film, exact, woven=woven)
    row.outcome = first.outcome
    row.cells |= first.cells | {"luma": second.cells.get("luma", "")}
    row.problems += first.problems
    row.problems += [f"as Matroska: {p}" for p in second.problems if p not in first.problems]
    told = [note for note in first.notes + second.notes if not SAID.search(note)]
    letters, bare = letters_of(told)
    row.problems += [f"no exception explains: {note}" for note in dict.fromkeys(bare)]
    if row.outcome.startswith("refused"):
        row.problems.append(row.outcome)
    row.cells["but"] = f"**{'; '.join(row.problems)}**" if row.problems else letters


def judged(film: Path, batch: Batch, *, woven: bool = False) -> Judged:
    """What became of one film in one batch."""
    run = batch.runs.get(str(film))
    if run is None:
        return Judged({}, "passed over", ["the program passed over it"])
    this = Judged({}, describe(run))
    this.notes = [note for note in judge_run(this, run, run) if note != run.sentence]
    if run.code not in (0, DAMAGED):
        return this
    output = batch.outputs.get(str(film))
    if output is None:
        this.problems.append("no output, and no word why")
        return this
    this.cells["output"] = output.suffix[1:]
    try:
        checks = compare_finely(film, output, woven=woven)
    except Exception as error:
        this.problems.append(f"can't be compared: {type(error).__name__}: {error}")
        return this
    if batch.exact:
        checks = [bit_for_bit(check) if check.area == "luma" else check for check in checks]
    this.notes += judge_checks(this, checks, run, FINE_WORDS)
    inside = (f"{area}: {cell}" for area in INSIDE if (cell := this.cells[area]) != "none")
    this.cells["inside"] = "; ".join(inside) or "none"
    if said := words_while_playing(output):
        this.problems.append(f"ffmpeg stumbles over the output: {said}")
    return this


def bit_for_bit(luma: Check) -> Check:
    """The check of an output without loss: nothing but equality will do."""
    if luma.cell == comparison.ALIKE:
        return Check("luma", True, "equal")
    return Check("luma", luma.cell == comparison.NO_LUMA, luma.cell)


def words_while_playing(film: Path) -> str:
    """What the ffmpeg program has to say when it decodes all pictures and sounds of a film."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-xerror"]
    # Frames as they come, at their own times; the null muxer would round them to a rate.
    command += ["-i", str(film), "-map", "0:v", "-map", "0:a?", "-fps_mode", "passthrough"]
    command += ["-enc_time_base:v", "demux", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = re.sub(r" @ 0x[0-9a-f]+", "", done.stderr).strip().splitlines()
    if done.returncode and not said:
        said = [f"exit code {done.returncode}"]
    return " ".join(said[:2])


# The table


def table_lines(rows: list[Row], chosen: list[Source]) -> list[str]:
    """A table for each group of sources, under its heading."""
    by_file = dict(zip((source.file for source in chosen), rows, strict=True))
    lines = []
    for heading, group in GROUPS.items():
        found = [by_file[source.file] for source in group if source.file in by_file]
        if found:
            lines += ["", f"### {heading}", "", line(HEADER), line("---" for _ in HEADER)]
            lines += [line(shown(row.cells.get(key, "")) for key in CELLS) for row in found]
    return lines


def shown(cell: str) -> str:
    """A cell as the page has it: a tick where all is as it was, a dash where there was nothing."""
    if cell == "none":
        return "–"
    number, _, word = cell.rpartition(" ")
    return f"✓ {number}".strip() if word in ("equal", "kept") and ":" not in cell else cell


def totals(rows: list[Row]) -> str:
    colorized = sum(row.outcome.startswith("colorized") for row in rows)
    wrong = sum(bool(row.problems) for row in rows)
    return (
        f"{len(rows)} kinds of film: {colorized} colorized, {len(rows) - colorized} refused, "
        f"{wrong} with something lost in silence."
    )


if __name__ == "__main__":
    main()
