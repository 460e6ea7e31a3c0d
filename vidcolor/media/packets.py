"""The times a stream's packets carry, read without decoding.

index = packet_times(container, stream)
index.times[:3], index.keyframes[:1]  # ((0, 512, 1024), (0,))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from av.container.input import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidcolor.media.clock import BROADCAST, Clock, frame_ticks

_MOST_REORDERED = 32
"""Frames; codecs allow for 16, and each may be coded as two fields."""


@dataclass(frozen=True)
class PacketIndex:
    """When a film's frames are shown, as far as its packets tell. Times are pts ticks, rising."""

    times: tuple[int, ...]
    """One per packet that shows a frame, sorted, without repeats."""

    keyframes: tuple[int, ...]
    """Times of the packets that decoding can start from."""

    jumps: int = 0
    """How often the clock of a broadcast or a DVD began anew; the times go on all the same."""

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
    their end. What can't be read is passed over.
    """
    clock = Clock(container, stream)
    marks: list[_Mark] = []
    for packet in clock.packets():
        if shows_frame(packet, stream.codec_context.codec.canonical_name):
            marks.append(_Mark(packet.pts, packet.dts, packet.is_keyframe))
    if container.format.name in BROADCAST:
        marks = _filled(marks, frame_ticks(stream))
    index = _index(marks, clock.jumps)
    return index if index.times else _counted(marks, stream)


def without_hidden(packets: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Packets without the sound that an edit list leaves out between what is heard and after it.

    What lies before the first packet that is heard stays: it gets the decoder going.
    """
    heard: set[int] = set()
    for packet in packets:
        if packet.stream.type == "audio":
            if not packet.is_discard:
                heard.add(packet.stream_index)
            elif packet.stream_index in heard:
                continue
        yield packet


def of_their_kind(packets: Iterable[Packet[Any]], others: dict[int, int]) -> Iterator[Packet[Any]]:
    """Packets of a broadcast without the sound that goes on, in the same place, as another codec's.

    A track has one codec: it would take the others for noise. `others` is given their number, by
    stream.
    """
    kinds: dict[int, str] = {}
    for packet in packets:
        kind = _kind_of_sound(bytes(packet)[:2]) if packet.stream.type == "audio" else ""
        index = packet.stream_index
        if kind and kinds.setdefault(index, kind) != kind:
            others[index] = others.get(index, 0) + 1
        else:
            yield packet


def _kind_of_sound(start: bytes) -> str:
    """What the first two bytes of a packet say, in a broadcast; empty for what has no such mark."""
    if start == b"\x0b\x77":
        return "ac3"
    if len(start) < 2 or start[0] != 0xFF or start[1] & 0xE0 != 0xE0:
        return ""
    return "mpeg" if start[1] & 0x06 else "aac"


def shows_frame(packet: Packet[VideoStream], codec: str) -> bool:
    """Whether a packet, for all its header says, puts a frame on the screen."""
    if packet.size == 0 or packet.is_discard:
        return False
    # VP8 keeps its alternate reference frames in packets of their own; bit 4 is show_frame.
    return codec != "vp8" or bool(bytes(memoryview(packet)[:1])[0] & 0x10)


def _filled(marks: list[_Mark], step: int) -> list[_Mark]:
    """The marks, with a time for each that has none of its own: the first free one, as the reader
    makes frames without times follow the last. As they were where there is no room for one."""
    shown = [mark.pts for mark in marks]
    # FFmpeg guesses some from packets that come after, which may be on another clock.
    owners = {time: number for number, time in enumerate(shown)}
    known = [time for mark in marks for time in (mark.pts, mark.dts) if time is not None]
    if not known:
        return marks

    def slot(time: int) -> int:
        return (2 * (time - known[0]) + step) // (2 * step)

    filled, at = list(marks), slot(known[0])
    taken = {slot(time) for time in owners if time is not None}
    for number, mark in enumerate(marks):
        if mark.pts is not None and owners[mark.pts] == number:
            continue
        at = at if mark.dts is None else slot(mark.dts)
        free = [place for place in range(at, at + _MOST_REORDERED) if place not in taken]
        if not free:
            return marks
        at = free[0]
        taken.add(at)
        filled[number] = replace(mark, pts=known[0] + at * step)
    return filled


def _index(marks: list[_Mark], jumps: int) -> PacketIndex:
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
    return PacketIndex(tuple(sorted(set(times))), tuple(sorted(set(keys))), jumps)


def _counted(marks: list[_Mark], stream: VideoStream) -> PacketIndex:
    """Even times for a bare stream, whose packets have none: its frames follow at its rate."""
    ticks = frame_ticks(stream)
    keys = tuple(number * ticks for number, mark in enumerate(marks) if mark.key)
    return PacketIndex(tuple(range(0, len(marks) * ticks, ticks)), keys)
