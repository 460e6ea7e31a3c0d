"""Films broken on purpose, each coloured in a process of its own, and what became of it.

    with Breaker(folder) as breaker:
        result = breaker.run(Case("h264.mp4", "flips", 17))
    result.code, result.problems      # 3, []

A case is a film, a way of breaking it and a number, which together give the same bytes every time.
The process that runs them has imported everything and done nothing, and forks a child for each
case: a crash in a decoder is seen, a hang ended, and a case takes tenths of a second.

    python -m tests.broken_films h264.mp4 flips 17      # one case again, with all it says
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.clips import make_clip

ROOT = Path(__file__).parent.parent

FRAMES = 48
"""Two seconds at 24 a second."""

FRAME = 1 / 24
"""Seconds."""

FILMS: dict[str, dict[str, Any]] = {
    "h264.mp4": {"subtitle": True},
    "front.mp4": {"subtitle": True},
    "h264.mkv": {"subtitle": True, "chapters": [(0.0, 1.0, "One"), (1.0, 2.0, "Two")]},
    "mpeg4.avi": {"codec": "mpeg4"},
    "h264.ts": {},
    "mpeg2.vob": {"codec": "mpeg2video", "rate": Fraction(25)},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "hevc.mkv": {"codec": "libx265"},
    "h264.avi": {"codec": "libx264"},
    "mjpeg.mov": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "ffv1.mkv": {"codec": "ffv1"},
    "mpeg2.ts": {"codec": "mpeg2video", "rate": Fraction(25)},
    "mpeg4.mp4": {"codec": "mpeg4"},
}
"""Codec and container, with what `make_clip` is told; `front` has its index before its pictures."""

HANG_SECONDS = 40.0
"""A child that takes longer is ended. A whole film takes half a second on an idle machine."""

MOST_KB = 600_000
"""Peak memory of a child in KiB, with what it shares with its parent."""


@dataclass(frozen=True)
class Case:
    """One broken film."""

    film: str
    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.film} {self.kind} {self.number}"


@dataclass(frozen=True)
class Result:
    """What became of a case."""

    case: Case
    code: int | None
    """The program's exit code, or minus the signal that ended it; None where it hung."""

    said: str
    """What it wrote to stderr."""

    problems: tuple[str, ...]
    """What should never be; empty where all is well."""

    seconds: float = 0.0
    peak_kb: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def became(self) -> str:
        names = {0: "whole", 3: "damaged", 1: "refused"}
        return "wrong" if self.problems or self.code not in names else names[self.code]


# Ways to break a film. Each takes its bytes, a number and a source of chance.


