"""The command as a whole: help, version, exit codes of bad commands, what it imports."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import fields

import pytest

from vidcolor import __version__
from vidcolor.cli import app, plain_output, quiet_threads, run_arguments
from vidcolor.settings import Settings

COMMANDS = (["run"], ["models"], ["models", "list"], ["models", "pull"])
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


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(capsys, command):
    assert run_arguments([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: vidcolor" in text
    assert "--help" in text


def test_every_command_is_listed_above():
    names = [[command.name] for command in app.registered_commands]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        names.append([group.name])
        names += [[group.name, c.name] for c in group.typer_instance.registered_commands]
    assert names == list(COMMANDS)


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
            assert any(f"[default: ({field.default})]" in line for line in shown), (flag, shown)


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


def test_models_list(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path))
    assert run_arguments(["models", "list"]) == 0
    out = capsys.readouterr().out
    for name in ("siggraph17", "eccv16", "compact", "auto takes"):
        assert name in out
    assert "standin" not in out
    assert run_arguments(["models", "list", "--all"]) == 0
    assert "standin" in capsys.readouterr().out


def test_models_pull_of_what_needs_none(capsys):
    assert run_arguments(["models", "pull", "compact"]) == 0
    assert "no download" in capsys.readouterr().out


def test_models_pull_of_an_unknown_name(capsys):
    assert run_arguments(["models", "pull", "siggraf17"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "siggraph17" in err


def test_models_pull_says_where_the_file_is(capsys, monkeypatch, tmp_path):
    asked = []

    def download(name, *, progress):
        asked.append((name, progress))
        return tmp_path / "weights.pth"

    monkeypatch.setattr("vidcolor.models.weights.download", download)
    assert run_arguments(["models", "pull", "siggraph17"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'weights.pth'}\n"
    # Nobody watches a pipe.
    assert asked == [("siggraph17", None)]


def test_models_pull_that_fails_is_one_sentence(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").touch()
    assert run_arguments(["models", "pull", "siggraph17"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "VIDCOLOR_CACHE" in err


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
