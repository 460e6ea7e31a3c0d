"""Frames of a film, from anywhere in it, the same as a reading from its beginning would give.

    info = probe(Path("film.mp4"))
    for frame in read_frames(info, 24000, 48000, before=16, after=16):
        print(frame.pts, frame.luma.mean())

             before          start                     end    after
        ...|  o  o  o  |  o  o  o  o  o  o  o  o  o  |  o  o  o  |...

A seek goes back to a keyframe early enough, decodes from there and throws away what came before
the window. It is trusted only where the keyframe itself comes out first; else the reader goes
further back, at last to the beginning.

Where a film is damaged, packets promise frames that the decoder doesn't give. The last good picture
is then shown at their times too, so that a film keeps its length and its step with the sound:

    packets   0   1   2   x   x   5   6       x can't be decoded
    frames    0   1   2   2   2   5   6

Packets that show nothing are no damage: nothing is repeated but near where the decoder complained.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TypeAlias

import av
from av.codec.context import Flags
from av.container.input import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import SourceError
from vidcolor.frames import BEGINNING, END, Fields, Frame, VideoInfo
from vidcolor.media.captions import captions_of
from vidcolor.media.changes import Changes
from vidcolor.media.clock import Clock, seek_share
from vidcolor.media.fields import FIELDS_REACH_FRAMES, Deinterlacer
from vidcolor.media.gpu import GpuDecodeError, accelerator, may_decode
from vidcolor.media.packets import PacketIndex as PacketIndex
from vidcolor.media.packets import packet_times, shows_frame
from vidcolor.media.pixels import Converter, planes_of
from vidcolor.media.probe import open_source
from vidcolor.media.promises import Promises

log = logging.getLogger(__name__)

_Packet: TypeAlias = "av.Packet[VideoStream]"

_known_damaged: set[Path] = set()
"""Sources whose damage has been told; a run opens its source many times."""

SAMPLED_FRAMES = 480
"""How many first frames a sampling by reading looks at."""

ENOUGH_KEYFRAMES = 8
"""Fewer keyframes than this say too little about a film."""

_LONGEST_GROUP = 1000
"""Packets from one keyframe to the next beyond which they aren't kept in memory."""


def read_frames(
    info: VideoInfo,
    start: int = BEGINNING,
    end: int = END,
    *,
    before: int = 0,
    after: int = 0,
    threads: int = 0,
    fields: Fields = "progressive",
    gpu: int | None = None,
) -> Iterator[Frame]:
    """Frames with pts in [start, end), `before` frames ahead of them and `after` behind.

    Fewer margin frames come only at the film's ends. Pts rise strictly; durations reach to the
    next frame. `threads` are the decoder's, 0 for one per core. For frames that damage has cost the
    one before them is repeated, and marked as such; those that were decoded with errors, and the
    one behind damage that nothing more is known of, are marked as damaged. Interlaced `fields` are
    made whole pictures, frame for frame. `gpu` is the number of a CUDA device that decodes instead,
    see `decoding_gpu`, as far as it can; the frames are the same. Raises SourceError when the file
    can't be opened.
    """
    given = 0
    if gpu is not None and may_decode(info, fields):
        try:
            for frame in gpu_frames(info, start, end, before=before, after=after, gpu=gpu):
                yield frame
                given += 1
        except GpuDecodeError as error:
            log.info("from here on the processor decodes %s: %s", info.path, error)
        else:
            return
    frames = _read(info, start, end, before, after, threads, fields)
    yield from islice(frames, given, None)


def gpu_frames(
    info: VideoInfo,
    start: int = BEGINNING,
    end: int = END,
    *,
    before: int = 0,
    after: int = 0,
    gpu: int,
) -> Iterator[Frame]:
    """As `read_frames`, by a GPU alone. Raises GpuDecodeError where that doesn't decode the film,
    and at the first thing that is wrong with it: the frames until then are as the processor's."""
    return _read(info, start, end, before, after, 1, "progressive", gpu)


def _read(
    info: VideoInfo,
    start: int,
    end: int,
    before: int,
    after: int,
    threads: int,
    fields: Fields,
    gpu: int | None = None,
) -> Iterator[Frame]:
    interlaced = fields != "progressive"
    with _Reader.opened(info, threads, gpu) as reader:
        if not info.seekable or start <= info.start_pts:
            moments = reader.from_beginning()
        else:
            moments = reader.from_before(start, before + FIELDS_REACH_FRAMES * interlaced)
        moments = _with_durations(moments, reader)
        if interlaced:
            moments = _deinterlaced(moments, Deinterlacer(fields))
        moments = _with_repeats(moments)
        convert = Converter(info)
        for moment in _window(moments, start, end, before, after):
            yield _frame_of(moment, convert)


def sample_frames(info: VideoInfo, count: int = 24) -> Iterator[Frame]:
    """The first frames of `sample_pairs`."""
    return (frame for frame, _ in sample_pairs(info, count))


