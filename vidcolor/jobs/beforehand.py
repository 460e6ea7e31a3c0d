"""What could fail at the end of a night, tried before it begins: places, names, room.

    try_temporary_folder()
    refuse_target(output)                      # before the job's folder is made
    try_final_name(folder, output)             # in the folder, which is held
    warning = check_room(info, layout, choice, job, done, output)

The encoder is tried by media.write, the container by media.join.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from vidcolor.errors import OutputError, VidcolorError
from vidcolor.files import size_words
from vidcolor.frames import Frame, Picture, PictureFormat, Plane, Segment, VideoInfo
from vidcolor.jobs.durable import PART, writing
from vidcolor.jobs.folder import Finished, Job, JobFolder, folder_path
from vidcolor.media.choice import EncoderChoice
from vidcolor.media.read import read_frames
from vidcolor.media.tracks import bytes_beside
from vidcolor.media.write import SegmentWriter

TEMPORARY_BYTES = 1 << 20
"""More than the trials of an encoder and of a container write for most films."""

NAME_BYTES, PATH_BYTES = 255, 4096
"""The longest names nearly all systems take, where this one doesn't say."""

AMPLE_BITS = 2
"""For each sample of luma: several times what any lossy codec takes at good quality."""

LOSSLESS = ("ffv1", "prores_ks")
"""Codecs that may take as much as the bare samples."""

TRIED_FRAMES, TRIED_PLACES = 8, (1 / 2, 1 / 6, 5 / 6)
"""How many frames are encoded, where room is scarce, to know how much is needed; at each of these
places in what is still to be made."""

COLOUR = 1.3
"""How much larger than in a trial, which is gray, frames become by their colour: 1.1 to 1.8 times
over eight clips, half of them under 1.25."""

PACKET_BYTES = 12
"""About what a container adds to a packet."""

IMPOSSIBLE = 0.5
"""With less than this part of what is needed no estimate is so wrong that it could do."""


# Places


def try_temporary_folder() -> None:
    """Raise OutputError where no temporary file can be written."""
    try:
        with tempfile.TemporaryFile(prefix="vidcolor-") as file:
            file.write(bytes(TEMPORARY_BYTES))
            file.flush()
    except OSError as error:
        where = tempfile.tempdir or os.environ.get("TMPDIR") or "of the system"
        raise OutputError(
            f"the folder for temporary files, {where}, can't be written to "
            f"({error.strerror or error}); make room there, or name another folder in TMPDIR."
        ) from error


def refuse_target(output: Path) -> None:
    """Raise OutputError for an output that couldn't be put in place at the end: its name is too
    long, it is a link, or protected."""
    _refuse_long(output)
    refuse_link(output)
    if output.exists() and not output.stat().st_mode & _WRITABLE:
        raise OutputError(
            f"{output} is protected against writing; choose another name with -o, or make it "
            "writable first."
        )


def refuse_link(output: Path) -> None:
    """Raise OutputError where an output is a link: neither it nor what it leads to is replaced."""
    if output.is_symlink():
        raise OutputError(
            f"{output} is a link to {output.readlink()}, and neither is replaced; give that name "
            "itself with -o, or delete the link."
        )


_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def _refuse_long(output: Path) -> None:
    longest = max(len(os.fsencode(output.name + more)) for more in (PART, ".job"))
    most = _limit(output.parent, "PC_NAME_MAX", NAME_BYTES)
    if longest > most:
        raise OutputError(
            f"the name {output.name} is too long: with what is added while the film is made it "
            f"has {longest} bytes, and {most} are possible there; give a shorter one with -o."
        )
    deepest = folder_path(output.absolute()) / "segments" / f"00000{PART}.mkv"
    most = _limit(output.parent, "PC_PATH_MAX", PATH_BYTES)
    if len(os.fsencode(deepest)) >= most:
        raise OutputError(
            f"the folder of {output} lies too deep: with the job's folder its names have "
            f"{len(os.fsencode(deepest))} bytes, and fewer than {most} are possible; choose "
            "another place with -o."
        )


def _limit(folder: Path, name: str, usual: int) -> int:
    """What the system says of names in `folder`."""
    try:
        return os.pathconf(folder, name)
    except (OSError, ValueError, AttributeError):
        return usual


def try_final_name(folder: JobFolder, output: Path) -> None:
    """Give an empty file in the job's folder a name beside the output, as the finished film will
    get its own, and delete it. Raises OutputError."""
    here, there = folder.joined(output), output.with_name(output.name + PART)
    with writing(output):
        if _is_strangers(there):
            return
        here.touch()
        try:
            here.replace(there)
        finally:
            here.unlink(missing_ok=True)
            there.unlink(missing_ok=True)
        _refuse_sticky(output)


