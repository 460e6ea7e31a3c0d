"""A long film in step: picture, sound and chapters where they were, after two hours as at first.

    python benchmarks/sync.py --into docs/formats.md
    python benchmarks/sync.py --seconds 120 --containers mkv ts

Makes a film of 24000/1001 frames a second with two sound tracks and chapters, whose picture
flashes white for one frame and whose sounds beep at that frame's time, five times from beginning
to end. Runs the program over it, and over half a minute from its middle, and measures both outputs
by the ffmpeg program. Exit code 1 when anything has moved.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path

import imageio_ffmpeg
from clips import line
from decoded import Packet, beeps_of, chapters_of, frames_of, packets_of
from pages import put_table

SECONDS = 7200
RATE = Fraction(24000, 1001)
SIZE = "32x24"

TRACKS = ("AAC", "AC-3")
"""The film's sounds, in its order."""

PACKET_SECONDS = Fraction(1024, 48000)
"""A packet of AAC: no sound may be further from its picture than it was."""

MILLISECOND = Fraction(1, 1000)
"""What Matroska counts in."""

WHITE = 200
"""Mean of the luma above which a frame is a flash; the others stay below 150."""

CUT_SECONDS = 30
"""Length of the part that is made by itself."""

SHORT_SECONDS = 60
"""Length of the film whose run shows how much memory a long one may take."""

BYTES_A_PACKET = 400
"""What a run may need more for each packet of the long film. Of MP4, FFmpeg keeps a table of all
packets, 65 bytes each, for every time that a file is open, and a larger one while it writes; the
program keeps each frame's time. No picture and no sound is among it."""

HEADER = (
    *("film", "frames", "frames' times", *(f"{name}: packets" for name in TRACKS)),
    *(f"{name}: beep after flash" for name in TRACKS),
    *("chapters", "wall time", "peak memory"),
)


@dataclass(frozen=True)
class Measured:
    """What ffmpeg finds in a film."""

    times: list[Fraction]
    """When each frame is shown."""

    flashes: list[Fraction]
    packets: list[list[Packet]]
    """Of each sound."""

    beeps: list[list[Fraction]]
    """Of each sound."""

    chapters: list[tuple[Fraction, Fraction, str]]


@dataclass
class Verdict:
    """A row of the table."""

    cells: list[str]
    problems: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=SECONDS, help="the film's length")
    parser.add_argument("--containers", nargs="+", default=["mp4", "mkv"], metavar="SUFFIX")
    parser.add_argument("--out", type=Path, metavar="TABLE.md", help="write the table there too")
    parser.add_argument("--into", type=Path, metavar="PAGE.md", help="and between a page's marks")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the films there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sync-") as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rows = (verdicts_of(each, given.seconds, folder) for each in given.containers)
        verdicts = list(chain.from_iterable(rows))
    lines = [line(HEADER), line("---" for _ in HEADER), *(line(v.cells) for v in verdicts)]
    print("\n".join(lines))
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if given.into:
        put_table(given.into, "sync", lines)
    problems = [problem for verdict in verdicts for problem in verdict.problems]
    sys.exit("\n".join(problems) or 0)


def verdicts_of(container: str, seconds: int, folder: Path) -> Iterator[Verdict]:
    """The whole film in one container, and a part of it."""
    film = make_film(folder / f"film.{container}", seconds)
    least = run(make_film(folder / f"short.{container}", SHORT_SECONDS))[2]
    output, took, peak = run(film)
    before = measured(film)
    verdict = compared(f"{clock(seconds)}, {container}", before, measured(output), container)
    verdict.cells += [f"{took:.0f} s", f"{peak} MiB; {least} for {SHORT_SECONDS} s"]
    packets = len(before.times) + sum(map(len, before.packets))
    if peak - least > packets * BYTES_A_PACKET / 2**20:
        verdict.problems.append(
            f"{film.name}: {peak} MiB of memory, and {least} MiB for {SHORT_SECONDS} s of it"
        )
    yield verdict
    start, end = seconds // 2, seconds // 2 + CUT_SECONDS
    part, took, peak = run(film, "--start", clock(start), "--end", clock(end))
    name = f"{clock(start)} to {clock(end)}, {container}"
    verdict = compared(name, cut(before, start, end), measured(part), container)
    verdict.cells += [f"{took:.0f} s", f"{peak} MiB"]
    yield verdict


def clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


# The film


def markers(seconds: int) -> list[int]:
    """The frames that flash: near both ends, and three between them."""
    middle = seconds / 2 + CUT_SECONDS / 3
    places = (2, seconds / 3, middle, 4 * seconds / 5, seconds - 2)
    return [round(place * RATE) for place in places]


def make_film(path: Path, seconds: int) -> Path:
    """The film, unless it is there; its packets are the same in every container."""
    if path.exists():
        return path
    if path.suffix != ".mp4":
        source = make_film(path.with_suffix(".mp4"), seconds)
        ffmpeg("-i", str(source), "-map", "0:v", "-map", "0:a", "-c", "copy", str(path))
        return path
    flashing = "+".join(f"eq(n,{frame})" for frame in markers(seconds))
    picture = f"testsrc2=size={SIZE}:rate={RATE}:duration={seconds},hue=s=0,lutyuv=y=val*0.6"
    picture += f",drawbox=color=white:thickness=fill:enable='{flashing}',format=yuv420p"
    begins = (float(frame / RATE) for frame in markers(seconds))
    beeping = "+".join(f"between(t,{begin:.6f},{begin + 0.05:.6f})" for begin in begins)
    # Noise makes every packet different from every other.
    sample = f"0.02*random(0)+0.6*sin(2*PI*1000*t)*({beeping})"
    sound = f"aevalsrc='{sample}':sample_rate=48000:duration={seconds},pan=stereo|c0=c0|c1=c0"
    chapters = path.with_suffix(".txt")
    chapters.write_text(chapter_text(seconds), encoding="utf-8")
    unfinished = path.with_suffix(".part.mp4")
    words = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-i", str(chapters)]
    words += ["-filter_complex", "[1:a]asplit[one][two]", "-map", "0:v", "-map", "[one]"]
    words += ["-map", "[two]", "-map_metadata", "2", "-c:v", "libx264", "-preset", "veryfast"]
    words += ["-c:a:0", "aac", "-b:a:0", "64k", "-c:a:1", "ac3", "-b:a:1", "96k", str(unfinished)]
    ffmpeg(*words)
    unfinished.rename(path)
    return path


def chapter_text(seconds: int) -> str:
    """Five chapters, each of a fifth of the film."""
    edges = [1000 * seconds * part // 5 for part in range(6)]
    parts = (
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={edges[n]}\nEND={edges[n + 1]}\ntitle=Part {n + 1}\n"
        for n in range(5)
    )
    return ";FFMETADATA1\n" + "".join(parts)


def ffmpeg(*words: str) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *words]
    subprocess.run(command, check=True)


# The run


def run(film: Path, *words: str) -> tuple[Path, float, int]:
    """Run the program; returns the output, seconds, and the peak of resident memory in MiB."""
    part = "-part" if words else ""
    output = film.with_name(f"{film.stem}-{film.suffix[1:]}{part}.color{suffix_of(film)}")
    command = [sys.executable, "-m", "vidcolor", "run", str(film), "-o", str(output)]
    command += ["--model", "standin", "--preset", "fast", "--codec", "libx264"]
    # One thread each for decoder, network and encoder: pictures so small are no work for two.
    command += ["--encoder-preset", "ultrafast", "--threads", "1", "--overwrite", *words]
    began = time.monotonic()
    watch = [sys.executable, "-c", WATCH, *command]
    said = subprocess.run(watch, stdout=subprocess.PIPE, text=True, check=False).stdout
    code, peak = (int(word) for word in said.split()[-2:])
    if code:
        sys.exit(f"the run on {film} ended with {code}")
    return output, time.monotonic() - began, round(peak / 1024)


