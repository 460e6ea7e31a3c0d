"""What the ffmpeg program finds in a film when it reads it: frames, colours, packets, words.

    for frame in frames_of(Path("film.mp4")):
        print(frame.seconds, frame.pixel_format, frame.matrix)

Here PyAV has no say, and so none of its builds of FFmpeg's libraries: this is the second opinion.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

_AS_THEY_COME = ("-fps_mode", "passthrough", "-enc_time_base:v", "demux")
NULL, RAW = (*_AS_THEY_COME, "-f", "null", "-"), (*_AS_THEY_COME, "-f", "rawvideo", "-")
"""Every frame at its own time, into nothing and as its bare samples."""


@dataclass(frozen=True)
class Shown:
    """A frame as ffmpeg's filter `showinfo` sees it."""

    seconds: Fraction
    """When it is shown, by the file's own clock."""

    pixel_format: str
    size: str
    sums: tuple[str, ...]
    """Of each plane's samples; Adler-32, so equal planes have equal sums."""

    means: tuple[int, ...]
    """Of each plane's samples, in codes."""

    range: str
    matrix: str
    primaries: str
    transfer: str

    @property
    def tags(self) -> tuple[str, str, str, str]:
        return self.range, self.matrix, self.primaries, self.transfer


_BASE = re.compile(r"config in time_base: (\d+)/(\d+)")
_FRAME = re.compile(
    r"n: *\d+ pts: *(?P<pts>-?\d+) .* fmt:(?P<format>\S+) .* s:(?P<size>\d+x\d+) .*"
    r"plane_checksum:\[(?P<sums>[^]]*)\] mean:\[(?P<means>[^]]*)\]"
)
_TAGS = re.compile(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")


def frames_of(film: Path, *filters: str) -> Iterator[Shown]:
    """Every frame of the first picture's track, in the order they are shown, after `filters`."""
    chain = ",".join((*filters, "showinfo"))
    words = ["-copyts", "-i", str(film), "-map", "0:v:0", "-vf", chain, *NULL]
    base, found = Fraction(1), None
    for line in _said(words):
        if "showinfo" not in line:
            continue
        if match := _BASE.search(line):
            base = Fraction(int(match[1]), int(match[2]))
        elif match := _FRAME.search(line):
            found = match
        elif found is not None and (tags := _TAGS.search(line)):
            yield Shown(
                int(found["pts"]) * base,
                found["format"],
                found["size"],
                tuple(found["sums"].split()),
                tuple(int(mean) for mean in found["means"].split()),
                *tags.groups(),
            )
            found = None


def luma_of(film: Path, width: int, height: int, bits: int) -> NDArray[np.float32]:
    """(frames, height, width) of a planar film's luma, codes of `bits` bits."""
    words = ["-i", str(film), "-map", "0:v:0", "-vf", "extractplanes=y"]
    data = _given([*words, *RAW])
    codes = np.frombuffer(data, np.uint8 if bits == 8 else np.uint16)
    return codes.reshape(-1, height, width).astype(np.float32)


def rgb_of(film: Path, width: int, height: int) -> NDArray[np.float64]:
    """(frames, height, width, 3), 0 to 1, by the tags ffmpeg finds."""
    words = ["-i", str(film), "-map", "0:v:0", "-pix_fmt", "rgb48le"]
    words += ["-sws_flags", "accurate_rnd+full_chroma_int"]
    samples = np.frombuffer(_given([*words, *RAW]), np.uint16)
    return samples.reshape(-1, height, width, 3) / 65535


@dataclass(frozen=True)
class Packet:
    """One packet as it lies in the file."""

    seconds: Fraction
    digest: str


def packets_of(film: Path, track: str, *, bare_aac: bool = False) -> list[Packet]:
    """The packets of a track in ffmpeg's words, such as `a:0`; nothing is decoded.

    `bare_aac` takes off the headers that a transport stream puts around each packet of AAC.
    """
    words = ["-copyts", "-i", str(film), "-map", f"0:{track}", "-c", "copy"]
    words += ["-bsf", "aac_adtstoasc"] if bare_aac else []
    text = _given([*words, "-f", "framehash", "-hash", "md5", "-"]).decode()
    base, packets = Fraction(1), []
    for line in text.splitlines():
        if line.startswith("#tb"):
            base = Fraction(line.split()[-1])
        elif not line.startswith("#"):
            cells = [cell.strip() for cell in line.split(",")]
            packets.append(Packet(int(cells[2]) * base, cells[5]))
    return packets


def beeps_of(film: Path, track: str) -> list[Fraction]:
    """When each sound begins that comes after half a second of near silence, to a microsecond."""
    heard = "silencedetect=noise=0.1:duration=0.5"
    words = ["-copyts", "-i", str(film), "-map", f"0:{track}", "-af", heard, "-f", "null", "-"]
    ends = (re.search(r"silence_end: (\S+)", line) for line in _said(words))
    found = [Fraction(match[1]) for match in ends if match]
    # The last silence ends with the film.
    return found[:-1]


def chapters_of(film: Path) -> list[tuple[Fraction, Fraction, str]]:
    """Start and end in seconds, and title."""
    text = _given(["-i", str(film), "-f", "ffmetadata", "-"]).decode()
    chapters = []
    for part in text.split("[CHAPTER]")[1:]:
        lines = part.partition("\n[")[0].splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        base = Fraction(values["TIMEBASE"])
        start, end = (int(values[side]) * base for side in ("START", "END"))
        chapters.append((start, end, values.get("title", "")))
    return chapters


def words_while_playing(film: Path) -> str:
    """What ffmpeg has to say, warnings too, when it decodes everything in a film."""
    words = ["-v", "warning", "-xerror", "-i", str(film), "-map", "0:v", "-map", "0:a?", *NULL]
    done = subprocess.run(_command(words), capture_output=True, text=True, errors="replace")
    said = re.sub(r" @ 0x[0-9a-f]+", "", done.stderr).strip().splitlines()
    if done.returncode and not said:
        said = [f"exit code {done.returncode}"]
    return " ".join(said[:2])


def _command(words: list[str]) -> list[str]:
    # Its account of how far it is would run into the lines that are read here.
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-nostats", *words]


def _given(words: list[str]) -> bytes:
    command = _command(["-v", "error", *words])
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def _said(words: list[str]) -> Iterator[str]:
    """Lines of ffmpeg's own report. Raises CalledProcessError where it fails."""
    command = _command(words)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as child:
        assert child.stderr is not None
        yield from child.stderr
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
