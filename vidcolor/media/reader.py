"""An open source and its decoder: pictures with their times, which are mended, and its damage.

    with Reader.opened(info, threads) as reader:
        for moment in reader.from_before(start, 16):
            print(moment.pts, moment.picture, moment.damaged, moment.lost)

A seek goes back to a keyframe early enough, decodes from there and leaves what comes before to be
thrown away. It is trusted only where the keyframe itself comes out first; else the reader goes
further back, at last to the beginning.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, dropwhile
from pathlib import Path
from typing import TypeAlias

import av
from av.codec.context import Flags
from av.container.input import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import SourceError
from vidcolor.frames import END, VideoInfo
from vidcolor.media.captions import captions_of
from vidcolor.media.changes import Changes
from vidcolor.media.clock import Clock, seek_share
from vidcolor.media.gpu import GpuDecodeError, accelerator
from vidcolor.media.packets import PacketIndex, packet_times, shows_frame
from vidcolor.media.probe import open_source
from vidcolor.media.promises import Promises

log = logging.getLogger(__name__)

_Packet: TypeAlias = "av.Packet[VideoStream]"

_known_damaged: set[Path] = set()
"""Sources whose damage has been told; a run opens its source many times."""

_LONGEST_GROUP = 1000
"""Packets from one keyframe to the next beyond which they aren't kept in memory."""


def index_packets(info: VideoInfo) -> PacketIndex:
    """Times of all frames and keyframes as the packets tell them; reads the file, decodes nothing.

    Raises SourceError when the file can't be opened.
    """
    with open_source(info.path) as container:
        return packet_times(container, stream_of(container, info))


def nominal_ticks(info: VideoInfo) -> int:
    """Ticks of one frame at the header's rate, at least 1."""
    return max(1, round(1 / (info.rate * info.time_base)))


@dataclass(slots=True)
class Moment:
    """A decoded frame with its repaired time."""

    pts: int
    picture: VideoFrame
    damaged: bool
    lost: tuple[int, ...] = ()
    """Times of frames lost right before this one; in `read_frames` right behind it."""

    duration: int = 0
    repeated: bool = False
    captions: bytes = field(init=False)

    def __post_init__(self) -> None:
        # Now, as a deinterlacer's pictures may come without them.
        self.captions = captions_of(self.picture)


