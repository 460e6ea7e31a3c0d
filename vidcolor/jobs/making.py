"""Segments made: a stream of pictures encoded into the files it runs through, each committed.

    maker = SegmentMaker(colorizer, choice, folder)
    maker.make(segments, finished=lambda segment, done: ..., show=lambda written: ...)

Whoever runs a job has a `Painter` to make its segments: `Alone` on one device in this process, or
the crew of `spread` on several.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

from vidcolor.frames import Segment
from vidcolor.jobs.durable import writing
from vidcolor.jobs.encoding import SegmentEncoder
from vidcolor.jobs.folder import Finished, JobFolder
from vidcolor.media.choice import EncoderChoice
from vidcolor.media.write import SegmentRecord, SegmentWriter

if TYPE_CHECKING:
    from vidcolor.pipeline import Colorizer

Completed = Callable[[Segment, Finished], None]
"""Told of each segment that has its marker."""

Show = Callable[[int], None]
"""Told how many pictures the encoders have taken."""


class Painter(Protocol):
    """Who makes a job's segments, with which network."""

    @property
    def model_name(self) -> str: ...

    @property
    def warnings(self) -> list[str]:
        """Sentences about what of the source won't be as it was."""
        ...

    def describe(self) -> str:
        """For people: network, device, arithmetic."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """What a pixel may depend on, as plain JSON values."""
        ...

    def make(self, runs: Iterable[Sequence[Segment]], completed: Completed, show: Show) -> None:
        """Make segments, given in runs of consecutive ones."""
        ...


class SegmentMaker:
    """Makes segments of one film on one device, in their order."""

    def __init__(self, colorizer: Colorizer, choice: EncoderChoice, folder: JobFolder) -> None:
        self.written = 0
        """Pictures that finished runs have taken."""
        self._colorizer, self._choice, self._folder = colorizer, choice, folder

    def make(self, segments: Sequence[Segment], completed: Completed, show: Show) -> None:
        """Make consecutive segments as one running stream.

        `completed` is called on a thread, `show` on the caller's after each picture, with all that
        were written so far. Raises what reading, colouring and writing raise; then those segments
        that were finished stay.
        """
        damaged: dict[int, list[int]] = {segment.index: [] for segment in segments}
        repeated: dict[int, list[int]] = {segment.index: [] for segment in segments}
        ends = [segment.end for segment in segments]

        def commit(segment: Segment, record: SegmentRecord | None) -> None:
            flaws = {"damaged": damaged[segment.index], "repeated": repeated[segment.index]}
            completed(segment, self._folder.commit(segment, record, **flaws))

        stream = self._colorizer.pictures(segments[0].start, segments[-1].end)
        # The stream is a generator: closing it stops its threads.
        with (
            closing(stream) as pictures,
            SegmentEncoder(segments, self._open_writer, commit) as encoder,
        ):
            for picture in pictures:
                index = segments[bisect_right(ends, picture.pts)].index
                if picture.damaged:
                    damaged[index].append(picture.pts)
                if picture.repeated:
                    repeated[index].append(picture.pts)
                encoder.put(picture)
                show(self.written + encoder.written)
        self.written += encoder.written

    def _open_writer(self, segment: Segment) -> SegmentWriter:
        path, colorizer = self._folder.temporary(segment), self._colorizer
        with writing(path):
            return SegmentWriter(path, colorizer.info, colorizer.format, self._choice)


class Alone:
    """One device, in this process."""

    def __init__(self, colorizer: Colorizer, choice: EncoderChoice, folder: JobFolder) -> None:
        engine = colorizer.engine
        self.model_name, self.warnings = engine.model_name, colorizer.warnings
        self._engine = engine
        self._maker = SegmentMaker(colorizer, choice, folder)

    def describe(self) -> str:
        return self._engine.describe()

    def fingerprint(self) -> dict[str, Any]:
        return self._engine.fingerprint()

    def make(self, runs: Iterable[Sequence[Segment]], completed: Completed, show: Show) -> None:
        for segments in runs:
            self._maker.make(segments, completed, show)
