"""What becomes of each stream of a source in the finished film's container.

    with open_source(info.path) as source:
        for track in plan_tracks(source, info, muxer_of(Path("film.color.mp4"))):
            print(track.index, track.way, track.warning)

Nothing is dropped in silence: a track that can't be kept carries a sentence saying why. Whether a
container takes a track is found out by muxing its first packets into memory.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container.input import InputContainer
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream
from numpy.typing import NDArray

from vidcolor.errors import OutputError
from vidcolor.frames import BEGINNING, END, VideoInfo
from vidcolor.media.probe import codec_name, is_cover, open_source
from vidcolor.media.subtitles import TEXT_CODECS, missing_ffmpeg
from vidcolor.media.write import words_of

Way = Literal["picture", "copy", "convert", "cover", "attach", "leave"]

_MUXERS = {
    # FFmpeg would take .m4v for a bare MPEG-4 stream or for iPod's narrow MP4.
    ".m4v": "mp4",
    ".mp4": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
MP4_FAMILY = frozenset({"mp4", "mov", "ipod", "3gp", "psp"})
_TEXT_OF = {"matroska": "srt", "webm": "webvtt"} | dict.fromkeys(MP4_FAMILY, "mov_text")
_HELD_TEXT = {
    "matroska": frozenset({"subrip", "srt", "ass", "ssa", "webvtt"}),
    "webm": frozenset({"webvtt"}),
} | dict.fromkeys(MP4_FAMILY, frozenset({"mov_text"}))

_TRIAL_PACKETS = 2000
"""How far into a source to look for each track's first packet."""

_STALE_TAGS = (
    *("duration", "encoder", "number_of_", "bps"),
    *("_statistics_", "vendor_id", "alpha_mode"),
)
"""Tags about the old packets or the old file, by how they begin."""

_CONTAINER_TAGS = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "software"}
)
_MP4_TAGS = frozenset(
    {
        *("title", "artist", "album_artist", "performer", "composer", "author", "album", "track"),
        *("disc", "date", "creation_time", "comment", "genre", "copyright", "grouping", "lyrics"),
        *("description", "synopsis", "show", "episode_id", "season_number", "episode_sort"),
        *("network", "keywords", "media_type", "hd_video", "gapless_playback", "compilation"),
        *("rating", "location", "location-eng"),
    }
)


@dataclass(frozen=True)
class Track:
    """One stream of the source and its way into the output."""

    index: int
    way: Way
    """`picture` is replaced by the coloured segments; `convert` is text turned into `codec`;
    `cover` and `attach` become attachments."""

    codec: str = ""
    warning: str | None = None
    why: str = ""
    """Of what is left out: the reason alone, where the warning is a whole sentence."""


@dataclass(frozen=True, kw_only=True)
class Company:
    """What comes along with the picture."""

    tracks: tuple[Track, ...]
    """Every stream of the source, the picture's too, in its order."""

    chapters: int
    tags: int
    """Of the whole film, as far as the output holds them."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much of a stream there is."""

    packets: int
    bytes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """How much there is of everything in a source."""

    loads: dict[int, Load]
    """By the index of each kept stream beside the picture's."""

    times: NDArray[np.int64]
    """(n,) rising: when the picture's packets between keyframes are shown, in ticks; of all its
    packets where each is a keyframe."""

    sizes: NDArray[np.int64]
    """(n,): bytes of these."""


def muxer_of(output: Path) -> str:
    """FFmpeg's muxer for a file name. Raises OutputError for a suffix no muxer knows."""
    known = _MUXERS.get(output.suffix.lower())
    if known:
        return known
    try:
        with av.open(f"film{output.suffix}", "w") as unopened:
            name = unopened.format.name
    except ValueError:
        name = "image2"
    if name.startswith("image2") or not output.suffix:
        raise OutputError(
            f"{output} ends in no known video format; name it .mp4, .mov, .mkv or .webm."
        )
    return name


def plan_tracks(source: InputContainer, info: VideoInfo, muxer: str) -> list[Track]:
    """A way for each stream of `source`, in its order. Reads the source's first packets."""
    wanted = [s for s in source.streams if s.index != info.stream_index and s.codec_context]
    first = _first_packets(source, wanted)
    chapters = bool(source.chapters())
    return [
        _track(stream, info, muxer, first.get(stream.index), chapters) for stream in source.streams
    ]


