"""Batches made ahead of the network, by processes of their own.

    with closing(Loader(data, 32, workers=4)) as loader:
        for epoch in range(first_epoch, epochs):
            for batch in loader.epoch(epoch, first=first_step):
                ...
    len(data.gray), len(data.damaged)   # what all processes met

Whatever the number of processes, and wherever an epoch is taken up again, the batches are the same.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import cv2
import torch
from torch.utils import data as torch_data

from vidcolor.errors import TrainingError, VidcolorError
from vidcolor.training.dataset import Batch, Dataset

log = logging.getLogger(__name__)

T = TypeVar("T")

StartMethod = Literal["fork", "spawn", "forkserver"]


@dataclass(frozen=True, slots=True)
class _Task:
    """One batch to be made."""

    epoch: int
    positions: range


class Loader:
    """Batches of a data set, epoch after epoch, from processes that live as long as it does."""

    def __init__(
        self,
        data: Dataset,
        batch: int,
        *,
        workers: int = 0,
        ahead: int = 2,
        whole: bool = False,
        rank: int = 0,
        ranks: int = 1,
        start_method: StartMethod | None = None,
    ) -> None:
        """batch: samples of a step, over all devices. workers: processes; 0 makes batches here,
        when they are asked for. ahead: batches each process may be ahead. whole: leave out an
        epoch's last batch where it is smaller. rank, ranks: this device's number among those that
        share every batch. start_method: None for the system's usual one.

        Raises TrainingError where an epoch has no batch, or devices can't share one evenly.
        """
        if batch % ranks:
            raise TrainingError(
                f"a batch of {batch} can't be shared by {ranks} devices; expected a multiple."
            )
        self.data, self.batch, self.workers = data, batch, workers
        # Devices wait for each other, so each must have its part of every batch.
        full = whole or ranks > 1
        self.steps = len(data) // batch if full else -(-len(data) // batch)
        """Batches of an epoch."""
        if not self.steps:
            raise TrainingError(
                f"{data.name} has {len(data)} pictures, less than a batch of {batch}; give more, "
                "or make the batch smaller."
            )
        self._rank, self._ranks = rank, ranks
        self._told: set[str] = set()
        self._tasks: list[_Task] = []
        self._loader: torch_data.DataLoader[Batch | VidcolorError] | None = None
        if workers:
            self._loader = torch_data.DataLoader(
                _Made(data),
                batch_size=None,
                sampler=_Tasks(self._tasks),
                num_workers=workers,
                collate_fn=_as_it_is,
                worker_init_fn=_prepare_worker,
                prefetch_factor=ahead,
                persistent_workers=True,
                multiprocessing_context=start_method,
                # Its own, or every epoch begun would move the network's random numbers on.
                generator=torch.Generator(),
            )

    def epoch(self, number: int, *, first: int = 0) -> Iterator[Batch]:
        """Batches `first` and later of an epoch.

        Only one epoch can be under way. Photographs that can't be used are noted in the data set,
        damaged ones named once in the log. Raises TrainingError where none can be used, or where a
        process died.
        """
        self._tasks[:] = (self._task(number, step) for step in range(first, self.steps))
        for made in self._made():
            if isinstance(made, VidcolorError):
                raise made
            self._note(made)
            yield made

    def close(self) -> None:
        """End the processes."""
        self._loader = None

    def _task(self, epoch: int, step: int) -> _Task:
        end = min((step + 1) * self.batch, len(self.data))
        return _Task(epoch, range(step * self.batch + self._rank, end, self._ranks))

    def _made(self) -> Iterator[Batch | VidcolorError]:
        if not self.workers:
            source = _Made(self.data)
            yield from (source[task] for task in list(self._tasks))
            return
        if self._loader is None:
            raise ValueError("the loader is closed")
        with _worker_deaths():
            batches = _begun(self._loader)
        while True:
            with _worker_deaths():
                made = next(batches, None)
            if made is None:
                return
            yield made

    def _note(self, batch: Batch) -> None:
        self.data.gray.update(batch.gray)
        for error in batch.damaged:
            if error.key not in self._told:
                self._told.add(error.key)
                log.warning("%s It is left out.", error)
            self.data.damaged[error.key] = error


class _Made(torch_data.Dataset["Batch | VidcolorError"]):
    """A data set as torch's loader sees it. Our own errors come as values, or the loader would put
    a worker's traceback into their sentence."""

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def __getitem__(self, task: _Task) -> Batch | VidcolorError:
        try:
            return self._data.batch(task.epoch, task.positions)
        except VidcolorError as error:
            return error


class _Tasks(torch_data.Sampler["_Task"]):
    """The tasks of the epoch that is under way."""

    def __init__(self, tasks: list[_Task]) -> None:
        self._tasks = tasks

    def __iter__(self) -> Iterator[_Task]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


def _as_it_is(made: T) -> T:
    return made


def _prepare_worker(number: int) -> None:
    """One thread in each process, and Ctrl-C for the main one alone, which then ends them."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _begun(loader: torch_data.DataLoader[T]) -> Iterator[T]:
    """The loader's iterator, without torch's way of telling that a worker died: an error in
    whatever the main thread is doing then. So it comes within seconds of asking for a batch."""
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() != threading.main_thread():
        return iter(loader)
    before = signal.getsignal(signal.SIGCHLD)
    try:
        return iter(loader)
    finally:
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)


@contextmanager
def _worker_deaths() -> Iterator[None]:
    """Make one sentence of what torch raises when a process is gone."""
    try:
        yield
    except (RuntimeError, OSError, EOFError) as error:
        raised_in_worker = str(error).startswith("Caught ")
        other = isinstance(error, RuntimeError) and "DataLoader worker" not in str(error)
        if raised_in_worker or other:
            raise
        raise TrainingError(
            f"a process that makes batches ended by itself ({str(error).strip(' .')}); most likely "
            "memory ran out, the main one or that of /dev/shm: give fewer workers."
        ) from error
