"""Finished films measured against the true one, whoever made them.

    evaluation = compare_films(Path("truth.mp4"), [Path("ours.mp4"), Path("theirs.mkv")])
    gray, ours, theirs, truth = evaluation.films[0].figures
    ours.measures.warp_error_ab

Frames are matched one by one, in their order; times don't count, so that a film with another frame
rate can be compared. Pictures of another size are resampled to the truth's measuring size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

from vidcolor.errors import SourceError, UsageError
from vidcolor.evaluation.figures import GRAY, TRUTH, Film, FilmEvaluation, Rendering
from vidcolor.evaluation.meter import SIDE, Look, Meter, expected_frames, measuring_size, told_apart
from vidcolor.facts import GRAY_CHROMA, FilmFacts, facts_of
from vidcolor.frames import Frame, VideoInfo
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.reader import index_packets
from vidcolor.media.sample import sample_pairs
from vidcolor.prefetch import prefetched
from vidcolor.resample import Size

MOST_UNLIKE = 0.03
"""By what share the shapes of two films may differ, as sides are rounded."""

FEW_FRAMES, FEW_OF_MANY = 2, 0.01
"""So many frames, or so large a share of them, may be missing at the end of one film."""

RATES_ALIKE = 0.01
"""By what share two rates may differ without a word: headers guess, and 23.976 is as good as 24."""

DECODED_AHEAD = 4
"""Frames each film's decoder may be ahead."""

Report = Callable[[int, int], None]


def compare_films(
    truth: Path,
    files: Sequence[Path],
    *,
    limit: int | None = None,
    threads: int = 0,
    report: Report = lambda done, total: None,
) -> FilmEvaluation:
    """Measure finished films against the true one, beside its own luma in gray and itself.

    The first `limit` frames are measured, or all; where a film ends a little sooner, those that all
    have. `threads` are the CPU's, 0 for all. `report` is given how many frames are done and about
    how many there are. Raises UsageError without files, SourceError on a file that can't be read,
    and where shapes or numbers of frames are too far apart for the films to be the same.
    """
    began = time.monotonic()
    if not files:
        raise UsageError("there is nothing to compare; give a finished film beside the true one.")
    films = [_open(path) for path in (truth, *files)]
    for other in films[1:]:
        _refuse_shape(films[0], other)
        _refuse_count(films[0], other, limit)
    size = measuring_size(*films[0].turned)
    film, notes = _measured(films, size, limit, threads, report)
    names = told_apart(files)
    rows = [Rendering(label=name, file=str(path)) for name, path in zip(names, files, strict=True)]
    return FilmEvaluation(
        source=truth.name,
        side=SIDE,
        limit=limit,
        renderings=(Rendering(label=GRAY), *rows, Rendering(label=TRUTH, file=str(truth))),
        films=(film,),
        means=tuple(each.measures for each in film.figures),
        steadied=(1,) * len(film.figures),
        painters=(),
        unreadable={},
        notes=tuple(notes),
        elapsed=time.monotonic() - began,
    )


@dataclass(frozen=True)
class _Opened:
    """A film to be compared."""

    info: VideoInfo
    frames: int
    """By its packets."""

    @property
    def path(self) -> Path:
        return self.info.path

    @property
    def turned(self) -> Size:
        """(width, height) in samples, upright."""
        width, height = self.info.width, self.info.height
        return (height, width) if self.info.rotation in (90, 270) else (width, height)

    @property
    def shapes(self) -> tuple[float, float]:
        """Width over height as displayed, and of the samples: some tools lose their aspect."""
        (width, height), (columns, rows) = self.info.upright_size, self.turned
        return width / height, columns / rows


def _open(path: Path) -> _Opened:
    info = probe(path)
    return _Opened(info, index_packets(info).frames)


def _refuse_shape(truth: _Opened, other: _Opened) -> None:
    if any(abs(one / an - 1) <= MOST_UNLIKE for one in truth.shapes for an in other.shapes):
        return
    (width, height), (true_width, true_height) = other.info.upright_size, truth.info.upright_size
    raise SourceError(
        f"{other.path} has another shape than {truth.path}, {width}x{height} and not {true_width}x"
        f"{true_height} as displayed; give a film of the whole picture, at any size."
    )


