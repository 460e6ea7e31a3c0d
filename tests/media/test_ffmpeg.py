"""Where the ffmpeg program is looked for, and in which order."""

from __future__ import annotations

import imageio_ffmpeg
import pytest

from vidcolor.errors import OutputError
from vidcolor.media.ffmpeg import find_ffmpeg


@pytest.fixture
def program(tmp_path):
    """A folder with something that could be ffmpeg."""
    path = tmp_path / "ffmpeg"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_variable_comes_first(program, monkeypatch, tmp_path):
    other = tmp_path / "mine"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("VIDCOLOR_FFMPEG", str(other))
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_ffmpeg() == other


def test_then_the_path_then_the_one_that_is_installed_along(program, monkeypatch, tmp_path):
    monkeypatch.delenv("VIDCOLOR_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_ffmpeg() == program
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert str(find_ffmpeg()) == imageio_ffmpeg.get_ffmpeg_exe()


def test_a_variable_that_names_nothing_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCOLOR_FFMPEG", str(tmp_path / "none"))
    with pytest.raises(OutputError, match="VIDCOLOR_FFMPEG"):
        find_ffmpeg()
