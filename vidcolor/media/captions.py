"""Closed captions that ride inside pictures (CEA-608 and 708), read and handed on.

    captions = captions_of(frame)                  # b"" for most films
    if codec in CAPTION_CODECS:
        data = with_captions(data, captions, codec)    # of an encoded picture

They go into the encoded picture itself, before its first slice, so that the encoder never sees
them and its bits are those of a film without any.

Sources: ATSC A/53 part 4 (the captions and their wrapping), ITU-T T.35, ITU-T H.264 and H.265
(annex B, 7.3.1 and annex D), AV1 Bitstream & Decoding Process Specification (5.3, 5.8, 5.9.2).
"""

from __future__ import annotations

from collections.abc import Iterator

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vidcolor.media.hdr import side_data

CAPTION_CODECS = ("h264", "hevc", "av1")
"""FFmpeg's names of the codecs whose pictures captions can be put into here."""

TRIPLET = 3
"""Bytes of one piece of caption data: a byte of flags, and two of caption."""

_MOST_TRIPLETS = 31
"""What the five bits of a message's count hold."""


def captions_of(frame: VideoFrame) -> bytes:
    """The caption data of a frame, three bytes a piece as ATSC A/53 has them; empty for none."""
    parts = (bytes(memoryview(data)) for data in side_data(frame) if data.type is Type.A53_CC)
    return b"".join(parts)


def with_captions(data: bytes, captions: bytes, codec: str) -> bytes:
    """An encoded picture with captions in it. `codec` is one of CAPTION_CODECS.

    data: a packet as the encoder gives it: NAL units behind start codes, or a temporal unit of AV1.
    Raises ValueError where no picture can be found in it.
    """
    messages = list(_messages(captions))
    if not messages:
        return data
    if codec == "av1":
        place = _shown_frame(data)
        return data[:place] + b"".join(map(_metadata_unit, messages)) + data[place:]
    place = _first_slice(data, codec)
    return data[:place] + b"".join(_sei_unit(part, codec) for part in messages) + data[place:]


def _messages(captions: bytes) -> Iterator[bytes]:
    """The captions in user data as registered by ATSC, from T.35's country code on."""
    step = TRIPLET * _MOST_TRIPLETS
    for start in range(0, len(captions) // TRIPLET * TRIPLET, step):
        part = captions[start : start + step]
        part = part[: len(part) // TRIPLET * TRIPLET]
        # The United States, ATSC; captions; flagged as to be used, with their count.
        head = b"\xb5\x00\x31GA94\x03" + bytes((0x40 | len(part) // TRIPLET, 0xFF))
        yield head + part + b"\xff"


# H.264 and HEVC

_SEI_HEADER = {"h264": b"\x06", "hevc": b"\x4e\x01"}
_REGISTERED_USER_DATA = 4


def _sei_unit(message: bytes, codec: str) -> bytes:
    """A NAL unit of supplemental information, with its start code."""
    whole, rest = divmod(len(message), 255)
    body = bytes((_REGISTERED_USER_DATA, *[255] * whole, rest)) + message + b"\x80"
    return b"\0\0\0\1" + _SEI_HEADER[codec] + _escaped(body)


def _escaped(body: bytes) -> bytes:
    """With a 3 where the bytes would look like a start code."""
    out, zeros = bytearray(), 0
    for byte in body:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _first_slice(data: bytes, codec: str) -> int:
    """Where the start code of the first slice begins."""
    place = data.find(b"\0\0\1")
    while 0 <= place < len(data) - 3:
        first = data[place + 3]
        if 1 <= first & 31 <= 5 if codec == "h264" else first >> 1 & 63 < 32:
            return place - 1 if place and data[place - 1] == 0 else place
        place = data.find(b"\0\0\1", place + 3)
    raise ValueError("no slice in the packet")


# AV1

_FRAME_HEADER, _METADATA, _FRAME = 3, 5, 6
_HAS_EXTENSION, _HAS_SIZE = 4, 2
_SHOWS = 0x80 | 0x10
"""In a frame header's first byte: it shows a frame decoded before, or the one that follows."""
_ITUT_T35 = 4


def _metadata_unit(message: bytes) -> bytes:
    """An open bitstream unit of metadata."""
    body = bytes((_ITUT_T35,)) + message + b"\x80"
    size = (len(body),) if len(body) < 128 else (len(body) & 127 | 128, len(body) >> 7)
    return bytes((_METADATA << 3 | _HAS_SIZE, *size)) + body


def _shown_frame(data: bytes) -> int:
    """Where the unit of the frame that is shown begins; others in the packet are shown later."""
    place = 0
    while place < len(data):
        first = data[place]
        size, body = len(data), place + (2 if first & _HAS_EXTENSION else 1)
        if first & _HAS_SIZE:
            size, body = _leb128(data, body)
        header = data[body] if body < len(data) else 0
        if first >> 3 & 15 in (_FRAME_HEADER, _FRAME) and header & _SHOWS:
            return place
        place = body + size
    raise ValueError("no frame that is shown in the packet")


def _leb128(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits to a byte, and where it ends."""
    value = shift = 0
    for byte in data[place : place + 8]:
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            break
    return value, place
