"""Runs that may be killed: children of a warm process, and what must hold of what they leave.

    place = Place(folder, film, ("--crf", "30"))
    run = place.start(faults=[("slow", 0.01)])
    run.kill_in("join", visit=1, after_seconds=0.001)
    run.wait()
    place.check_after_kill(whole)
    assert place.start().wait().code == 0
    place.check_finished(whole)

Where the process that was killed had got to is read off a `Board`.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from tests.jobs.helpers import ROOT, decoded
from tests.torture.jobs_board import PHASES, Board
from vidcolor.jobs.folder import folder_path

FAST = (
    *("--model", "standin", "--segment-seconds", "0.25", "--threads", "1"),
    *("--codec", "libx264", "--encoder-preset", "ultrafast"),
)
"""Runs of a quarter of a second, with SEGMENT_FRAMES frames a segment at 24 fps."""

SEGMENT_FRAMES = 6

PATIENCE_SECONDS = 60.0
"""A run that takes longer hangs."""

Fault = tuple[str, *tuple[str | int | float, ...]]
"""A name of jobs_faults.FAULTS, and its words."""

_JOB_FILES = re.compile(
    r"job\.json(\.part)?|lock|segments|segments/\d{5}(\.json(\.part)?|(\.part)?\.mkv)"
    r"|joined\.part\.(json|json\.part|mkv|mp4)|joined\.part\.mp4\.subtitles-\w+(/subtitles\.mp4)?"
)
"""What may lie in a job's folder when a run is killed."""


class Server:
    """The warm process; one serves all tests."""

    def __init__(self) -> None:
        into, out = os.pipe(), os.pipe()
        command = [sys.executable, "-m", "tests.torture.jobs_server", str(into[0]), str(out[1])]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=(into[0], out[1])
        )
        os.close(into[0])
        os.close(out[1])
        self._orders: IO[str] = os.fdopen(into[1], "w")
        self._answers: IO[str] = os.fdopen(out[0])

    def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order; see jobs_server."""
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        line = self._answers.readline()
        assert line, "the process that forks the runs has ended"
        return dict(json.loads(line))

    def end(self) -> None:
        self._orders.close()
        self._answers.close()
        self._process.wait(10)


@cache
def server() -> Server:
    """The process all runs are forked from, begun when the first is."""
    begun = Server()
    atexit.register(begun.end)
    return begun


@dataclass(frozen=True)
class Ended:
    """What became of a run."""

    code: int
    """Exit code, or minus the signal's number."""

    said: str
    """On stderr."""

    phase: str
    """Where it was at last."""

    peak_kib: int
    """The most memory it held."""


