"""Tracks of a broadcast that begin later than FFmpeg looks when it opens a file.

    found = first_packets(source, list(source.streams))      # by index
    with fully_known(path, [1, 2]) as source:
        out.add_stream_from_template(source.streams[2])

A table in the stream names such a track and its codec; of a sound's rate and channels FFmpeg knows
nothing until it has read a packet, and no container takes it like that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container.input import InputContainer
from av.packet import Packet
from av.stream import Stream

from vidcolor.media.clock import BROADCAST
from vidcolor.media.probe import open_source

_LOOKED_AT = 2000
"""Packets to look through for each track's first one."""

_LAST_SECONDS = 30
"""What begins in the middle of a broadcast is looked for this far from its end."""


def first_packets(source: InputContainer, wanted: list[Stream]) -> dict[int, Packet[Stream]]:
    """Of each track its first packet, by the track's index; none for those found nowhere near the
    film's beginning, nor, in a broadcast, near its end."""
    found = _found(source, wanted) if wanted else {}
    missing = [stream for stream in wanted if stream.index not in found]
    if missing and source.format.name in BROADCAST and source.duration:
        with suppress(av.FFmpegError):
            end = (source.start_time or 0) + source.duration
            source.seek(max(source.start_time or 0, end - _LAST_SECONDS * av.time_base))
            found |= _found(source, missing)
    return found


@contextmanager
def fully_known(path: Path, indexes: Collection[int]) -> Iterator[InputContainer]:
    """A source, read as far as it takes to know the tracks `indexes`: for their headers, not for
    their packets. Raises SourceError when it can't be opened."""
    with open_source(path) as container:
        streams = [stream for stream in container.streams if stream.index in indexes]
        if any(map(_is_unknown, streams)):
            first_packets(container, streams)
        yield container


def _found(source: InputContainer, wanted: list[Stream]) -> dict[int, Packet[Stream]]:
    # What FFmpeg learns of a sound from a packet it passes on with the next.
    missing = {stream.index: 2 if _is_unknown(stream) else 1 for stream in wanted}
    found: dict[int, Packet[Stream]] = {}
    with suppress(av.FFmpegError):
        for count, packet in enumerate(source.demux(wanted)):
            index = packet.stream_index
            if packet.size and packet.dts is not None and missing.get(index):
                found.setdefault(index, packet)
                missing[index] -= 1
            if not any(missing.values()) or count > _LOOKED_AT:
                break
    return found


def _is_unknown(stream: Stream) -> bool:
    return isinstance(stream, AudioStream) and not stream.sample_rate
