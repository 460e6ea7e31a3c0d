"""What a training leaves to be read: a line of JSON a step, pictures, and TensorBoard's events.

    with closing(Journal(out, step=run.step)) as journal:
        for event in run.steps():
            journal.note(event)

TensorBoard's part is there where its package is; `tensorboard --logdir OUT` shows it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidcolor.errors import TrainingError
from vidcolor.media.metadata import Metadata
from vidcolor.media.png import write as write_png
from vidcolor.training.trainer import Step

LOG = "log.jsonl"
PICTURES = "pictures"


class Journal:
    """Takes a run's steps, each once; where a run goes on, what stood behind it is cut off."""

    def __init__(self, out: Path, *, step: int, every: int = 1) -> None:
        """step: the last one that was made. every: of how many steps one is written down; readings
        always are."""
        self._out, self._every = out, every
        self._log = out / LOG
        kept = []
        if self._log.exists():
            for line in self._log.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, KeyError):
                    if json.loads(line)["step"] <= step:
                        kept.append(line)
        self._log.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._board = _board(out, step)

    def note(self, event: Step) -> None:
        """Write down a step, if it is its turn. Raises TrainingError where the disk is full."""
        if event.step % self._every and not event.reading:
            return
        row: dict[str, Any] = {"step": event.step, "rate": event.rate, **event.losses}
        if event.reading:
            row["reading"] = event.reading.figures
        try:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            if event.reading:
                folder = self._out / PICTURES
                folder.mkdir(exist_ok=True)
                write_png(folder / f"{event.step:06d}.png", event.reading.picture, Metadata())
        except OSError as error:
            raise TrainingError(
                f"the log in {self._out} can't be written ({error.strerror}); make room and give "
                "the same command again."
            ) from error
        self._tell_board(event)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _tell_board(self, event: Step) -> None:
        if self._board is None:
            return
        for name, value in event.losses.items():
            self._board.add_scalar(f"train/{name}", value, event.step)
        self._board.add_scalar("train/rate", event.rate, event.step)
        if event.reading:
            for name, value in event.reading.figures.items():
                self._board.add_scalar(f"validation/{name}", value, event.step)
            self._board.add_image(
                "gray, answer, truth", event.reading.picture, event.step, None, "HWC"
            )


def _board(out: Path, step: int) -> Any:
    """TensorBoard's writer; None where its package is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    writer: Any = SummaryWriter(str(out), purge_step=step + 1)
    return writer
