"""What the media tests share: films from elsewhere, segments, and looking into files."""

from __future__ import annotations

import hashlib
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcolor.frames import BEGINNING, END, Frame, Picture, PictureFormat, Plane, VideoInfo
from vidcolor.media.choice import EncoderChoice, choose_encoder, picture_format
from vidcolor.media.ffmpeg import find_ffmpeg
from vidcolor.media.join import SegmentFile
from vidcolor.media.read import read_frames
from vidcolor.media.write import SegmentWriter
from vidcolor.settings import Settings

FAST = Settings(encoder_preset="veryfast", threads=2)
SHARED = Path(__file__).parents[2].parent / "shared" / "clips"


def shared_clip(name: str) -> Path:
    """A real clip, where this checkout has them beside it; skips the test where it doesn't."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the sample clip {name} is not beside this checkout")
    return path


def fingerprint(frame: Frame) -> tuple[int, int, bytes, bytes]:
    """A frame's time, length and every sample."""
    chroma = b"".join(plane.tobytes() for plane in frame.chroma or ())
    return frame.pts, frame.duration, frame.luma.tobytes(), chroma


def tinted(frame: Frame, layout: PictureFormat) -> Picture:
    """The frame with one flat colour."""
    step = 1 << (layout.bit_depth - 8)

    def flat(code: int) -> Plane:
        kind = frame.luma.dtype
        return np.full((layout.chroma_height, layout.chroma_width), code * step, kind)

    return Picture(frame.pts, frame.duration, frame.luma, flat(100), flat(150))


def write_segment(
    path: Path, info: VideoInfo, frames: list[Frame], settings: Settings = FAST
) -> SegmentFile:
    choice = choose_encoder(info, settings)
    layout = picture_format(info, choice)
    with SegmentWriter(path, info, layout, choice) as writer:
        for frame in frames:
            writer.write(tinted(frame, layout))
        record = writer.close()
    return SegmentFile(path, record.pts, record.durations, record.extradata_sha256)


def write_segments(
    info: VideoInfo,
    folder: Path,
    *,
    length: int = 20,
    start: int = BEGINNING,
    end: int = END,
    settings: Settings = FAST,
) -> list[SegmentFile]:
    """The film's frames in segments of `length`."""
    frames = list(read_frames(info, start, end))
    return [
        write_segment(folder / f"{first:05d}.mkv", info, frames[first : first + length], settings)
        for first in range(0, len(frames), length)
    ]


def choice_for(info: VideoInfo, settings: Settings = FAST) -> EncoderChoice:
    return choose_encoder(info, settings)


def picture_hashes(path: Path) -> list[str]:
    """Every decoded frame's luma, as ffmpeg's own program sees it."""
    command = [str(find_ffmpeg()), "-v", "error", "-noautorotate", "-i", str(path), "-map", "0:v:0"]
    command += ["-fps_mode", "passthrough", "-f", "framehash", "-hash", "md5", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split(",")[-1].strip() for line in said.splitlines() if line[:1] != "#"]


def packets_of(path: Path, kind: str) -> list[list[tuple[str, Fraction]]]:
    """For each track of a kind, each packet's payload hash and time in seconds."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        found: dict[int, list[tuple[str, Fraction]]] = {stream.index: [] for stream in streams}
        for packet in container.demux(streams) if streams else ():
            if packet.size and packet.pts is not None:
                digest = hashlib.md5(bytes(packet)).hexdigest()
                found[packet.stream_index].append((digest, packet.pts * packet.time_base))
    return list(found.values())


def times_of(path: Path) -> list[Fraction]:
    """Display times of the film's packets, exact seconds, sorted."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        return sorted(p.pts * p.time_base for p in packets if p.pts is not None)


def chapters_of(path: Path) -> list[tuple[float, float, str]]:
    """Chapters as (start, end, title), times in seconds."""
    with av.open(str(path)) as container:
        return [
            (
                float(chapter["start"] * (chapter["time_base"] or 1)),
                float(chapter["end"] * (chapter["time_base"] or 1)),
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]


def texts_of(path: Path) -> list[tuple[float, str]]:
    """Lines of the first subtitle track with their times; MP4's empty fillers left out."""
    with av.open(str(path)) as container:
        lines = []
        for packet in container.demux(subtitles=0):
            text = bytes(packet)
            if container.streams.subtitles[0].codec_context.name == "mov_text":
                text = text[2:]
            if text and packet.pts is not None:
                lines.append((float(packet.pts * packet.time_base), text.decode()))
        return lines
