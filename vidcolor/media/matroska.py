"""What PyAV can't tell FFmpeg's Matroska muxer, put into the finished file's header.

    copy = add_sound(out, stream, tags)     # a sound that PyAV doesn't let the muxer take
    ask_aspect(picture, Fraction(16, 11), "matroska")
    ...                                     # the mux; `out` is closed
    with path.open("r+b") as file:
        amend(file)

A track that lacks something is given to the muxer with a note at the end of its title. The note
says what is lacking, and it is the room for it: once the file is finished, the track's entry in the
header is written anew in the same length, and what is left over becomes an empty element.

    TrackEntry  Number  Name: title + note  CodecID  Video: size
    TrackEntry  Number  Name: title         CodecID  Video: size, aspect  Void

So nothing behind it moves. Sources: RFC 8794 (EBML), RFC 9559 (Matroska), FFmpeg's matroskaenc.c.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container.output import OutputContainer
from av.stream import Stream

from vidcolor.media.probe import codec_name

_EBML, _SEGMENT, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0x1F43B675
_ENTRY, _NAME, _CODEC, _PRIVATE, _VOID = 0xAE, 0x536E, 0x86, 0x63A2, 0xEC
_AUDIO, _CHANNELS, _SAMPLE_RATE, _BITS = 0xE1, 0x9F, 0xB5, 0x6264
_VIDEO, _WIDTH, _HEIGHT = 0xE0, 0xB0, 0xBA
_SHOWN_WIDTH, _SHOWN_HEIGHT, _SHOWN_UNIT = 0x54B0, 0x54BA, 0x54B2

_CRC = b"\xbf\x84"
"""How the element begins that checks those after it; four bytes follow."""

_LARGEST = 2**26
"""Bytes of all tracks' entries beyond which they are none."""

_RATIO = b"\x03"
"""The unit in which shown width and height are an aspect, not samples."""

_WINDOWS_SOUND = b"A_MS/ACM"
"""The codec of every sound that is described as in WAV files."""

_REAL_SOUNDS = frozenset({"atrac3", "sipr"})
"""WAV files know these, but FFmpeg's Matroska muxer refuses them."""

_FIXED_BITS = ("pcm_", "adpcm_", "dfpwm")
"""How the codecs begin that store a fixed number of bits for each sample."""

_NOTE = b"\x01vidcolor "
_ROOM = 64
"""Bytes beside a note, enough for any aspect and for the names of elements."""


class HeaderError(Exception):
    """A file's header isn't laid out as FFmpeg lays it out today; the file is untouched."""


def add_sound(
    out: OutputContainer, template: AudioStream, tags: Mapping[str, str]
) -> Stream | None:
    """A stream of a Matroska `out` for a sound that PyAV doesn't let its muxer take.

    It passes for plain samples until `amend` says what it is. None where FFmpeg's own program
    doesn't keep the sound in Matroska either.
    """
    codec, described = codec_name(template), _wave_format(template)
    if described is None or codec in _REAL_SOUNDS or not amendable("matroska"):
        return None
    copy = out.add_mux_stream("pcm_s16le", rate=template.codec_context.sample_rate)
    copy.time_base = template.time_base
    copy.metadata.update(tags)
    # As FFmpeg counts them: the stored bits where these are fixed, else those of what is decoded.
    (stored,) = struct.unpack_from("<H", described, 14)
    samples = template.codec_context.format
    bits = stored if codec.startswith(_FIXED_BITS) else samples.bits if samples else 0
    _note(copy, f"sound {bits} {described.hex()}")
    return copy


def ask_aspect(stream: Stream, aspect: Fraction, muxer: str) -> None:
    """Have `amend` give a picture its sample aspect. Its tags must be there already."""
    if aspect != 1 and amendable(muxer):
        _note(stream, f"{muxer} {aspect.numerator} {aspect.denominator}")


