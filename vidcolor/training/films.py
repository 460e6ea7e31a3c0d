"""Frames of a colour film as pictures: one every few seconds, each unlike those before it.

    source = film_frames(Path("film.mkv"))
    source.key(0)                       # "film.mkv@48048", its pts

A film is read once, from its beginning to its end, and the frames taken are kept as a tar of JPEGs
in the cache: finding one again in the film would cost every sample a seek, and the decoding of up
to some hundred frames. The tar's name holds what it was made of, so that it is found again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tarfile
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.display import display_rgb
from vidcolor.errors import SourceError, TrainingError
from vidcolor.facts import Box, facts_of
from vidcolor.frames import Frame, Plane, VideoInfo
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.sample import sample_pairs
from vidcolor.models.catalogue import cache_folder
from vidcolor.resample import Size, shrink
from vidcolor.shots import thumbnail_difference
from vidcolor.training.pictures import Tar

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
"""Between the frames that are looked at."""

SHORT_SIDE = 360
"""Of the frames kept, samples at most: crops of networks' inputs come from 60 to 100 % of it."""

QUALITY = 95
"""Of their JPEG files, with chroma at full size; about 80 KB a frame."""

THUMBNAIL = (32, 18)
"""(width, height) of the luma by which frames are told apart."""
ALIKE = 4.0
"""Mean difference of two thumbnails, in 8-bit levels, under which a frame shows nothing new."""
REMEMBERED = 32
"""Frames last taken that a new one is compared with: dialogue goes back and forth."""

_WAY = 1
"""Counts the ways frames have been taken; another one doesn't find the tars of the last."""


class FilmFrames(Tar):
    """Frames taken from a film, named by their pts; those of a minute stay together in a split."""

    def __init__(self, frames: Path, name: str) -> None:
        """frames: a tar as `film_frames` makes it. name: the film's."""
        super().__init__(frames)
        self.name = name

    def key(self, index: int) -> str:
        return f"{self.name}@{int(Path(self.member(index)).stem)}"

    def group(self, index: int) -> str:
        return f"{self.name}, minute {int(Path(self.member(index)).parent.name)}"


def film_frames(path: Path, *, every_seconds: float = EVERY_SECONDS) -> FilmFrames:
    """A film's frames as a source; the first call for a film takes as long as decoding it.

    The frame at or after every multiple of `every_seconds` is taken where its luma differs from
    that of the last REMEMBERED taken. Bars are cut off, samples made square, interlaced films made
    whole pictures. Raises TrainingError where it is no film, has no frame that can be decoded, or
    the cache can't be written.
    """
    try:
        frames = _cached(path, every_seconds)
        if not frames.exists():
            log.info("taking frames from %s, once; it is decoded from beginning to end", path)
            _write(path, every_seconds, frames)
    except SourceError as error:
        raise TrainingError(str(error)) from error
    except OSError as error:
        raise TrainingError(
            f"the frames of {path} can't be kept in {cache_folder()} ({error.strerror or error}); "
            "free some space there, or name another folder in VIDCOLOR_CACHE."
        ) from error
    return FilmFrames(frames, path.name)


def _cached(path: Path, every_seconds: float) -> Path:
    """Where the frames of a film, as it is now, are kept. Raises OSError."""
    status = path.stat()
    made_of = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {every_seconds} {_WAY}"
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    return cache_folder() / "frames" / f"{path.stem}-{digest}.tar"


def _write(path: Path, every_seconds: float, target: Path) -> None:
    """Write the tar under a temporary name, then give it its own. Raises OSError, SourceError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with tarfile.open(temporary, "w") as tar:
            info = probe(path)
            for name, data in _encoded(info, every_seconds):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, BytesIO(data))
        temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _encoded(info: VideoInfo, every_seconds: float) -> Iterator[tuple[str, bytes]]:
    """Names and JPEG files of the frames taken: `minute/pts.jpg`. Raises SourceError."""
    facts = facts_of(sample_pairs(info), info)
    size = _size(facts.box, info)
    step = max(Fraction(1), Fraction(every_seconds) / info.time_base)
    due = Fraction(info.start_pts)
    seen: deque[NDArray[np.uint8]] = deque(maxlen=REMEMBERED)
    for frame in read_frames(info, fields=facts.fields):
        if frame.pts < due or frame.damaged:
            continue
        due += step * ((frame.pts - due) // step + 1)
        luma = (shrink(frame.luma, THUMBNAIL) >> (info.bit_depth - 8)).astype(np.uint8)
        if any(thumbnail_difference(luma, other) < ALIKE for other in seen):
            continue
        seen.append(luma)
        minute = int((frame.pts - info.start_pts) * info.time_base / 60)
        yield f"{minute:05d}/{frame.pts:020d}.jpg", _jpeg(_rgb(frame, info, facts.box, size))


def _size(box: Box, info: VideoInfo) -> Size:
    """(width, height) at which the inside of the bars is kept, upright."""
    width = float((box.right - box.left) * info.sample_aspect)
    height = float(box.bottom - box.top)
    scale = min(1.0, SHORT_SIDE / min(width, height))
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    return (high, wide) if info.rotation in (90, 270) else (wide, high)


def _rgb(frame: Frame, info: VideoInfo, box: Box, size: Size) -> NDArray[np.uint8]:
    def inside(plane: Plane) -> Plane:
        down, across = plane.shape[0] / info.height, plane.shape[1] / info.width
        rows = slice(round(box.top * down), max(1, round(box.bottom * down)))
        columns = slice(round(box.left * across), max(1, round(box.right * across)))
        return plane[rows, columns]

    chroma = frame.chroma and (inside(frame.chroma[0]), inside(frame.chroma[1]))
    return display_rgb(inside(frame.luma), chroma, info, size=size)


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    full_chroma = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    how = (cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full_chroma)
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), how)
    assert done
    return data.tobytes()