def _is_strangers(path: Path) -> bool:
    """Whether something lies there that isn't the empty file a killed trial left."""
    with suppress(FileNotFoundError):
        status = path.lstat()
        return not stat.S_ISREG(status.st_mode) or status.st_size > 0
    return False


def _refuse_sticky(output: Path) -> None:
    """Raise PermissionError where another's file may not be replaced, as in /tmp."""
    geteuid = getattr(os, "geteuid", None)
    if geteuid is None or geteuid() == 0 or not output.exists():
        return
    folder = output.parent.stat()
    if folder.st_mode & stat.S_ISVTX and geteuid() not in (folder.st_uid, output.stat().st_uid):
        raise PermissionError(1, "the file is another user's", str(output))


# Room


@dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes needed where a film is made."""

    segments: int
    """Those still to be made."""

    film: int

    @property
    def bytes(self) -> int:
        """At the worst moment: segments and joined film are there at once."""
        return self.segments + self.film


def check_room(
    info: VideoInfo,
    layout: PictureFormat,
    choice: EncoderChoice,
    job: Job,
    done: Mapping[int, Finished],
    output: Path,
) -> str | None:
    """A sentence where the disk may be too small for what is still to be made; None where it isn't.

    `done` are the finished segments, by index. Raises OutputError where the disk is too small for
    sure. Only where room is scarce is it found out what is needed, from a few frames encoded.
    """
    free = shutil.disk_usage(folder_path(output)).free
    todo = [segment for segment in job.segments if segment.index not in done]
    frames = sum(job.frames) - sum(job.frames[index] for index in done)
    made = sum(part.path.stat().st_size for part in done.values() if part.frames)
    beside = bytes_beside(info, float(sum(job.frames) / info.rate))
    ample = _most_bytes(layout, choice) * frames
    if 2 * ample + made + beside <= free:
        return None
    packets = _tried_packets(info, layout, choice, todo)
    if packets is None and todo:
        return None
    first, other = packets or (0.0, 0.0)
    coming = COLOUR * (first * len(todo) + other * max(frames - len(todo), 0))
    coming += frames * PACKET_BYTES
    room = Room(segments=round(coming), film=round(made + coming + beside))
    if room.bytes <= free:
        return None
    said = (
        f"about {size_words(room.bytes)} are needed in {output.parent.absolute()}, for the "
        f"segments and the joined film are there at once, and {size_words(free)} are free; make "
        "room, or choose another place with -o"
    )
    if free < IMPOSSIBLE * room.bytes:
        raise OutputError(f"the disk is too small for {output}: {said}.")
    return f"the disk may be too small for {output}: {said}."


def _most_bytes(layout: PictureFormat, choice: EncoderChoice) -> int:
    """Bytes of a frame that are never exceeded but by noise."""
    luma, chroma = (
        layout.width * layout.height,
        2 * layout.chroma_width * layout.chroma_height,
    )
    if choice.codec in LOSSLESS or choice.crf is None or choice.crf < 10:
        return (luma + chroma) * (1 if layout.bit_depth == 8 else 2)
    return luma * AMPLE_BITS // 8 + 4096


def _tried_packets(
    info: VideoInfo, layout: PictureFormat, choice: EncoderChoice, todo: Sequence[Segment]
) -> tuple[float, float] | None:
    """Mean bytes of a segment's first packet, and of another; None where it can't be found out."""
    places = {int(len(todo) * place) for place in TRIED_PLACES} if info.seekable else {0}
    sizes: list[list[int]] = []
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        for segment in [todo[place] for place in sorted(places) if place < len(todo)]:
            try:
                sizes.append(_packet_sizes(Path(folder) / "try.mkv", info, layout, choice, segment))
            except VidcolorError:
                continue  # whatever it is, the run itself will tell
    sizes = [each for each in sizes if each]
    if not sizes:
        return None
    firsts = [each[0] for each in sizes]
    others = [size for each in sizes for size in each[1:]] or firsts
    return sum(firsts) / len(firsts), sum(others) / len(others)


def _packet_sizes(
    path: Path, info: VideoInfo, layout: PictureFormat, choice: EncoderChoice, segment: Segment
) -> list[int]:
    """Bytes of a segment's first packets, in gray."""
    start = segment.start if info.seekable else info.start_pts
    with (
        closing(_frames(info, start, segment.end)) as frames,
        SegmentWriter(path, info, layout, choice) as writer,
    ):
        for frame in islice(frames, TRIED_FRAMES):
            writer.write(_gray(frame, layout))
    return writer.sizes


def _frames(info: VideoInfo, start: int, end: int) -> Generator[Frame]:
    yield from read_frames(info, start, end)


def _gray(frame: Frame, layout: PictureFormat) -> Picture:
    shape = layout.chroma_height, layout.chroma_width
    plane: Plane = np.full(shape, 1 << (layout.bit_depth - 1), frame.luma.dtype)
    return Picture(frame.pts, frame.duration, frame.luma, plane, plane)
