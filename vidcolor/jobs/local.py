"""One film, coloured on this machine: planned, resumed, joined, and put under its name.

    order = Order(source=Path("film.mp4"), output=Path("film.color.mp4"), settings=Settings())
    outcome = run_film(order, report=print)
    outcome.damaged      # frames that the decoder gave with errors

Killed at any moment, the same order goes on where it was. The output's name holds the whole film
or nothing.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor import __version__
from vidcolor.errors import JobError, OutputError, SourceError, UsageError, WeightsError
from vidcolor.facts import FilmFacts
from vidcolor.frames import END, PictureFormat, Segment, VideoInfo
from vidcolor.jobs.beforehand import (
    check_room,
    refuse_target,
    try_final_name,
    try_temporary_folder,
)
from vidcolor.jobs.damage import (
    Damage,
    damage_of,
    frames_missing,
    refuse_cut,
    refuse_damage,
    refuse_missing,
)
from vidcolor.jobs.devices import devices_of, refuse_several, refuse_unlike, split_devices
from vidcolor.jobs.durable import put_in_place, writing
from vidcolor.jobs.events import Event, Meter, Progress, Report, Started, Warned
from vidcolor.jobs.folder import Finished, Job, JobFolder, folder_path
from vidcolor.jobs.identity import Identity, identity, source_fingerprint
from vidcolor.jobs.making import Alone, Painter
from vidcolor.jobs.plan import Moment, cut_range, plan_segments
from vidcolor.media.choice import (
    EncoderChoice,
    another_codec,
    choose_encoder,
    picture_format,
    refuse_encoder,
)
from vidcolor.media.clock import words_on_jumps
from vidcolor.media.ending import bytes_missing
from vidcolor.media.join import SegmentFile, check_output_container, join_segments
from vidcolor.media.packets import PacketIndex
from vidcolor.media.probe import probe
from vidcolor.media.reader import index_packets
from vidcolor.media.write import try_encoder
from vidcolor.models.registry import AUTO, entry_of, explain_auto
from vidcolor.settings import Settings

if TYPE_CHECKING:
    from vidcolor.inference import Engine
    from vidcolor.pipeline import Colorizer

OpenEngine = Callable[[Settings], "Engine"]

SHORT_SECONDS, SHORT_PART = 1.5, 0.02
"""A picture this much shorter than its header says is worth a warning; sound often outlasts it."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made of which film."""

    source: Path
    output: Path
    settings: Settings
    start: Moment | None = None
    end: Moment | None = None
    """The half-open range to make; the output starts at zero when either is given."""

    overwrite: bool = False
    """Make an output again that is there already."""

    restart: bool = False
    """Delete what an earlier run of this job finished."""

    keep_job: bool = False
    """Leave the job's folder after success."""

    strict: bool = False
    """Refuse a damaged source instead of colouring what can be decoded."""

    options: tuple[str, ...] | None = None
    """The command line's options that ask for the same again, noted in the job for `vidcolor
    jobs`; None from a program, whose orders no command line can repeat."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an order."""

    output: Path
    made: bool
    """False when the output was there already and was left alone."""

    job_beside: bool = False
    """Whether a job, kept or unfinished, lies beside an output that was left alone."""

    model: str = ""
    """The network that gave the colours; empty when the output was left alone."""

    frames: int = 0
    """In the output."""

    frames_resumed: int = 0
    """Of these, made by earlier runs."""

    damaged: int = 0
    """Frames that the decoder gave with errors."""

    repeated: int = 0
    """Frames that the source lost; the last good one is shown again for each."""

    missing: int = 0
    """Frames that the source's packets promised, and that are neither."""

    bytes_missing: int = 0
    """How much the source's file lacks at its end, by what its own headers say."""

    damage: tuple[Damage, ...] = ()
    """Where damaged and repeated frames are."""

    seconds: float = 0.0
    """Wall time of this run."""

    @property
    def source_damaged(self) -> bool:
        """Whether the film is finished but the source wasn't whole."""
        return any((self.damaged, self.repeated, self.missing, self.bytes_missing))


@dataclass(frozen=True)
class _Film:
    """A source that was opened, and how its picture will be written."""

    info: VideoInfo
    choice: EncoderChoice
    format: PictureFormat


