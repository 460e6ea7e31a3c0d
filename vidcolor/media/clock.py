"""The clock of a broadcast or a DVD, which may begin anew in the middle of a film.

    clock = Clock(container, stream)
    for packet in clock.packets():      # the picture's, in the order of the file, on one clock
        print(packet.pts)
    clock.jumps                         # 1

in the file   |  1000 .. 1600 s  |  0 .. 900 s     |     two recordings joined, each with its own
added         |                  |  + 1600 s       |     clock
on one clock  |  1000 .......... 1600 ...... 2500  |

Only transport and program streams are touched, and of these only the times after a jump. What is
added depends on the packets up to there alone, so that whoever reads a film from its beginning
gives a frame the same time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.container.input import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from vidcolor.errors import SourceError
from vidcolor.frames import BEGINNING

BROADCAST = frozenset({"mpegts", "mpeg"})
"""FFmpeg's names for transport and program streams."""

_BACK_SECONDS, _AHEAD_SECONDS = 0.1, 10
"""FFmpeg's own limits in these formats. Decoding times rise, but those that FFmpeg guesses, where a
file gives none, may be off; no frame is reordered by so much as the second."""

_PAUSE_SECONDS = 1
"""Sound that stops for longer doesn't go on; the next picture waits for sound that outlasts the
last one by longer."""

_LAG_SECONDS = 5
"""No sound is stored further than this from the picture it belongs to."""

_PLACES = 16
"""Where a file is looked at to guess its length."""

_HOPELESS_PLACES = 16
"""Errors without a packet between them after which a file isn't read on."""

_HELD_PACKETS, _HELD_BYTES = 256, 2**25
"""As many as are held back to see whether a time that has run ahead comes back."""

_TURN = 2**33
"""Ticks after which these clocks begin at zero again; FFmpeg knows of one such turn."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A part of a film whose packets share a clock."""

    start: int
    """When its first picture is decoded, ticks on the one clock."""

    offset: int
    """Ticks to be added to its times."""


