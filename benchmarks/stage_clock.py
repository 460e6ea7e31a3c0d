"""Runs vidcolor in this process with a clock on its stages, from outside: nothing in it knows.

    python benchmarks/stage_clock.py times.json run film.mp4 -o colour.mp4

The functions that PROBES names are replaced by ones that time them. A stage's time leaves out the
stages it calls, so a thread's times add up to its life. Threads that libraries start for themselves
are told apart by who started them: a thread's name is handed down to those it starts (Linux).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import queue
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROBES: dict[str, tuple[str, ...]] = {
    "look at the film": ("vidcolor.media.probe:probe",),
    "facts of the film": ("vidcolor.pipeline:film_facts",),
    "load the network": ("vidcolor.inference:open_engine",),
    "try the encoder": ("vidcolor.media.write:try_encoder",),
    "decode": ("vidcolor.media.read:read_frames",),
    "shrink": ("vidcolor.pipeline:Colorizer._measured",),
    "calm": ("vidcolor.denoise:calm",),
    "titles": ("vidcolor.pipeline:Colorizer._shows_title",),
    "cuts": (
        "vidcolor.stages:watched",
        "vidcolor.stages:with_cuts",
        "vidcolor.pipeline:Colorizer._with_anchors",
    ),
    "flow": ("vidcolor.stages:with_flow",),
    "trust": ("vidcolor.stages:with_coverage",),
    "network": ("vidcolor.inference:Engine.colorize",),
    "to and from the network": ("vidcolor.pipeline:Colorizer._predicted",),
    "gather": ("vidcolor.stages:gathered", "vidcolor.stages:held"),
    "render": ("vidcolor.pipeline:Colorizer._render",),
    "encode": (
        "vidcolor.media.write:SegmentWriter.__init__",
        "vidcolor.media.write:SegmentWriter.write",
        "vidcolor.media.write:SegmentWriter.close",
    ),
    "bookkeeping: plan": ("vidcolor.media.reader:index_packets",),
    "bookkeeping: markers": (
        "vidcolor.jobs.folder:JobFolder.commit",
        "vidcolor.jobs.folder:JobFolder.write_job",
        "vidcolor.jobs.folder:JobFolder.finished",
        "vidcolor.jobs.folder:JobFolder.remove",
    ),
    "bookkeeping: sums": ("vidcolor.jobs.durable:file_sha256",),
    "bookkeeping: fsync": (
        "vidcolor.jobs.durable:put_in_place",
        "vidcolor.jobs.durable:sync_folder",
    ),
    "bookkeeping: join": ("vidcolor.media.join:join_segments",),
}
"""Stage -> the functions whose time is its own, as module:name. What they call and isn't named here
counts with them; what no stage names is REST."""

ONCE = ("look at the film", "facts of the film", "load the network", "try the encoder")
"""Stages that a film pays for once, however long it is; what they call counts with them."""

BOOKKEEPING = "bookkeeping: "
WAITING, REST = "wait for another thread", "the rest"

SAMPLE_SECONDS = 0.1
"""How often threads are looked at: what they took shortly before they ended goes unseen."""


class GoneError(Exception):
    """A function that a stage names isn't there any more; its words say which."""


