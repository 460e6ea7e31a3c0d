"""A film and its colour film compared, by decoding both and by hashing packets.

    for check in compare(Path("film.mp4"), Path("film.color.mp4")):
        print(check.area, check.same, check.cell)

This reads with PyAV alone and shares no code with the program it judges.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, zip_longest
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import AttachmentStream, Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

WORDS = {
    "frames": ("frame", "damage"),
    "times": ("time", "interlac"),
    "luma": ("luma", "interlac", "rgb", "palette", "bits"),
    "audio": ("audio", "sound"),
    "others": ("subtitle", "attach", "chapter", "cover", "data stream", "stream"),
    "tags": ("tag", "metadata", "language", "title", "disposition"),
    "picture": ("rotation", "aspect", "matrix", "range", "colour tag"),
}
"""The areas compared, and the words by which a warning speaks of a difference there."""

LEAST_LUMA_DB = 32.0
"""Below this the luma is another picture, not a picture encoded: x264 at its default here gives
40 and more, a wrong range or a frame's shift 15 to 30."""

NEAR_SECONDS = Fraction(2, 1000)
"""Packets' times may differ by two roundings of Matroska's millisecond."""

UNSPECIFIED = 2

OWN_TAGS = {
    *("encoder", "major_brand", "minor_version", "compatible_brands", "duration", "vendor_id"),
    *("bps", "number_of_frames", "number_of_bytes", "timecode", "isft", "software"),
}
"""Tags that speak of the file, which a new file rightly has its own of."""

CONTAINERS_TAGS = {"handler_name"}
"""Tags that one kind of container writes by itself and another doesn't know."""


@dataclass(frozen=True)
class Check:
    """One area: whether all is there, and what a table says about it."""

    area: str
    same: bool
    cell: str


@dataclass
class Track:
    """A stream beside the film."""

    kind: str
    codec: str
    tags: dict[str, str]
    disposition: int
    payload: str = ""
    packets: int = 0
    times: list[Fraction] = field(default_factory=list)


@dataclass
class Facts:
    """What a file holds besides pictures."""

    container: str
    tags: dict[str, str]
    film_tags: dict[str, str]
    film_disposition: int
    chapters: list[tuple[float, float, str]]
    tracks: list[Track]
    picture: dict[str, object]
    """Rotation, aspect and colour tags of the film's stream."""


def compare(source: Path, output: Path) -> list[Check]:
    """One check for each area of WORDS, in its order. Raises what PyAV raises."""
    before, after = read_facts(source), read_facts(output)
    return [
        *check_frames(source, output),
        check_tracks("audio", before, after, ("audio",)),
        check_others(before, after),
        check_tags(before, after),
        check_picture(before, after),
    ]


# Frames


class Film:
    """A film's frames, decoded one after the other, and their times once all were."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors = 0
        self._decoded: list[Fraction | None] = []
        self._packets: list[Fraction] = []

    def frames(self) -> Iterator[av.VideoFrame]:
        """Every frame that decodes; an error is counted and passed over."""
        with av.open(str(self.path)) as container:
            stream = film_stream(container)
            stream.thread_type = "SLICE"
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return
                    ticks = packet.pts if packet.pts is not None else packet.dts
                    if ticks is not None and packet.size:
                        self._packets.append(ticks * packet.time_base)
                    frames = packet.decode()
                except av.error.FFmpegError:
                    self.errors += 1
                    continue
                for frame in frames:
                    self._decoded.append(seconds_of(frame))
                    yield frame

    def times(self) -> list[Fraction]:
        """By the decoder, or where it gives none or disorder, the packets' in order."""
        known = [seconds for seconds in self._decoded if seconds is not None]
        rising = all(a < b for a, b in pairwise(known))
        if rising and len(known) == len(self._decoded):
            return known
        return sorted(self._packets)[: len(self._decoded)]


