"""What a file holds besides its pictures: streams, packets, tags, and how a picture is to be shown.

    facts = read_facts(Path("film.mkv"))
    [(track.kind, track.codec, track.packets) for track in facts.tracks]

This reads with PyAV alone and shares no code with the program that is judged by it.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData, Type
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

OWN_TAGS = {
    *("encoder", "major_brand", "minor_version", "compatible_brands", "duration", "vendor_id"),
    *("bps", "number_of_frames", "number_of_bytes", "timecode", "isft", "software", "alpha_mode"),
}
"""Tags that speak of the file, which a new file rightly has its own of."""


@dataclass
class Track:
    """A stream, and all its packets."""

    kind: str
    codec: str
    tags: dict[str, str]
    disposition: int
    payload: str = ""
    packets: int = 0
    times: list[Fraction] = field(default_factory=list)
    ends: list[Fraction] = field(default_factory=list)
    """When each packet is over, by its own duration."""

    words: list[str] = field(default_factory=list)
    """Of text subtitles, without their styling."""

    end: Fraction | None = None
    """When all of it is over, where the container says so apart from the packets."""

    begun: bool = False
    """Whether a packet has come that is shown or heard."""

    samples: str = ""
    """Digest of what sound without loss is decoded to, whatever it is packed in."""


@dataclass
class Facts:
    """What a file holds besides pictures."""

    container: str
    tags: dict[str, str]
    chapters: list[tuple[float, float, str]]
    film: Track
    tracks: list[Track]
    """All others."""

    picture: dict[str, object]
    """Size, rotation, aspect and colour tags of the film's stream."""

    captions: list[bytes]
    """What closed captions lie in each of the first pictures; empty where none does."""

    timecode: str = ""
    """What the film's first frame says on a studio's clock."""


RAW = "surrogateescape"
"""How to take tags that aren't UTF-8: their bytes are what is compared."""


def read_facts(path: Path) -> Facts:
    with av.open(str(path), metadata_errors=RAW) as container:
        film = film_stream(container)
        chapters = [read_chapter(chapter) for chapter in container.chapters()]
        tracks = {
            stream.index: read_track(stream)
            for stream in container.streams
            # MP4 keeps its chapters a second time, as a track, and a timecode beside the picture's.
            if not (chapters and stream.type == "data" and stream.name == "bin_data")
            and not (stream.type == "data" and "timecode" in stream.metadata)
        }
        facts = Facts(
            container=container.format.name,
            tags=tags_of(container.metadata),
            chapters=chapters,
            film=tracks[film.index],
            tracks=[track for index, track in tracks.items() if index != film.index],
            picture=read_picture(film),
            captions=[],
            timecode=timecode_of(container),
        )
        read_packets(container, tracks)
    with av.open(str(path), metadata_errors=RAW) as container:
        looked, captions = first_look(container)
    facts.captions = captions if any(captions) else []
    facts.picture |= looked
    return facts


def timecode_of(container: InputContainer) -> str:
    """From the picture, or else from all other places that containers have for it."""
    streams = film_stream(container), *container.streams.data
    places = [*(stream.metadata for stream in streams), container.metadata]
    found = (v for tags in places for k, v in tags.items() if k.lower() == "timecode")
    return next(found, "")


def read_track(stream: Stream) -> Track:
    context = getattr(stream, "codec_context", None)
    track = Track(
        kind=stream.type,
        codec=context.codec.canonical_name if context is not None else "",
        tags=tags_of(stream.metadata),
        disposition=int(stream.disposition),
    )
    if isinstance(stream, AttachmentStream):
        track.payload = hashlib.sha256(stream.data).hexdigest()
    if "mp4" in stream.container.format.name and stream.duration and stream.time_base:
        # Its last packet in decoding order seldom is the last one shown.
        track.end = ((stream.start_time or 0) + stream.duration) * stream.time_base
    return track


def read_chapter(chapter: av.container.Chapter) -> tuple[float, float, str]:
    base = chapter["time_base"] or Fraction(1)
    start, end = (round(float(chapter[side] * base), 2) for side in ("start", "end"))
    return start, end, chapter["metadata"].get("title", "")


def read_packets(container: InputContainer, tracks: dict[int, Track]) -> None:
    """Hash every track's payloads and note its packets' times."""
    hashes = {index: hashlib.sha256() for index in tracks}
    streams = [stream for stream in container.streams if stream.type != "attachment"]
    origins = origins_of(container)
    clocks = {stream.index: Clock(origins) for stream in streams}
    samples = {index: Samples() for index, track in tracks.items() if is_lossless(track)}
    for packet in container.demux(*streams) if streams else ():
        track, data = tracks.get(packet.stream_index), bytes(packet)
        if track is None or not data or is_hidden(packet, track):
            continue
        if track.codec in TEXTS:
            words = plain_words(data, track.codec)
            if not words:
                continue  # MP4 fills the time between two lines with empty ones
            track.words.append(words)
        hashes[packet.stream_index].update(bare(data, track.codec))
        track.packets += 1
        if packet.stream_index in samples:
            samples[packet.stream_index].put(packet)
        seconds = clocks[packet.stream_index](packet.pts, packet.time_base)
        if seconds is not None:
            track.times.append(seconds)
            track.ends.append(seconds + (packet.duration or 0) * packet.time_base)
    for index, track in tracks.items():
        if track.packets:
            track.payload = hashes[index].hexdigest()
        if index in samples:
            track.samples = samples[index].digest()


