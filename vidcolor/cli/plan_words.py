"""A dry run's plans in words: a film's source, its streams, its estimate, all films together.

expected = Expected(plan.work, trial, estimate_of(plan.work, trial))
estimate_words(expected)                 # "about 1.4 GB, about 3 h 10 min"
list(warnings_of(expected))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vidcolor.cli.escapes import printable
from vidcolor.cli.lines import shortened, time_words
from vidcolor.cli.screen import clock
from vidcolor.facts import FilmFacts
from vidcolor.files import size_words
from vidcolor.frames import VideoInfo
from vidcolor.jobs.estimate import Estimate, FilmPlan, StreamPlan, Work
from vidcolor.jobs.folder import folder_path
from vidcolor.jobs.local import Order
from vidcolor.jobs.trial import Trial
from vidcolor.settings import Settings


@dataclass(frozen=True)
class Expected:
    """What is to be expected of a film that would be made."""

    work: Work
    trial: Trial | None
    """None where every segment is there, or no frame could be made."""

    estimate: Estimate


@dataclass
class Totals:
    """All films together."""

    films: int
    planned: int = 0
    left_alone: int = 0
    in_colour: int = 0
    failed: int = 0
    output_bytes: int = 0
    seconds: float = 0.0
    disks: dict[int, Disk] = field(default_factory=dict)

    def add(self, expected: Expected | None) -> None:
        """Count a film; None is one that is left alone."""
        if expected is None:
            self.left_alone += 1
            return
        work, estimate = expected.work, expected.estimate
        self.planned += 1
        self.output_bytes += estimate.output_bytes
        self.seconds += estimate.seconds
        disk = self.disks.setdefault(work.disk, Disk(work.free_bytes))
        disk.outputs += estimate.output_bytes
        disk.most_coming = max(disk.most_coming, estimate.coming_bytes)

    @property
    def not_tried(self) -> int:
        done = self.planned + self.left_alone + self.in_colour + self.failed
        return self.films - done


@dataclass
class Disk:
    """A file system that outputs go to; one film's segments are on it at a time."""

    free_bytes: int
    outputs: int = 0
    most_coming: int = 0

    @property
    def needed_bytes(self) -> int:
        return self.outputs + self.most_coming


# One film


def left_words(plan: FilmPlan) -> str:
    """An output that is there already."""
    goes_on = ""
    if plan.job_beside:
        goes_on = f" and goes on with {folder_path(plan.output)}"
    return f"is already there and would be left alone; --overwrite makes it again{goes_on}"


def source_words(work: Work, settings: Settings) -> str:
    """Size, rate, length, codec, colour."""
    info = work.info
    rate = f"{float(info.rate):.3f}".rstrip("0").rstrip(".")
    length = clock(work.seconds) if work.seconds >= 60 else f"{work.seconds:.1f} s"
    return (
        f"{info.width}x{info.height}, {rate} fps, {length}, {info.codec}, {info.bit_depth} bit, "
        f"{colour_words(work.facts, settings)}"
    )


def colour_words(facts: FilmFacts, settings: Settings) -> str:
    """What colour the source has, and what becomes of it."""
    fate = "stays" if settings.keep_color else "would be replaced"
    if facts.partly_colored:
        return f"in colour in some shots, which {fate}"
    if facts.colored:
        return f"in colour, which {fate}"
    if facts.tinted:
        return "black and white with a tint, which would be replaced"
    return "black and white"


def picture_words(info: VideoInfo, facts: FilmFacts, settings: Settings) -> Iterator[str]:
    """What isn't as in most films: rotation, aspect, bars, fields."""
    width, height = info.upright_size
    if info.rotation:
        yield f"turned by {info.rotation} degrees when shown, {width}x{height}"
    elif info.sample_aspect != 1:
        aspect = f"{info.sample_aspect.numerator}:{info.sample_aspect.denominator}"
        yield f"shown as {width}x{height} (samples {aspect})"
    box = facts.box
    edges = {
        "above": box.top,
        "below": info.height - box.bottom,
        "left": box.left,
        "right": info.width - box.right,
    }
    bars = [f"{size} {where}" for where, size in edges.items() if size]
    if bars:
        yield f"black bars, kept neutral: {', '.join(bars)}"
    if facts.fields != "progressive":
        yield f"interlaced, {'made progressive' if settings.deinterlace else 'and left so'}"


def output_words(order: Order, work: Work) -> str:
    """What happens at the output's place."""
    free = f"{size_words(work.free_bytes)} free there"
    said = []
    if work.replaced:
        said.append("is already there and would be replaced")
    if work.discarded:
        said.append(f"the segments in {folder_path(order.output)} would be thrown away")
    if work.resumed:
        said.append(
            f"an unfinished run would be gone on with, {work.segments_done} of "
            f"{len(work.segments)} segments finished"
        )
    return "; ".join([*(said or ["new"]), free])


def stream_row(stream: StreamPlan, work: Work) -> tuple[str, ...]:
    """One line of the streams' table."""
    cover = any(other.index == stream.index and other.cover for other in work.info.streams)
    # `und` is how MP4 says nothing.
    language = printable(stream.language or "") if stream.language != "und" else ""
    title = f'"{shortened(printable(stream.title))}"' if stream.title else ""
    return (
        str(stream.index),
        "cover" if cover else stream.kind,
        # An attachment's kind is known by its file's name alone.
        stream.codec if stream.codec != "unknown" else "-",
        " ".join(word for word in (language, title) if word),
        fate_words(stream, work),
    )


