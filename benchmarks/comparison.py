"""A film and its colour film compared, by decoding both and by hashing packets.

    for check in compare(Path("film.mp4"), Path("film.color.mp4")):
        print(check.area, check.same, check.cell)

This reads with PyAV alone and shares no code with the program it judges.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, zip_longest
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from filefacts import RAW, Clock, Facts, Track, film_stream, has_luma, origins_of, read_facts
from numpy.typing import NDArray

PICTURE_WORDS = ("rotation", "aspect", "matrix", "range", "colour tag", "has frames of")

WORDS = {
    "frames": ("frame", "damage"),
    "times": ("time", "interlac"),
    "luma": ("luma", "interlac", "rgb", "palette", "bits"),
    "audio": ("audio", "sound"),
    "others": ("subtitle", "attach", "chapter", "cover", "data stream", "stream"),
    "tags": ("tag", "metadata", "language", "title", "disposition"),
    "picture": (*PICTURE_WORDS, "mastering display", "transparen"),
}
"""The areas compared, and the words by which a warning speaks of a difference there."""

FINE_WORDS = {
    **{area: WORDS[area] for area in ("frames", "times", "luma", "audio")},
    "subtitles": ("subtitle",),
    "chapters": ("chapter",),
    "attachments": ("attach",),
    "covers": ("cover", "video track"),
    "data": ("data track", "timecode"),
    "tags": WORDS["tags"],
    "picture": (*PICTURE_WORDS, "two views"),
    "hdr": ("mastering display",),
    "transparency": ("transparen",),
    "captions": ("caption",),
    "sync": ("sound", "audio", "last frame"),
}
"""The same for `compare_finely`, which takes apart what `compare` puts together."""

KINDS = {
    "audio": "audio",
    "subtitle": "subtitles",
    "attachment": "attachments",
    "video": "covers",
    "data": "data",
}
"""What a person calls streams of a kind, when they aren't the film."""

LEAST_LUMA_DB = 32.0
"""Below this the luma is another picture, not a picture encoded: x264 at its default here gives
40 and more, a wrong range or a frame's shift 15 to 30."""

NEAR_SECONDS = Fraction(2, 1000)
"""Packets' times may differ by two roundings of Matroska's millisecond."""

UNSPECIFIED = 2

CONTAINERS_TAGS = {"handler_name", "filename", "mimetype", "stereo_mode"}
"""Tags that one kind of container writes by itself and another doesn't know."""

COMMON_DISPOSITIONS = ~(Disposition.captions | Disposition.descriptions | Disposition.dependent)
"""The others follow from how one kind of container marks its tracks."""


@dataclass(frozen=True)
class Check:
    """One area: whether all is there, and what a table says about it."""

    area: str
    same: bool
    cell: str


def compare(source: Path, output: Path) -> list[Check]:
    """One check for each area of WORDS, in its order. Raises what PyAV raises."""
    before, after = read_facts(source), read_facts(output)
    return [
        *check_frames(source, output),
        check_tracks("audio", before, after, ("audio",)),
        check_others(before, after),
        check_tags(before, after),
        check_picture(before, after, without=LINES),
    ]


def compare_finely(source: Path, output: Path, *, woven: bool = False) -> list[Check]:
    """One check for each area of FINE_WORDS, in its order. Raises what PyAV raises.

    `woven` asks interlaced pictures to be so still, and to say it.
    """
    before, after = read_facts(source), read_facts(output)
    checks = [
        *check_frames(source, output),
        *(check_tracks(name, before, after, (kind,)) for kind, name in KINDS.items()),
        check_chapters(before, after),
        check_tags(before, after),
        check_picture(before, after, without=(*HDR, *LAYERS, *(() if woven else LINES))),
        check_picture(before, after, "hdr", only=HDR),
        check_picture(before, after, "transparency", only=LAYERS),
        check_captions(before, after),
        check_sync(before, after),
    ]
    return sorted(checks, key=lambda check: list(FINE_WORDS).index(check.area))