def is_lossless(track: Track) -> bool:
    """Whether decoding a sound gives back what was recorded, or the same to everybody."""
    lossless = ("flac", "alac", "wavpack", "tta", "mlp")
    exact = track.codec.startswith(("pcm_", "adpcm_")) or track.codec in lossless
    return track.kind == "audio" and exact


class Samples:
    """Sums up a sound's samples, as fractions of the loudest; each PCM of 32 bits fits exactly."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._resampler = av.AudioResampler(format="dbl")
        self._shape = ""

    def put(self, packet: av.Packet[Any]) -> None:
        for frame in packet.decode():
            assert isinstance(frame, av.AudioFrame)
            self._shape = f"{frame.sample_rate} {frame.layout.nb_channels}"
            for even in self._resampler.resample(frame):
                self._sum.update(even.to_ndarray().tobytes())

    def digest(self) -> str:
        return f"{self._shape} {self._sum.hexdigest()}"


def is_hidden(packet: Packet[Any], track: Track) -> bool:
    """Whether an edit list leaves a packet out. Sound before what is heard gets the decoder going,
    and is there."""
    track.begun |= not packet.is_discard
    return packet.is_discard and (track.kind == "video" or (track.kind == "audio" and track.begun))


TEXTS = {"subrip", "text", "ass", "ssa", "webvtt", "mov_text"}


def plain_words(data: bytes, codec: str) -> str:
    """A line of text subtitles as a person reads it."""
    if codec == "mov_text":
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
    text = data.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):
        text = text.split(",", 8)[-1].replace(r"\N", "\n")
    return re.sub(r"<[^>]*>|\{[^}]*\}", "", text).strip()


def bare(data: bytes, codec: str) -> bytes:
    """A packet without what its container wraps around it.

    AAC in a transport stream has a header, ADTS, at every packet; H.264 and HEVC have start codes
    there, and sizes elsewhere.
    """
    if codec == "aac" and len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        return data[7 if data[1] & 1 else 9 :]
    if codec not in ("h264", "hevc"):
        return data
    if data.startswith((b"\0\0\1", b"\0\0\0\1")):
        return b"".join(part.rstrip(b"\0") for part in data.split(b"\0\0\1"))
    units, place = b"", 0
    while place + 4 <= len(data):
        end = place + 4 + int.from_bytes(data[place : place + 4], "big")
        units += data[place + 4 : end].rstrip(b"\0")
        place = end
    return units


class Clock:
    """Ticks of one of a file's streams in seconds as a player should show them.

    `origins` are those of the file's parts; a stream's times tell where the next part begins.
    """

    def __init__(self, origins: Sequence[Fraction]) -> None:
        self._origins = list(origins)
        self._last: Fraction | None = None

    def __call__(self, ticks: int | None, base: Fraction | None) -> Fraction | None:
        if ticks is None or base is None:
            return None
        seconds = ticks * Fraction(base)
        if len(self._origins) > 1 and jumps(self._last, seconds):
            del self._origins[0]
        self._last = seconds
        return seconds - self._origins[0]


def origins_of(container: InputContainer) -> list[Fraction]:
    """What is zero in each part of a file, in the file's own seconds.

    Broadcast clocks begin anywhere, and anew where recordings were joined: then the picture goes
    on without a gap, at its even rate, and everything else stays where it was to the picture of
    its part. All others mean what they say, but that no film begins before zero.
    """
    film = film_stream(container)
    if container.format.name not in ("mpegts", "mpeg"):
        return [min((film.start_time or 0) * Fraction(film.time_base or 1), Fraction(0))]
    parts: list[list[Fraction]] = [[]]
    with av.open(container.name, metadata_errors=RAW) as fresh:
        last = None
        for packet in fresh.demux(film_stream(fresh)):
            if packet.pts is None or packet.dts is None:
                continue
            decoded = packet.dts * Fraction(packet.time_base)
            if jumps(last, decoded):
                parts.append([])
            last = decoded
            parts[-1].append(packet.pts * Fraction(packet.time_base))
    # It is told in microseconds, and is a whole number of ticks.
    ticks = Fraction(container.start_time or 0, av.time_base) / Fraction(film.time_base or 1)
    origins = [round(ticks) * Fraction(film.time_base or 1)]
    for before, after in pairwise(parts):
        gap = (max(before) - min(before)) / max(1, len(before) - 1)
        origins.append(min(after) - (max(before) + gap - origins[-1]))
    return origins


BACK_SECONDS, AHEAD_SECONDS = 1, 10
"""Reordered frames fall back by less, and frames follow each other sooner; a clock that jumps by
more began anew."""


def jumps(last: Fraction | None, now: Fraction) -> bool:
    return last is not None and not last - BACK_SECONDS <= now <= last + AHEAD_SECONDS


def film_stream(container: InputContainer) -> VideoStream:
    """The stream a person would call the film: no cover, the default, the largest."""
    films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not films:
        raise ValueError(f"{container.name} has no picture")
    return max(films, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height))


def has_luma(pixel_format: str) -> bool:
    """Whether the first plane is luma and nothing else."""
    return pixel_format.startswith(("yuv", "gray", "nv", "p01")) and "yuyv" not in pixel_format


def read_picture(film: VideoStream) -> dict[str, object]:
    context = film.codec_context
    aspect: dict[str, object] = {"aspect": Fraction(film.sample_aspect_ratio or 1)}
    if not has_luma(context.pix_fmt or ""):
        # RGB and palettes are converted, and have no matrix or range to keep.
        return aspect
    return {
        **aspect,
        "matrix": int(context.colorspace),
        "primaries": int(context.color_primaries),
        "transfer": int(context.color_trc),
        "range": int(context.color_range),
    }


SIDES = {
    "turn": Type.DISPLAYMATRIX,
    "views": Type.STEREO3D,
    "HDR display": Type.MASTERING_DISPLAY_METADATA,
    "HDR levels": Type.CONTENT_LIGHT_LEVEL,
}
"""What lies beside a picture and says how it is to be shown."""

LOOKED_AT = 12
"""How many frames are searched for closed captions."""


def first_look(container: InputContainer) -> tuple[dict[str, object], list[bytes]]:
    """What the first frames say: size, rotation, what is beside them; and their captions."""
    looked: dict[str, object] = {}
    captions: list[bytes] = []
    try:
        for frame in islice(container.decode(film_stream(container)), LOOKED_AT):
            if "size" not in looked:
                looked |= {"size": f"{frame.width}x{frame.height}", "rotation": frame.rotation}
                looked |= {name: side_of(frame, kind) for name, kind in SIDES.items()}
                looked["transparency"] = "some" if is_see_through(frame, container) else ""
                looked["lines"] = lines_of(frame)
            captions.append(side_data(frame, Type.A53_CC))
    except av.error.FFmpegError:
        pass
    return looked, captions


def lines_of(frame: av.VideoFrame) -> str:
    """Whether a picture's flags call it interlaced, and which lines they say come first."""
    if not frame.interlaced_frame:
        return ""
    graph = av.filter.Graph()
    start = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    apart, end = graph.add("separatefields"), graph.add("buffersink")
    start.link_to(apart)
    apart.link_to(end)
    graph.configure()
    graph.push(frame)
    graph.push(None)
    # What is shown first begins at the upper line in memory, or at the next.
    first, second = (cast(av.VideoFrame, graph.pull()).planes[0] for _ in range(2))
    return "upper first" if first.buffer_ptr < second.buffer_ptr else "lower first"