def truncated(data: bytes, percent: int, chance: random.Random) -> bytes:
    return data[: len(data) * percent // 100]


def flips(data: bytes, seed: int, chance: random.Random) -> bytes:
    """One to thirty bytes changed: a single bit, or all of it."""
    raw = bytearray(data)
    for _ in range(chance.choice((1, 2, 5, 10, 30))):
        place = chance.randrange(len(raw))
        raw[place] ^= chance.choice((1 << chance.randrange(8), chance.randrange(1, 256)))
    return bytes(raw)


def zeroed(data: bytes, seed: int, chance: random.Random) -> bytes:
    """A stretch of zeros, as a bad sector leaves."""
    length = chance.choice((16, 200, 512, 4096))
    place = chance.randrange(max(1, len(data) - length))
    return data[:place] + bytes(length) + data[place + length :]


def cut_out(data: bytes, seed: int, chance: random.Random) -> bytes:
    """A stretch that isn't there any more."""
    length = chance.choice((1, 100, 188, 2000))
    place = chance.randrange(max(1, len(data) - length))
    return data[:place] + data[place + length :]


def garbage(data: bytes, seed: int, chance: random.Random) -> bytes:
    """Noise after the end."""
    return data + chance.randbytes(chance.choice((1, 100, 10_000)))


def doubled(data: bytes, seed: int, chance: random.Random) -> bytes:
    """A piece of the file written over another place."""
    length = chance.choice((64, 1000))
    source, place = (chance.randrange(max(1, len(data) - length)) for _ in range(2))
    return data[:place] + data[source : source + length] + data[place + length :]


def unindexed(data: bytes, number: int, chance: random.Random) -> bytes:
    """Without its index: AVI's idx1, Matroska's cues, MP4's sample tables."""
    for mark in (b"idx1", b"\x1c\x53\xbb\x6b", (b"stsz", b"stco", b"stts", b"moov")[number % 4]):
        place = data.rfind(mark)
        if place >= 0:
            return data[:place] + b"JUNK"[: len(mark)] + data[place + len(mark) :]
    return data


KINDS: dict[str, Callable[[bytes, int, random.Random], bytes]] = {
    "truncated": truncated,
    "flips": flips,
    "zeroed": zeroed,
    "cut_out": cut_out,
    "garbage": garbage,
    "doubled": doubled,
    "unindexed": unindexed,
}


def spoilt(source: Path, target: Path, numbers: Collection[int]) -> Path:
    """Copy the picture's packets, those of some numbers filled with noise; returns `target`."""
    import av

    noise = random.Random(1)
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = (packet for packet in old.demux(video=0) if packet.size)
        for number, packet in enumerate(packets):
            kept: Any = packet
            if number in numbers:
                kept = av.Packet(noise.randbytes(packet.size))
                kept.pts, kept.dts, kept.time_base = packet.pts, packet.dts, packet.time_base
                kept.is_keyframe, kept.duration = packet.is_keyframe, packet.duration
            kept.stream = stream
            new.mux(kept)
    return target


class Breaker:
    """The process that breaks films and has them coloured, as seen from a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.broken_films", "--serve", str(self._folder)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with self._process:
            self._process.stdin.close()

    def run(self, case: Case) -> Result:
        """Break a film and colour it."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(dataclasses.astuple(case)), file=self._process.stdin, flush=True)
        told = json.loads(self._process.stdout.readline())
        told["case"], told["problems"] = Case(**told["case"]), tuple(told["problems"])
        return Result(**told)


class _Server:
    """That process itself."""

    def __init__(self, folder: Path) -> None:
        # Imported here, once, for all children; nothing is computed that starts threads.
        import torch

        import vidcolor.cli
        import vidcolor.cli.screen
        import vidcolor.jobs.local
        import vidcolor.models.standin
        import vidcolor.pipeline  # noqa: F401

        torch.set_num_threads(1)
        self._folder = folder
        self._whole: dict[str, bytes] = {}
        (folder / "whole").mkdir(exist_ok=True)

    def serve(self) -> None:
        for line in sys.stdin:
            result = self.run(Case(*json.loads(line)))
            sys.stdout.write(json.dumps(dataclasses.asdict(result)) + "\n")
            sys.stdout.flush()

    def broken(self, case: Case) -> bytes:
        """The case's bytes."""
        data = self._bytes_of(case.film)
        return KINDS[case.kind](data, case.number, random.Random(str(case)))

    def _bytes_of(self, film: str) -> bytes:
        if film not in self._whole:
            path = self._folder / "whole" / film
            if not path.exists():
                self._in_child(lambda: made(path), path.with_suffix(".said"))
            self._whole[film] = path.read_bytes()
        return self._whole[film]

    def run(self, case: Case) -> Result:
        place = self._folder / "case"
        subprocess.run(["rm", "-rf", str(place)], check=True)
        place.mkdir()
        source = place / case.film
        source.write_bytes(self.broken(case))
        output = place / f"out{'.mp4' if source.suffix in ('.mp4', '.mov') else '.mkv'}"
        told = place / "facts.json"
        began = time.monotonic()
        code, peak = self._in_child(lambda: _colour(source, output, told), place / "said")
        said = (place / "said").read_text(errors="replace")
        facts = json.loads(told.read_text()) if told.exists() else {}
        problems = list(_problems(case, code, said, output, peak, facts))
        return Result(case, code, said, tuple(problems), time.monotonic() - began, peak, facts)

    def _in_child(self, act: Callable[[], int], said: Path) -> tuple[int | None, int]:
        """Exit code (None where it hung) and peak memory in KiB."""
        child = os.fork()
        if child == 0:
            _be_child(act, said)
        ended = _wait(child, HANG_SECONDS)
        if ended is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None, 0
        status, peak = ended
        return os.waitstatus_to_exitcode(status), peak


def _wait(child: int, seconds: float) -> tuple[int, int] | None:
    """Status and peak memory of a child that ends in time."""
    handle = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([handle], [], [], seconds)
        if not ready:
            return None
        _, status, usage = os.wait4(child, 0)
        return status, usage.ru_maxrss
    finally:
        os.close(handle)


def _be_child(act: Callable[[], int], said: Path) -> None:
    """Do something and end, come what may."""
    code = 99
    try:
        with said.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = act()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def made(path: Path) -> int:
    """Make a whole film under its final name."""
    settings = {"audio": True, "width": 96, "height": 64, **FILMS[path.name]}
    part = path.with_name(f"part-{path.name}")
    frames = FRAMES * int(settings.get("rate", 24)) // 24
    make_clip(part, frames=frames, **settings)
    if path.name == "front.mp4":
        part = _with_index_first(part)
    part.rename(path)
    return 0


def _with_index_first(path: Path) -> Path:
    import av

    first = path.with_name(f"first-{path.name}")
    options = {"movflags": "faststart"}
    with av.open(str(path)) as old, av.open(str(first), "w", options=options) as new:
        copies = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                new.mux(packet)
    return first


def _colour(source: Path, output: Path, told: Path) -> int:
    from vidcolor.cli import run_arguments

    fast = ["--codec", "ffv1"]
    if output.suffix == ".mp4":
        fast = ["--encoder-preset", "ultrafast"]
    words = ["run", str(source), "-o", str(output), "--model", "standin", "--threads", "2"]
    code = run_arguments([*words, *fast, "--segment-seconds", "0.5", "--json"])
    sys.stdout.flush()
    if code in (0, 3):
        facts = _facts(source, output)
        lines = (output.parent / "said").read_text(errors="replace").splitlines()
        finished = next(line for line in lines if line.startswith('{"event": "finished"'))
        counts = json.loads(finished)
        facts |= {key: counts[key] for key in ("damaged", "repeated", "missing")}
        told.write_text(json.dumps(facts))
    return code


def _facts(source: Path, output: Path) -> dict[str, Any]:
    """When picture and sound end, in both files, seconds; what the output's frames are."""
    import av

    facts: dict[str, Any] = {"before": _ends(source), "after": _ends(output)}
    with av.open(str(output), metadata_errors="surrogateescape") as container:
        times = [f.time for f in container.decode(video=0)]
    facts["frames"] = len(times)
    # Matroska has whole milliseconds.
    facts["rising"] = all(a <= b for a, b in pairwise(times))
    return facts


def _ends(path: Path) -> dict[str, list[float]]:
    """By kind of stream: first time and last end of its packets, seconds, and their number."""
    import av

    from vidcolor.media.clock import packets_of

    found: dict[str, list[float]] = {}
    for kind in ("video", "audio"):
        with av.open(str(path), metadata_errors="surrogateescape") as container:
            (stream,) = container.streams.get({kind: 0}) if kind in _kinds(container) else (None,)
            for packet in packets_of(container, {stream.index}, -1, ()) if stream else ():
                if packet.pts is None or not packet.size:
                    continue
                base = packet.time_base
                begin, end = packet.pts * base, (packet.pts + (packet.duration or 0)) * base
                seen = found.setdefault(kind, [float(begin), float(end), 0])
                seen[0], seen[1] = min(seen[0], float(begin)), max(seen[1], float(end))
                seen[2] += 1
    return found


def _kinds(container: Any) -> set[str]:
    return {stream.type for stream in container.streams}


def _problems(
    case: Case, code: int | None, said: str, output: Path, peak: int, facts: dict[str, Any]
) -> list[str]:
    """What should never be."""
    found = []
    if code is None:
        found.append(f"hung for {HANG_SECONDS:.0f} s")
    elif code not in (0, 1, 3):
        found.append(f"ended with {code}")
    if "Traceback" in said or "bug" in said:
        found.append("a traceback, or an error nobody foresaw")
    if peak > MOST_KB:
        found.append(f"took {peak / 1024:.0f} MiB")
    left = {path.name for path in output.parent.iterdir()} - {case.film, "said", "facts.json"}
    if code == 1 and output.name in left:
        found.append("refused, but there is an output")
    if code in (0, 3):
        if left != {output.name}:
            found.append(f"left {sorted(left)}")
        if not facts:
            found.append("its output can't be read")
        else:
            found += _wrong_times(facts)
    return found


def _wrong_times(facts: dict[str, Any]) -> list[str]:
    if not facts["frames"] or not facts["rising"]:
        return ["frames that don't follow each other"]
    before, after = facts["before"], facts["after"]
    if not all("video" in each and "audio" in each for each in (before, after)):
        return []
    # What the source itself says, where that can be.
    (_, video, _), (_, audio, heard) = before["video"], before["audio"]
    apart = after["video"][1] - after["audio"][1]
    # As far as in the whole film is right too: of the source the wrong time may have been mended.
    wrong = min(abs(apart - (video - audio)), abs(apart))
    # Where frames or sound were left out, and that was said, they end where they end.
    told = facts["missing"] or after["audio"][2] < heard
    if abs(video - audio) < 1 and wrong > 2.5 * FRAME and not told:
        return [f"picture and sound end {apart:+.2f} s apart"]
    return []


def main() -> None:
    if sys.argv[1] == "--serve":
        _Server(Path(sys.argv[2])).serve()
        return
    import tempfile

    film, kind, number = sys.argv[1:4]
    folder = Path(sys.argv[4] if len(sys.argv) > 4 else tempfile.mkdtemp(prefix="broken-"))
    folder.mkdir(exist_ok=True)
    result = _Server(folder).run(Case(film, kind, int(number)))
    lines = [
        result.said + json.dumps(result.facts, indent=1),
        "; ".join([f"{result.case}: code {result.code}, {result.became}", *result.problems]),
        f"{result.seconds:.2f} s, {result.peak_kb / 1024:.0f} MiB; files in {folder}/case",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