# Frames


class Film:
    """A film's frames, decoded one after the other, and their times once all were."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors = 0
        self._decoded: list[Fraction | None] = []
        self._packets: list[Fraction | None] = []

    def frames(self) -> Iterator[av.VideoFrame]:
        """Every frame that decodes; an error is counted and passed over."""
        with av.open(str(self.path), metadata_errors=RAW) as container:
            stream = film_stream(container)
            stream.thread_type = "SLICE"
            origins = origins_of(container)
            decoded, demuxed = Clock(origins), Clock(origins)
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return
                    if packet.size:
                        ticks = packet.pts if packet.pts is not None else packet.dts
                        self._packets.append(demuxed(ticks, packet.time_base))
                    frames = packet.decode()
                except av.error.FFmpegError:
                    self.errors += 1
                    continue
                for frame in frames:
                    self._decoded.append(decoded(frame.pts, frame.time_base))
                    yield frame

    def times(self) -> list[Fraction | None]:
        """By the decoder, or in disorder, the packets' in order; None where a file says nothing."""
        known = [seconds for seconds in self._decoded if seconds is not None]
        if all(a < b for a, b in pairwise(known)):
            return self._decoded
        packets = [seconds for seconds in self._packets if seconds is not None]
        return list(sorted(packets)[: len(self._decoded)])


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
    """(height, width) of a planar YUV or gray frame, 0 to 1, alike at 8 bits and above."""
    name, component = frame.format.name, frame.format.components[0]
    if not has_luma(name):
        return None
    wide = component.bits > 8
    order = ">" if frame.format.is_big_endian else "<"
    samples = np.frombuffer(memoryview(frame.planes[0]), f"{order}u2" if wide else np.uint8)
    # A negative line size means that the lines lie bottom up in memory.
    size = frame.planes[0].line_size // (2 if wide else 1)
    lines = samples.reshape(-1, abs(size))[:: 1 if size > 0 else -1]
    shown = lines[: frame.height, : frame.width].astype(np.float32)
    return np.asarray(shown / np.float32(2**component.bits), dtype=np.float32)


def check_times(
    before: Sequence[Fraction | None], after: Sequence[Fraction | None], near: Fraction
) -> Check:
    """Whether each frame is where it was, as far as the source says where."""
    known = [each for each in before if each is not None]
    if not known and before:
        return Check("times", not falls(after), "the source has none")
    if falls(known):
        # Frames at one time can't be kept so, but they must stay near.
        near = (known[-1] - known[0]) / len(known)
    pairs = zip(before, after, strict=False)
    offsets = [new - old for old, new in pairs if old is not None and new is not None]
    if before and before[0] is None:
        offsets = [offset - offsets[0] for offset in offsets]
    worst = max((abs(offset) for offset in offsets), default=Fraction(0))
    if worst <= near and len(before) == len(after):
        cell = "equal" if not worst else f"within {milliseconds(worst)}"
        return Check("times", not falls(after), cell if not falls(after) else "they fall back")
    if worst <= near:
        return Check("times", False, f"equal for the {len(offsets)} frames both have")
    moved = max(offsets) - min(offsets) <= near
    what = "all moved by" if moved else "off by up to"
    return Check("times", False, f"{what} {milliseconds(offsets[0] if moved else worst)}")


def falls(times: Sequence[Fraction | None]) -> bool:
    """Whether a frame comes no later than the one before it."""
    known = [each for each in times if each is not None]
    return any(a >= b for a, b in pairwise(known))


def milliseconds(seconds: Fraction) -> str:
    return f"{float(seconds * 1000):.3g} ms"


NO_LUMA, ALIKE = "no luma plane to compare", "inf dB"


def check_luma(noise: float | None) -> Check:
    """Encoders are lossy, so this tells a wrong picture from a right one, no more."""
    if noise is None:
        return Check("luma", True, NO_LUMA)
    if noise == 0:
        return Check("luma", True, ALIKE)
    decibel = -10 * math.log10(noise)
    return Check("luma", decibel >= LEAST_LUMA_DB, f"{decibel:.1f} dB")


