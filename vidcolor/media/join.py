"""Finished segments and everything else of the source, in one stream-copy mux.

    warnings = join_segments(files, info, Path("film.color.part.mp4"))

Nothing is decoded or encoded. The picture's packets get their times from the segments' records,
in the source's time base; every other track keeps its packets and its times, so sound and picture
stay where they were to each other.
"""

from __future__ import annotations

import heapq
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from math import lcm
from pathlib import Path
from typing import Any

import av
from av.codec import Codec
from av.container.input import InputContainer
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from vidcolor.errors import OutputError
from vidcolor.frames import BEGINNING, END, VideoInfo
from vidcolor.media.attachments import attach, attach_cover
from vidcolor.media.choice import EncoderChoice, picture_format, untold_fields
from vidcolor.media.clock import BROADCAST, Spell, packets_of, read_clock, words_on_jumps
from vidcolor.media.container_trial import trial_segment, try_container
from vidcolor.media.ffmpeg import RAW_TAGS, plain_name
from vidcolor.media.late import fully_known
from vidcolor.media.matroska import HeaderError, amend, amendable, ask_aspect
from vidcolor.media.mp4 import set_subtitle_sizes
from vidcolor.media.muxers import MATROSKA_FAMILY, MP4_FAMILY, muxer_of
from vidcolor.media.packets import of_their_kind, without_hidden
from vidcolor.media.placing import Placer, Span
from vidcolor.media.probe import open_source
from vidcolor.media.segments import (
    DeeperReorderError,
    add_picture,
    check_segments,
    display_ranks,
    open_segment,
    picture_packets,
    reorder_depth,
)
from vidcolor.media.segments import SegmentFile as SegmentFile
from vidcolor.media.sound import (
    ChangedSoundError,
    add_plain,
    changed_sound,
    lost_layouts,
    plain_packets,
    without_gaps,
)
from vidcolor.media.subtitles import (
    ConversionError,
    converted,
    converted_line,
    dvd_sizes,
    missing_ffmpeg,
    shortened_lines,
    without_lines,
)
from vidcolor.media.tags import film_tags, lost_tags, tag_options, track_tags
from vidcolor.media.timecode import advanced
from vidcolor.media.tracks import (
    Track,
    add_copy,
    kept_streams,
    left_out,
    lost_in_picture,
    lost_shape,
    lost_times,
    plan_tracks,
)
from vidcolor.media.views import lost_views, views_tag
from vidcolor.media.write import BITEXACT, listening, reason_of, words_of, write_error


def join_segments(
    segments: Sequence[SegmentFile],
    info: VideoInfo,
    output: Path,
    *,
    start: int = BEGINNING,
    end: int = END,
    comment: str | None = None,
) -> list[str]:
    """Write the finished film to `output`, which carries its final suffix; the caller renames it.

    With `start` or `end` the film is a cut: its times begin at zero, and sound, subtitles and
    chapters are cut to it. `comment` becomes the film's comment where the source has none.
    Returns a sentence for each thing the container can't hold. Raises JobError when segments
    don't belong together or don't hold what their records say, OutputError when the output can't
    be written.
    """
    check_segments(segments)
    muxer = muxer_of(output)
    with open_source(info.path) as source:
        plan = plan_tracks(source, info, muxer)
        warnings = _warnings(source, info, plan, muxer, _codec_of(segments[0]))
    span = _span(segments, info, cut=start > BEGINNING or end < END)
    spells = _spells(info, warnings)
    depth = reorder_depth(display_ranks(segments[0]))
    while True:
        job = _Join(segments, info, output, muxer, plan, span, depth, comment, spells)
        try:
            job.run()
            warnings += changed_sound(info, job.undecoded, job.silence)
            return [*warnings, *shortened_lines(info, job.overlaps)]
        except (_RefusedError, ChangedSoundError) as refused:
            # A container may take a track's headers and then stumble over a packet: once more
            # without it, rather than fail after hours of work.
            plan = [track for track in plan if track.index != refused.index]
            warnings.append(left_out(info, refused.index, refused.why))
        except ConversionError as error:
            plan = [track for track in plan if track.way != "convert"]
            warnings.append(f"the subtitles are left out: {error}")
        except DeeperReorderError as deeper:
            depth = deeper.depth