def fate_words(stream: StreamPlan, work: Work) -> str:
    """What becomes of a stream."""
    words = {
        "picture": f"coloured: {encoder_words(work)}",
        "copy": "copied bit for bit",
        "convert": f"converted to {stream.becomes}",
        "unwrap": f"its samples kept as {stream.becomes}",
        "cover": "kept as an attached picture",
        "attach": "kept as an attachment",
        "leave": f"left out: {stream.why}",
    }
    return words[stream.way]


def encoder_words(work: Work) -> str:
    choice = work.choice
    words = [choice.codec]
    if choice.crf is not None:
        words.append(f"crf {choice.crf}")
    if choice.preset is not None:
        words.append(choice.preset)
    words.append(f"{work.format.bit_depth} bit")
    return " ".join(words)


def along_words(work: Work) -> str:
    """Chapters and tags."""
    kept = [
        f"{count} {thing}{'s' if count > 1 else ''}"
        for count, thing in ((work.chapters, "chapter"), (work.tags, "tag"))
        if count
    ]
    return f"{' and '.join(kept)} kept" if kept else "no chapters, no tags"


def engine_words(work: Work) -> str:
    engine = work.engine
    threads = f"{engine.threads} thread{'s' if engine.threads > 1 else ''}"
    return f"{engine.model} on {engine.device}, {engine.dtype}, batch {engine.batch}, {threads}"


def method_words(settings: Settings) -> str:
    every = settings.anchor_every
    looks = "every frame" if every == 1 else f"one frame in {every}"
    smoothing = "on" if settings.smoothing else "off"
    return f"looks at {looks}, smoothing {smoothing}, keeps {settings.preserve}"


def plan_words(order: Order, work: Work) -> str:
    """Frames and segments."""
    count = len(work.segments)
    frames = f"{work.frames} frame{'s' if work.frames != 1 else ''}"
    segments = "1 segment"
    if count > 1:
        mean = work.frames / float(work.info.rate) / count
        segments = f"{count} segments of about {time_words(mean)}"
    cut = ""
    if order.start is not None or order.end is not None:
        cut = f", from {order.start or 'the beginning'} to {order.end or 'the end'}"
    done = f"; {work.frames_done} frames are finished" if work.frames_done else ""
    return f"{frames} in {segments}{cut}{done}"


def trial_words(plan: FilmPlan, expected: Expected) -> str:
    """What was tried, and what it said."""
    trial = expected.trial
    if trial is None:
        todo = expected.work.todo
        return f"none: {'no frame could be made' if todo else 'nothing is left to be coloured'}"
    speed = f"{trial.fps:.1f} fps, {size_words(trial.bytes_per_frame)} a frame"
    if trial.scaled:
        return f"none of its own; by size, from that of {trial.source}: {speed}"
    if trial.source != plan.source:
        return f"none of its own; that of {trial.source}, which is alike: {speed}"
    frames = f"{trial.frames} frame{'s' if trial.frames != 1 else ''}"
    places = f" from {trial.places} places" if trial.places > 1 else ""
    alone = f" on {trial.device} alone" if trial.device else ""
    return f"{frames}{places} in {trial.seconds:.1f} s{alone}: {speed}"


def estimate_words(expected: Expected) -> str:
    estimate, trial = expected.estimate, expected.trial
    still = " still" if expected.work.frames_done else ""
    alone = " with one of the devices" if trial is not None and trial.device else ""
    size, time = size_words(estimate.output_bytes), time_words(estimate.seconds)
    return f"about {size}, about {time}{still}{alone}"


def warnings_of(expected: Expected) -> Iterator[str]:
    """What a run would warn of, and what the trial found out."""
    work, trial, estimate = expected.work, expected.trial, expected.estimate
    yield from work.warnings
    if trial is not None and trial.damaged and not trial.scaled:
        yield (
            f"the source is damaged: {trial.damaged} of {trial.frames} frames tried decoded with "
            "errors and may look wrong."
        )
    if estimate.room_bytes > work.free_bytes:
        yield (
            f"about {size_words(estimate.room_bytes)} are needed, for the segments and the joined "
            f"film are there at once, and {size_words(work.free_bytes)} are free; make room, or "
            "choose another place with -o."
        )


# All films


def totals_words(totals: Totals) -> str:
    """The last line about several films."""
    said = []
    if totals.planned:
        films = f"{totals.planned} film{'s' if totals.planned > 1 else ''}"
        size, time = size_words(totals.output_bytes), time_words(totals.seconds)
        said.append(f"{films} to be made: about {size}, about {time}")
    others = {
        "there already": totals.left_alone,
        "in colour": totals.in_colour,
        "failed": totals.failed,
        "not tried": totals.not_tried,
    }
    said += [f"{number} {what}" for what, number in others.items() if number]
    return "; ".join(said)


def disk_warnings(totals: Totals) -> Iterator[str]:
    for disk in totals.disks.values():
        if totals.planned > 1 and disk.needed_bytes > disk.free_bytes:
            yield (
                f"all outputs on one disk need about {size_words(disk.needed_bytes)} and "
                f"{size_words(disk.free_bytes)} are free; make room, or choose another place with "
                "-o."
            )