def sample_pairs(info: VideoInfo, count: int = 24) -> Iterator[tuple[Frame, Frame | None]]:
    """About `count` frames spread over the film, one at a time, the same ones every time, each
    with the one after it where there is one.

    Films of more than SAMPLED_FRAMES give the keyframe at or before each time, at the cost of a
    seek each, and only where too few seeks land are their first SAMPLED_FRAMES read. Times of
    frames in films that can't be sought exactly are those asked for. Raises SourceError when the
    file can't be opened.
    """
    duration = info.duration_seconds or 0
    if _expected_frames(info) > SAMPLED_FRAMES and duration:
        sampled = 0
        for pair in _keyframe_samples(info, count, duration):
            sampled += 1
            yield pair
        if sampled >= min(count, ENOUGH_KEYFRAMES):
            return
    spread = _spread(info, _expected_frames(info), count)
    first = next(spread, None)
    if first is None:  # the header promised more than there is
        yield from _spread(info, 1, 1)
    else:
        yield from chain([first], spread)


def index_packets(info: VideoInfo) -> PacketIndex:
    """Times of all frames and keyframes as the packets tell them; reads the file, decodes nothing.

    Raises SourceError when the file can't be opened.
    """
    with open_source(info.path) as container:
        return packet_times(container, _stream_of(container, info))


def nominal_ticks(info: VideoInfo) -> int:
    """Ticks of one frame at the header's rate, at least 1."""
    return max(1, round(1 / (info.rate * info.time_base)))


@dataclass(slots=True)
class _Moment:
    """A decoded frame with its repaired time."""

    pts: int
    picture: VideoFrame
    damaged: bool
    lost: tuple[int, ...] = ()
    """Times of frames lost right before this one; from `_with_durations` on, right behind it."""

    duration: int = 0
    repeated: bool = False
    captions: bytes = field(init=False)

    def __post_init__(self) -> None:
        # Now, as a deinterlacer's pictures may come without them.
        self.captions = captions_of(self.picture)


class _Reader:
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
    def opened(cls, info: VideoInfo, threads: int, gpu: int | None = None) -> Iterator[_Reader]:
        with ExitStack() as opened:
            try:
                source = open_source(info.path, None if gpu is None else accelerator(gpu))
                container = opened.enter_context(source)
            except (SourceError, RuntimeError) as error:
                if gpu is None:
                    raise
                raise GpuDecodeError(str(error)) from error
            yield cls(info, container, threads, gpu)

    def from_beginning(self) -> Iterator[_Moment]:
        """All frames, timed. Call it on a reader that has read nothing yet."""
        if self.info.times_from == "packets":
            return self._packet_timed(index_packets(self.info).times)
        return self._decoder_timed(self._decode(self._packets()))

    def from_before(self, start: int, before: int) -> Iterator[_Moment]:
        """Frames from at least `before` frames ahead of `start` on, or from the beginning."""
        self.warm_up()
        reach = 2 * (before + 2) * self.nominal
        while start - reach > self.info.start_pts:
            frames = self.from_keyframe(start - reach, start)
            lead: deque[_Moment] = deque(maxlen=before + 1)
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
        with _Reader.opened(self.info, self._threads, self._gpu) as fresh:
            yield from fresh.from_beginning()
            self.damage_ahead, self.lost_at_end = fresh.damage_ahead, fresh.lost_at_end

    def warm_up(self) -> None:
        """Decode the first frame, before any seek.

        Some H.264 is told apart only by a note beside its first frame; a decoder that never saw
        it decodes every sample differently.
        """
        next(self._decode(self._packets()), None)

    def from_keyframe(self, target: int, start: int) -> Iterator[_Moment]:
        """Frames from the keyframe at or before `target`; none where the seek can't be trusted."""
        try:
            self._container.seek(target, stream=self._stream, backward=True)
        except av.FFmpegError:
            return
        self._begin_anew()
        packets = self._packets()
        key = next((packet for packet in packets if packet and packet.is_keyframe), None)
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

    def near(self, target: int) -> Iterator[_Moment]:
        """Whole frames from near `target` on, for looking at; they get the times that were asked
        for."""
        try:
            if self.info.clock_jumps:
                seek_share(self._container, self._share_of(target))
            else:
                self._container.seek(target, stream=self._stream, backward=True)
        except av.FFmpegError:
            return
        self._begin_anew()
        packets = self._packets()
        key = next((packet for packet in packets if packet and packet.is_keyframe), None)
        if key is None:
            return
        for number, (picture, damaged) in enumerate(self._decode(chain([key], packets))):
            if damaged:
                return
            yield _Moment(target + number * self.nominal, picture, damaged)

    def _begin_anew(self) -> None:
        """Forget the damage and the promises from before a seek."""
        self.damage_ahead = False
        self._promises = Promises()

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

    def _decoder_timed(self, frames: Iterator[tuple[VideoFrame, bool]]) -> Iterator[_Moment]:
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
        with _Reader.opened(self.info, 1) as fresh:
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
    ) -> _Moment:
        # Damage that has cost frames is told by those.
        return _Moment(pts, picture, picture.is_corrupt if lost else damaged, lost)

    def _packet_timed(self, times: tuple[int, ...]) -> Iterator[_Moment]:
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
                with _Reader.opened(self.info, 1) as fresh:
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
    stream = _stream_of(container, info)
    stream.thread_type = "AUTO"
    stream.thread_count = threads
    return stream


