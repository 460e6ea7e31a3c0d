"""Titles, languages, marks and all other tags, and what of them a container has no place for.

    out.metadata.update(film_tags(source))
    copy.metadata.update(track_tags(stream, "mp4"))
    list(lost_tags(source, tracks, "mp4", {}))      # a sentence for each owner of lost tags

What is lost is found out by writing a film of nothing with the same tags, and reading it back.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container.input import InputContainer
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vidcolor.media.ffmpeg import RAW_TAGS
from vidcolor.media.mp4 import names_any_tag
from vidcolor.media.muxers import MP4_FAMILY, family_of
from vidcolor.media.probe import codec_name, is_cover
from vidcolor.media.views import WEBM_VIEWS
from vidcolor.media.write import BITEXACT

_STALE_TAGS = (
    *("duration", "encoder", "number_of_", "bps"),
    *("_statistics_", "vendor_id", "alpha_mode"),
)
"""Tags about the old packets or the old file, by how they begin."""

_CONTAINER_TAGS = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "software"}
)

_HANDLED = frozenset({"handler_name", "filename", "mimetype", "stereo_mode"})
"""Tags of tracks that one kind of container writes by itself and another doesn't know, or that
speak of the picture's shape."""

_MAC_LANGUAGES = {
    **{"sqi": "alb", "hye": "arm", "eus": "baq", "mya": "bur", "zho": "chi", "cze": "ces"},
    **{"nld": "dut", "fre": "fra", "kat": "geo", "deu": "ger", "ell": "gre", "isl": "ice"},
    **{"mkd": "mac", "msa": "may", "fas": "per", "rum": "ron", "slo": "slk", "bod": "tib"},
    **{"cym": "wel", "swe": "sve", "srp": "sr ", "hrv": "hr ", "fao": "fo ", "pan": "pa "},
}
"""Languages by the names under which FFmpeg knows QuickTime's numbers for them."""

_MARKS = {
    Disposition.dub: "dub",
    Disposition.original: "original",
    Disposition.comment: "comment",
    Disposition.lyrics: "lyrics",
    Disposition.karaoke: "karaoke",
    Disposition.forced: "forced",
    Disposition.hearing_impaired: "hearing impaired",
    Disposition.visual_impaired: "visual impaired",
    Disposition.clean_effects: "clean effects",
    Disposition.captions: "captions",
    Disposition.descriptions: "descriptions",
}
"""Dispositions that tell a viewer which track to choose."""

_CARRIERS = {
    "webm": {"video": "vp8", "audio": "opus", "subtitle": "webvtt"},
    "matroska": {"video": "mpeg4", "audio": "mp2", "subtitle": "subrip"},
    **{muxer: {"video": "mpeg4", "audio": "aac", "subtitle": "mov_text"} for muxer in MP4_FAMILY},
}
"""Codecs of the tracks of a film of nothing."""


@dataclass(frozen=True)
class _Labels:
    """What is said of a track."""

    kind: str
    tags: Mapping[str, str]
    marks: Disposition
    rate: Fraction
    """Frames a second, of a picture."""


_NOTHING = _Labels("video", {}, Disposition(0), Fraction(25))


def film_tags(source: InputContainer) -> dict[str, str]:
    """The container's own tags, without those the new muxer writes itself."""
    return {k: v for k, v in source.metadata.items() if k.lower() not in _CONTAINER_TAGS}


def track_tags(stream: Stream, muxer: str) -> dict[str, str]:
    """A stream's tags, without those about its old packets; MP4's `name` is a title."""
    tags = {
        key: value
        for key, value in stream.metadata.items()
        if not key.lower().startswith(_STALE_TAGS)
    }
    if "name" in tags and "title" not in tags:
        tags["title"] = tags.pop("name")
    if tags.get("language") == "und" and muxer not in MP4_FAMILY:
        del tags["language"]
    if stream.type == "video" and not is_cover(stream):
        tags |= _timecode_tags(stream)
    if muxer == "webm" and tags.get("stereo_mode", "mono") not in WEBM_VIEWS:
        del tags["stereo_mode"]
    if muxer == "mov" and "language" in tags:
        tags["language"] = _MAC_LANGUAGES.get(tags["language"], tags["language"])
    return tags


def _timecode_tags(stream: Stream) -> dict[str, str]:
    """What a track of timecode says of a picture: the muxers make such tracks of these tags."""
    first = next(s for s in stream.container.streams.video if not is_cover(s))
    own = stream.metadata.get("timecode")
    for other in stream.container.streams:
        tags = other.metadata
        if other.type != "data" or "timecode" not in tags:
            continue
        if tags["timecode"] == own or (own is None and stream.index == first.index):
            return {key: tags[key] for key in ("timecode", "reel_name") if key in tags}
    return {}


def tag_options(path: Path, tracks: Sequence[Stream], muxer: str) -> dict[str, str]:
    """The options for `muxer` that keep most of the tags of the film at `path`.

    MP4 and QuickTime keep tags either under names that all players know, or under names of any
    kind. The second way is for films that come that way, if the first would lose some. It has no
    place for cover pictures.
    """
    if muxer not in ("mp4", "mov") or not tracks or any(is_cover(stream) for stream in tracks):
        return {}
    source = cast(InputContainer, tracks[0].container)
    if "mov" not in source.format.name or not names_any_tag(path):
        return {}
    film = film_tags(source)
    kept, _ = _written(muxer, film, [], {})
    return {"movflags": "use_metadata_tags"} if _lacking(film, kept) else {}