# Everything else


NO_DATE = "1970-01-01T00:00:00.000000Z"
"""How a reader shows MP4's field for a date that was never filled in."""

SAME_MATRICES = {5, 6}
"""BT.601 for 625 and for 525 lines: two code points, one matrix."""


def check_tracks(area: str, before: Facts, after: Facts, kinds: tuple[str, ...]) -> Check:
    """Tracks of some kinds, matched in order: same payload, same times."""
    old, new = ([t for t in facts.tracks if t.kind in kinds] for facts in (before, after))
    if "data" in kinds and before.timecode and not old and not new:
        kept = before.timecode == after.timecode
        return Check(area, kept, f"timecode {'kept' if kept else 'lost'}")
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
    if old.words or new.words:
        if old.words != new.words:
            return f"{old.codec} {old.words} became {new.words}"
    elif old.payload != new.payload and (not old.samples or old.samples != new.samples):
        return f"{old.kind} {old.codec}: {old.packets} packets became other {new.packets}"
    pairs = list(zip(old.times, new.times, strict=False))
    if old.packets != new.packets:
        # The same bytes in other portions.
        pairs = [*pairs[:1], *zip(old.ends[-1:], new.ends[-1:], strict=False)]
    elif old.kind == "subtitle" and old.codec != "dvd_subtitle":
        # A DVD's lines say themselves when they go.
        pairs += zip(old.ends, new.ends, strict=False)
    if old.kind == "video" and old.packets == 1:
        pairs = []  # a cover has no time
    worst = max((abs(b - a) for a, b in pairs), default=Fraction(0))
    if worst > NEAR_SECONDS:
        return f"{old.kind} {old.codec}: times off by up to {milliseconds(worst)}"
    return ""


def check_others(before: Facts, after: Facts) -> Check:
    """Subtitles, attachments, covers, data and chapters."""
    parts, same = [], True
    for kind, name in KINDS.items():
        if kind == "audio":
            continue
        check = check_tracks(name, before, after, (kind,))
        same &= check.same
        if check.cell != "none":
            parts.append(f"{name}: {check.cell}")
    chapters = check_chapters(before, after)
    if chapters.cell != "none":
        parts.append(f"chapters: {chapters.cell}")
    return Check("others", same and chapters.same, "; ".join(parts) or "none")


def check_chapters(before: Facts, after: Facts) -> Check:
    if not before.chapters and not after.chapters:
        return Check("chapters", True, "none")
    kept = before.chapters == after.chapters
    return Check("chapters", kept, f"{len(before.chapters)} equal" if kept else "differ")


def check_captions(before: Facts, after: Facts) -> Check:
    """Closed captions inside the pictures, those of each picture."""
    if not before.captions:
        return Check("captions", True, "none")
    kept = before.captions == after.captions
    return Check("captions", kept, "kept" if kept else "differ" if after.captions else "lost")


def check_sync(before: Facts, after: Facts) -> Check:
    """How far each sound begins and ends after the picture does, and how long the last picture is
    shown."""
    wrong = []
    lengths = [last_shown(facts.film) for facts in (before, after)]
    # Where a film was cut without encoding, its end need not be a frame's.
    near = max(NEAR_SECONDS, usual_gap(before.film) / 2)
    if lengths[0] and abs(lengths[1] - lengths[0]) > near:
        wrong.append(f"last frame stays {signed(lengths[1] - lengths[0])}")
    sounds = [[t for t in facts.tracks if t.kind == "audio"] for facts in (before, after)]
    for number, (old, new) in enumerate(zip(*sounds, strict=False)):
        times = old.times, before.film.times, new.times, after.film.times
        if not all(times):
            continue
        for side, name in ((min, "begins"), (max, "ends")):
            if side is max and len(before.film.times) < before.film.packets:
                continue  # nobody knows when the picture ends
            if side is max and old.packets != new.packets:
                # The same samples in other portions.
                times = old.ends, before.film.times, new.ends, after.film.times
            sound, film, new_sound, new_film = (side(each) for each in times)
            change = (new_sound - new_film) - (sound - film)
            if abs(change) > NEAR_SECONDS:
                wrong.append(f"sound {number} {name} {signed(change, 'later', 'earlier')}")
    return Check("sync", not wrong, "; ".join(wrong) or "kept")


