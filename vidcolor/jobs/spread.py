"""A film's segments spread over several devices of this machine, a process for each.

    with open_crew(task, ("cuda:0", "cuda:1"), lock) as crew:
        crew.make(runs, completed, show)

                              .--> worker on cuda:0 --.
    runs -> Shares -> crew ---+                       +--> segments and markers in the job's folder
                              '--> worker on cuda:1 --'

Decoding, flow, rendering and encoding are work in Python, so threads wouldn't do. Each process
opens its own network; what was measured of the film is handed to it. This process alone decides,
and keeps the job's lock, which the workers hold with it: should it be killed, nobody else begins
before they have noticed.
"""

from __future__ import annotations

import logging
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO, Any

from vidcolor.errors import JobError
from vidcolor.frames import Segment
from vidcolor.jobs.devices import spread_fingerprint
from vidcolor.jobs.making import Completed, Show
from vidcolor.jobs.worker import Failed, Idle, Made, Message, Opened, Said, Task, Written

START = "import sys; sys.path[:] = sys.argv[1:]; from vidcolor.jobs.worker import main; main()"
"""What a worker's interpreter runs: with this one's own path, and nothing of its main module."""

SHARES_AHEAD = 2
"""How many times around the workers what is left to do would reach: the first shares are long, so
that margins are seldom decoded, the last ones short, so that nobody waits for a slow device."""

ENDING_SECONDS = 10.0
"""How long a process may take to end."""


@contextmanager
def open_crew(task: Task, devices: Sequence[str], lock: int | None) -> Iterator[Crew]:
    """A process on each device, its network open; all have ended when the block does.

    `task` is for any device, `lock` the open file of the job's lock. Raises what opening a network
    raises, JobError where a process dies.
    """
    crew = Crew(task.info.seekable)
    try:
        crew.start(
            [replace(task, settings=replace(task.settings, device=d)) for d in devices], lock
        )
        yield crew
        crew.dismiss()
    finally:
        crew.end()