def seconds_of(frame: av.VideoFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * Fraction(frame.time_base)


def film_stream(container: InputContainer) -> VideoStream:
    """The stream that is the film, not a cover."""
    best = container.streams.best("video")
    if not isinstance(best, VideoStream):
        raise ValueError(f"{container.name} has no picture")
    return best


def check_frames(source: Path, output: Path) -> list[Check]:
    """Frames, times and luma, from one pass over both films side by side."""
    before, after = Film(source), Film(output)
    counts, noise, compared = [0, 0], 0.0, 0
    for old, new in zip_longest(before.frames(), after.frames()):
        counts[0] += old is not None
        counts[1] += new is not None
        if old is None or new is None:
            continue
        difference = mean_square(old, new)
        if difference is not None:
            noise, compared = noise + difference, compared + 1
    cell = str(counts[0]) if counts[0] == counts[1] else f"{counts[0]} became {counts[1]}"
    if before.errors or after.errors:
        cell += f", decoding errors {before.errors} and {after.errors}"
    frames = Check("frames", counts[0] == counts[1] and not after.errors, cell)
    exact = output.suffix.lower() in (".mp4", ".m4v", ".mov")
    times = check_times(before.times(), after.times(), Fraction(0 if exact else 1, 1000))
    return [frames, times, check_luma(noise / compared if compared else None)]


def mean_square(old: av.VideoFrame, new: av.VideoFrame) -> float | None:
    """Of the luma's differences, on a scale where the largest code is 1; None without a luma."""
    planes = [luma_of(frame) for frame in (old, new)]
    if planes[0] is None or planes[1] is None or planes[0].shape != planes[1].shape:
        return None
    return float(np.mean((planes[0] - planes[1]) ** 2))


def luma_of(frame: av.VideoFrame) -> NDArray[np.float32] | None:
    """(height, width) of a planar YUV or gray frame, 0 to 1."""
    name, component = frame.format.name, frame.format.components[0]
    if not has_luma(name):
        return None
    wide = component.bits > 8
    samples = np.frombuffer(memoryview(frame.planes[0]), np.uint16 if wide else np.uint8)
    lines = samples.reshape(-1, frame.planes[0].line_size // (2 if wide else 1))
    shown = lines[: frame.height, : frame.width].astype(np.float32)
    return np.asarray(shown / np.float32(2**component.bits - 1), dtype=np.float32)


def has_luma(pixel_format: str) -> bool:
    """Whether the first plane is luma and nothing else."""
    return pixel_format.startswith(("yuv", "gray", "nv", "p01")) and "yuyv" not in pixel_format


def check_times(before: list[Fraction], after: list[Fraction], near: Fraction) -> Check:
    offsets = [new - old for old, new in zip(before, after, strict=False)]
    worst = max((abs(offset) for offset in offsets), default=Fraction(0))
    if worst <= near and len(before) == len(after):
        return Check("times", True, "equal" if not worst else f"within {milliseconds(worst)}")
    if worst <= near:
        return Check("times", False, f"equal for the {len(offsets)} frames both have")
    moved = max(offsets) - min(offsets) <= near
    what = "all moved by" if moved else "off by up to"
    return Check("times", False, f"{what} {milliseconds(offsets[0] if moved else worst)}")


def milliseconds(seconds: Fraction) -> str:
    return f"{float(seconds * 1000):.3g} ms"


def check_luma(noise: float | None) -> Check:
    """Encoders are lossy, so this tells a wrong picture from a right one, no more."""
    if noise is None:
        return Check("luma", True, "no luma plane to compare")
    decibel = math.inf if noise == 0 else -10 * math.log10(noise)
    return Check("luma", decibel >= LEAST_LUMA_DB, f"{decibel:.1f} dB")


# Everything else


def read_facts(path: Path) -> Facts:
    with av.open(str(path)) as container:
        film = film_stream(container)
        tracks = {s.index: read_track(s) for s in container.streams if s.index != film.index}
        chapters = [read_chapter(chapter) for chapter in container.chapters()]
        facts = Facts(
            container=container.format.name,
            tags=tags_of(container.metadata),
            film_tags=tags_of(film.metadata),
            film_disposition=int(film.disposition),
            chapters=chapters,
            tracks=list(tracks.values()),
            picture=read_picture(film),
        )
        read_packets(container, tracks)
    with av.open(str(path)) as container:
        facts.picture["rotation"] = first_rotation(container)
    return facts


def read_track(stream: Stream) -> Track:
    context = getattr(stream, "codec_context", None)
    track = Track(
        kind=stream.type,
        codec=context.name if context is not None else "",
        tags=tags_of(stream.metadata),
        disposition=int(stream.disposition),
    )
    if isinstance(stream, AttachmentStream):
        track.payload = hashlib.sha256(stream.data).hexdigest()
    return track


def read_chapter(chapter: av.container.Chapter) -> tuple[float, float, str]:
    base = chapter["time_base"] or Fraction(1)
    start, end = (round(float(chapter[side] * base), 2) for side in ("start", "end"))
    return start, end, chapter["metadata"].get("title", "")


def read_packets(container: InputContainer, tracks: dict[int, Track]) -> None:
    """Hash every track's payloads and note its packets' times."""
    hashes = {index: hashlib.sha256() for index in tracks}
    streams = [s for s in container.streams if s.index in tracks and s.type != "attachment"]
    for packet in container.demux(*streams) if streams else ():
        track = tracks.get(packet.stream_index)
        if track is None or not packet.size:
            continue
        hashes[packet.stream_index].update(bytes(packet))
        track.packets += 1
        if packet.pts is not None:
            track.times.append(packet.pts * packet.time_base)
    for index, track in tracks.items():
        if track.packets:
            track.payload = hashes[index].hexdigest()


NO_DATE = "1970-01-01T00:00:00.000000Z"
"""How a reader shows MP4's field for a date that was never filled in."""

SAME_MATRICES = {5, 6}
"""BT.601 for 625 and for 525 lines: two code points, one matrix."""


def read_picture(film: VideoStream) -> dict[str, object]:
    context = film.codec_context
    aspect = {"aspect": Fraction(film.sample_aspect_ratio or 1)}
    if not has_luma(context.pix_fmt or ""):
        # RGB and palettes are converted, and have no matrix or range to keep.
        return dict(aspect)
    return {
        **aspect,
        "matrix": int(context.colorspace),
        "primaries": int(context.color_primaries),
        "transfer": int(context.color_trc),
        "range": int(context.color_range),
    }


def first_rotation(container: InputContainer) -> int:
    try:
        return next((frame.rotation for frame in container.decode(film_stream(container))), 0)
    except av.error.FFmpegError:
        return 0


def tags_of(metadata: dict[str, str]) -> dict[str, str]:
    """Tags by lower-case name, without those a file has for itself, and `und` as no language."""
    tags = {key.lower(): value for key, value in metadata.items()}
    return {
        key: value
        for key, value in tags.items()
        if key not in OWN_TAGS and not key.startswith("_statistics") and value not in ("", "und")
    }


def check_tracks(area: str, before: Facts, after: Facts, kinds: tuple[str, ...]) -> Check:
    """Tracks of some kinds, matched in order: same payload, same times."""
    old, new = ([t for t in facts.tracks if t.kind in kinds] for facts in (before, after))
    if not old and not new:
        return Check(area, True, "none")
    if len(old) != len(new):
        return Check(area, False, f"{len(old)} {area} became {len(new)}")
    wrong = [text for pair in zip(old, new, strict=True) if (text := difference(*pair))]
    if wrong:
        return Check(area, False, "; ".join(wrong))
    return Check(area, True, f"{len(old)} equal")


def difference(old: Track, new: Track) -> str:
    """What differs between two tracks, or nothing."""
    if old.payload != new.payload:
        return f"{old.kind} {old.codec}: {old.packets} packets became other {new.packets}"
    pairs = zip(old.times, new.times, strict=False)
    worst = max((abs(b - a) for a, b in pairs), default=Fraction(0))
    if worst > NEAR_SECONDS:
        return f"{old.kind} {old.codec}: times off by up to {milliseconds(worst)}"
    return ""


def check_others(before: Facts, after: Facts) -> Check:
    """Subtitles, attachments, covers, data and chapters."""
    parts, same = [], True
    names = {
        "subtitle": "subtitles",
        "attachment": "attachments",
        "video": "covers",
        "data": "data",
    }
    for kind, name in names.items():
        check = check_tracks(name, before, after, (kind,))
        same &= check.same
        if check.cell != "none":
            parts.append(f"{name}: {check.cell}")
    if before.chapters or after.chapters:
        kept = before.chapters == after.chapters
        same &= kept
        parts.append("chapters: " + (f"{len(before.chapters)} equal" if kept else "differ"))
    return Check("others", same, "; ".join(parts) or "none")


def check_tags(before: Facts, after: Facts) -> Check:
    """Titles, languages and other tags of the file and its tracks, and the tracks' dispositions."""
    alike = before.container == after.container
    lost = missing_tags("file", before.tags, after.tags, alike)
    lost += missing_tags("film", before.film_tags, after.film_tags, alike)
    if before.film_disposition & ~after.film_disposition:
        lost.append("film's disposition")
    for kind in sorted({track.kind for track in before.tracks}):
        old, new = ([t for t in facts.tracks if t.kind == kind] for facts in (before, after))
        for n, (a, b) in enumerate(zip(old, new, strict=False)):
            lost += missing_tags(f"{kind} {n}", a.tags, b.tags, alike)
            if a.disposition & ~b.disposition:
                lost.append(f"{kind} {n}'s disposition")
    return Check("tags", not lost, f"lost {', '.join(lost)}" if lost else "kept")


def missing_tags(owner: str, old: dict[str, str], new: dict[str, str], alike: bool) -> list[str]:
    left_out = set() if alike else CONTAINERS_TAGS
    return [
        f"{owner}'s {key}"
        for key, value in old.items()
        if new.get(key) != value and key not in left_out and value != NO_DATE
    ]


def check_picture(before: Facts, after: Facts) -> Check:
    """Rotation, aspect, and whatever colour tags the source has."""
    wrong = []
    for name, old in before.picture.items():
        unset = name in ("matrix", "primaries", "transfer") and old in (0, UNSPECIFIED)
        unset |= name == "range" and old == 0
        new = after.picture.get(name)
        alike = name == "matrix" and {old, new} == SAME_MATRICES
        if not unset and not alike and old != new:
            wrong.append(f"{name} {old} became {new}")
    return Check("picture", not wrong, "; ".join(wrong) or "kept")