def company_of(info: VideoInfo, output: Path) -> Company:
    """What becomes of each stream of a source, its chapters and its tags in `output`.

    Reads the source's first packets. Raises OutputError for a suffix no muxer knows.
    """
    muxer = muxer_of(output)
    lacking = missing_ffmpeg()
    with open_source(info.path) as source:
        tracks = plan_tracks(source, info, muxer)
        tags = [k for k in film_tags(source) if muxer not in MP4_FAMILY or k.lower() in _MP4_TAGS]
        chapters = len(source.chapters())
    if lacking:
        why = lacking.partition(": ")[2].rstrip(".")
        tracks = [
            replace(track, way="leave", why=why) if track.way == "convert" else track
            for track in tracks
        ]
    return Company(tracks=tuple(tracks), chapters=chapters, tags=len(tags))


def weigh(
    info: VideoInfo, tracks: Iterable[Track], start: int = BEGINNING, end: int = END
) -> Weights:
    """How much of each kept track lies in [start, end), pts of the picture; reads the whole file.

    A damaged end only ends the count.
    """
    kept = {track.index for track in tracks if track.way not in ("picture", "leave")}
    span = start * info.time_base, end * info.time_base
    packets, sizes = Counter[int](), Counter[int]()
    between: list[tuple[int, int]] = []
    keys: list[tuple[int, int]] = []
    with open_source(info.path) as source:
        for packet in _packets_of(source, kept | {info.stream_index}):
            index, time = packet.stream_index, _time_of(packet)
            if index == info.stream_index:
                if time is not None:
                    (keys if packet.is_keyframe else between).append((time, packet.size))
            # A cover's picture has no time that matters.
            elif (
                time is None
                or packet.stream.type == "video"
                or span[0] <= time * packet.time_base < span[1]
            ):
                packets[index] += 1
                sizes[index] += packet.size
        attached = (s for s in source.streams if isinstance(s, AttachmentStream))
        for stream in attached:
            if stream.index in kept:
                packets[stream.index], sizes[stream.index] = 1, len(stream.data)
    shown = np.array(sorted(between or keys), np.int64).reshape(-1, 2)
    loads = {index: Load(packets=packets[index], bytes=sizes[index]) for index in kept}
    return Weights(loads=loads, times=shown[:, 0], sizes=shown[:, 1])


def _packets_of(source: InputContainer, indexes: set[int]) -> Iterator[Packet[Stream]]:
    """Packets of the given streams that hold something; attachments have none."""
    wanted = []
    for stream in source.streams:
        if stream.index in indexes and not isinstance(stream, AttachmentStream):
            wanted.append(stream)
        else:
            stream.discard = Discard.all
    with suppress(av.FFmpegError):
        for packet in source.demux(wanted):
            if packet.size:
                yield packet


def _time_of(packet: Packet[Stream]) -> int | None:
    return packet.pts if packet.pts is not None else packet.dts


def add_copy(out: OutputContainer, stream: Stream, muxer: str) -> Stream:
    """A stream of `out` for the packets of `stream`, with its tags and disposition."""
    copy: Stream = out.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(track_tags(stream, muxer))
    copy.disposition = stream.disposition
    return copy


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
    return tags


def film_tags(source: InputContainer) -> dict[str, str]:
    """The container's own tags, without those the new muxer writes itself."""
    return {k: v for k, v in source.metadata.items() if k.lower() not in _CONTAINER_TAGS}


def lost_tags(source: InputContainer, muxer: str) -> str | None:
    """A sentence about the tags that the output can't hold."""
    if muxer not in MP4_FAMILY:
        return None
    lost = sorted(key for key in film_tags(source) if key.lower() not in _MP4_TAGS)
    if not lost:
        return None
    return f"{_family(muxer)} has no place for some tags, left out: {', '.join(lost)}."


def lost_shape(info: VideoInfo, muxer: str, codec: str) -> str | None:
    """A sentence about a turned or stretched picture that the output can't tell players of."""
    shaped = muxer in MP4_FAMILY or muxer in ("matroska", "webm")
    if info.rotation and not shaped:
        return (
            f"the picture must be turned by {info.rotation} degrees, which {_family(muxer)} "
            "can't say; use .mp4 or .mkv."
        )
    # PyAV can't tell the Matroska muxer of an aspect; these codecs tell it in their own headers.
    told = codec in ("h264", "hevc", "mpeg2video", "mpeg4") or muxer in MP4_FAMILY
    if info.sample_aspect != 1 and not told:
        return (
            f"the sample aspect {info.sample_aspect.numerator}:{info.sample_aspect.denominator} "
            f"is left out: {_family(muxer)} can't be given one for {codec} pictures; use .mp4."
        )
    return None


