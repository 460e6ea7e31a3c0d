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
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container.input import InputContainer
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidcolor.frames import BEGINNING, END, VideoInfo
from vidcolor.media.captions import CAPTION_CODECS
from vidcolor.media.clock import Clock
from vidcolor.media.ffmpeg import RAW_TAGS, reading_options
from vidcolor.media.late import first_packets
from vidcolor.media.matroska import HeaderError, add_sound, amend, amendable, ask_aspect
from vidcolor.media.muxers import MP4_FAMILY, family_of, muxer_of
from vidcolor.media.probe import codec_name, is_cover, open_source
from vidcolor.media.sound import plain_codec
from vidcolor.media.subtitles import TEXT_CODECS, missing_ffmpeg, mp4_palette
from vidcolor.media.tags import kept_tags, named, tag_options, track_tags
from vidcolor.media.write import words_of

Way = Literal["picture", "copy", "unwrap", "convert", "cover", "attach", "leave"]

_TEXT_OF = {"matroska": "srt", "webm": "webvtt"} | dict.fromkeys(MP4_FAMILY, "mov_text")
_HELD_TEXT = {
    "matroska": frozenset({"subrip", "srt", "ass", "ssa", "webvtt"}),
    "webm": frozenset({"webvtt"}),
} | dict.fromkeys(MP4_FAMILY, frozenset({"mov_text"}))


@dataclass(frozen=True)
class Track:
    """One stream of the source and its way into the output."""

    index: int
    way: Way
    """`picture` is replaced by the coloured segments; `unwrap` is sound whose samples become PCM,
    `codec`, unchanged; `convert` is text turned into `codec`; `cover` and `attach` become
    attachments."""

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


def plan_tracks(source: InputContainer, info: VideoInfo, muxer: str) -> list[Track]:
    """A way for each stream of `source`, in its order. Reads the source's first packets."""
    wanted = [s for s in source.streams if s.index != info.stream_index and s.codec_context]
    first = first_packets(source, wanted)
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
        tags = kept_tags(source, muxer, tag_options(info.path, kept_streams(source, tracks), muxer))
        chapters = len(source.chapters())
    if lacking:
        why = lacking.partition(": ")[2].rstrip(".")
        tracks = [
            replace(track, way="leave", why=why) if track.way == "convert" else track
            for track in tracks
        ]
    return Company(tracks=tuple(tracks), chapters=chapters, tags=tags)


def kept_streams(source: InputContainer, tracks: Iterable[Track]) -> list[Stream]:
    """The streams of `source` that go into the output as tracks of their own."""
    kept = ("picture", "copy", "unwrap", "convert")
    return [source.streams[track.index] for track in tracks if track.way in kept]


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
        for packet in _packets_of(source, kept, info.stream_index):
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


def bytes_beside(info: VideoInfo, seconds: float) -> int:
    """About how much there is of everything but the picture in so much of a source, as far as its
    headers say; the file's packets aren't read."""
    total = 0.0
    with open_source(info.path) as source:
        for stream in source.streams:
            if isinstance(stream, AttachmentStream):
                total += len(stream.data)
            elif stream.index != info.stream_index and stream.codec_context is not None:
                total += (stream.codec_context.bit_rate or 0) / 8 * seconds
    return round(min(total, info.path.stat().st_size))


def _packets_of(
    source: InputContainer, indexes: set[int], picture: int
) -> Iterator[Packet[Stream]]:
    """Packets of the picture and the given streams that hold something; attachments have none."""
    film = source.streams[picture]
    assert isinstance(film, VideoStream)
    wanted = {s.index for s in source.streams if not isinstance(s, AttachmentStream)}
    with suppress(av.FFmpegError):
        for packet in Clock(source, film).packets(wanted & indexes | {picture}):
            if packet.size:
                yield packet


def _time_of(packet: Packet[Stream]) -> int | None:
    return packet.pts if packet.pts is not None else packet.dts


