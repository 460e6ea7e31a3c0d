"""Sound that a container doesn't take as it is, and needn't lose: the same samples as plain PCM.

    codec = plain_codec(stream, "matroska")        # "pcm_s24le"; None where there is no such way
    copy = add_plain(out, stream, codec, tags)
    for packet in plain_packets(container.demux(stream), {stream.index: codec}):
        packet.stream = copy
        out.mux(packet)

DVDs and Blu-ray discs keep their samples in packets with headers of their own, and QuickTime knows
PCM of many kinds; only what every decoder gives the same samples of goes this way: what is coded
without loss, and the ADPCM and DPCM of old players and games.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import Stream

from vidcolor.frames import VideoInfo
from vidcolor.media.muxers import MATROSKA_FAMILY, family_of
from vidcolor.media.probe import codec_name

_LOSSLESS = frozenset({"flac", "alac", "wavpack", "tta", "mlp"})
"""Codecs beside PCM's own whose decoders give back what went in."""

_DISCS = frozenset({"pcm_dvd", "pcm_bluray"})

_PLAIN = {
    "u8": ("pcm_u8", "pcm_s16le"),
    "s16": ("pcm_s16le",),
    "s32": ("pcm_s32le",),
    "s64": ("pcm_s64le",),
    "flt": ("pcm_f32le",),
    "dbl": ("pcm_f64le",),
}
"""What holds a decoder's samples, by their format, the nearest first."""

_SILENCE = {"pcm_u8": 0x80, "pcm_mulaw": 0xFF, "pcm_alaw": 0xD5}
"""The byte that is silence, where it isn't zero."""

_USUAL_LAYOUTS = dict(enumerate(("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1"), 1))
"""By the number of channels, as players and FFmpeg take them."""

_MOST_SILENCE_SECONDS = 6 * 60 * 60
"""In a track's gaps together: a wrong time may lie years ahead, and silence would fill any disk."""

_GAP_SECONDS = Fraction(1, 100)
"""Shorter gaps are jitter of the packets' times."""


class ChangedSoundError(Exception):
    """A sound changes its rate, its channels or its samples on the way, which PCM can't tell."""

    def __init__(self, index: int) -> None:
        self.index, self.why = index, "its rate or its channels change on the way"
        super().__init__(self.why)


def plain_codec(stream: Stream, muxer: str) -> str | None:
    """The PCM that `muxer` takes and that holds every sample of `stream`; None where none does."""
    name = codec_name(stream)
    exact = name.startswith(("pcm_", "adpcm_")) or name.endswith("_dpcm") or name in _LOSSLESS
    if not isinstance(stream, AudioStream) or not exact:
        return None
    if stream.codec_context.format is None:
        return None
    layout = stream.codec_context.format.packed.name
    # No disc has more than 24 bits, which come at the upper end of 32.
    short = layout == "s32" and (name in _DISCS or "24" in name)
    fitting = ("pcm_s24le",) if short else _PLAIN.get(layout, ())
    return next((codec for codec in fitting if _takes(muxer, stream, codec)), None)


def _takes(muxer: str, stream: AudioStream, codec: str) -> bool:
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            plain = add_plain(trial, stream, codec, {})
            trial.start_encoding()
            # Some only find out at the end what they can't write.
            second = Fraction(0), Fraction(1, 100)
            for packet in _silence(plain, _frame_bytes(plain), *second, Fraction(1, 1000)):
                trial.mux(packet)
    except (av.FFmpegError, OSError, ValueError):
        return False
    return True


def add_plain(
    out: OutputContainer, stream: Stream, codec: str, tags: dict[str, str]
) -> AudioStream:
    """A stream of `out` for the samples of `stream`, with `tags` and its disposition."""
    assert isinstance(stream, AudioStream)
    plain = out.add_stream(codec, rate=stream.codec_context.sample_rate)
    assert isinstance(plain, AudioStream)
    layout = stream.codec_context.layout
    # Matroska says how many channels there are and not which; MP4 must be told.
    usual = _USUAL_LAYOUTS.get(layout.nb_channels)
    if layout.name.endswith(" channels") and usual is not None:
        layout = AudioLayout(usual)
    plain.codec_context.layout = layout
    plain.metadata.update(tags)
    plain.disposition = stream.disposition
    return plain


def plain_packets(
    packets: Iterable[Packet[Stream]], codecs: dict[int, str], lost: dict[int, int] | None = None
) -> Iterator[Packet[Stream]]:
    """`packets`, where those of the streams in `codecs` give way to the same samples as PCM.

    Each keeps its own time, and where it has none, follows the one before it; it still belongs to
    the source's stream. `lost` is given a count, by stream, of the packets that can't be decoded.
    Raises ChangedSoundError.
    """
    makers: dict[int, _Maker] = {}
    for packet in packets:
        index = packet.stream_index
        if index not in codecs or not packet.size:
            yield packet
            continue
        if index not in makers:
            makers[index] = _Maker(packet.stream, codecs[index])
        try:
            yield from makers[index].turned(packet)
        except av.FFmpegError:
            if lost is not None:
                lost[index] = lost.get(index, 0) + 1