def run_film(
    order: Order, *, open_engine: OpenEngine | None = None, report: Report = lambda event: None
) -> Outcome:
    """Colorize one film, or go on with it; returns when the output is whole.

    `report` is called on the calling thread. `open_engine` replaces inference.open_engine, so
    that several films share a network; on several devices each film opens its own. Raises the
    errors of errors.py; whatever is raised, KeyboardInterrupt too, the output's name is as it was
    and finished segments are kept.
    """
    began = time.monotonic()
    refuse_wrong(order.settings, order.start, order.end, several_devices=True)
    refuse_own_source(order.source, order.output)
    if _left_alone(order):
        if not order.keep_job:
            _delete_what_is_over(order.output)
        return _leave(order)
    report = _without_repeats(report)
    refuse_target(order.output)
    try_temporary_folder()
    film = _open_film(order, report)
    with JobFolder.hold(order.output) as folder:
        if _left_alone(order):
            return _leave(order)
        try_final_name(folder, order.output)
        try_encoder(film.info, film.format, film.choice)
        with _open_painter(order, film, folder, open_engine) as painter:
            for warning in painter.warnings:
                report(Warned(text=warning))
            job = _plan_or_resume(order, film, painter, folder, report)
            lacking = _bytes_missing(order, job)
            if order.strict:
                refuse_cut(order.source, lacking)
            done = _check_finished(job, folder, report)
            _check_room(order, film, job, done, report)
            resumed = sum(part.frames for part in done.values())
            report(_started(order, film, painter, job, done))
            refuse = partial(refuse_damage, film.info) if order.strict else None
            _colorize(painter, job, folder, done, report, refuse)
        parts = [done[segment.index] for segment in job.segments]
        missing = frames_missing(sum(job.frames), sum(part.frames for part in parts))
        if order.strict:
            refuse_missing(order.source, missing)
        comment = f"Colours by vidcolor {__version__}, network {painter.model_name}"
        _join(order, film, job, folder, parts, report, comment)
        if not order.keep_job:
            folder.remove()
    return Outcome(
        output=order.output,
        made=True,
        model=painter.model_name,
        frames=sum(part.frames for part in parts),
        frames_resumed=resumed,
        damaged=sum(len(part.damaged) for part in parts),
        repeated=sum(len(part.repeated) for part in parts),
        missing=missing,
        bytes_missing=lacking,
        damage=damage_of(parts, film.info),
        seconds=time.monotonic() - began,
    )


def refuse_wrong(
    settings: Settings,
    start: Moment | None,
    end: Moment | None,
    *,
    several_devices: bool = False,
) -> None:
    """Raise for what is wrong whatever the film and its output are; costs no import of torch.

    `several_devices` may be named only where a film is spread over them.
    """
    if settings.model != AUTO:
        entry_of(settings.model)
    refuse_encoder(settings)
    if several_devices:
        split_devices(settings.device)
    else:
        refuse_several(settings.device)
    if settings.weights is not None and not Path(settings.weights).exists():
        raise WeightsError(f"the weights file {settings.weights} doesn't exist; check its name.")
    if end is None:
        return
    first = start or (Moment(seconds=Fraction()) if end.frame is None else Moment(frame=0))
    # A frame and a time can't be compared before the film is known.
    for begin, stop in ((first.frame, end.frame), (first.seconds, end.seconds)):
        if begin is not None and stop is not None and begin >= stop:
            raise UsageError(
                f"no frame lies between --start {first} and --end {end}; the end must come after "
                "the start, and itself isn't part of the range."
            )


def refuse_own_source(source: Path, output: Path) -> None:
    """Raise UsageError when the output is the source itself, by whatever name."""
    same = source.resolve() == output.resolve()
    # By another name it would be a link; what can't be looked at will be told when it is opened.
    with suppress(OSError):
        same = same or source.samefile(output)
    if same:
        raise UsageError(
            f"the output {output} is the source itself, which is never overwritten; choose "
            "another name with -o."
        )


def _left_alone(order: Order) -> bool:
    """Whether a finished film is there to be left alone.

    Raises OutputError when what is there is no film and wasn't to be overwritten.
    """
    if not _stands(order):
        return False
    try:
        probe(order.output)
    except SourceError as error:
        raise OutputError(
            f"{order.output} is there already and isn't a film that can be read; choose another "
            "name with -o, or give --overwrite to replace it."
        ) from error
    return True


def _delete_what_is_over(output: Path) -> None:
    """Delete the job that a run was killed before it could delete, its film having its name."""
    with suppress(JobError, OutputError):
        if JobFolder(output).is_over(output):
            with JobFolder.hold(output) as folder:
                if folder.is_over(output):
                    folder.remove()


def _bytes_missing(order: Order, job: Job) -> int:
    """How much the source's file lacks at its end; 0 where that is of no concern to a cut."""
    if job.segments[-1].end < END:
        return 0
    try:
        return bytes_missing(order.source)
    except OSError as error:
        raise SourceError(f"{order.source} can't be read: {error.strerror or error}.") from error