def _refuse_count(truth: _Opened, other: _Opened, limit: int | None) -> None:
    """Before anything is measured; packets are asked first, as decoding takes long."""
    if not _far_apart(*(_at_most(each.frames, limit) for each in (truth, other))):
        return
    true, count = (sum(1 for _ in islice(read_frames(each.info), limit)) for each in (truth, other))
    if _far_apart(true, count):
        raise _other_count(truth, true, other, count)


def _at_most(frames: int, limit: int | None) -> int:
    return frames if limit is None else min(frames, limit)


def _far_apart(true: int, count: int) -> bool:
    return abs(true - count) > max(FEW_FRAMES, FEW_OF_MANY * true)


def _other_count(truth: _Opened, true: int, other: _Opened, count: int) -> SourceError:
    return SourceError(
        f"{other.path} has {count} frames and {truth.path} has {true}, but frames are matched one "
        "by one; give a film with the same frames, or compare only the first ones with --limit."
    )


def _measured(
    films: Sequence[_Opened], size: Size, limit: int | None, threads: int, report: Report
) -> tuple[Film, list[str]]:
    """What was measured, and what is to be said about films that fit only nearly."""
    truth = films[0].info
    facts = [facts_of(sample_pairs(each.info), each.info) for each in films]
    looks = [Look(each.info, size, rotation=each.info.rotation) for each in films]
    total = expected_frames(truth, limit)
    seconds: list[float] = []
    with ExitStack() as stack:
        streams = [
            stack.enter_context(closing(_stream(each.info, about, limit, threads)))
            for each, about in zip(films, facts, strict=True)
        ]
        meter = stack.enter_context(Meter(renderings=len(films) - 1, threads=threads))
        together = _Together(streams)
        for frames in together:
            views = [look.at(f.luma, f.chroma) for look, f in zip(looks, frames, strict=True)]
            meter.add(views[0], views[1:])
            seconds.append(float((frames[0].pts - truth.start_pts) * truth.time_base))
            report(len(seconds), max(total, len(seconds)))
        counts = together.counts
        for each, count in zip(films[1:], counts[1:], strict=True):
            if not seconds or _far_apart(counts[0], count):
                raise _other_count(films[0], counts[0], each, count)
        film = Film(
            name=truth.path.name,
            size=size,
            seconds=tuple(seconds),
            gray=facts[0].chroma <= GRAY_CHROMA,
            figures=meter.figures(),
        )
    return film, [*_notes_on_counts(films, counts, len(seconds)), *_notes_on_rates(films)]


def _stream(info: VideoInfo, facts: FilmFacts, limit: int | None, threads: int) -> Generator[Frame]:
    """A film's frames, whole ones also of an interlaced film, decoded ahead in a thread."""
    frames = read_frames(info, threads=threads, fields=facts.fields)

    def first() -> Generator[Frame]:
        with closing(cast(Generator[Frame], frames)):
            yield from islice(frames, limit)

    return prefetched(first(), DECODED_AHEAD, thread_name="decode")


class _Together:
    """The frames of several films side by side, as long as all have some; then it counts on."""

    def __init__(self, streams: Sequence[Generator[Frame]]) -> None:
        self._streams = streams
        self.counts = [0] * len(streams)
        """Frames that each film had, once this has ended."""

    def __iter__(self) -> Iterator[list[Frame]]:
        while True:
            frames = [next(stream, None) for stream in self._streams]
            there = [frame for frame in frames if frame is not None]
            self.counts = [
                count + (frame is not None)
                for count, frame in zip(self.counts, frames, strict=True)
            ]
            if len(there) < len(frames):
                break
            yield there
        self.counts = [
            count + sum(1 for _ in stream)
            for count, stream in zip(self.counts, self._streams, strict=True)
        ]


def _notes_on_counts(films: Sequence[_Opened], counts: Sequence[int], measured: int) -> list[str]:
    truth, true = films[0].path, counts[0]
    return [
        f"{each.path} has {count} frames and {truth} has {true}; the first {measured} of each were "
        "compared."
        for each, count in zip(films[1:], counts[1:], strict=True)
        if count != true
    ]


def _notes_on_rates(films: Sequence[_Opened]) -> list[str]:
    truth = films[0].info
    return [
        f"{each.path} has {float(each.info.rate):.6g} frames a second and {truth.path} has "
        f"{float(truth.rate):.6g}; frames were matched by their order, not by their times."
        for each in films[1:]
        if abs(each.info.rate / truth.rate - 1) > RATES_ALIKE
    ]
