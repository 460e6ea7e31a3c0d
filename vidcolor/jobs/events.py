"""What a running job tells its caller. The command line draws these; nothing here prints.

run_film(order, report=lambda event: print(event))
"""

from __future__ import annotations

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
