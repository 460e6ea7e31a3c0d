"""The machine and the libraries that figures were measured with, in a few lines.

    print("\\n".join(machine_lines()))

Two programs that both say "libx264" may carry different ones; each one's own name stands in what it
encodes, so that is where it is read.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import av
import imageio_ffmpeg
from av.video.stream import VideoStream

X264_WORDS = re.compile(rb"x264 - core (\d+)(?: (r\d+)\S*)?")


def machine_lines() -> Iterator[str]:
    """Markdown lines: the machine, then what the two programs are made of."""
    yield f"{cpu_name()}, {cores()} cores, {memory_words()}; {platform.system()}."
    yield ""
    yield (
        f"vidcolor: Python {platform.python_version()}, torch {version('torch')}, PyAV "
        f"{version('av')} with FFmpeg {av.ffmpeg_version_info}, {x264_of_pyav()}, OpenCV "
        f"{version('opencv-python')}."
    )
    yield ""
    yield (
        f"ffmpeg: the program of imageio-ffmpeg {version('imageio-ffmpeg')}, "
        f"{ffmpeg_version()}, {x264_of_ffmpeg()}."
    )


def cpu_name() -> str:
    """The processor's own name for itself."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)$", text, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in known]
    name = found[1].strip() if found else platform.machine()
    return f"{name} ({', '.join(wide)})" if wide else name


def cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def memory_words() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return "memory of unknown size"
    return f"{size / 2**30:.0f} GiB"


def ffmpeg_version() -> str:
    done = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-version"], capture_output=True, text=True, check=True
    )
    words = done.stdout.split()
    return f"FFmpeg {words[2]}"


def x264_of_ffmpeg() -> str:
    """What the ffmpeg program's x264 calls itself in a film it makes."""
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "one.mkv"
        words = ["-v", "error", "-f", "lavfi", "-i", "color=gray:64x64:r=1:d=1", "-c:v", "libx264"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), *words, "-y", str(film)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return x264_words(film.read_bytes())


def x264_of_pyav() -> str:
    """The same of the x264 that PyAV brings."""
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "one.mkv"
        with av.open(str(film), "w") as out:
            video = out.add_stream("libx264", rate=1)
            assert isinstance(video, VideoStream)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts, frame.time_base = 0, Fraction(1)
            out.mux(video.encode(frame))
            out.mux(video.encode(None))
        return x264_words(film.read_bytes())


def x264_words(film: bytes) -> str:
    """`x264 core 165 r3222`, from the line x264 writes into its first packet."""
    found = X264_WORDS.search(film)
    if found is None:
        return "x264 of unknown version"
    return " ".join(part.decode() for part in (b"x264 core", found[1], found[2]) if part)
