"""What a running job tells its caller. The command line draws these; nothing here prints.

run_film(order, report=lambda event: print(event))
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["reading", "checking", "colorizing", "joining"]


@dataclass(frozen=True, kw_only=True)
class Started:
    """The plan stands and colouring begins."""

    source: str
    output: str
    engine: str
    """Network, device, number format and batch, such as `compact on cpu, float32, batch 8`."""

    why: str
    """What `--model auto` took and why, a sentence; empty when a network was named."""

    encoder: str
    """The encoder's name, such as `libx264`."""

    segments: int
    segments_resumed: int
    """Segments an earlier run finished."""

    frames: int
    """Frames to expect, from the source's packets."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a phase is. Units are frames in `colorizing`, segments in `checking`."""

    phase: Phase
    done: int
    """Including `resumed`."""

    total: int
    """0 where it isn't known."""

    fps: float = 0.0
    """Frames a second of this run alone; 0 until it is known."""

    resumed: int = 0
    """How many of `done` an earlier run had finished."""

    @property
    def seconds_left(self) -> float | None:
        """Estimated from this run's own speed; None until that is known."""
        return max(0, self.total - self.done) / self.fps if self.fps > 0 else None


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something a person should know that doesn't stop the job; one sentence."""

    text: str


Event = Started | Progress | Warned

Report = Callable[[Event], None]

REPORT_SECONDS = 0.1
"""Progress is reported no more often than this."""


class Meter:
    """Reports a phase's progress, not too often, and its speed without what was resumed."""

    def __init__(self, report: Report, phase: Phase, total: int, resumed: int = 0) -> None:
        self._report, self._phase, self._resumed = report, phase, resumed
        self._total = total
        self._began = self._shown = time.monotonic()

    def show(self, done: int) -> None:
        if time.monotonic() - self._shown >= REPORT_SECONDS:
            self._send(done)

    def finish(self, done: int) -> None:
        """The last report of the phase; what was expected now gives way to what was."""
        self._total = done
        self._send(done)

    def _send(self, done: int) -> None:
        self._shown = time.monotonic()
        fps = (done - self._resumed) / max(self._shown - self._began, 1e-9)
        self._report(
            Progress(
                phase=self._phase,
                done=done,
                # A packet may hold no frame, or two: the estimate is corrected as it shows.
                total=max(self._total, done),
                fps=fps if self._phase == "colorizing" else 0.0,
                resumed=self._resumed,
            )
        )