@cache
def amendable(muxer: str) -> bool:
    """Whether `amend` can amend what this FFmpeg writes, tried in memory."""
    if muxer not in ("matroska", "webm"):
        return False
    memory = io.BytesIO()
    try:
        with av.open(memory, "w", format=muxer) as trial:
            stream = trial.add_mux_stream("vp8", width=16, height=16)
            stream.metadata["title"] = "title"
            _note(stream, f"{muxer} 2 1")
            # FFmpeg reads no file that has a header alone.
            packet = av.Packet(bytes(16))
            packet.stream, packet.pts, packet.dts = stream, 0, 0
            trial.mux(packet)
        amend(memory)
        memory.seek(0)
        with av.open(memory) as back:
            picture = back.streams.video[0]
            return picture.sample_aspect_ratio == 2 and picture.metadata["title"] == "title"
    except (av.FFmpegError, OSError, ValueError, LookupError, HeaderError):
        return False


def amend(file: BinaryIO) -> None:
    """Put what was asked for into the header of a finished file, open for reading and writing.

    A file of which nothing was asked stays as it is. Raises HeaderError, before anything is
    written, where the header isn't as expected.
    """
    try:
        place, tracks = _find_tracks(file)
        amended = _amended_tracks(tracks)
    except (struct.error, ValueError, LookupError) as error:
        raise HeaderError(f"its Matroska header isn't as expected: {error}") from error
    if amended != tracks:
        file.seek(place)
        file.write(amended)
        file.flush()


def _wave_format(template: AudioStream) -> bytes | None:
    """How a WAV file describes a sound (WAVEFORMATEX); None where it can't."""
    if not template.codec_context.layout.nb_channels:
        return None
    memory = io.BytesIO()
    try:
        with av.open(memory, "w", format="wav") as trial:
            trial.add_stream_from_template(template, opaque=True)
            trial.start_encoding()
    except (av.FFmpegError, OSError, ValueError):
        return None
    data, place = memory.getvalue(), len(b"RIFF....WAVE")
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        if name == b"fmt ":
            return data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    return None


def _note(stream: Stream, words: str) -> None:
    """Put a note for `amend` at the end of a stream's title."""
    # The muxer doesn't tell TITLE from title.
    titles = [stream.metadata.pop(key) for key in [*stream.metadata] if key.lower() == "title"]
    stream.metadata["title"] = "".join((*titles[-1:], _NOTE.decode(), words, " " * _ROOM))


def _find_tracks(file: BinaryIO) -> tuple[int, bytes]:
    """Where the content of the tracks' element lies in a file, and this content."""
    place = 0
    for wanted in (_EBML, _SEGMENT, _TRACKS):
        kind = None
        while kind != wanted:
            file.seek(place)
            kind, size, head = _head(file.read(12))
            place += head
            if kind == _CLUSTER:
                raise ValueError("no tracks before the first packets")
            # The segment is entered, all else passed over.
            if kind not in (_SEGMENT, _TRACKS):
                place += size
    file.seek(place)
    content = file.read(min(size, _LARGEST))
    if len(content) < size:
        raise ValueError("the tracks are cut short")
    return place, content


def _head(data: bytes) -> tuple[int, int, int]:
    """What an element is, its content's size, and the length of both these words."""
    name_length = 9 - data[0].bit_length()
    size_length = 9 - data[name_length].bit_length()
    length = name_length + size_length
    if length > len(data):
        raise ValueError("an element is cut short")
    size = int.from_bytes(data[name_length:length]) & (1 << 7 * size_length) - 1
    return int.from_bytes(data[:name_length]), size, length