class Run:
    """A run that was started."""

    def __init__(self, pid: int, board: Board, err: Path) -> None:
        self.pid, self._board, self._err = pid, board, err

    def send(self, number: int) -> None:
        """Send a signal; to one that has ended nothing happens."""
        # Its process id isn't given to another before `wait` has asked for its end.
        os.kill(self.pid, number)

    def pause(self, seconds: float) -> None:
        """Let it run for some time."""
        time.sleep(seconds)

    def kill_after(self, seconds: float, number: int = signal.SIGKILL) -> None:
        self.pause(seconds)
        self.send(number)

    def kill_in(
        self, phase: str, visit: int, after_seconds: float, number: int = signal.SIGKILL
    ) -> None:
        """Send the signal when the run has entered a phase `visit` times, or has ended."""
        self.reach(phase, visit)
        self.kill_after(after_seconds, number)

    def reach(self, phase: str, visit: int = 1, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the run has entered a phase `visit` times, or has ended, or time is up."""
        wanted = PHASES.index(phase)
        ends = time.monotonic() + seconds
        stat = Path(f"/proc/{self.pid}/stat")
        while self._board.entered(wanted) < visit and time.monotonic() < ends:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                break
            time.sleep(0.00005)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """Wait for its end. Fails where it hangs."""
        answer = server().ask(wait=self.pid, seconds=seconds)
        if answer["code"] is None:
            self.send(signal.SIGUSR1)
            time.sleep(0.5)
            self.send(signal.SIGKILL)
            server().ask(wait=self.pid, seconds=seconds)
            where = self._err.read_text(encoding="utf-8", errors="replace")
            raise AssertionError(f"a run hangs in {PHASES[self._board.phase]}: {where}")
        said = self._err.read_text(encoding="utf-8", errors="replace")
        return Ended(answer["code"], said, PHASES[self._board.phase], answer["peak_kib"])


class Place:
    """A folder with an output to be made of a film, and nothing else in it."""

    def __init__(
        self,
        beside: Path,
        film: Path,
        options: Sequence[str] = (),
        *,
        name: str = "film.color.mkv",
        folder: Path | None = None,
    ) -> None:
        """The output goes into `folder`, by default one in `beside`, where the harness keeps its
        own."""
        self.folder, self._beside = folder or beside / "out", beside / "beside"
        self.output = self.folder / name
        self.job = folder_path(self.output)
        self.command = ["run", str(film), "-o", str(self.output), *FAST, *options]
        for made in (self.folder, self._beside, self._beside / "temporary"):
            made.mkdir(parents=True, exist_ok=True)
        self.board = Board(self._beside / "board")

    def start(
        self,
        *more: str,
        faults: Sequence[Fault] = (),
        user: int | None = None,
        quick: bool = True,
        board: Board | None = None,
    ) -> Run:
        """Start the command; unless `quick`, it takes its interpreter down at the end, too."""
        for path in (self._beside / "temporary").iterdir() if board is None else ():
            # A kill while an encoder is tried leaves a folder in the system's place for those.
            assert path.name.startswith("vidcolor-"), f"{path} was left"
            shutil.rmtree(path)
        (board or self.board).clear()
        name = "other" if board else "run"
        out, err = (self._beside / f"{name}.{kind}" for kind in ("out", "err"))
        for path in (out, err):
            path.write_bytes(b"")
        answer = server().ask(
            run=[*self.command, *more],
            board=str(self._beside / ("other board" if board else "board")),
            out=str(out),
            err=str(err),
            temporary=str(self._beside / "temporary"),
            faults=[(fault[0], fault[1:]) for fault in faults],
            user=user,
            quick=quick,
        )
        return Run(answer["pid"], board or self.board, err)

    def other_board(self) -> Board:
        """For a second run at the same time."""
        return Board(self._beside / "other board")

    def finished(self) -> set[int]:
        """The segments that have their marker."""
        return {int(path.stem) for path in (self.job / "segments").glob("*.json")}

    def begun_again(self, finished: set[int]) -> set[int]:
        """Those of `finished` that the last run began to make."""
        return finished & self.board.opened.keys()

    def check_after_kill(self, whole: Whole) -> None:
        """Nothing half-written bears the final name, and nothing is where it doesn't belong."""
        if self.output.exists():
            whole.check(self.output)
        # An empty file whose renaming was tried; the next run deletes it.
        tried = self.output.with_name(f"{self.output.name}.part")
        assert not tried.exists() or tried.stat().st_size == 0, f"{tried} was left"
        for path in self.folder.rglob("*"):
            if path not in (self.output, self.job, tried):
                inside = path.is_relative_to(self.job)
                name = path.relative_to(self.job).as_posix() if inside else ""
                assert _JOB_FILES.fullmatch(name), f"{path} was left"

    def check_finished(self, whole: Whole) -> None:
        """The film is as it should be, and alone."""
        whole.check(self.output)
        left = [path for path in self.folder.rglob("*") if path != self.output]
        assert not left, f"beside the finished film lies {left}"
        temporary = list((self._beside / "temporary").iterdir())
        assert not temporary, f"left behind: {temporary}"


class Whole:
    """The film as an uninterrupted run makes it."""

    def __init__(self, path: Path) -> None:
        self._bytes = path.read_bytes()
        self._frames = decoded(path)
        self._packets = packets(path)
        self.frames = len(self._frames)

    def check(self, output: Path) -> None:
        """Every frame's time and planes, and every other stream's packets, are the same."""
        if output.read_bytes() != self._bytes:
            assert decoded(output) == self._frames
            assert packets(output) == self._packets


def packets(path: Path) -> list[tuple[int, int | None, int | None, bytes]]:
    """Stream, pts, dts and bytes of each packet that is no picture's."""
    import av

    with av.open(str(path)) as container:
        return [
            (packet.stream_index, packet.pts, packet.dts, bytes(packet))
            for packet in container.demux()
            if packet.stream.type != "video" and packet.size
        ]
