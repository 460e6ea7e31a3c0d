"""Killed at any moment, the same command goes on where it was, and the film is the same."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess

import pytest

from tests.clips import make_clip
from tests.jobs.helpers import FAST, SEGMENT_FRAMES, decoded, process, segment_stamps
from vidcolor.cli import run_arguments
from vidcolor.jobs.folder import folder_path
from vidcolor.settings import Settings

FRAMES = 5 * SEGMENT_FRAMES


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("film") / "film.mkv", frames=FRAMES, cuts=(31,))


@pytest.fixture(scope="module")
def uninterrupted(film):
    output = film.with_name("whole.mkv")
    assert run_arguments(["run", str(film), "-o", str(output), *FAST]) == 0
    frames = decoded(output)
    assert len(frames) == FRAMES
    return frames


@pytest.mark.parametrize(
    ("moment", "finished"),
    [
        ("before the first segment", 0),
        ("at picture 30", 2),
        ("between segment and marker", 2),
        ("with half a marker", 3),
        ("while joining", 5),
        ("before the final name", 5),
    ],
)
def test_a_killed_run_goes_on(film, uninterrupted, tmp_path, capsys, moment, finished):
    output = tmp_path / "film.color.mkv"
    command = ["run", str(film), "-o", str(output), *FAST]
    with process(moment, *command) as killed:
        said = killed.communicate()[1]
    assert killed.returncode == -signal.SIGKILL, said
    assert not output.exists()
    before = segment_stamps(output)
    assert len(before) == finished

    assert run_arguments([*command, "--json", "--keep-job"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (started,) = [event for event in events if event["event"] == "started"]
    assert started["segments_resumed"] == finished
    after = segment_stamps(output)
    assert len(after) == 5
    assert before.items() <= after.items(), "a finished segment was made twice"
    assert decoded(output) == uninterrupted
    assert not list(folder_path(output).rglob("*.part*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(film, uninterrupted, tmp_path, capsys, number):
    output = tmp_path / "film.color.mkv"
    command = ["run", str(film), "-o", str(output), *FAST]
    with process("slow", *command, "--json") as slow:
        assert slow.stdout is not None
        for line in slow.stdout:
            if json.loads(line).get("done", 0) > SEGMENT_FRAMES + 2:
                break
        # While it works, nobody else may.
        assert run_arguments(command) == 1
        assert f"(pid {slow.pid}) is working on" in capsys.readouterr().err
        slow.send_signal(number)
        out, said = slow.communicate(timeout=20)
    assert slow.returncode == 130
    assert said == "interrupted; give the same command again to go on where it was.\n"
    assert json.loads(out.splitlines()[-1]) == {"event": "interrupted"}
    assert not output.exists()
    assert len(segment_stamps(output)) >= 1
    assert run_arguments(command) == 0
    assert decoded(output) == uninterrupted
    assert not folder_path(output).exists()


@pytest.fixture
def begun(film, tmp_path):
    """A finished job whose output was lost: its folder was kept."""
    output = tmp_path / "film.color.mkv"
    command = ["run", str(film), "-o", str(output), *FAST]
    assert run_arguments([*command, "--keep-job"]) == 0
    output.unlink()
    return output, command


def test_one_damaged_byte_costs_one_segment(begun, uninterrupted, capsys):
    output, command = begun
    before = segment_stamps(output)
    damaged = folder_path(output) / "segments" / "00002.mkv"
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    assert run_arguments([*command, "--keep-job"]) == 0
    assert decoded(output) == uninterrupted
    after = segment_stamps(output)
    assert [name for name in after if after[name] != before[name]] == ["00002.mkv"]


def test_the_two_ends_may_be_missing(begun, uninterrupted):
    output, command = begun
    for name in ("00000.json", "00001.json", "00004.json"):
        (folder_path(output) / "segments" / name).unlink()
    assert run_arguments(command) == 0
    assert decoded(output) == uninterrupted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--saturation", "0.5"], "saturation 1.0 -> 0.5"),
        (["--anchor-every", "1"], f"anchor-every {Settings().anchor_every} -> 1"),
        (["--codec", "libx264", "--crf", "20"], "codec ffv1 -> libx264; crf none -> 20"),
        (["--batch", "3"], "batch 1 -> 3"),
        (["--start", "0.5"], "start beginning -> 0.5 s"),
    ],
)
def test_another_setting_is_named(begun, capsys, change, said):
    output, command = begun
    before = segment_stamps(output)
    assert run_arguments([*command, *change]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "--restart" in error
    assert not output.exists()
    assert segment_stamps(output) == before


def test_another_source_is_named(begun, film, tmp_path, capsys):
    _, command = begun
    other = make_clip(tmp_path / "film.mkv", frames=FRAMES, seed=3)
    command[1] = str(other)
    assert run_arguments(command) == 1
    assert "the source has" in capsys.readouterr().err


def test_restart_begins_anew(begun, uninterrupted, capsys):
    output, command = begun
    before = segment_stamps(output)
    assert run_arguments([*command, "--saturation", "0.5", "--restart", "--keep-job"]) == 0
    after = segment_stamps(output)
    assert not set(before.values()) & set(after.values())
    assert decoded(output) != uninterrupted


def test_the_same_command_makes_the_same_segments(begun, film, tmp_path):
    output, command = begun
    again = tmp_path / "again.mkv"
    command[3] = str(again)
    assert run_arguments([*command, "--keep-job"]) == 0
    for name in segment_stamps(output):
        mine, other = (folder_path(path) / "segments" / name for path in (output, again))
        assert mine.read_bytes() == other.read_bytes()


@pytest.mark.long
def test_killed_again_and_again_at_any_time(film, uninterrupted, tmp_path):
    """About 15 s: twelve kills anywhere between the start and the end of a slow run."""
    output = tmp_path / "film.color.mkv"
    command = ["run", str(film), "-o", str(output), *FAST]
    rng, kept = random.Random(7), 0
    for _ in range(12):
        with process("slow", *command) as slow, contextlib.suppress(subprocess.TimeoutExpired):
            try:
                slow.communicate(timeout=rng.uniform(0.2, 3))
            finally:
                slow.kill()
        if output.exists():
            break
        finished = len(segment_stamps(output))
        assert finished >= kept
        kept = finished
    assert run_arguments(command) == 0
    assert decoded(output) == uninterrupted
    assert not folder_path(output).exists()
