"""Frames of a film, from anywhere in it, the same as a reading from its beginning would give.

    info = probe(Path("film.mp4"))
    for frame in read_frames(info, 24000, 48000, before=16, after=16):
        print(frame.pts, frame.luma.mean())

             before          start                     end    after
        ...|  o  o  o  |  o  o  o  o  o  o  o  o  o  |  o  o  o  |...

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
from itertools import islice, pairwise

from av.video.frame import VideoFrame

from vidcolor.frames import BEGINNING, END, Fields, Frame, VideoInfo
from vidcolor.media.fields import FIELDS_REACH_FRAMES, Deinterlacer
from vidcolor.media.gpu import GpuDecodeError, may_decode
from vidcolor.media.pixels import Converter, planes_of
from vidcolor.media.reader import Moment, Reader

log = logging.getLogger(__name__)


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
    with Reader.opened(info, threads, gpu) as reader:
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
            yield frame_of(moment, convert)


def _with_durations(frames: Iterator[Moment], reader: Reader) -> Iterator[Moment]:
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


def _with_repeats(moments: Iterator[Moment]) -> Iterator[Moment]:
    """Each moment, and again at the times of the frames lost behind it."""
    for moment in moments:
        edges = [moment.pts, *moment.lost, moment.pts + moment.duration]
        moment.duration = edges[1] - edges[0]
        yield moment
        for pts, end in pairwise(edges[1:]):
            again = Moment(pts, moment.picture, False, duration=end - pts, repeated=True)
            again.captions = b""
            yield again


def _deinterlaced(moments: Iterator[Moment], deinterlacer: Deinterlacer) -> Iterator[Moment]:
    """The moments with whole pictures; the first one's lacks what came before it."""
    waiting: deque[Moment] = deque()
    for moment in moments:
        waiting.append(moment)
        for picture in deinterlacer.push(moment.picture):
            yield _with_picture(waiting.popleft(), picture)
    for picture in deinterlacer.flush():
        yield _with_picture(waiting.popleft(), picture)


def _with_picture(moment: Moment, picture: VideoFrame) -> Moment:
    moment.picture = picture
    return moment


def _window(
    frames: Iterator[Moment], start: int, end: int, before: int, after: int
) -> Iterator[Moment]:
    lead: deque[Moment] = deque(maxlen=before)
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


def frame_of(moment: Moment, convert: Converter) -> Frame:
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
