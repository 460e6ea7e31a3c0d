"""Run the program over a folder of films and say, a row each, what came out and what was kept.

    python benchmarks/clips.py films/ --model compact --out docs/clips.md

Further words, such as `--device cpu`, go to `vidcolor run`. A film refused for its colour is run a
second time with `--recolor`, so that each one is exercised. Stills are counted and left out: they
are for `vidcolor image`. Outputs are compared with their sources by decoding both and by hashing
packets. Exit code 1 when a traceback was seen or something differs that no warning speaks of.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from comparison import WORDS, Check, compare

STILLS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"}
NO_MEDIA = {".md", ".txt", ".json", ".csv", ".html", ".srt"}

DAMAGED = 3
"""Exit code of a run that finished over a damaged source."""

HEADER = ("file", "result", *WORDS, "seconds", "notes")


@dataclass
class Run:
    """What the program did with one film."""

    code: int
    seconds: float
    sentence: str = ""
    """Why it failed or refused, in its own words."""

    warnings: list[str] = field(default_factory=list)
    traceback: str = ""
    """The last line of a traceback, which nobody should ever see."""


@dataclass
class Row:
    """One film: its cells, and what is wrong with it."""

    cells: dict[str, str]
    outcome: str
    problems: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--model", help="the network (default: the program's own choice)")
    parser.add_argument("--out", type=Path, metavar="TABLE.md", help="write the table there too")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the outputs in this folder")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one film")
    given, words = parser.parse_known_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is no folder")
    if given.model:
        words += ["--model", given.model]
    films, stills = find_media(given.folder)
    with tempfile.TemporaryDirectory() as scratch:
        outputs = given.keep or Path(scratch)
        rows: list[Row] = []
        print(line(HEADER) + "\n" + line("---" for _ in HEADER), flush=True)
        for film in films:
            rows.append(exercise(film, given.folder, outputs, words, given.timeout))
            print(line(rows[-1].cells.get(name, "") for name in HEADER), flush=True)
            if given.out:
                write_table(given.out, rows, stills, words)
    print("\n" + totals(rows, stills))
    sys.exit(any(row.problems for row in rows))


def find_media(folder: Path) -> tuple[list[Path], int]:
    """The films below a folder, sorted, and how many stills there are."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.startswith(".")
        and ".color" not in path.suffixes
        and path.suffix.lower() not in NO_MEDIA
    ]
    films = [path for path in files if path.suffix.lower() not in STILLS]
    return films, len(files) - len(films)


def exercise(film: Path, folder: Path, outputs: Path, words: list[str], timeout: float) -> Row:
    """Run one film, a second time if it was refused for its colour, and compare."""
    name = film.relative_to(folder)
    suffix = film.suffix if film.suffix.lower() in (".mp4", ".m4v", ".mov", ".mkv") else ".mkv"
    output = outputs / name.with_name(f"{name.name}.color{suffix}")
    output.parent.mkdir(parents=True, exist_ok=True)
    first = run = run_program(film, output, words, timeout)
    refused = run.code != 0 and "--recolor" in run.sentence
    if refused:
        run = run_program(film, output, [*words, "--recolor"], timeout)
    row = Row({"file": f"`{name}`", "seconds": f"{run.seconds:.1f}"}, describe(run))
    row.cells["result"] = (
        f"refused: {first.sentence} With `--recolor`: {row.outcome}" if refused else row.outcome
    )
    notes = judge_run(row, first, run)
    if run.code in (0, DAMAGED):
        notes += judge_output(row, film, output, run)
    if row.problems:
        notes.insert(0, f"**{'; '.join(row.problems)}**")
    row.cells["notes"] = " ".join(notes)
    return row


def run_program(film: Path, output: Path, words: list[str], timeout: float) -> Run:
    """`vidcolor run` by this Python; never raises for what the program does."""
    command = [sys.executable, "-m", "vidcolor", "run", str(film), "-o", str(output)]
    command += ["--overwrite", "--restart", "--json", "--debug", *words]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return Run(-1, timeout, f"it took more than {timeout:.0f} s.")
    run = Run(done.returncode, time.monotonic() - started)
    events = list(json_lines(done.stdout))
    run.warnings = [str(event.get("text", event)) for event in events if is_a(event, "warning")]
    run.sentence = next((str(e["error"]) for e in events if is_a(e, "failed") and "error" in e), "")
    said = [text.strip() for text in done.stderr.splitlines() if text.strip()]
    for text in said:
        word, _, rest = text.partition(": ")
        if word.lower() == "warning" and rest not in run.warnings:
            run.warnings.append(rest)
        elif word.lower() == "error" and not run.sentence:
            run.sentence = rest
    run.traceback = traceback_in(done.stderr) or traceback_in(done.stdout)
    if run.code and not run.sentence and said:
        run.sentence = said[-1]
    # A table tells of films, not of where somebody keeps them.
    run.sentence = run.sentence.replace(str(film), film.name)
    run.warnings = [text.replace(str(film), film.name) for text in run.warnings]
    return run