class Reader:
    """An open source, its decoder, and the damage met so far."""

    def __init__(
        self, info: VideoInfo, container: InputContainer, threads: int, gpu: int | None
    ) -> None:
        self.info = info
        self._gpu = gpu
        self.nominal = nominal_ticks(info)
        self._second = round(1 / info.time_base)
        self.damage_ahead = False
        self.lost_at_end: tuple[int, ...] = ()
        """Times of frames lost behind the last one, once that has been given."""
        self._promises = Promises()
        self._threads = threads
        self._container = container
        self._stream = _prepared(container, info, threads)
        self._changes = Changes(info)

    @classmethod
    @contextmanager
    def opened(cls, info: VideoInfo, threads: int, gpu: int | None = None) -> Iterator[Reader]:
        with ExitStack() as opened:
            try:
                source = open_source(info.path, None if gpu is None else accelerator(gpu))
                container = opened.enter_context(source)
            except (SourceError, RuntimeError) as error:
                if gpu is None:
                    raise
                raise GpuDecodeError(str(error)) from error
            yield cls(info, container, threads, gpu)

    def from_beginning(self) -> Iterator[Moment]:
        """All frames, timed. Call it on a reader that has read nothing yet."""
        if self.info.times_from == "packets":
            return self._packet_timed(index_packets(self.info).times)
        return self._decoder_timed(self._decode(self._packets()))

    def from_before(self, start: int, before: int) -> Iterator[Moment]:
        """Frames from at least `before` frames ahead of `start` on, or from the beginning."""
        self.warm_up()
        reach = 2 * (before + 2) * self.nominal
        while start - reach > self.info.start_pts:
            frames = self.from_keyframe(start - reach, start)
            lead: deque[Moment] = deque(maxlen=before + 1)
            for moment in frames:
                lead.append(moment)
                if moment.pts >= start:
                    break
            ahead = sum(moment.pts < start for moment in lead)
            if lead and ahead >= before:
                yield from lead
                yield from frames
                return
            reach *= 2
        with Reader.opened(self.info, self._threads, self._gpu) as fresh:
            yield from fresh.from_beginning()
            self.damage_ahead, self.lost_at_end = fresh.damage_ahead, fresh.lost_at_end

    def warm_up(self) -> None:
        """Decode the first frame, before any seek.

        Some H.264 is told apart only by a note beside its first frame; a decoder that never saw
        it decodes every sample differently.
        """
        next(self._decode(self._packets()), None)

    def from_keyframe(self, target: int, start: int) -> Iterator[Moment]:
        """Frames from the keyframe at or before `target`; none where the seek can't be trusted."""
        try:
            self._container.seek(target, stream=self._stream, backward=True)
        except av.FFmpegError:
            return
        packets = self._from_next_key()
        key = next(packets)
        if key is None or key.pts is None or key.pts > start:
            return
        first = key.pts
        frames = self._decode(chain([key], packets))
        # An open group of pictures shows frames ahead of its keyframe that refer to what the
        # seek left out.
        kept = (pair for pair in frames if pair[0].pts is None or pair[0].pts >= first)
        pair = next(kept, None)
        if pair is None or pair[0].pts != first:
            return
        yield from self._decoder_timed(chain([pair], kept))

    def near(self, target: int) -> Iterator[Moment]:
        """Whole frames from near `target` on, for looking at; they get the times that were asked
        for."""
        try:
            if self.info.clock_jumps:
                seek_share(self._container, self._share_of(target))
            else:
                self._container.seek(target, stream=self._stream, backward=True)
        except av.FFmpegError:
            return
        for number, (picture, damaged) in enumerate(self._decode(self._from_next_key())):
            if damaged:
                return
            yield Moment(target + number * self.nominal, picture, damaged)

    def _from_next_key(self) -> Iterator[_Packet | None]:
        """Behind a seek: the packets from the next keyframe on, then None, to flush; what was
        damaged or promised before it is forgotten."""
        self.damage_ahead = False
        self._promises = Promises()
        return dropwhile(lambda packet: packet and not packet.is_keyframe, self._packets())

    def _share_of(self, target: int) -> Fraction:
        """Where in the file `target` is, 0 to 1, were it stored evenly."""
        ticks = Fraction(self.info.duration_seconds or 1) / self.info.time_base
        return min(max((target - self.info.start_pts) / ticks, Fraction(0)), Fraction(1))

    def _packets(self) -> Iterator[_Packet | None]:
        """Packets to the file's end, then None, to flush."""
        # After a seek the clock knows nothing of the jumps before; films that may have some are
        # sought only to be looked at.
        clock, told = Clock(self._container, self._stream), 0
        for packet in clock.packets():
            for error in clock.failures[told:]:
                self._note(error)
            told = len(clock.failures)
            # Empty packets are AVI's "nothing new", or PyAV's own mark of the end.
            if packet.size:
                yield packet
        for error in clock.failures[told:]:
            self._note(error)
        yield None

    def _decode(self, packets: Iterator[_Packet | None]) -> Iterator[tuple[VideoFrame, bool]]:
        """Decoded frames, each with whether damage is on it or right before it."""
        codec = self._stream.codec_context.codec.canonical_name
        for packet in packets:
            if packet is not None:
                shown = self.info.times_from == "decoder" and shows_frame(packet, codec)
                self._promises.put(packet.pts if shown else None)
                if packet.is_corrupt:
                    self._doubt("a packet is damaged")
            for frame in self._decoded(packet):
                self._changes.look(frame, self._stream.codec_context.sample_aspect_ratio)
                if frame.is_corrupt:
                    self._doubt("a frame is damaged")
                damaged = frame.is_corrupt or self.damage_ahead
                self.damage_ahead = False
                yield frame, damaged

    def _decoded(self, packet: _Packet | None) -> list[VideoFrame]:
        """What the decoder gives for one more packet, or for no more; damage is noted."""
        for _ in range(2):
            try:
                return self._stream.decode(packet)
            except EOFError:
                break
            except BlockingIOError as error:
                # An error left it with frames that can't be got at; without them it goes on.
                self._note(error)
                self._stream.codec_context.flush_buffers()
            except (av.FFmpegError, ValueError) as error:
                self._note(error)
                break
        return []

    def _doubt(self, why: object) -> None:
        """Something is wrong with the film. Raises GpuDecodeError where a GPU decodes it."""
        if self._gpu is not None:
            raise GpuDecodeError(str(why))
        self._promises.doubt()

    def _note(self, error: Exception) -> None:
        self._doubt(error)
        if self.info.path not in _known_damaged:
            _known_damaged.add(self.info.path)
            log.warning(
                "%s is damaged; what can't be decoded is skipped (%s)", self.info.path, error
            )
        self.damage_ahead = True

    def _decoder_timed(self, frames: Iterator[tuple[VideoFrame, bool]]) -> Iterator[Moment]:
        """The decoder's times; a missing or falling one becomes the last plus a frame's length, or
        less where it falls by little."""
        last = self.info.start_pts - self.nominal
        begun = False
        for frame, damaged, following in _with_next(frames):
            pts = self._mended(frame.pts, last, following, begun)
            lost = self._promises.broken(last, pts)
            yield self._moment(pts, frame, damaged, lost if begun else ())
            last, begun = pts, True
        if not begun:
            return
        if not self._promises.any_after(last) or (self._threads == 1 and self._gpu is None):
            self.lost_at_end = self._promises.broken(last, END)
            return
        if self._gpu is not None:
            raise GpuDecodeError("frames are missing at its end")
        # An error in one of several threads hides what the others hold when the film ends.
        with Reader.opened(self.info, 1) as fresh:
            for moment in fresh._decoder_timed(fresh._decode(fresh._last_group(last))):
                if moment.pts > last:
                    moment.lost = tuple(time for time in moment.lost if time > last)
                    last = moment.pts
                    yield moment
            behind = {*fresh.lost_at_end, *self._promises.broken(last, END)}
            self.lost_at_end = tuple(sorted(time for time in behind if time > last))
            self.damage_ahead = fresh.damage_ahead

    def _last_group(self, last: int) -> Iterator[_Packet | None]:
        """The packets from the last keyframe up to `last` on. Call it on a reader that has read
        nothing yet."""
        group: list[_Packet | None] = []
        for packet in self._packets():
            if packet and packet.is_keyframe and (packet.pts is None or packet.pts <= last):
                group.clear()
            if len(group) < _LONGEST_GROUP:
                group.append(packet)
        yield from group

    def _mended(self, pts: int | None, last: int, following: int | None, begun: bool) -> int:
        """When a frame is shown between the `last` one, if any was, and the `following` one."""
        usual = last + self.nominal
        if pts is None:
            return usual
        wrong = following is not None and last < following < pts
        wrong = wrong or (begun and following is not None and pts < last < following)
        if following is not None and wrong:
            # The next one goes on where the last was: this one's time is wrong, and all that follow
            # would be made to come after it.
            self._promises.forget(pts)
            return min(usual, max(following - 1, last + 1))
        if not begun or pts > last:
            return pts
        if pts == last:
            return last + 1  # a whole frame's length would push every later frame
        back_soon = pts > last - self._second
        return last + max(1, self.nominal // 4) if back_soon else usual

    def _moment(
        self, pts: int, picture: VideoFrame, damaged: bool, lost: tuple[int, ...]
    ) -> Moment:
        # Damage that has cost frames is told by those.
        return Moment(pts, picture, picture.is_corrupt if lost else damaged, lost)

    def _packet_timed(self, times: tuple[int, ...]) -> Iterator[Moment]:
        """The n-th frame has the n-th sorted packet time.

        Packets that can't be decoded would make all that follows early, so the count starts
        again at each keyframe, which is shown no sooner than as many frames as came before it.
        """
        self._stream.codec_context.flags |= Flags.copy_opaque
        last = self.info.start_pts - self.nominal
        number = 0
        trouble = False
        for frame, damaged in self._decode(self._numbered()):
            trouble = trouble or damaged
            lost: tuple[int, ...] = ()
            # Parsers take some pictures for keyframes that aren't.
            if frame.key_frame and isinstance(frame.opaque, int):
                if trouble and number:
                    lost = times[number : frame.opaque]
                number, trouble = max(number, frame.opaque), frame.is_corrupt
            last = times[number] if number < len(times) else last + self.nominal
            number += 1
            yield self._moment(last, frame, damaged, lost)
        if number and number < len(times):
            if self._threads != 1 and not (trouble or self.damage_ahead):
                # As above: a single thread tells.
                with Reader.opened(self.info, 1) as fresh:
                    trouble = any(bad for _, bad in fresh._decode(fresh._last_group(END)))
                    trouble = trouble or fresh.damage_ahead
            if trouble or self.damage_ahead:
                self.lost_at_end = times[number:]

    def _numbered(self) -> Iterator[_Packet | None]:
        """The packets, each keyframe carrying how many shown packets came before it."""
        shown = 0
        for packet in self._packets():
            if packet is not None:
                if packet.is_keyframe:
                    packet.opaque = shown
                shown += shows_frame(packet, self._stream.codec_context.codec.canonical_name)
            yield packet


def _prepared(container: InputContainer, info: VideoInfo, threads: int) -> VideoStream:
    stream = stream_of(container, info)
    stream.thread_type = "AUTO"
    stream.thread_count = threads
    return stream


def stream_of(container: InputContainer, info: VideoInfo) -> VideoStream:
    streams = container.streams
    stream = streams[info.stream_index] if info.stream_index < len(streams) else None
    if not isinstance(stream, VideoStream):
        raise SourceError(f"{info.path} has changed since it was looked at; start again.")
    return stream


def _with_next(
    frames: Iterator[tuple[VideoFrame, bool]],
) -> Iterator[tuple[VideoFrame, bool, int | None]]:
    """Frames and their damage, with the next one's time where there is one that has one."""
    held = next(frames, None)
    for pair in frames:
        assert held is not None
        yield *held, pair[0].pts
        held = pair
    if held is not None:
        yield *held, None