def lost_in_picture(info: VideoInfo, codec: str) -> Iterator[str]:
    """Sentences about what rode in the source's pictures and new pictures of `codec` lack."""
    if info.hdr is not None and codec not in ("h264", "hevc", "av1"):
        yield (
            f"what the film says of its mastering display and light levels is left out: {codec} "
            "pictures can't carry it here; use libx264, libx265 or libsvtav1."
        )
    if info.transparent:
        yield "the pictures' transparency is left out: a film in colour has none."
    if info.captioned:
        yield (
            "the closed captions inside the picture are left out; extract them into a subtitle "
            "track first if you need them."
        )


def _first_packets(source: InputContainer, wanted: list[Stream]) -> dict[int, Packet[Stream]]:
    found: dict[int, Packet[Stream]] = {}
    if not wanted:
        return found
    try:
        for count, packet in enumerate(source.demux(wanted)):
            if packet.size and packet.dts is not None:
                found.setdefault(packet.stream_index, packet)
            if len(found) == len(wanted) or count > _TRIAL_PACKETS:
                break
    except av.FFmpegError:
        pass
    return found


def _track(
    stream: Stream, info: VideoInfo, muxer: str, packet: Packet[Stream] | None, chapters: bool
) -> Track:
    if stream.index == info.stream_index:
        return Track(stream.index, "picture")
    if isinstance(stream, AttachmentStream) or stream.type == "attachment":
        if muxer == "matroska":
            return Track(stream.index, "attach")
        return _left(stream, f"{_family(muxer)} holds no attachments")
    if stream.type == "data" or stream.type not in ("video", "audio", "subtitle"):
        # MP4 keeps its chapters a second time, as a track of text; they are written anew.
        if chapters and stream.name == "bin_data":
            return Track(stream.index, "leave", why="the chapters, which are written anew")
        return _left(stream, "data tracks can't be kept")
    if is_cover(stream) and muxer == "matroska":
        return Track(stream.index, "cover")
    if stream.type == "subtitle":
        return _subtitle_track(stream, muxer, packet)
    refusal = _refusal(stream, muxer, packet)
    return _left(stream, refusal) if refusal else Track(stream.index, "copy")


def _subtitle_track(stream: Stream, muxer: str, packet: Packet[Stream] | None) -> Track:
    codec = codec_name(stream)
    if codec not in TEXT_CODECS:
        if muxer in MP4_FAMILY:
            return _left(stream, f"{_family(muxer)} holds no subtitles that are pictures")
        refusal = _refusal(stream, muxer, packet)
        return _left(stream, refusal) if refusal else Track(stream.index, "copy")
    if codec in _HELD_TEXT.get(muxer, frozenset()):
        return Track(stream.index, "copy")
    target = _TEXT_OF.get(muxer)
    if target is None:
        return _left(stream, f"{_family(muxer)} holds no subtitles")
    styled = f"{_named(stream)} becomes {target}, without its styling."
    return Track(stream.index, "convert", target, styled if codec in ("ass", "ssa") else None)


def _refusal(stream: Stream, muxer: str, packet: Packet[Stream] | None) -> str | None:
    """Why `muxer` doesn't take a stream, in its own words; None when it does."""
    if stream.codec_context is None:
        return "FFmpeg doesn't know its codec"
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            copy = add_copy(trial, stream, muxer)
            trial.start_encoding()
            if packet is not None:
                packet.stream = copy
                trial.mux(packet)
    except (av.FFmpegError, OSError, ValueError) as error:
        return f"{_family(muxer)} doesn't take {codec_name(stream)} ({words_of(error)})"
    return None


def left_out(info: VideoInfo, index: int, why: str) -> str:
    """The sentence for a track that is dropped."""
    stream = next(each for each in info.streams if each.index == index)
    language = f", {stream.language}" if stream.language else ""
    return f"{stream.kind} track {index} ({stream.codec}{language}) is left out: {why}."


def _left(stream: Stream, why: str) -> Track:
    said = f"{_named(stream)} is left out: {why}."
    return Track(stream.index, "leave", warning=said, why=why)


def _named(stream: Stream) -> str:
    language = stream.metadata.get("language")
    kind = "cover picture" if is_cover(stream) else f"{stream.type} track"
    named = stream.metadata.get("filename") or codec_name(stream)
    return f"{kind} {stream.index} ({named}{f', {language}' if language else ''})"


def _family(muxer: str) -> str:
    return {"matroska": "Matroska", "webm": "WebM", "mov": "MOV"}.get(muxer, muxer.upper())