class Crew:
    """A painter whose work is done by several processes."""

    def __init__(self, seekable: bool) -> None:
        self.warnings: list[str] = []
        self._fingerprint: dict[str, Any] = {}
        self._seekable = seekable
        self._workers: list[_Worker] = []
        self._inbox: _Inbox = queue.SimpleQueue()
        self._said: set[str] = set()

    def start(self, tasks: Sequence[Task], lock: int | None) -> None:
        """Start a process for each task and wait until all have opened their networks."""
        for task in tasks:
            self._workers.append(_Worker(task.settings.device, self._inbox, lock))
        for worker, task in zip(self._workers, tasks, strict=True):
            worker.order(task)
        opened: dict[_Worker, Opened] = {}
        while len(opened) < len(self._workers):
            worker, message = self._next()
            assert isinstance(message, Opened)
            opened[worker] = message
        first = opened[self._workers[0]]
        self.warnings = first.warnings
        devices = [worker.device for worker in self._workers]
        self._fingerprint = spread_fingerprint(first.fingerprint, devices)

    @property
    def model_name(self) -> str:
        return str(self._fingerprint["model"])

    def describe(self) -> str:
        """For people: network, devices, arithmetic."""
        known = self._fingerprint
        return f"{known['model']} on {known['device']}, {known['dtype']}, batch {known['batch']}"

    def fingerprint(self) -> dict[str, Any]:
        """That of one network; its devices are all."""
        return self._fingerprint

    def make(self, runs: Iterable[Sequence[Segment]], completed: Completed, show: Show) -> None:
        """Make segments, given in runs of consecutive ones; all callbacks are on this thread.

        Raises what a worker's making raises, JobError where its process dies.
        """
        shares = Shares(runs, len(self._workers), even=not self._seekable)
        written = dict.fromkeys(self._workers, 0)
        busy = {worker for worker in self._workers if worker.go_on(shares)}
        while busy:
            worker, message = self._next()
            if isinstance(message, Made):
                completed(message.segment, message.done)
            elif isinstance(message, Written):
                written[worker] = message.count
                show(sum(written.values()))
            elif isinstance(message, Idle) and not worker.go_on(shares):
                busy.discard(worker)

    def dismiss(self) -> None:
        """Let the processes end in peace."""
        for worker in self._workers:
            worker.order(None)
        for worker in self._workers:
            worker.wait()

    def end(self) -> None:
        """End the processes, whatever they do."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.wait()

    def _next(self) -> tuple[_Worker, Message]:
        """What a worker tells next, but for its failure, which is raised, and what it logs."""
        while True:
            worker, message = self._inbox.get()
            if message is None:
                raise JobError(
                    f"the process at work on {worker.device} {worker.fate()}; finished segments "
                    "are kept: give the same command again to go on."
                )
            if isinstance(message, Failed):
                raise message.error
            if not isinstance(message, Said):
                return worker, message
            self._log(message.record)

    def _log(self, record: logging.LogRecord) -> None:
        """Log what was logged over there, once for all."""
        if (text := record.getMessage()) not in self._said:
            self._said.add(text)
            logging.getLogger(record.name).handle(record)


class _Worker:
    """A process on a device, as seen from here."""

    def __init__(self, device: str, inbox: _Inbox, lock: int | None) -> None:
        self.device = device
        self._inbox = inbox
        with _deaf():
            self._process = _started(lock)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in: IO[bytes] = self._process.stdin
        self._out: IO[bytes] = self._process.stdout
        self._listener = threading.Thread(target=self._listen, name="worker", daemon=True)
        self._listener.start()

    def order(self, order: Task | Sequence[Segment] | None) -> None:
        # Of one that has died its listener tells.
        with suppress(OSError):
            pickle.dump(order, self._in)
            self._in.flush()

    def go_on(self, shares: Shares) -> bool:
        """Order the next share of the segments; False where none is left."""
        share = shares.next()
        if share is not None:
            self.order(share)
        return share is not None

    def fate(self) -> str:
        """How the process ended, in words."""
        self.wait()
        code = self._process.returncode
        if code is None or code >= 0:
            return f"ended by itself (exit code {code})"
        name = signal.Signals(-code).name
        return f"was killed ({name})" + ", perhaps for lack of memory" * (name == "SIGKILL")

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> None:
        """Wait for the process's end, within reason."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING_SECONDS)
            self._listener.join(ENDING_SECONDS)
            for pipe in (self._in, self._out):
                with suppress(OSError):
                    pipe.close()

    def _listen(self) -> None:
        # A pickle may be cut short, in any way.
        with suppress(Exception):
            while True:
                self._inbox.put((self, pickle.load(self._out)))
        self._inbox.put((self, None))


_Inbox = queue.SimpleQueue[tuple[_Worker, Message | None]]
"""What workers tell; None where one has ended."""


def _started(lock: int | None) -> subprocess.Popen[bytes]:
    command, pipe = [sys.executable, "-c", START, *sys.path], subprocess.PIPE
    if sys.platform == "win32":
        group = subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, creationflags=group)
    held = () if lock is None else (lock,)
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, pass_fds=held)


@contextmanager
def _deaf() -> Iterator[None]:
    """Have what is started here never hear of Ctrl-C and the like: it is this process that ends
    the others, once it has been told."""
    if sys.platform == "win32":
        yield
        return
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Shares:
    """Segments to be made, dealt out in runs of consecutive ones."""

    def __init__(self, runs: Iterable[Sequence[Segment]], workers: int, *, even: bool) -> None:
        """`even`: as long as they can be, since it is dear to begin anywhere but at the start."""
        self._runs = [list(run) for run in runs]
        self._workers, self._even = workers, even
        self._all = self._left()

    def next(self) -> list[Segment] | None:
        """The next share, or None when all are dealt out."""
        if not self._runs:
            return None
        ahead = 1 if self._even else SHARES_AHEAD
        length = -(-(self._all if self._even else self._left()) // (ahead * self._workers))
        run = self._runs[0]
        share, run[:] = run[:length], run[length:]
        if not run:
            del self._runs[0]
        return share

    def _left(self) -> int:
        return sum(map(len, self._runs))