class _Maker:
    """Turns the packets of one stream."""

    def __init__(self, stream: Stream, codec: str) -> None:
        assert isinstance(stream, AudioStream)
        source = stream.codec_context
        self._stream = stream
        self._encoder = cast(AudioCodecContext, AudioCodecContext.create(codec, "w"))
        self._encoder.sample_rate = source.sample_rate
        self._encoder.layout = source.layout
        self._encoder.format = (self._encoder.codec.audio_formats or [source.format])[0]
        self._encoder.time_base = Fraction(1, source.sample_rate)
        self._next: Fraction | None = None

    def turned(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        base = packet.time_base
        ticks = packet.pts if packet.pts is not None else packet.dts
        time = self._next if ticks is None else ticks * base
        for frame in packet.decode():
            assert isinstance(frame, AudioFrame)
            seconds = Fraction(frame.samples, frame.sample_rate)
            try:
                plain = self._encoder.encode(frame)
            except ValueError as error:
                raise ChangedSoundError(self._stream.index) from error
            for part in plain:
                part.stream, part.time_base = self._stream, base
                part.pts = part.dts = None if time is None else round(time / base)
                part.duration = round(seconds / base)
                yield part
            time = self._next = None if time is None else time + seconds


def without_gaps(
    timed: Iterable[tuple[float, Packet[Any]]], filled: dict[int, Fraction]
) -> Iterator[tuple[float, Packet[Any]]]:
    """Packets on their way into MP4, with silence where PCM leaves off for a while.

    MP4 keeps no times of PCM but the first: without this, all sound after a gap would come too
    early. `filled` is given the seconds of silence by the stream's index in the output.
    """
    ends: dict[int, Fraction] = {}
    for now, packet in timed:
        stream = packet.stream
        size = _frame_bytes(stream)
        if size and packet.pts is not None:
            time = packet.pts * packet.time_base
            end = ends.get(stream.index, time)
            silence = filled.get(stream.index, Fraction(0)) + time - end
            if time - end > _GAP_SECONDS and silence <= _MOST_SILENCE_SECONDS:
                filled[stream.index] = silence
                for part in _silence(stream, size, end, time, packet.time_base):
                    yield now, part
                end = time
            ends[stream.index] = end + Fraction(packet.size // size, stream.codec_context.rate)
        yield now, packet


def _frame_bytes(stream: Stream) -> int:
    """Bytes of one sample of all channels; 0 for what isn't PCM."""
    if not isinstance(stream, AudioStream):
        return 0
    kind = re.fullmatch(r"pcm_(?:[suf](\d+)(?:le|be)?|mulaw|alaw)", codec_name(stream))
    return int(kind[1] or 8) // 8 * stream.codec_context.layout.nb_channels if kind else 0


def _silence(
    stream: AudioStream, size: int, start: Fraction, stop: Fraction, base: Fraction
) -> Iterator[Packet[Any]]:
    """Packets of silence, none longer than a second, `size` bytes a sample."""
    rate = stream.codec_context.rate
    left = round((stop - start) * rate)
    byte = bytes([_SILENCE.get(codec_name(stream), 0)])
    while left > 0:
        count = min(left, rate)
        packet = Packet(byte * (count * size))
        packet.stream, packet.time_base = stream, base
        packet.pts = packet.dts = round((stop - Fraction(left, rate)) / base)
        packet.duration = round(Fraction(count, rate) / base)
        packet.is_keyframe = True
        yield packet
        left -= count


def lost_layouts(tracks: Iterable[Stream], muxer: str) -> Iterator[str]:
    """A sentence for each PCM among the `tracks` whose channels players will take for others."""
    if muxer not in MATROSKA_FAMILY:
        return
    for stream in tracks:
        if not isinstance(stream, AudioStream) or not codec_name(stream).startswith("pcm_"):
            continue
        layout = stream.codec_context.layout
        usual = _USUAL_LAYOUTS.get(layout.nb_channels)
        if usual is not None and not layout.name.endswith(" channels"):
            # At the side or behind is the same loudspeaker in most rooms.
            told, taken = (_loudspeakers(each) for each in (layout, AudioLayout(usual)))
            if told != taken:
                yield (
                    f"{family_of(muxer)} can't say which channel of audio track {stream.index} is "
                    f"which: players will take {layout.name} for {usual}."
                )


def _loudspeakers(layout: AudioLayout) -> list[str]:
    return [channel.name.replace("S", "B") for channel in layout.channels]


def changed_sound(
    info: VideoInfo, undecoded: dict[int, int], silence: dict[int, Fraction]
) -> Iterator[str]:
    """A sentence for each sound that isn't the source's to the last sample, by its index there:
    the number of its packets that were left out, and seconds of silence in its gaps."""
    codecs = {stream.index: stream.codec for stream in info.streams}
    kinds = {stream.index: stream.kind for stream in info.streams}
    for index, count in sorted(undecoded.items()):
        which = f"{count} packets are" if count > 1 else "a packet is"
        yield (
            f"{kinds[index]} track {index} ({codecs[index]}): {which} damaged or of another codec, "
            "and left out."
        )
    for index, seconds in sorted(silence.items()):
        yield (
            f"audio track {index} ({codecs[index]}) has gaps, which this container can't hold for "
            f"PCM; {float(seconds):.3g} s of silence fill them."
        )