def check_output_container(info: VideoInfo, output: Path, choice: EncoderChoice) -> list[str]:
    """The warnings join_segments will give for this output, before the work starts, and what
    the encoder's pictures can't say.

    The film's first packets are joined with a few gray pictures, as at the end. Raises OutputError
    for a suffix no muxer knows, and for a container that can't hold the encoder's pictures or all
    that comes along.
    """
    if not output.suffix:
        raise OutputError(
            f"{output} ends in no known video format; name it .mp4, .mov, .mkv or .webm, or, if "
            "it is a folder to be made, put a slash at its end."
        )
    muxer = muxer_of(output)
    with trial_segment(info, choice) as segment:
        held = try_container(info, output, choice, segment)
        if held.refusal:
            raise OutputError(
                f"{output.suffix} files can't hold {choice.codec} ({held.refusal}); "
                "use .mkv, or another --codec."
            )
        with open_source(info.path) as source:
            plan = plan_tracks(source, info, muxer)
            said = _warnings(source, info, plan, muxer, Codec(choice.codec, "w").canonical_name)
        said += _try_join(info, output, segment, plan)
    untold = untold_fields(picture_format(info, choice), choice)
    return [*held.warnings, *said, *([untold] if untold else [])]


def _try_join(info: VideoInfo, output: Path, segment: SegmentFile, plan: list[Track]) -> list[str]:
    """Join `segment` with the film's first packets in a temporary folder; the warnings that gives.

    Raises OutputError where it can't be done.
    """
    said: list[str] = []
    depth = reorder_depth(display_ranks(segment))
    span = _span([segment], info, cut=False)
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        target = Path(folder) / f"try{output.suffix}"
        while True:
            muxer = muxer_of(output)
            job = _Join([segment], info, target, muxer, plan, span, depth, None, (), _TRIED_PACKETS)
            try:
                with listening():
                    job.run()
            except (_RefusedError, ChangedSoundError) as refused:
                plan = [track for track in plan if track.index != refused.index]
                said.append(left_out(info, refused.index, refused.why))
            except ConversionError as error:
                plan = [track for track in plan if track.way != "convert"]
                said.append(f"the subtitles are left out: {error}")
            except OutputError as error:
                cause = error.__cause__
                why = reason_of(cause) if isinstance(cause, Exception) else str(error)
                raise OutputError(
                    f"{info.path} can't be put together as {output.suffix} with all that it holds "
                    f"({why}); use .mkv, or see that there is room for temporary files."
                ) from error
            else:
                return said


_TRIED_PACKETS = 500
"""Of all tracks, in the film's order, in a trial of the join."""


def _warnings(
    source: InputContainer, info: VideoInfo, plan: list[Track], muxer: str, codec: str
) -> list[str]:
    said = [track.warning for track in plan]
    kept = kept_streams(source, plan)
    said += lost_tags(source, kept, muxer, tag_options(info.path, kept, muxer))
    said += [*lost_layouts(kept, muxer), lost_views(info, muxer, codec)]
    said += [lost_shape(info, muxer, codec), lost_times(info, muxer)]
    said += lost_in_picture(info, codec)
    if any(track.way == "convert" for track in plan):
        said.append(missing_ffmpeg())
    return [sentence for sentence in said if sentence]


def _codec_of(segment: SegmentFile) -> str:
    with open_segment(segment) as container:
        return container.streams.video[0].codec_context.codec.canonical_name


def _span(segments: Sequence[SegmentFile], info: VideoInfo, cut: bool) -> Span:
    if cut:
        last = segments[-1]
        stop = (last.pts[-1] + last.durations[-1]) * info.time_base
        return Span(segments[0].pts[0] * info.time_base, stop, True)
    # Matroska's readers give no time to a frame before zero, and MP4's don't show it.
    origin = min(Fraction(0), segments[0].pts[0] * info.time_base)
    if info.container in BROADCAST:
        # Broadcast clocks begin anywhere, hours from zero.
        with open_source(info.path) as source:
            ticks = Fraction(source.start_time or 0, av.time_base) / info.time_base
            origin = round(ticks) * info.time_base
    return Span(origin, None, False)


def _spells(info: VideoInfo, warnings: list[str]) -> Sequence[Spell]:
    """The parts of a source whose clock jumps, which goes to the warnings; else none."""
    if info.container not in BROADCAST or len(info.streams) == 1:
        return ()
    with open_source(info.path) as source:
        picture = source.streams[info.stream_index]
        assert isinstance(picture, VideoStream)
        clock = read_clock(source, picture)
    if clock.jumps:
        warnings.append(words_on_jumps(info.path, clock.jumps))
    return clock.spells if len(clock.spells) > 1 else ()


class _RefusedError(Exception):
    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index, self.why = index, why