class Clock:
    """Follows a file's packets, in its order, and moves each onto the clock the film begins with.

    `spells` are those of another Clock that has read the same file to its end: sound that is
    stored ahead of the picture it belongs to is then moved with it.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, spells: Sequence[Spell] = ()
    ) -> None:
        self.spells = [Spell(BEGINNING, 0)]
        """Those met so far."""

        self.failures: list[Exception] = []
        """What PyAV has raised where the file couldn't be read."""

        self._container, self._stream = container, stream
        self._broadcast = container.format.name in BROADCAST
        self._known = spells or self.spells
        self._step = frame_ticks(stream)
        self._second = round(1 / (stream.time_base or Fraction(1, 90000)))
        self._back = round(_BACK_SECONDS * self._second)
        self._ahead = _AHEAD_SECONDS * self._second
        self._last: int | None = None
        self._next = self._shown = BEGINNING
        self._fresh = False
        self._before: tuple[int | None, int, int] = None, BEGINNING, BEGINNING
        """`_last`, `_next` and `_shown` as they were before the last packet that had a time."""
        self._runs: dict[int, list[tuple[int, int]]] = {}
        self._leads: dict[int, int] = {}
        self._offsets: dict[int, int] = {}

    @property
    def jumps(self) -> int:
        """How often the clock began anew; its regular turns don't count."""
        steps = (b.offset - a.offset for a, b in pairwise(self.spells))
        return sum(abs(step) != _TURN for step in steps)

    def packets(self, indexes: Collection[int] = ()) -> Iterator[Packet[Any]]:
        """Packets of the streams `indexes`, else the picture's, to the file's end, on one clock.

        All other streams are discarded. Places that can't be read are passed over, for `failures`
        to tell.
        """
        indexes = indexes or {self._stream.index}
        needed = set(indexes)
        if self._broadcast:
            needed |= {self._stream.index, *(s.index for s in self._container.streams.audio)}
        for stream in self._container.streams:
            if stream.index not in needed:
                stream.discard = Discard.all
        streams = [self._container.streams[index] for index in sorted(needed)]
        packets = read_on(self._container, streams, self.failures)
        for packet in packets if self._broadcast else without_strays(packets):
            self.put(packet)
            if packet.stream_index in indexes:
                yield packet

    def put(self, packet: Packet[Any]) -> None:
        """Move the next packet of the file, of whichever stream, onto the one clock."""
        if not self._broadcast or not packet.size:
            return
        if packet.stream_index == self._stream.index:
            self._lead(packet)
        else:
            self._follow(packet)

    def _lead(self, packet: Packet[Any]) -> None:
        """A packet of the picture, which alone tells jumps."""
        length = packet.duration or self._step
        late = 0 if packet.dts is None or packet.pts is None else packet.dts - packet.pts
        if late > self._back:
            packet.dts = None  # one of them is wrong, and a clock isn't told by it
        if packet.dts is not None:
            self._forgive(packet.dts)
            jumped = self._last is not None and self._is_jump(packet.dts + self._offset)
            if jumped:
                self._begin_spell(packet)
            self._fresh = jumped
            packet.dts += self._offset
            self._before = self._last, self._next, self._shown
            self._last = self._next = packet.dts
        if packet.pts is not None:
            packet.pts += self._offset
            if self._last is not None and abs(packet.pts - self._next) > self._ahead:
                packet.pts = None  # wrong, and all after it would be made to follow it
            else:
                self._shown = max(self._shown, packet.pts + length)
        self._next += length

    @property
    def _offset(self) -> int:
        return self.spells[-1].offset

    def _is_jump(self, dts: int) -> bool:
        """Whether the picture can't go on with a packet at `dts`, ticks on the one clock."""
        assert self._last is not None
        if dts > self._next + self._ahead:
            # A still picture may be shown for long, while its sound goes on.
            return dts - self._sound_until() > _LAG_SECONDS * self._second
        return dts < self._last - self._back

    def _forgive(self, dts: int) -> None:
        """Forget the last packet where it alone had another time, and one at `dts` goes on from the
        one before it: that is damage, and no jump."""
        last, expected, shown = self._before
        offset = self.spells[-2].offset if self._fresh else self._offset
        if last is None or self._last is None or not last < dts + offset <= expected + self._back:
            return
        if self._fresh:
            self.spells.pop()
        elif self._last <= expected + self._back:
            return
        self._last, self._next, self._shown, self._fresh = last, expected, shown, False

    def _sound_until(self) -> int:
        """How far sound that was there with the picture's last packet has gone on."""
        assert self._last is not None
        runs = [run for latest in self._runs.values() for run in latest]
        return max((end for start, end in runs if start <= self._last), default=self._last)

    def _begin_spell(self, packet: Packet[Any]) -> None:
        assert packet.dts is not None
        before = [spell.offset for spell in self.spells[-2:-1]]
        turns = [self._offset - _TURN, self._offset + _TURN]
        fitting = [
            offset for offset in before + turns if not self._is_jump(packet.dts + offset)
        ] or [self._seamless(packet)]
        if self._fresh and fitting[0] in before:
            # The packet before had a wrong time, and nothing else happened.
            self.spells.pop()
        else:
            self.spells.append(Spell(packet.dts + fitting[0], fitting[0]))

    def _seamless(self, packet: Packet[Any]) -> int:
        """The offset with which the picture goes on from `packet` without a gap."""
        dts, pts = packet.dts, packet.pts
        assert dts is not None
        if not packet.is_keyframe:
            return self._next - dts  # most likely a wrong time, or else nothing is shown yet
        alone = self._sound_until() - self._next
        rest = alone if alone > _PAUSE_SECONDS * self._second else 0
        offset = self._next + rest - dts
        if pts is not None and 0 < pts - dts <= self._ahead:
            # Where fewer frames are reordered than before, it would be shown too early.
            offset = max(offset, self._shown + rest - pts)
        return offset

    def _follow(self, packet: Packet[Any]) -> None:
        """A packet beside the picture, on one of the clocks that the picture has around there."""
        index = packet.stream_index
        time = packet.dts if packet.dts is not None else packet.pts
        if time is None or self._last is None:
            return
        offset = self._offset_beside(index, time)
        lead = time + offset - self._next
        self._offsets[index] = offset
        if abs(lead) <= _LAG_SECONDS * self._second:
            self._leads[index] = lead
        packet.dts = None if packet.dts is None else packet.dts + offset
        packet.pts = None if packet.pts is None else packet.pts + offset
        if packet.stream.type == "audio":
            self._hear(index, time + offset, packet.duration or 0)

    def _offset_beside(self, index: int, time: int) -> int:
        """The offset with which the sound goes on; where it doesn't, or no sound is, the one that
        puts the packet nearest to where it is expected: as far from the picture as the last, and
        behind what was heard."""
        lag = _LAG_SECONDS * self._second
        low, high = (
            bisect_right(self._known, self._next + reach, key=lambda spell: spell.start)
            for reach in (-lag, lag)
        )
        offsets = [spell.offset for spell in self._known[max(low - 1, 0) : high]]
        ends = [end for _, end in self._runs.get(index, [])[-1:]]
        last = self._offsets.get(index, 0)
        if last in offsets and any(abs(time + last - end) <= self._back for end in ends):
            return last
        expected = max([self._next + self._leads.get(index, 0), *ends])
        return min(offsets, key=lambda offset: abs(time + offset - expected))

    def _hear(self, index: int, time: int, length: int) -> None:
        """Note how long a stream's sound goes on, now and before it last stopped."""
        latest = self._runs.get(index, [])
        if not latest or abs(time - latest[-1][1]) > _PAUSE_SECONDS * self._second:
            latest = [*latest[-1:], (time, time)]
        self._runs[index] = [*latest[:-1], (latest[-1][0], time + length)]