class Clock:
    """Wall and CPU time by (thread, stage)."""

    def __init__(self) -> None:
        self.wall: dict[tuple[str, str], float] = defaultdict(float)
        self.cpu: dict[tuple[str, str], float] = defaultdict(float)
        self._own = threading.local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block's time to a stage, and no longer to the one around it."""
        stack: list[str] = self._own.__dict__.setdefault("stack", [])
        if stack and stack[-1] in ONCE:
            yield
            return
        self._charge(stack)
        stack.append(name)
        try:
            yield
        finally:
            self._charge(stack)
            stack.pop()

    def _charge(self, stack: list[str]) -> None:
        now = time.perf_counter(), time.thread_time()
        if stack:
            key = threading.current_thread().name, stack[-1]
            self.wall[key] += now[0] - self._own.mark[0]
            self.cpu[key] += now[1] - self._own.mark[1]
        self._own.mark = now

    def timed(self, original: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """The function with its time counted; of a generator, what making each value takes."""
        if inspect.isgeneratorfunction(original):

            @functools.wraps(original)
            def stream(*args: Any, **options: Any) -> Generator[Any, None, Any]:
                inner = original(*args, **options)
                try:
                    while True:
                        with self.stage(stage):
                            try:
                                value = next(inner)
                            except StopIteration as end:
                                return end.value
                        yield value
                finally:
                    inner.close()

            return stream

        @functools.wraps(original)
        def call(*args: Any, **options: Any) -> Any:
            with self.stage(stage):
                return original(*args, **options)

        return call


def install(clock: Clock) -> None:
    """Put the clock on everything PROBES names. Raises GoneError."""
    originals = [(stage, *found(name)) for stage, names in PROBES.items() for name in names]
    for stage, owner, attribute, original in originals:
        timed = clock.timed(original, stage)
        setattr(owner, attribute, timed)
        # Modules that imported it by its name hold the original.
        for name, module in list(sys.modules.items()):
            if name.split(".")[0] != "vidcolor":
                continue
            for key, value in list(vars(module).items()):
                if value is original:
                    setattr(module, key, timed)
    # What a thread does between its stages is the rest of it, and so is its waiting.
    for attribute in ("get", "put"):
        setattr(queue.Queue, attribute, clock.timed(getattr(queue.Queue, attribute), WAITING))
    threading.Thread.join = clock.timed(threading.Thread.join, WAITING)  # type: ignore[method-assign]
    threading.Thread.run = named(clock.timed(threading.Thread.run, REST))  # type: ignore[method-assign]


def found(name: str) -> tuple[Any, str, Callable[..., Any]]:
    """(owner, attribute, function) of `module:name`. Raises GoneError."""
    module, _, path = name.partition(":")
    *outer, attribute = path.split(".")
    try:
        owner: Any = importlib.import_module(module)
        for part in outer:
            owner = getattr(owner, part)
        original = inspect.getattr_static(owner, attribute)
        if not inspect.isfunction(original):
            raise AttributeError(f"{name} is no plain function")
        return owner, attribute, original
    except (ImportError, AttributeError) as error:
        raise GoneError(
            f"{name} isn't a function of vidcolor any more; give its stage the function's new name "
            f"in PROBES of {Path(__file__).name}."
        ) from error


# Threads that libraries start

_named: dict[int, str] = {}
"""Python's own threads by their system's number."""


def named(run: Callable[..., None]) -> Callable[..., None]:
    """Thread.run that tells the system the thread's name first."""

    def with_name(self: threading.Thread) -> None:
        name_thread(self.name)
        run(self)

    return with_name


def name_thread(name: str) -> None:
    """Give the calling thread a name that the threads it starts inherit."""
    number = threading.get_native_id()
    _named[number] = name
    with suppress(OSError):
        Path(f"/proc/self/task/{number}/comm").write_text(name[:15])


class Sampler:
    """CPU seconds of every thread there ever was, seen every SAMPLE_SECONDS."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[str, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _work(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        with suppress(OSError):
            for task in Path("/proc/self/task").iterdir():
                with suppress(OSError):
                    text = (task / "stat").read_text()
                    # The name stands in brackets and may hold spaces.
                    name, fields = text[text.index("(") + 1 : text.rindex(")")], text.split(")")[-1]
                    user, system = fields.split()[11:13]
                    seconds = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
                    self.seen[int(task.name)] = name, seconds

    def helpers(self) -> dict[str, float]:
        """CPU seconds of threads that libraries started, by the name of who started them."""
        total: dict[str, float] = defaultdict(float)
        for number, (name, seconds) in self.seen.items():
            if number not in _named:
                total["decode" if name.startswith("av:") else name] += seconds
        return dict(total)


def main(words: Sequence[str]) -> int:
    from vidcolor.threads import quiet_threads

    quiet_threads()  # before torch is imported, as the command does
    clock = Clock()
    install(clock)
    from like_a_long_film import look_as_at_long_films

    from vidcolor.cli import run_arguments

    look_as_at_long_films()
    name_thread("main")
    began = time.perf_counter(), time.process_time()
    with Sampler() as sampler, clock.stage(REST):
        code = run_arguments(list(words[1:]))
    result = {
        "seconds": time.perf_counter() - began[0],
        "cpu": time.process_time() - began[1],
        "stages": [
            [thread, stage, wall, clock.cpu[thread, stage]]
            for (thread, stage), wall in clock.wall.items()
            if thread != "sampler"
        ],
        "helpers": sampler.helpers(),
    }
    Path(words[0]).write_text(json.dumps(result), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