def last_shown(film: Track) -> Fraction:
    """Seconds the last frame is shown for; 0 where the file doesn't say."""
    return max(film.end or 0, *film.ends) - max(film.times) if film.times else Fraction(0)


def usual_gap(film: Track) -> Fraction:
    """Seconds between frames, on average."""
    if len(film.times) < 2:
        return Fraction(0)
    return (max(film.times) - min(film.times)) / (len(film.times) - 1)


def signed(seconds: Fraction, more: str = "longer", less: str = "less") -> str:
    return f"{float(abs(seconds) * 1000):.3g} ms {more if seconds > 0 else less}"


def check_tags(before: Facts, after: Facts) -> Check:
    """Titles, languages and other tags of the file and its tracks, and the tracks' dispositions."""
    alike = before.container == after.container
    lost = missing_tags("file", before.tags, after.tags, alike)
    lost += missing_tags("film", before.film.tags, after.film.tags, alike)
    if before.film.disposition & ~after.film.disposition:
        lost.append("film's disposition")
    for kind in sorted({track.kind for track in before.tracks}):
        old, new = ([t for t in facts.tracks if t.kind == kind] for facts in (before, after))
        if len(old) != len(new):
            continue  # a lost track is lost with its tags
        for n, (a, b) in enumerate(zip(old, new, strict=True)):
            lost += missing_tags(f"{kind} {n}", a.tags, b.tags, alike)
            kept = -1 if alike else COMMON_DISPOSITIONS
            if a.disposition & ~b.disposition & kept:
                lost.append(f"{kind} {n}'s disposition")
    return Check("tags", not lost, f"lost {', '.join(lost)}" if lost else "kept")


def missing_tags(owner: str, old: dict[str, str], new: dict[str, str], alike: bool) -> list[str]:
    left_out = set() if alike and not owner.startswith("data") else CONTAINERS_TAGS
    return [
        f"{owner}'s {key}"
        for key, value in old.items()
        # MP4 calls a track's title its name.
        if value not in (new.get(key), new.get({"name": "title", "title": "name"}.get(key, key)))
        and value != NO_DATE
        and key not in left_out
    ]


HDR, LAYERS = ("HDR display", "HDR levels"), ("transparency",)
"""Facts of a picture that are checked by themselves when films are compared finely."""

LINES = ("lines",)
"""What a film that is made progressive rightly says otherwise."""


def check_picture(
    before: Facts,
    after: Facts,
    area: str = "picture",
    *,
    only: tuple[str, ...] | None = None,
    without: tuple[str, ...] = (),
) -> Check:
    """Size, rotation, aspect, and whatever colour tags and the like the source has."""
    wrong = []
    asked = [name for name in only or before.picture if name not in without]
    if only and not any(before.picture.get(name) for name in only):
        return Check(area, True, "none")
    for name in asked:
        old = before.picture.get(name, "")
        unset = name in ("matrix", "primaries", "transfer") and old in (0, UNSPECIFIED)
        unset |= name == "range" and old == 0
        unset |= old == ""
        new = after.picture.get(name)
        alike = name == "matrix" and {old, new} == SAME_MATRICES
        if unset or alike or old == new:
            continue
        if name == area:
            wrong.append("lost")
        else:
            wrong.append(f"{name} lost" if new == "" else f"{name} {old} became {new}")
    return Check(area, not wrong, "; ".join(wrong) or "kept")