def read_on(
    container: InputContainer, streams: Sequence[Stream], failures: list[Exception] | None = None
) -> Iterator[Packet[Any]]:
    """Packets of some streams to the file's end, over places where it can't be read.

    What was raised there is put into `failures`; a file that can't be read at _HOPELESS_PLACES in a
    row ends there. Raises SourceError where it is the file that has gone away.
    """
    in_a_row = 0
    wanted = {stream.index for stream in streams}
    # A single wrong place in an MP4 file's tables looks like the end.
    may_go_on = "mp4" in container.format.name
    ends: list[Packet[Any]] = []
    while in_a_row < _HOPELESS_PLACES:
        in_a_row += 1
        ends = []
        try:
            for packet in container.demux(streams):
                if packet.size:
                    in_a_row = 0
                # PyAV doesn't reckon with streams that come up on the way: neither here ...
                if packet.stream_index not in wanted:
                    continue
                if packet.size or packet.dts is not None:
                    yield packet
                else:
                    ends.append(packet)
        except IndexError:
            pass  # ... nor where it marks the end of each
        except (av.FFmpegError, ValueError) as error:
            _refuse_gone(Path(container.name))
            if failures is not None:
                failures.append(error)
            continue
        if not may_go_on:
            break
    yield from ends


def _refuse_gone(path: Path) -> None:
    """Raise SourceError for a file on a disk that is no longer there: the film isn't damaged."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise SourceError(
            f"{path} can't be read any more ({error.strerror}); when it can, give the same command "
            "again to go on."
        ) from error


def without_strays(packets: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Packets; those of sound and picture whose time runs far ahead, and that others of their
    stream follow with times as before, lose theirs: it is damaged, and the mux and the reader would
    make all that comes after follow it."""
    last: dict[int, float] = {}
    seconds, packets = _Seconds(), iter(packets)
    for packet in packets:
        time = seconds.of(packet)
        usual = time is None or time - last.get(packet.stream_index, time) <= _AHEAD_SECONDS
        for each in [packet] if usual else _until_back(packet, packets, seconds):
            if (shown := seconds.of(each)) is not None:
                last[each.stream_index] = shown
            yield each