def lost_tags(
    source: InputContainer, tracks: Sequence[Stream], muxer: str, options: dict[str, str]
) -> Iterator[str]:
    """A sentence about the film's tags that `muxer` has no place for, and one for each of its
    `tracks` that loses some. `options` are the muxer's.
    """
    family, film = family_of(muxer), film_tags(source)
    # A cover in MP4 has no tags of its own.
    covers = [_labels(stream, muxer) for stream in tracks if is_cover(stream)]
    tracks = [stream for stream in tracks if not is_cover(stream)]
    labels = [_labels(stream, muxer) for stream in tracks]
    try:
        kept, kept_labels = _written(muxer, film, labels, options)
    except (av.FFmpegError, OSError, ValueError, LookupError):
        if film or any(label.tags for label in labels):
            yield f"what {family} files keep of tags isn't known here; use .mkv for all of them."
        return
    if lost := sorted(_lacking(film, kept)):
        yield f"{family} has no place for some tags, left out: {', '.join(lost)}."
    # A track made when the whole film was says nothing of its own by its date.
    date = {key: value for key, value in kept.items() if key.lower() == "creation_time"}
    for stream, label, after in zip(tracks, labels, kept_labels, strict=True):
        own = {key: value for key, value in label.tags.items() if value not in date.values()}
        lost = sorted(_lacking(own, after.tags, ignored=_HANDLED))
        lost += [
            f"disposition {word}"
            for mark, word in _MARKS.items()
            if mark & label.marks & ~after.marks and not _follows(mark, label.marks)
        ]
        if lost:
            yield (
                f"{family} has no place for some tags of {named(stream)}, left out: "
                f"{', '.join(lost)}."
            )
    if lost := sorted({key for cover in covers for key in _lacking(cover.tags, {}, _HANDLED)}):
        yield f"{family} has no place for tags of cover pictures, left out: {', '.join(lost)}."


def kept_tags(source: InputContainer, muxer: str, options: dict[str, str]) -> int:
    """How many of the film's own tags `muxer` has a place for."""
    film = film_tags(source)
    try:
        kept, _ = _written(muxer, film, [], options)
    except (av.FFmpegError, OSError, ValueError, LookupError):
        return 0
    return len(film) - len(_lacking(film, kept))


def _labels(stream: Stream, muxer: str = "") -> _Labels:
    tags = track_tags(stream, muxer) if muxer else dict(stream.metadata)
    rate = stream.guessed_rate if isinstance(stream, VideoStream) else None
    return _Labels(stream.type, tags, stream.disposition, Fraction(rate or 25))


def named(stream: Stream) -> str:
    """A track in words: what it is, its index, and its codec or file name and language."""
    language = stream.metadata.get("language")
    kind = "cover picture" if is_cover(stream) else f"{stream.type} track"
    name = stream.metadata.get("filename") or codec_name(stream)
    return f"{kind} {stream.index} ({name}{f', {language}' if language else ''})"


def _lacking(
    before: Mapping[str, str], after: Mapping[str, str], ignored: frozenset[str] = frozenset()
) -> list[str]:
    """The names of the tags whose text is nowhere among those that came back."""
    # A date comes back in another form, and `und` is no language.
    known = {"", "und", _NO_DATE, *after.values()}
    dated = {"creation_time"} & {key.lower() for key in after}
    return [
        key
        for key, value in before.items()
        if value not in known and key.lower() not in dated | ignored
    ]


_NO_DATE = "1970-01-01T00:00:00.000000Z"
"""How FFmpeg gives MP4's date where nobody filled it in, which it does again in the output."""


def _follows(mark: Disposition, marks: Disposition) -> bool:
    """Whether a mark only says again what another one says, as some containers have it."""
    if mark == Disposition.captions:
        return bool(marks & Disposition.hearing_impaired)
    return mark == Disposition.descriptions and bool(marks & Disposition.visual_impaired)


def _written(
    muxer: str, film: dict[str, str], labels: list[_Labels], options: dict[str, str]
) -> tuple[dict[str, str], list[_Labels]]:
    """What comes back of a film's tags and of its tracks'.

    Raises what PyAV raises, or LookupError, where it can't be tried.
    """
    memory = io.BytesIO()
    with av.open(memory, "w", format=muxer, options=dict(options), metadata_errors=RAW_TAGS) as out:
        out.flags |= BITEXACT
        tracks = [_add_track(out, muxer, label) for label in labels or [_NOTHING]]
        out.metadata.update(film)
        out.start_encoding()
        for track in tracks:
            packet = Packet(bytes(16))
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration, packet.is_keyframe = 0, 0, 40, True
            out.mux(packet)
    memory.seek(0)
    with av.open(memory, metadata_errors=RAW_TAGS) as back:
        # Tracks of timecode, which are made of the pictures' tags and the film's.
        codes: dict[str, str] = {
            key: stream.metadata[key]
            for stream in back.streams.data
            for key in ("timecode", "reel_name")
            if key in stream.metadata
        }
        found = [_labels(stream) for stream in back.streams][: len(labels)]
        if [label.kind for label in labels] != [label.kind for label in found]:
            raise LookupError("the tracks don't come back as they were")
        return {**codes, **back.metadata}, [
            replace(label, tags={**codes, **label.tags}) for label in found
        ]


def _add_track(out: OutputContainer, muxer: str, label: _Labels) -> Stream:
    codec = _CARRIERS.get(muxer, _CARRIERS["matroska"])[label.kind]
    if label.kind == "video":
        track = out.add_mux_stream(codec, rate=label.rate, width=16, height=16)
    else:
        track = out.add_mux_stream(codec, **({"rate": 48000} if label.kind == "audio" else {}))
    track.metadata.update(label.tags)
    track.disposition = label.marks
    return track
