"""What the tests of jobs and of the command line share.

frames = decoded(tmp_path / "film.color.mkv")
frames[0]  # (pts, sha256 of the planes)
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import av

from vidcolor.jobs.folder import folder_path

ROOT = Path(__file__).parent.parent.parent

SEGMENT_FRAMES = 12
"""Frames in half a second of tests.clips' default 24 fps."""

FAST = ("--model", "standin", "--segment-seconds", "0.5", "--codec", "ffv1", "--threads", "1")
"""A run of milliseconds a frame whose segments have SEGMENT_FRAMES frames."""


def decoded(path: Path) -> list[tuple[int | None, str]]:
    """Pts and sha256 of all planes of every frame, as another program would see them."""
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            digest = hashlib.sha256()
            for plane in frame.planes:
                rows = bytes(plane)
                lines = (rows[i : i + plane.width] for i in range(0, len(rows), plane.line_size))
                digest.update(b"".join(lines))
            frames.append((frame.pts, digest.hexdigest()))
    return frames


def segment_stamps(output: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every finished segment in the output's job folder."""
    segments = folder_path(output) / "segments"
    finished = (path for path in segments.glob("*.mkv") if path.with_suffix(".json").exists())
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in finished}


def process(moment: str, *arguments: object) -> subprocess.Popen[str]:
    """Start the command line in a process that dies or dawdles as the driver's `moment` says.

    It leads a group of its own, as a terminal's command does.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.driver", moment, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