def _leave(order: Order) -> Outcome:
    job = folder_path(order.output) / "job.json"
    return Outcome(output=order.output, made=False, job_beside=job.exists())


def _stands(order: Order) -> bool:
    """Whether the output is there and may not be replaced.

    Raises OutputError on a folder, a device and the like, which are never replaced.
    """
    with writing(order.output):
        if order.output.is_dir():
            raise OutputError(f"{order.output} is a folder; give the output a file's name with -o.")
        if not order.output.exists():
            return False
        if not order.output.is_file():
            raise OutputError(
                f"{order.output} is there already and isn't a film or any regular file; choose "
                "another name with -o."
            )
        return not order.overwrite


def _open_film(order: Order, report: Report) -> _Film:
    if order.source.is_file() and order.source.stat().st_size == 0:
        raise SourceError(f"{order.source} is empty (0 bytes); try another copy of the film.")
    info = probe(order.source)
    choice = choose_encoder(info, order.settings)
    if instead := another_codec(info, order.settings, choice):
        report(Warned(text=instead))
    for warning in check_output_container(info, order.output, choice):
        report(Warned(text=warning))
    return _Film(info, choice, picture_format(info, choice))


@contextmanager
def _open_painter(
    order: Order, film: _Film, folder: JobFolder, open_engine: OpenEngine | None
) -> Iterator[Painter]:
    """Who makes the segments, on the settings' device or devices."""
    facts, devices = _measure(order, film)
    if len(devices) == 1:
        colorizer = _open_colorizer(order, film, facts, devices, open_engine)
        yield Alone(colorizer, film.choice, folder)
        return
    from vidcolor.jobs.spread import open_crew
    from vidcolor.jobs.worker import Task

    task = Task(
        info=film.info,
        facts=facts,
        format=film.format,
        choice=film.choice,
        settings=order.settings,
        output=order.output,
        log_level=logging.getLogger("vidcolor").getEffectiveLevel(),
    )
    with open_crew(task, devices, folder.lock) as crew:
        yield crew


def _measure(order: Order, film: _Film) -> tuple[FilmFacts, tuple[str, ...]]:
    """What holds for the whole film, and the devices to colour it on; refuses what can't be."""
    # Imported here because torch takes seconds, and a bad file should be told at once.
    from vidcolor.pipeline import film_facts, refuse_color

    facts = film_facts(film.info)
    refuse_color(film.info, facts, order.settings)
    devices = devices_of(order.settings.device)
    if len(devices) > 1:
        refuse_unlike(devices)
    return facts, devices


def _open_colorizer(
    order: Order,
    film: _Film,
    facts: FilmFacts,
    devices: Sequence[str],
    open_engine: OpenEngine | None,
) -> Colorizer:
    """A colorizer on the first of the devices."""
    from vidcolor import inference
    from vidcolor.pipeline import Colorizer

    settings = replace(order.settings, device=devices[0])
    engine = (open_engine or inference.open_engine)(settings)
    return Colorizer(film.info, facts, settings, engine, film.format)


def _plan_or_resume(
    order: Order, film: _Film, painter: Painter, folder: JobFolder, report: Report
) -> Job:
    now = _identity(order, film, painter.fingerprint())
    if order.restart:
        folder.clear()
    folder.sweep()
    if (job := folder.read_job()) is not None:
        folder.refuse_another(job, now)
        folder.note(job, order.source.absolute(), order.options)
        return job
    report(Progress(phase="reading", done=0, total=0))
    job = _new_job(order, film, now, index_packets(film.info), report)
    folder.write_job(job)
    return job


def _identity(order: Order, film: _Film, engine: Mapping[str, Any]) -> Identity:
    cut = order.start, order.end
    return identity(order.source, order.settings, engine, film.choice, film.format, cut)


def _new_job(order: Order, film: _Film, now: Identity, index: PacketIndex, report: Report) -> Job:
    """The plan of a film nothing has been made of yet."""
    if len(index.times) == 0:
        raise SourceError(f"{order.source} holds no picture that could be read.")
    if index.jumps:
        report(Warned(text=words_on_jumps(film.info.path, index.jumps)))
    elif warning := _ends_early(film.info, index.times[-1]):
        report(Warned(text=warning))
    start, end = cut_range(order.start, order.end, index.times, film.info)
    seconds = order.settings.segment_seconds
    segments = plan_segments(index.times, index.keyframes, film.info, seconds, start, end)
    frames = (_frames_in(part, index.times) for part in segments)
    return Job(now, segments, tuple(frames), order.source.absolute(), order.options)


