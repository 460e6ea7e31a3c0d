"""`vidcolor doctor`: what this machine has, and the command that mends what it lacks."""

from __future__ import annotations

EPILOG = ""


def doctor_command() -> None:
    """What this machine has, and the command that mends what it lacks."""
    raise NotImplementedError