def _elements(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The elements in some content: what each is, its head's bytes, its content."""
    place = 0
    while place < len(data):
        kind, size, head = _head(data[place : place + 12])
        begin, place = place + head, place + head + size
        if place > len(data):
            raise ValueError("an element is cut short")
        yield kind, data[begin - head : begin], data[begin:place]


def _amended_tracks(content: bytes) -> bytes:
    """What the tracks' element is to hold, in the same length."""
    checked = content.startswith(_CRC)
    if checked and content[2:6] != _checksum(content[6:]):
        raise ValueError("the tracks are damaged")
    entries = b"".join(
        head + (_amended_entry(inside) if kind == _ENTRY else inside)
        for kind, head, inside in _elements(content[6:] if checked else content)
    )
    return (_CRC + _checksum(entries) if checked else b"") + entries


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


def _amended_entry(content: bytes) -> bytes:
    """What a track's entry is to hold, in the same length."""
    inside = {kind: part for kind, _, part in _elements(content)}
    title, asked, note = inside.get(_NAME, b"").rpartition(_NOTE)
    if not asked:
        return content
    what, *values = note.decode("ascii").split()
    changes: dict[int, bytes | None] = {_NAME: title or None, _VOID: None}
    if what == "sound":
        described = bytes.fromhex(values[1])
        changes |= {_CODEC: _WINDOWS_SOUND, _PRIVATE: described}
        changes[_AUDIO] = _sound(described, int(values[0]))
    else:
        changes[_VIDEO] = _shaped(inside[_VIDEO], Fraction(int(values[0]), int(values[1])), what)
    written = _changed(content, changes)
    return written + _void(len(content) - len(written))


def _changed(content: bytes, changes: Mapping[int, bytes | None]) -> bytes:
    """Some content with its elements changed, added or, for None, left out."""
    kept = [(kind, changes.get(kind, part)) for kind, _, part in _elements(content)]
    there = {kind for kind, _ in kept}
    added = [(kind, part) for kind, part in changes.items() if kind not in there]
    return b"".join(_element(kind, part) for kind, part in kept + added if part is not None)


def _sound(described: bytes, bits: int) -> bytes:
    """What is said of a sound's samples, by its WAVEFORMATEX."""
    _, channels, rate = struct.unpack_from("<HHI", described)
    said = _element(_CHANNELS, _number(channels))
    said += _element(_SAMPLE_RATE, struct.pack(">d", rate))
    return said + (_element(_BITS, _number(bits)) if bits else b"")


def _shaped(video: bytes, aspect: Fraction, muxer: str) -> bytes:
    """What is said of a picture, with its sample aspect added as FFmpeg does it."""
    inside = {kind: part for kind, _, part in _elements(video)}
    width, height = int.from_bytes(inside[_WIDTH]), int.from_bytes(inside[_HEIGHT])
    shown_width, shown_height, unit = max(1, round(width * aspect)), height, None
    if _SHOWN_WIDTH in inside:
        # Of two views in one picture, the size of one is given.
        views = width // max(1, int.from_bytes(inside[_SHOWN_WIDTH]))
        shown_width = max(1, shown_width // views)
        shown_height = int.from_bytes(inside[_SHOWN_HEIGHT])
    elif muxer == "matroska":
        # WebM has no unit but samples, and the aspect is rounded to whole ones.
        shown_width, shown_height = (width * aspect / height).as_integer_ratio()
        unit = _RATIO
    shown = {_SHOWN_WIDTH: _number(shown_width), _SHOWN_HEIGHT: _number(shown_height)}
    return _changed(video, {**shown, _SHOWN_UNIT: unit})


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8))


def _element(kind: int, content: bytes, size_length: int = 0) -> bytes:
    # A size of nothing but ones would mean that it isn't known.
    size_length = size_length or ((len(content) + 1).bit_length() + 6) // 7
    size = 1 << 7 * size_length | len(content)
    return _number(kind) + size.to_bytes(size_length) + content


def _void(length: int) -> bytes:
    """An element of this length that says nothing; nothing at all for no bytes."""
    if length == 0:
        return b""
    if length < 2:
        raise ValueError("there is no room for what was asked")
    size_length = 8 if length > 9 else 1
    return _element(_VOID, bytes(length - 1 - size_length), size_length)
