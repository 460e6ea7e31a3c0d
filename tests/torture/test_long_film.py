"""A film of two hours, killed ten times: it ends as if it hadn't been, and memory doesn't grow.

The short version is a film of half a minute, killed three times. Neither is smoothed: that costs
most at this size, and what is kept of a film as a whole is the same.
"""

# ruff: noqa: T201 - counts are for whoever runs the long suite

from __future__ import annotations

import hashlib
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.torture.jobs import Place, Run
from vidcolor.media.probe import probe

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="runs are forked, and watched in /proc"
)

RATE, WIDTH, HEIGHT = 24, 32, 18

SHOT_FRAMES = 96

UNSMOOTHED = ("--smoothing", "off", "--anchor-every", "6")

GROWTH_KIB_PER_HOUR = 12 << 10
"""What a run's memory may grow by for each hour of film: the times of its 86,400 frames and their
lengths are kept, in the plan, in the markers and for the join, and nothing else is."""

HOUR_SECONDS = 3600
"""Patience with what takes minutes."""

SLACK_KIB = 16 << 10
"""What the memory of any program may go up and down."""


def make_film(path: Path, seconds: int) -> Path:
    """A gray film with sound: soft waves that drift, other ones in each shot of four seconds."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    with av.open(path, "w") as out:
        picture: Any = out.add_stream("libx264", rate=RATE, options=_CHEAP)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.codec_context.gop_size = 48
        picture.codec_context.thread_count = 1
        sound: Any = out.add_stream("pcm_s16le", rate=8000)
        sound.layout = "mono"
        for second in range(seconds):
            for index in range(second * RATE, (second + 1) * RATE):
                shot, at = divmod(index, SHOT_FRAMES)
                level, slope = 90 + shot * 37 % 80, 5 + shot * 11 % 7
                wave = np.sin((columns + at / 8) / slope) + np.cos((rows + shot) / (slope + 2))
                planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
                planes[:HEIGHT] = (level + 20 * wave).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                out.mux(picture.encode(frame))
            tone = np.sin(np.arange(8000) * (2 + second % 5) / 10) * 9000
            heard = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], "s16", "mono")
            heard.sample_rate, heard.pts = 8000, second * 8000
            heard.time_base = Fraction(1, 8000)
            out.mux(sound.encode(heard))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    return path


_CHEAP = {"preset": "ultrafast", "crf": "20"}


def place_of(folder: Path, film: Path, segments: int) -> Place:
    length = probe(film).duration_seconds
    assert length is not None
    return Place(folder, film, (*UNSMOOTHED, "--segment-seconds", f"{length / segments:.3f}"))


def digest(path: Path) -> tuple[str, int, int]:
    """sha256 over every frame's time and planes and every other packet, and how many of each."""
    total, frames, packets = hashlib.sha256(), 0, 0
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.stream.type != "video":
                packets += packet.size > 0
                total.update(f"{packet.pts} {packet.dts}".encode() + bytes(packet))
                continue
            for frame in packet.decode():
                assert isinstance(frame, av.VideoFrame)
                frames += 1
                total.update(str(frame.pts).encode() + frame.to_ndarray().tobytes())
    return total.hexdigest(), frames, packets


@dataclass(frozen=True)
class Sample:
    """A run's memory when so many of its segments were begun."""

    segments: int
    kib: int


def samples(run: Run, place: Place, every_seconds: float) -> Iterator[Sample]:
    """The run's memory, until it ends."""
    status = Path(f"/proc/{run.pid}/status")
    while True:
        lines = status.read_text().splitlines()
        resident = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
        if not resident:
            return
        yield Sample(len(place.board.opened), int(resident[0]))
        run.pause(every_seconds)


def peak(taken: list[Sample], start: float, end: float) -> int:
    """KiB at most while the run was between two parts of its segments."""
    last = taken[-1].segments
    return max(each.kib for each in taken if start * last <= each.segments <= end * last)


def told(what: str, began: float) -> None:
    print(f"  {what:<52}{time.monotonic() - began:>8.0f} s")


def killed_and_equal(folder: Path, seconds: int, segments: int, kills: int) -> None:
    """The film made in one go, and again with kills on the way: the same, and memory flat."""
    began = time.monotonic()
    film = make_film(folder / "film.mkv", seconds)
    frames = seconds * RATE
    told(f"{frames:,} frames written", began)

    began = time.monotonic()
    whole = place_of(folder / "whole", film, segments)
    run = whole.start()
    taken = list(samples(run, whole, seconds / 10_000))
    assert run.wait().code == 0
    assert len(whole.board.opened) == segments
    told(f"made in one go, {frames / (time.monotonic() - began):.0f} frames a second", began)
    early, late = peak(taken, 0.02, 0.25), peak(taken, 0.75, 1)
    # Half of the film lies between the middles of what is compared.
    bound = SLACK_KIB + GROWTH_KIB_PER_HOUR * seconds // 3600
    print(
        f"  memory: {early >> 10} MiB early, {late >> 10} MiB late; {bound >> 10} MiB more allowed"
    )
    assert late - early <= bound, [(each.segments, each.kib >> 10) for each in taken[::20]]
    wanted = digest(whole.output)
    assert wanted[1] == frames
    assert wanted[2] >= seconds

    began = time.monotonic()
    place, rng = place_of(folder / "killed", film, segments), random.Random(2)
    begun = peaks = 0
    for number in range(kills):
        finished = place.finished()
        target = max(len(finished) + 1, segments * (number + 1) // (kills + 1))
        run = place.start()
        run.reach("marker", 1 + target - len(finished), HOUR_SECONDS)
        run.kill_after(rng.uniform(0, 0.5 * seconds / 7200))
        ended = run.wait(HOUR_SECONDS)
        assert ended.code == -signal.SIGKILL, ended
        assert not place.output.exists()
        assert not place.begun_again(finished), "a finished segment was made twice"
        begun += len(place.board.opened)
        peaks = max(peaks, ended.peak_kib)
    finished = place.finished()
    assert 0 < len(finished) < segments
    ended = place.start().wait(HOUR_SECONDS)
    assert (ended.code, ended.said) == (0, "")
    assert not place.begun_again(finished), "a finished segment was made twice"
    begun += len(place.board.opened)
    told(f"made again, killed {kills} times on the way", began)
    print(
        f"  {begun} segments begun for {segments}; memory at most {peaks >> 10} MiB before a kill"
    )
    assert begun <= segments + kills
    assert digest(place.output) == wanted
    assert [path.name for path in place.folder.iterdir()] == [place.output.name]


def test_a_film_of_half_a_minute_killed_three_times(tmp_path):
    killed_and_equal(tmp_path, 32, 16, 3)


@pytest.mark.torture
def test_a_film_of_two_hours_killed_ten_times(tmp_path):
    """About 12 min."""
    print()
    killed_and_equal(tmp_path, 7200, 720, 10)
    assert probe(tmp_path / "film.mkv").duration_seconds == pytest.approx(7200, abs=1)