def is_see_through(frame: av.VideoFrame, container: InputContainer) -> bool:
    """Whether something lies behind the picture; a plane that is opaque throughout says no."""
    if any(part.is_alpha for part in frame.format.components):
        return bool(frame.to_ndarray(format="rgba")[..., 3].min() < 255)
    # VP8 and VP9 hide it in a layer of their own, with a tag that a copy may keep.
    stream = film_stream(container)
    layered = stream.codec_context.codec.canonical_name in ("vp8", "vp9")
    return layered and stream.metadata.get("alpha_mode") == "1"


def side_of(frame: av.VideoFrame, kind: Type) -> str:
    """One kind of side data in digits that can be compared; empty where there is none."""
    data = side_data(frame, kind)
    if kind is Type.DISPLAYMATRIX and data:
        # Matroska keeps an angle: one unit in 65536 of a turn's sine may go.
        matrix = [round(n / 65536, 2) + 0.0 for n in struct.unpack("=9i", data)]
        return "" if matrix[:5] == [1, 0, 0, 0, 1] else str(matrix[:2] + matrix[3:5])
    if kind is Type.MASTERING_DISPLAY_METADATA and data:
        terms = struct.unpack("=22i", data)
        ratios = zip(terms[0:20:2], terms[1:20:2], strict=True)
        return " ".join(f"{n / d:.3g}" if d else "-" for n, d in ratios)
    return data[:8].hex()


def side_data(frame: av.VideoFrame, kind: Type) -> bytes:
    try:
        # PyAV's stubs take it for a mapping by name; it yields the data.
        parts = cast(Iterable[SideData], frame.side_data)
        return next((bytes(each) for each in parts if each.type is kind), b"")
    except ValueError:
        return b""  # PyAV gives nothing of a frame that has a kind it doesn't know, such as EXIF


def tags_of(metadata: dict[str, str]) -> dict[str, str]:
    """Tags by lower-case name, without those a file has for itself, and `und` as no language."""
    tags = {key.lower(): value for key, value in metadata.items()}
    return {
        key: value
        for key, value in tags.items()
        if key not in OWN_TAGS and not key.startswith("_statistics") and value not in ("", "und")
    }