def traceback_in(text: str) -> str:
    """The exception's own line of the first traceback in a text, or nothing."""
    _, found, rest = text.partition("Traceback (most recent call last)")
    lines = [each for each in rest.splitlines()[1:] if each and not each.startswith(" ")]
    return (lines[0] if lines else "cut short") if found else ""


def json_lines(text: str) -> Iterator[dict[str, object]]:
    for each in text.splitlines():
        try:
            event = json.loads(each)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def is_a(event: dict[str, object], kind: str) -> bool:
    return event.get("event") == kind


def describe(run: Run) -> str:
    if run.code == 0:
        return "colorized"
    if run.code == DAMAGED:
        return "colorized, source damaged"
    return f"refused: {run.sentence or f'exit code {run.code}'}"


def judge_run(row: Row, first: Run, last: Run) -> list[str]:
    """Notes on what the program said; problems go into the row."""
    for run in (first, last) if first is not last else (last,):
        if run.traceback:
            row.problems.append(f"TRACEBACK: {run.traceback}")
        elif "this is a bug" in run.sentence:
            row.problems.append("the program calls this its own bug")
        if run.code not in (0, DAMAGED) and not run.sentence:
            row.problems.append(f"exit code {run.code} without a word")
        if run.code < 0:
            row.problems.append(f"ended by signal or time: {run.code}")
    return list(dict.fromkeys(first.warnings + last.warnings))


def judge_output(row: Row, film: Path, output: Path, run: Run) -> list[str]:
    """Compare the output with its source; a failing comparison is a problem of this row alone."""
    try:
        checks = compare(film, output)
    except Exception as error:
        row.problems.append(f"can't be compared: {type(error).__name__}: {error}")
        return []
    return judge_checks(row, checks, run, WORDS)


def judge_checks(
    row: Row, checks: list[Check], run: Run, words: dict[str, tuple[str, ...]]
) -> list[str]:
    """Fill a row's cells; notes on what is explained, and what isn't into the row's problems.

    `words` are those by which a warning speaks of an area.
    """
    notes = []
    for check in checks:
        row.cells[check.area] = check.cell
        if check.same:
            continue
        reason = explanation(check, run, words[check.area])
        if reason:
            notes.append(f"{check.area} differ: {reason}.")
        else:
            row.problems.append(f"{check.area}: {check.cell}")
            row.cells[check.area] = f"**{check.cell}**"
    return notes


def explanation(check: Check, run: Run, words: tuple[str, ...]) -> str:
    """Why a difference is no fault: the source is damaged, or a warning speaks of it."""
    if run.code == DAMAGED and check.area in ("frames", "times", "luma", "sync"):
        return "the source is damaged"
    spoken = [text for text in run.warnings if any(word in text.lower() for word in words)]
    return "a warning says so" if spoken else ""


def write_table(path: Path, rows: list[Row], stills: int, words: list[str]) -> None:
    """The rows so far, so that an interrupted benchmark keeps what it found."""
    command = " ".join(["vidcolor run FILE", *words])
    lines = [
        f"`{command}` on {os.cpu_count()} CPU cores. {totals(rows, stills)}",
        "",
        line(HEADER),
        line("---" for _ in HEADER),
        *(line(row.cells.get(name, "") for name in HEADER) for row in rows),
    ]
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    unfinished.replace(path)


def totals(rows: list[Row], stills: int) -> str:
    colorized = sum(not row.outcome.startswith("refused") for row in rows)
    again = sum("With `--recolor`" in row.cells["result"] for row in rows)
    wrong = sum(bool(row.problems) for row in rows)
    text = f"{len(rows)} films: {colorized} colorized"
    text += f" ({again} refused at first for their colour)" if again else ""
    text += f", {len(rows) - colorized} refused, {wrong} with problems."
    return text + (f" {stills} stills left out; they are for `vidcolor image`." if stills else "")


def line(cells: Iterable[str]) -> str:
    escaped = (" ".join(cell.replace("|", "\\|").split()) for cell in cells)
    return f"| {' | '.join(escaped)} |"


if __name__ == "__main__":
    main()