def add_copy(out: OutputContainer, stream: Stream, muxer: str) -> Stream:
    """A stream of `out` for the packets of `stream`, with its tags and disposition.

    For Matroska and WebM the finished file is to be amended, see `matroska.amend`.
    """
    tags = track_tags(stream, muxer)
    copy: Stream
    try:
        copy = out.add_stream_from_template(stream, opaque=True)
        copy.metadata.update(tags)
    except ValueError:
        if muxer != "matroska" or not isinstance(stream, AudioStream):
            raise
        stand_in = add_sound(out, stream, tags)
        if stand_in is None:
            raise
        copy = stand_in
    if isinstance(stream, VideoStream):
        ask_aspect(copy, stream.sample_aspect_ratio or Fraction(1), muxer)
    if muxer in MP4_FAMILY and codec_name(stream) == "dvd_subtitle":
        copy.codec_context.extradata = mp4_palette(stream.codec_context.extradata)
    copy.disposition = stream.disposition
    return copy


def lost_shape(info: VideoInfo, muxer: str, codec: str) -> str | None:
    """A sentence about a turned or stretched picture that the output can't tell players of."""
    shaped = muxer in MP4_FAMILY or muxer in ("matroska", "webm")
    if info.rotation and not shaped:
        return (
            f"the picture must be turned by {info.rotation} degrees, which {family_of(muxer)} "
            "can't say; use .mp4 or .mkv."
        )
    # These codecs tell it in their own headers.
    told = codec in ("h264", "hevc", "mpeg2video", "mpeg4") or muxer in MP4_FAMILY
    told |= amendable(muxer)
    if info.sample_aspect != 1 and not told:
        return (
            f"the sample aspect {info.sample_aspect.numerator}:{info.sample_aspect.denominator} "
            f"is left out: {family_of(muxer)} can't be given one for {codec} pictures; use .mp4."
        )
    return None


def lost_times(info: VideoInfo, muxer: str) -> str | None:
    """A sentence about frames that come faster than the output can say."""
    if muxer not in ("matroska", "webm") or info.rate <= _MILLISECONDS:
        return None
    return (
        f"{family_of(muxer)} holds whole milliseconds, so of {float(info.rate):.0f} frames a "
        "second several get the same time; use .mp4."
    )


_MILLISECONDS = 1000


_MATRICES = {
    **{1: "BT.709", 8: "YCgCo", 9: "BT.2020", 11: "ST 2085", 12: "derived from the primaries"},
    **{13: "derived from the primaries", 14: "ICtCp"},
}
"""Names of ITU-T H.273's code points."""


def lost_in_picture(info: VideoInfo, codec: str) -> Iterator[str]:
    """Sentences about what rode in the source's pictures and new pictures of `codec` lack."""
    if info.foreign_matrix is not None:
        yield (
            f"the picture's colour matrix ({_MATRICES.get(info.foreign_matrix, 'an unknown one')}) "
            f"becomes {_MATRICES[info.tags.matrix]}, since no colours can be made for it; gray "
            "looks the same."
        )
    if info.hdr is not None and codec not in ("h264", "hevc", "av1"):
        yield (
            f"what the film says of its mastering display and light levels is left out: {codec} "
            "pictures can't carry it here; use libx264, libx265 or libsvtav1."
        )
    if info.scene_notes:
        yield (
            f"the {' and '.join(info.scene_notes)} notes on how to show each scene are left out: "
            "they can't be written here, and screens show the film as they do without."
        )
    if info.transparent:
        yield "the pictures' transparency is left out: a film in colour has none."
    if info.captioned and codec not in CAPTION_CODECS:
        yield (
            f"the closed captions inside the picture are left out: {codec} pictures can't carry "
            "them here; use libx264, libx265 or libsvtav1."
        )