def _until_back(
    first: Packet[Any], packets: Iterator[Packet[Any]], seconds: _Seconds
) -> list[Packet[Any]]:
    """A packet whose time has run ahead, and those behind it up to one of its stream whose time is
    as before: then the times that ran ahead are taken away. Where none comes soon, all is right."""
    held, size = [first], first.size
    ahead = (seconds.of(first) or 0) - _AHEAD_SECONDS / 2
    for packet in packets:
        held.append(packet)
        size += packet.size
        time = seconds.of(packet)
        if packet.stream_index == first.stream_index and time is not None and time < ahead:
            for each in held:
                if each.stream_index == first.stream_index and (seconds.of(each) or 0) >= ahead:
                    each.pts = each.dts = None
            break
        if len(held) >= _HELD_PACKETS or size >= _HELD_BYTES:
            break
    return held


class _Seconds:
    """When packets of sound and picture are decoded; a long film has a million of them."""

    def __init__(self) -> None:
        self._ticks: dict[int, float] = {}
        """Seconds of a tick, by stream; 0 for what is neither."""

    def of(self, packet: Packet[Any]) -> float | None:
        """None of a packet that doesn't say, and of those of other kinds."""
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None or not packet.size:
            return None
        index = packet.stream_index
        if index not in self._ticks:
            timed = packet.stream.type in ("audio", "video")
            self._ticks[index] = float(packet.time_base) if timed else 0.0
        return ticks * self._ticks[index] if self._ticks[index] else None


def read_clock(container: InputContainer, stream: VideoStream) -> Clock:
    """The clock of a file, just opened, after its last packet that can be read."""
    clock = Clock(container, stream)
    for _ in clock.packets():
        pass
    return clock


def packets_of(
    container: InputContainer, indexes: Collection[int], picture: int, spells: Sequence[Spell]
) -> Iterator[Packet[Any]]:
    """Packets of the streams `indexes`; with `spells`, those of the stream `picture`, moved onto
    its one clock. All other streams are discarded."""
    stream = container.streams[picture] if spells else None
    if isinstance(stream, VideoStream):
        return without_strays(Clock(container, stream, spells).packets(indexes))
    for other in container.streams:
        if other.index not in indexes:
            other.discard = Discard.all
    return without_strays(read_on(container, [container.streams[index] for index in indexes]))


def guessed_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """How long a film is whose clock is seen to begin anew on the way; None for all others.

    FFmpeg takes a film's length from its first and its last time, which then are of two clocks.
    This looks at a few places, evenly spread over the file, and leaves `container` at one of them.
    """
    if container.format.name not in BROADCAST:
        return None
    times = [_time_at(container, stream, place) for place in range(_PLACES)]
    steps = [b - a for a, b in pairwise(time for time in times if time is not None)]
    most = 10 * sorted(steps)[len(steps) // 2] + 60 if steps else 0.0
    usual = [step for step in steps if -1 <= step <= most]
    if len(usual) == len(steps) or sum(usual) <= 0:
        return None
    return sum(usual) / len(usual) * _PLACES


def _time_at(container: InputContainer, stream: VideoStream, place: int) -> float | None:
    """Seconds of the first packet of the picture behind a place in the file."""
    with suppress(av.FFmpegError):
        seek_share(container, Fraction(place, _PLACES))
        for packet in container.demux(stream):
            if packet.size and packet.dts is not None:
                return float(packet.dts * packet.time_base)
    return None


def seek_share(container: InputContainer, share: Fraction) -> None:
    """Go to a place in a broadcast's file, 0 to 1, whatever its clock says there.

    Raises what PyAV raises.
    """
    container.seek(int(container.size * share), unsupported_byte_offset=True)


def frame_ticks(stream: VideoStream) -> int:
    """Ticks of one frame at the rate the header guesses, at least 1."""
    rate = stream.guessed_rate or stream.average_rate or 25
    return max(1, round(1 / (rate * (stream.time_base or Fraction(1, 90000)))))


def words_on_jumps(path: Path, jumps: int) -> str:
    """The sentence about a clock that jumps."""
    places = "at one place" if jumps == 1 else f"at {jumps} places"
    return f"the clock of {path.name} jumps {places}; the parts follow each other without a gap."