def _ends_early(info: VideoInfo, last_pts: int) -> str | None:
    """A sentence where the picture ends long before the header says, as in half a download."""
    if info.clock_jumps:
        return None
    shown = float((last_pts - info.start_pts) * info.time_base + 1 / info.rate)
    promised = info.duration_seconds or 0.0
    if promised - shown <= max(SHORT_SECONDS, SHORT_PART * promised):
        return None
    return (
        f"{info.path} should last {promised:.1f} s but its picture ends after {shown:.1f} s; the "
        "file may be cut short."
    )


def _frames_in(segment: Segment, times: Sequence[int]) -> int:
    return bisect_left(times, segment.end) - bisect_left(times, segment.start)


def _check_finished(job: Job, folder: JobFolder, report: Report) -> dict[int, Finished]:
    """Finished segments by index, each file read and compared with its marker's sum."""
    done: dict[int, Finished] = {}
    meter = Meter(report, "checking", len(job.segments))
    for segment in job.segments:
        if (finished := folder.finished(segment)) is not None:
            done[segment.index] = finished
            meter.show(segment.index + 1)
    return done


def _check_room(
    order: Order, film: _Film, job: Job, done: dict[int, Finished], report: Report
) -> None:
    if said := check_room(film.info, film.format, film.choice, job, done, order.output):
        report(Warned(text=said))


def _started(
    order: Order, film: _Film, painter: Painter, job: Job, done: dict[int, Finished]
) -> Started:
    settings = order.settings
    return Started(
        source=str(order.source),
        output=str(order.output),
        engine=painter.describe(),
        why=explain_auto() if settings.model == AUTO and settings.weights is None else "",
        encoder=film.choice.codec,
        segments=len(job.segments),
        segments_resumed=len(done),
        frames=sum(job.frames),
    )


def _colorize(
    painter: Painter,
    job: Job,
    folder: JobFolder,
    done: dict[int, Finished],
    report: Report,
    refuse: Callable[[Finished], None] | None,
) -> None:
    """Make the segments that aren't in `done`, and add them to it.

    `refuse` raises for those it doesn't want.
    """
    if refuse:
        for part in done.values():
            refuse(part)
    resumed = sum(part.frames for part in done.values())
    meter = Meter(report, "colorizing", sum(job.frames), resumed)

    def completed(segment: Segment, part: Finished) -> None:
        folder.accept(segment, part)
        done[segment.index] = part
        if refuse:
            refuse(part)

    runs = list(unfinished_runs(job.segments, done))
    painter.make(runs, completed, lambda written: meter.show(resumed + written))
    meter.finish(sum(part.frames for part in done.values()))


def unfinished_runs(
    segments: tuple[Segment, ...], done: dict[int, Finished]
) -> Iterator[list[Segment]]:
    """Groups of consecutive segments that aren't done: each is one running stream."""
    for finished, group in groupby(segments, lambda segment: segment.index in done):
        if not finished:
            yield list(group)


def _join(
    order: Order,
    film: _Film,
    job: Job,
    folder: JobFolder,
    parts: list[Finished],
    report: Report,
    comment: str,
) -> None:
    """Join the segments and give the whole film its name."""
    files = [
        SegmentFile(part.path, part.pts, part.durations, part.extradata_sha256)
        for part in parts
        if part.frames
    ]
    if not files:
        raise SourceError(f"no frame of {order.source} could be decoded; is it damaged?")
    report(Progress(phase="joining", done=0, total=len(files)))
    # The sound and everything else is copied now, from what must still be the same file.
    folder.refuse_another(job, job.identity | {"source": source_fingerprint(order.source)})
    joined = folder.joined(order.output)
    cut = {"start": job.segments[0].start, "end": job.segments[-1].end}
    for warning in join_segments(files, film.info, joined, **cut, comment=comment):
        report(Warned(text=warning))
    with writing(order.output):
        if _stands(order):
            raise OutputError(
                f"{order.output} appeared while the film was made and is left alone; the "
                "segments are kept: give the same command with --overwrite to replace it."
            )
        if not order.keep_job:
            folder.foretell(joined)
        put_in_place(joined, order.output)
    report(Progress(phase="joining", done=len(files), total=len(files)))


def _without_repeats(report: Report) -> Report:
    """Pass events on, but each warning once: the join repeats what was foretold."""
    said: set[str] = set()

    def once(event: Event) -> None:
        if isinstance(event, Warned):
            if event.text in said:
                return
            said.add(event.text)
        report(event)

    return once
