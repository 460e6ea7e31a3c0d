"""The times a stream's packets carry, read without decoding.

index = packet_times(container, stream)
index.times[:3], index.keyframes[:1]  # ((0, 512, 1024), (0,))
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
from av.container.input import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream


@dataclass(frozen=True)
class PacketIndex:
    """When a film's frames are shown, as far as its packets tell. Times are pts ticks, rising."""

    times: tuple[int, ...]
    """One per packet that shows a frame, sorted, without repeats."""

    keyframes: tuple[int, ...]
    """Times of the packets that decoding can start from."""

    @property
    def frames(self) -> int:
        """About how many frames there are; only decoding counts them."""
        return len(self.times)


@dataclass(frozen=True, slots=True)
class _Mark:
    pts: int | None
    dts: int | None
    key: bool


def packet_times(container: InputContainer, stream: VideoStream) -> PacketIndex:
    """Read `container`, just opened, to its end and index the packets of `stream`.

    It isn't sought to its beginning: bare streams and some broken files can't be, and are then at
    their end. A damaged end only ends the index.
    """
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    marks: list[_Mark] = []
    try:
        for packet in container.demux(stream):
            if shows_frame(packet, stream.codec_context.codec.canonical_name):
                marks.append(_Mark(packet.pts, packet.dts, packet.is_keyframe))
    except av.FFmpegError:
        pass
    index = _index(marks)
    return index if index.times else _counted(marks, stream)


def shows_frame(packet: Packet[VideoStream], codec: str) -> bool:
    """Whether a packet, for all its header says, puts a frame on the screen."""
    if packet.size == 0 or packet.is_discard:
        return False
    # VP8 keeps its alternate reference frames in packets of their own; bit 4 is show_frame.
    return codec != "vp8" or bool(bytes(memoryview(packet)[:1])[0] & 0x10)


def _index(marks: list[_Mark]) -> PacketIndex:
    """Presentation times where all packets have their own, else decoding times, else a mixture."""
    shown = [mark.pts for mark in marks]
    if None in shown or len(set(shown)) < len(shown):
        decoded = [mark.dts for mark in marks]
        if None not in decoded and len(set(decoded)) == len(decoded):
            shown = decoded
        else:
            shown = [mark.dts if mark.pts is None else mark.pts for mark in marks]
    times = [time for time in shown if time is not None]
    keys = [time for time, mark in zip(shown, marks, strict=True) if mark.key and time is not None]
    return PacketIndex(tuple(sorted(set(times))), tuple(sorted(set(keys))))


def _counted(marks: list[_Mark], stream: VideoStream) -> PacketIndex:
    """Even times for a bare stream, whose packets have none: its frames follow at its rate."""
    rate = stream.guessed_rate or stream.average_rate or 25
    ticks = max(1, round(1 / (rate * (stream.time_base or Fraction(1, 90000)))))
    keys = tuple(number * ticks for number, mark in enumerate(marks) if mark.key)
    return PacketIndex(tuple(range(0, len(marks) * ticks, ticks)), keys)
