"""When each copied packet comes in the finished film: moved to its time, cut to its span, rising.

placer = Placer(span, "mp4")
for packet in source.demux():
    if placer.place(packet, copies[packet.stream_index]):
        out.mux(packet)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any

from av.packet import Packet
from av.stream import Stream

from vidcolor.media.probe import is_cover


@dataclass(frozen=True)
class Span:
    """Which part of the source's time goes out, in exact seconds."""

    origin: Fraction
    """What becomes zero."""

    stop: Fraction | None
    """Half-open end of a cut; None for a whole film, whose sound may outlast its picture."""

    cut: bool

    @property
    def length(self) -> Fraction:
        """Of a cut, in seconds."""
        assert self.stop is not None
        return self.stop - self.origin


@dataclass
class Placer:
    """Remembers where each stream of the output has got to."""

    span: Span
    muxer: str
    _last: dict[int, int] = field(default_factory=dict)
    """dts by index in the output: the mux refuses times that fall."""

    _ticks: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By index in the output, as `_span_ticks` has them: a long film has a million packets."""

    def place(self, packet: Packet[Any], copy: Stream) -> bool:
        """Give a packet its time in the output; False when it has none, or lies outside a cut."""
        kind, base, place = packet.stream.type, packet.time_base, copy.index
        pts = packet.pts if packet.pts is not None else packet.dts
        dts = packet.dts if packet.dts is not None else packet.pts
        cover = is_cover(packet.stream)
        last = self._last.get(place)
        if cover:
            # A picture of no time.
            pts = dts = 0
        elif pts is None or dts is None:
            return False
        else:
            shift = self._span_ticks(place, base)[0]
            pts, dts = pts - shift, dts - shift
            if kind == "video" and packet.dts is None:
                # Matroska says nothing of when the first packets are decoded: before they're shown.
                dts = pts - 2 * (packet.duration or 1) if last is None else last + 1
        packet.pts, packet.dts = pts, dts
        if self.span.cut and not cover and not self._clip(packet, kind, place):
            return False
        if last is not None:
            # Lines of text may begin together, and so may, in whole milliseconds, packets of a
            # sound that has more than a thousand a second.
            together = kind == "subtitle" or self.muxer in ("matroska", "webm")
            # In every other kind of file they must differ, as whole ticks of that file.
            apart = 0 if together else max(1, ceil((copy.time_base or base) / base))
            packet.dts = max(packet.dts, last + apart)
            packet.pts = max(packet.pts, packet.dts)
        self._last[place] = packet.dts
        return True

    def _clip(self, packet: Packet[Any], kind: str, place: int) -> bool:
        """Cut a packet to the span; sound is kept whole or not at all."""
        assert packet.pts is not None
        length = self._span_ticks(place, packet.time_base)[1]
        if packet.pts >= length:
            return False
        if kind != "subtitle":
            return packet.pts >= 0
        over = packet.pts + (packet.duration or 0)
        if over <= 0:
            return False
        packet.pts = packet.dts = max(packet.pts, 0)
        packet.duration = min(over, length) - packet.pts
        return True

    def _span_ticks(self, place: int, base: Fraction) -> tuple[int, int]:
        """The span's beginning and a cut's length in whole ticks of one of the tracks."""
        if place not in self._ticks:
            length = ceil(self.span.length / base) if self.span.cut else 0
            self._ticks[place] = round(self.span.origin / base), length
        return self._ticks[place]