def _track(
    stream: Stream, info: VideoInfo, muxer: str, packet: Packet[Stream] | None, chapters: bool
) -> Track:
    if stream.index == info.stream_index:
        return Track(stream.index, "picture")
    if isinstance(stream, AttachmentStream) or stream.type == "attachment":
        if muxer == "matroska":
            return Track(stream.index, "attach")
        return _left(stream, f"{family_of(muxer)} holds no attachments")
    if stream.type == "data" or stream.type not in ("video", "audio", "subtitle"):
        # MP4 keeps its chapters a second time, as a track of text; they are written anew.
        if chapters and stream.name == "bin_data":
            return Track(stream.index, "leave", why="the chapters, which are written anew")
        if (timecode := stream.metadata.get("timecode")) is not None:
            picture = stream.container.streams[info.stream_index]
            if timecode == track_tags(picture, muxer).get("timecode"):
                return Track(stream.index, "leave", why="its timecode is the picture's")
        return _left(stream, "data tracks can't be kept")
    if is_cover(stream) and muxer == "matroska":
        return Track(stream.index, "cover")
    if is_cover(stream) and muxer == "mov":
        # Its muxer takes them, and writes nothing.
        return _left(stream, "MOV holds no cover pictures; use .mp4 or .mkv")
    if stream.type == "subtitle":
        return _subtitle_track(stream, muxer, packet)
    refusal = _refusal(stream, muxer, packet)
    if refusal and (plain := plain_codec(stream, muxer)):
        return Track(stream.index, "unwrap", plain)
    return _left(stream, refusal) if refusal else Track(stream.index, "copy")


def _subtitle_track(stream: Stream, muxer: str, packet: Packet[Stream] | None) -> Track:
    codec = codec_name(stream)
    if codec not in TEXT_CODECS:
        if _refusal(stream, muxer, packet) is None:
            return Track(stream.index, "copy")
        better = "" if _refusal(stream, "matroska", packet) else "; use .mkv"
        return _left(stream, f"{family_of(muxer)} holds no subtitles of this kind{better}")
    if codec in _HELD_TEXT.get(muxer, frozenset()):
        return Track(stream.index, "copy")
    target = _TEXT_OF.get(muxer)
    if target is None:
        return _left(stream, f"{family_of(muxer)} holds no subtitles")
    styled = f"{named(stream)} becomes {target}, without its styling."
    return Track(stream.index, "convert", target, styled if codec in ("ass", "ssa") else None)


def _refusal(stream: Stream, muxer: str, packet: Packet[Stream] | None) -> str | None:
    """Why `muxer` doesn't take a stream, in its own words; None when it does."""
    if stream.codec_context is None:
        return "FFmpeg doesn't know its codec"
    refused = f"{family_of(muxer)} doesn't take {codec_name(stream)}"
    memory = io.BytesIO()
    try:
        with av.open(memory, "w", format=muxer, metadata_errors=RAW_TAGS) as trial:
            copy = add_copy(trial, stream, muxer)
            trial.start_encoding()
            if packet is not None:
                packet.stream = copy
                trial.mux(packet)
        if copy.codec_context is not None or packet is None:
            return None
        # What went in under another name must come back under its own.
        amend(memory)
        memory.seek(0)
        # Some muxers write nothing but the packet, and that is a stranger's.
        reading = reading_options()
        with av.open(memory, container_options=reading, metadata_errors=RAW_TAGS) as back:
            known = codec_name(back.streams[0]) == codec_name(stream)
    except (av.FFmpegError, OSError, ValueError, HeaderError) as error:
        return f"{refused} ({words_of(error)})"
    return None if known else f"{refused} (it comes back as something else)"


def left_out(info: VideoInfo, index: int, why: str) -> str:
    """The sentence for a track that is dropped."""
    stream = next(each for each in info.streams if each.index == index)
    language = f", {stream.language}" if stream.language else ""
    return f"{stream.kind} track {index} ({stream.codec}{language}) is left out: {why}."


def _left(stream: Stream, why: str) -> Track:
    said = f"{named(stream)} is left out: {why}."
    return Track(stream.index, "leave", warning=said, why=why)