def _stream_of(container: InputContainer, info: VideoInfo) -> VideoStream:
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


def _with_durations(frames: Iterator[_Moment], reader: _Reader) -> Iterator[_Moment]:
    """Each frame lasts until the next; the last one as long as the decoder says.

    Packets' own durations count in decoding order in MP4, so they are wrong for variable rates.
    """
    held = next(frames, None)
    if held is None:
        return
    for moment in frames:
        held.duration, held.lost = moment.pts - held.pts, moment.lost
        yield held
        held = moment
    held.lost = reader.lost_at_end
    if held.lost:
        held.duration = held.lost[-1] + reader.nominal - held.pts
    else:
        held.duration = held.picture.duration or reader.nominal
        held.damaged = held.damaged or reader.damage_ahead
    yield held


def _with_repeats(moments: Iterator[_Moment]) -> Iterator[_Moment]:
    """Each moment, and again at the times of the frames lost behind it."""
    for moment in moments:
        edges = [moment.pts, *moment.lost, moment.pts + moment.duration]
        moment.duration = edges[1] - edges[0]
        yield moment
        for pts, end in pairwise(edges[1:]):
            again = _Moment(pts, moment.picture, False, duration=end - pts, repeated=True)
            again.captions = b""
            yield again


def _deinterlaced(moments: Iterator[_Moment], deinterlacer: Deinterlacer) -> Iterator[_Moment]:
    """The moments with whole pictures; the first one's lacks what came before it."""
    waiting: deque[_Moment] = deque()
    for moment in moments:
        waiting.append(moment)
        for picture in deinterlacer.push(moment.picture):
            yield _with_picture(waiting.popleft(), picture)
    for picture in deinterlacer.flush():
        yield _with_picture(waiting.popleft(), picture)


def _with_picture(moment: _Moment, picture: VideoFrame) -> _Moment:
    moment.picture = picture
    return moment


def _window(
    frames: Iterator[_Moment], start: int, end: int, before: int, after: int
) -> Iterator[_Moment]:
    lead: deque[_Moment] = deque(maxlen=before)
    behind = 0
    for moment in frames:
        if moment.pts < start:
            lead.append(moment)
            continue
        while lead:
            yield lead.popleft()
        if moment.pts >= end:
            behind += 1
            if behind > after:
                return
        yield moment
        if behind and behind == after:
            return
    yield from lead


def _keyframe_samples(
    info: VideoInfo, count: int, duration: float
) -> Iterator[tuple[Frame, Frame | None]]:
    """The keyframe at or before the middle of each of `count` equal parts of the film, and the
    frame after it."""
    convert = Converter(info)
    span = duration / float(info.time_base)
    last = BEGINNING
    with _Reader.opened(info, 0) as reader:
        reader.warm_up()
        for part in range(count):
            target = info.start_pts + round(span * (part + 0.5) / count)
            moments = reader.from_keyframe(target, END) if info.seekable else reader.near(target)
            frames = [_frame_of(moment, convert) for moment in islice(moments, 2)]
            if frames and frames[0].pts > last:
                last = frames[0].pts
                yield frames[0], frames[1] if len(frames) > 1 else None


def _frame_of(moment: _Moment, convert: Converter) -> Frame:
    luma, chroma = planes_of(convert(moment.picture))
    return Frame(
        pts=moment.pts,
        duration=moment.duration,
        luma=luma,
        chroma=chroma,
        damaged=moment.damaged,
        captions=moment.captions,
        repeated=moment.repeated,
    )


def _expected_frames(info: VideoInfo) -> int:
    """How many frames the film seems to have, from its header where that says."""
    if info.frames_from_header:
        return info.frames_from_header
    if info.duration_seconds:
        return max(1, round(info.duration_seconds * info.rate))
    return index_packets(info).frames


def _spread(info: VideoInfo, total: int, count: int) -> Iterator[tuple[Frame, Frame | None]]:
    """`count` frames evenly spread over the first `total`, or over SAMPLED_FRAMES, and the frame
    after each."""
    total = min(total, SAMPLED_FRAMES)
    wanted = {(2 * part + 1) * total // (2 * count) for part in range(count)}
    held: Frame | None = None
    for index, frame in enumerate(islice(read_frames(info), total + 1)):
        if held is not None:
            yield held, frame
        held = frame if index in wanted else None
    if held is not None:
        yield held, None