@dataclass
class _Join:
    """One attempt at the mux."""

    segments: Sequence[SegmentFile]
    info: VideoInfo
    output: Path
    muxer: str
    plan: list[Track]
    span: Span
    depth: int
    comment: str | None
    spells: Sequence[Spell]
    """Of a source whose clock jumps; empty for others."""

    most_packets: int | None = None
    """Of the source, in a trial, which also turns a line of its own in place of the subtitles."""

    undecoded: dict[int, int] = field(default_factory=dict)
    """By index in the source: packets of unwrapped sound that are damaged, and of any sound those
    of another codec."""

    silence: dict[int, Fraction] = field(default_factory=dict)
    """By index in the source, once all is muxed: seconds of silence in gaps."""

    overlaps: Counter[int] = field(default_factory=Counter)
    """By index in the source: lines of text that begin before the one before them ends."""

    def run(self) -> None:
        texts = [track for track in self.plan if track.way == "convert"]
        indexes, codec = [track.index for track in texts], texts[0].codec if texts else ""
        with ExitStack() as stack:
            source = stack.enter_context(open_source(self.info.path))
            heads = stack.enter_context(fully_known(self.info.path, self._copied_indexes()))
            template = stack.enter_context(open_segment(self.segments[0]))
            convert = converted if self.most_packets is None else converted_line
            turned = stack.enter_context(
                convert(self.info.path, indexes, codec, beside=self.output)
            )
            try:
                self._write(source, heads, template, turned)
            except (av.FFmpegError, OSError, HeaderError) as error:
                raise write_error(self.output, error) from error

    def _copied_indexes(self) -> set[int]:
        return {track.index for track in self.plan if track.way == "copy"}

    def _write(
        self,
        source: InputContainer,
        heads: InputContainer,
        template: InputContainer,
        turned: dict[int, Stream],
    ) -> None:
        options = self._muxer_options(source)
        out = av.open(
            plain_name(self.output),
            "w",
            format=self.muxer,
            options=options,
            metadata_errors=RAW_TAGS,
        )
        out.flags |= BITEXACT
        try:
            picture, copies = self._add_streams(out, heads, template, turned)
            out.start_encoding()
            self._mux_all(out, source, picture, copies, turned)
        except BaseException:
            # The first error is the one to tell.
            with suppress(av.FFmpegError, OSError):
                out.close()
            raise
        out.close()
        if self.muxer in MP4_FAMILY:
            kept = [source.streams[index] for index in copies if index not in turned]
            set_subtitle_sizes(self.output, dvd_sizes(self.info.path, kept))
        if amendable(self.muxer):
            with self.output.open("r+b") as file:
                amend(file)

    def _muxer_options(self, source: InputContainer) -> dict[str, str]:
        if self.muxer in MATROSKA_FAMILY:
            # The defaults would mark tracks as default that weren't, and move the whole film to
            # where the sound's first packet, often just before zero, becomes zero.
            return {"default_mode": "passthrough", "avoid_negative_ts": "disabled"}
        if self.muxer not in MP4_FAMILY:
            return {}
        # What a track waits before it begins is kept in this unit; the usual 1000 rounds it.
        starts = [self.segments[0].pts[0] * self.info.time_base - self.span.origin]
        for stream in source.streams.audio:
            base = stream.time_base or Fraction(0)
            # In a cut the first packet may come at any of its track's ticks.
            first = base if self.span.cut else (stream.start_time or 0) * base - self.span.origin
            starts.append(first)
        exact = lcm(1000, *(start.denominator for start in starts if start > 0))
        options = tag_options(self.info.path, kept_streams(source, self.plan), self.muxer)
        return options | ({"movie_timescale": str(exact)} if 1000 < exact < 2**31 else {})

    def _add_streams(
        self,
        out: OutputContainer,
        source: InputContainer,
        template: InputContainer,
        turned: dict[int, Stream],
    ) -> tuple[VideoStream, dict[int, Stream]]:
        """The output's streams in the source's order: the picture's, and the others by index."""
        copies: dict[int, Stream] = {}
        picture: VideoStream | None = None
        for track in self.plan:
            stream = source.streams[track.index]
            if track.way == "picture":
                head = template.streams.video[0]
                codec = head.codec_context.codec.canonical_name
                picture = add_picture(out, head, self.info, self.muxer)
                picture.metadata.update(views_tag(self.info, self.muxer, codec))
                picture.metadata.update(track_tags(stream, self.muxer))
                ask_aspect(picture, self.info.sample_aspect, self.muxer)
                picture.disposition = stream.disposition
            elif track.way == "copy":
                copies[track.index] = add_copy(out, stream, self.muxer)
            elif track.way == "unwrap":
                tags = track_tags(stream, self.muxer)
                copies[track.index] = add_plain(out, stream, track.codec, tags)
            elif track.way == "convert":
                copy = add_copy(out, turned[track.index], self.muxer)
                copy.metadata.clear()
                copy.metadata.update(track_tags(stream, self.muxer))
                copy.disposition = stream.disposition
                copies[track.index] = copy
            elif track.way == "attach":
                attach(out, stream)
            elif track.way == "cover":
                attach_cover(out, self.info.path, stream)
        assert picture is not None
        out.metadata.update(film_tags(source))
        if self.span.cut:
            self._advance_timecodes(out)
        # Matroska's tags come in capitals, and its muxer would keep the later of the two.
        if self.comment and "comment" not in {key.lower() for key in out.metadata}:
            out.metadata["comment"] = self.comment
        out.set_chapters(self._chapters(source))
        return picture, copies

    def _advance_timecodes(self, out: OutputContainer) -> None:
        """A cut begins later than the film, and so does its timecode."""
        skipped = self.segments[0].pts[0] - self.info.start_pts
        frames = round(skipped * self.info.time_base * self.info.rate)
        for tags in (out.metadata, *(stream.metadata for stream in out.streams)):
            for key in [key for key in tags if key.lower() == "timecode"]:
                tags[key] = advanced(tags[key], frames, self.info.rate)

    def _chapters(self, source: InputContainer) -> list[Any]:
        chapters = []
        for chapter in source.chapters():
            base = chapter["time_base"] or Fraction(1, av.time_base)
            begin = chapter["start"] * base - self.span.origin
            finish = chapter["end"] * base - self.span.origin
            if self.span.stop is not None:
                begin, finish = max(begin, Fraction(0)), min(finish, self.span.length)
                if begin >= finish:
                    continue
            times = {"start": round(begin / base), "end": round(finish / base)}
            chapters.append({**chapter, **times, "time_base": base})
        return chapters

    def _mux_all(
        self,
        out: OutputContainer,
        source: InputContainer,
        picture: VideoStream,
        copies: dict[int, Stream],
        turned: dict[int, Stream],
    ) -> None:
        kept = {index: copy for index, copy in copies.items() if index not in turned}
        short = turned.keys() if self.muxer in MP4_FAMILY else ()
        copied = self._copied(source, kept, self.spells, watched=short)
        sources = [
            picture_packets(self.segments, self.info, picture, self.span.origin, self.depth),
            without_gaps(copied, self.silence) if self.muxer in MP4_FAMILY else copied,
        ]
        if turned:
            renamed = {stream.index: copies[index] for index, stream in turned.items()}
            texts = next(iter(turned.values())).container
            assert isinstance(texts, InputContainer)
            sources.append(self._copied(texts, renamed))
        origin = {copy.index: index for index, copy in copies.items()}
        taken: set[int] = set()
        for _, packet in heapq.merge(*sources, key=lambda pair: pair[0]):
            place = packet.stream_index
            try:
                out.mux(packet)
                taken.add(place)
            except (av.FFmpegError, ValueError) as error:
                if place not in origin or isinstance(error, OSError):
                    raise
                if place in taken and isinstance(error, av.error.InvalidDataError):
                    # Others of this track passed: it is the packet that is damaged.
                    self.undecoded[origin[place]] = self.undecoded.get(origin[place], 0) + 1
                    continue
                raise _RefusedError(origin[place], f"FFmpeg says {words_of(error)!r}") from error
        self.silence = {origin[place]: seconds for place, seconds in self.silence.items()}

    def _copied(
        self,
        container: InputContainer,
        copies: dict[int, Stream],
        spells: Sequence[Spell] = (),
        watched: Collection[int] = (),
    ) -> Iterator[tuple[float, Packet[Any]]]:
        """Packets of the given streams, moved to the output's time, with their time in seconds.

        Lines that overlap in the `watched` ones are counted.
        """
        if not copies and not watched:
            return
        now, placer = 0.0, Placer(self.span, self.muxer)
        every = packets_of(container, {*copies, *watched}, self.info.stream_index, spells)
        packets: Iterator[Packet[Any]] = islice(every, self.most_packets)
        span = self.span.origin, self.span.stop
        packets = without_lines(without_hidden(packets), watched, span, self.overlaps)
        if self.info.container in BROADCAST:
            packets = of_their_kind(packets, self.undecoded)
        for packet in plain_packets(packets, self._unwrapped(copies), self.undecoded):
            if not packet.size:
                continue
            copy = copies[packet.stream_index]
            if placer.place(packet, copy):
                assert packet.dts is not None
                now = max(now, float(packet.dts * packet.time_base))
                packet.stream = copy
                yield now, packet

    def _unwrapped(self, copies: dict[int, Stream]) -> dict[int, str]:
        """The codecs of those streams among `copies` whose samples become PCM."""
        plain = {track.index: track.codec for track in self.plan if track.way == "unwrap"}
        # Converted text comes from another file, with indexes of its own.
        heard = (index for index, copy in copies.items() if copy.type == "audio")
        return {index: plain[index] for index in heard if index in plain}