WATCH = """
import os, sys
child = os.posix_spawn(sys.executable, sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""
"""A program that says how another ended, and its peak of memory in KiB. A process counts what its
parent had when it began, so the parent must be small."""


def suffix_of(film: Path) -> str:
    """Of the output."""
    return ".mp4" if film.suffix == ".mp4" else ".mkv"


# The measuring


def measured(film: Path) -> Measured:
    times, flashes = [], []
    for frame in frames_of(film):
        times.append(frame.seconds)
        if frame.means[0] > WHITE:
            flashes.append(frame.seconds)
    return Measured(
        times=times,
        flashes=flashes,
        packets=[
            packets_of(film, f"a:{n}", bare_aac=name == "AAC" and film.suffix == ".ts")
            for n, name in enumerate(TRACKS)
        ],
        beeps=[beeps_of(film, f"a:{n}") for n in range(len(TRACKS))],
        chapters=chapters_of(film),
    )


def cut(film: Measured, start: int, end: int) -> Measured:
    """What should be left of a film, seconds after its first frame: it starts at zero, sound is
    kept in whole packets, and chapters where they reach in."""
    shown = [t for t in film.times if start <= t - film.times[0] < end]
    origin = shown[0]
    # As long as the frames that are shown; a frame lasts until the next.
    stop = next((t for t in film.times if t > shown[-1]), film.times[-1] + 1 / RATE)

    def kept(times: Sequence[Fraction]) -> list[Fraction]:
        return [t - origin for t in times if origin <= t < stop]

    return Measured(
        times=kept(film.times),
        flashes=kept(film.flashes),
        packets=[
            [Packet(p.seconds - origin, p.digest) for p in track if origin <= p.seconds < stop]
            for track in film.packets
        ],
        beeps=[kept(track) for track in film.beeps],
        chapters=[
            (max(begin - origin, Fraction(0)), min(finish, stop) - origin, title)
            for begin, finish, title in film.chapters
            if begin < stop and finish > origin
        ],
    )


def compared(name: str, before: Measured, after: Measured, container: str) -> Verdict:
    """A row: what was measured, and what has moved. `container` is the source's."""
    near = Fraction(0) if container == "mp4" else MILLISECOND
    # Broadcast clocks begin anywhere, and the new one at zero: all must move alike.
    shift = after.times[0] - before.times[0] if container == "ts" else Fraction(0)
    verdict = Verdict([name])

    def cell(text: str, right: bool) -> None:
        verdict.cells.append(text if right else f"**{text}**")
        if not right:
            verdict.problems.append(f"{name}: {HEADER[len(verdict.cells) - 1]}: {text}")

    counts = len(before.times), len(after.times)
    cell(
        f"{counts[0]}" if counts[0] == counts[1] else f"{counts[0]} became {counts[1]}",
        counts[0] == counts[1],
    )
    cell(*nearness(before.times, after.times, shift, near))
    for old, new in zip(before.packets, after.packets, strict=True):
        same = [packet.digest for packet in old] == [packet.digest for packet in new]
        text, right = nearness(
            [packet.seconds for packet in old], [packet.seconds for packet in new], shift, near
        )
        cell(f"{len(old)}, {'equal' if same else 'others'}, times {text}", same and right)
    for old_beeps, new_beeps in zip(before.beeps, after.beeps, strict=True):
        offsets = [
            [beep - flash for beep, flash in zip(beeps, flashes, strict=False)]
            for beeps, flashes in ((old_beeps, before.flashes), (new_beeps, after.flashes))
        ]
        moved = [new - old for old, new in zip(*offsets, strict=False)]
        complete = len(old_beeps) == len(new_beeps) == len(before.flashes) == len(after.flashes)
        worst = max((abs(each) for each in moved), default=PACKET_SECONDS)
        text = ", ".join(f"{float(each * 1000):.2f}" for each in offsets[1])
        cell(
            f"{text} ms; at most {float(worst * 1000):.2f} ms from where it was",
            complete and worst < PACKET_SECONDS,
        )
    same = [c[2] for c in before.chapters] == [c[2] for c in after.chapters] and all(
        abs(new - old) <= MILLISECOND
        for a, b in zip(before.chapters, after.chapters, strict=True)
        for old, new in zip(a[:2], b[:2], strict=True)
    )
    cell(f"{len(after.chapters)} {'equal' if same else 'others'}", same)
    return verdict


def nearness(
    before: Sequence[Fraction], after: Sequence[Fraction], shift: Fraction, near: Fraction
) -> tuple[str, bool]:
    """How far times are from where they were, in words, and whether that is near enough."""
    moved = (abs(new - old - shift) for old, new in zip(before, after, strict=False))
    worst = max(moved, default=Fraction(0))
    text = f"within {float(worst * 1000):.2f} ms" if worst else "equal"
    return text, worst <= near and len(before) == len(after)


if __name__ == "__main__":
    main()
