"""The command as a whole: help, version, exit codes of bad commands, what it imports."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from tests.cli.tree import GROUPS, LEAVES
from vidcolor import __version__
from vidcolor.cli import plain_output, run_arguments
from vidcolor.cli.options import DEFAULT_PRESET
from vidcolor.media.choice import _DEFAULTS
from vidcolor.settings import Settings
from vidcolor.threads import quiet_threads

HEAVY = ("torch", "av", "cv2", "numpy")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from vidcolor.cli import run_arguments\n"
        "codes = [run_arguments(a) for a in (['--help'], ['run', '--help'], ['--version'])]\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules], codes)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY [] [0, 0, 0]"


def test_python_m_vidcolor():
    done = subprocess.run(
        [sys.executable, "-m", "vidcolor", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"vidcolor {__version__}\n"


@pytest.mark.parametrize("command", [*LEAVES, *GROUPS], ids=" ".join)
def test_every_command_has_help(capsys, command):
    assert run_arguments([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: vidcolor" in text
    assert "--help" in text


def test_the_help_shows_the_settings_own_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run_arguments(["run", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for field in fields(Settings):
        if isinstance(field.default, bool) or field.default in (None, 0, ()):
            continue
        flag = "--" + field.name.replace("_", "-")
        shown = [line for line in lines if f"{flag} " in line]
        if field.name != "analysis_side":
            assert any(f"[default: {field.default}]" in line for line in shown), (flag, shown)


def test_the_help_of_run_says_what_is_in_effect(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert Settings.load(preset=DEFAULT_PRESET) == Settings()
    assert run_arguments(["run", "--help"]) == 0
    out = capsys.readouterr().out
    assert "[default: balanced]" in out
    assert "[default: 17 for libx264; each codec its own]" in out
    assert (_DEFAULTS["libx264"].crf, _DEFAULTS["libx264"].preset) == (17, "medium")
    assert "Exit codes: 0 done, 1 failed, 2 bad usage, 3" in out
    assert "\n   vidcolor run film.mp4" in out
    # One line each.
    for flag, words in (
        ("--overwrite", "Replace an output that is there already."),
        ("--restart", "Throw away the segments an unfinished run left."),
        ("--keep-job", "Leave the segments there when all is done."),
    ):
        assert any(flag in line and words in line for line in out.splitlines()), flag


INTERRUPTED_IMPORT = """
import sys
import vidcolor.__main__

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "vidcolor.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
vidcolor.__main__.main()
"""


def test_ctrl_c_during_the_imports_is_quiet():
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1"; echo "code $?"', sys.executable, INTERRUPTED_IMPORT],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "code 130\n"
    assert "Traceback" not in done.stderr
    assert "KeyboardInterrupt" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["--version"], ["run", "--help"], ["models", "list"]])
def test_a_full_stdout_is_one_sentence_in_the_systems_words(arguments):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "vidcolor", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the system says: No space left on device;")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["film.mp4", "nowhere.MKV", "there"])
def test_a_film_in_the_place_of_a_command(capsys, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    Path("there").touch()
    assert run_arguments([name, "--crf", "20"]) == 2
    err = capsys.readouterr().err
    assert f"did you mean `vidcolor run {name} --crf 20`?" in err
    assert err.count("\n") == 1


def test_a_usage_error_points_to_the_commands_own_help(capsys):
    assert run_arguments(["run"]) == 2
    assert "`vidcolor run --help`" in capsys.readouterr().err
    assert run_arguments(["walk"]) == 2
    assert "`vidcolor --help`" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["models"]])
def test_no_command_shows_help_and_no_error(capsys, arguments):
    assert run_arguments(arguments) == 2
    shown = "".join(capsys.readouterr())
    assert "Usage: vidcolor" in shown
    assert "error:" not in shown


@pytest.mark.parametrize(
    "arguments", [["walk"], ["run"], ["run", "--speed", "9", "x"], ["models", "pull"]]
)
def test_bad_commands(capsys, arguments):
    assert run_arguments(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("before", "after"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_are_told_to_wait_quietly_unless_the_user_says(monkeypatch, before, after):
    if before is None:
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    else:
        monkeypatch.setenv("OMP_WAIT_POLICY", before)
    quiet_threads()
    assert os.environ["OMP_WAIT_POLICY"] == after
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)


def test_the_librarys_warnings_look_like_the_commands(capsys, monkeypatch):
    assert logging.lastResort is not None
    monkeypatch.setattr(logging.lastResort, "formatter", None)
    plain_output()
    record = logging.LogRecord(
        "vidcolor.media", logging.WARNING, "", 1, "%s is damaged", ("a",), None
    )
    logging.lastResort.handle(record)
    assert capsys.readouterr().err == "warning: a is damaged\n"
