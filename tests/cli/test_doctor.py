"""`vidcolor doctor`: its lines, its exit code, its JSON."""

from __future__ import annotations

import json

import pytest

from vidcolor.cli import run_arguments
from vidcolor.doctor import Finding

WELL = Finding(about="numpy", mark="ok", says="2.0")
NOTED = Finding(about="eccv16", mark="note", says="isn't here", mend="vidcolor models pull eccv16")
BROKEN = Finding(about="torch", mark="problem", says="isn't installed", mend="pip install torch")


@pytest.fixture
def found(monkeypatch):
    """Let the doctor find what a test says."""

    def found(*findings):
        monkeypatch.setattr("vidcolor.doctor.examine", lambda: iter(findings))

    return found


def test_a_machine_in_order(capsys, found):
    found(WELL)
    assert run_arguments(["doctor"]) == 0
    assert capsys.readouterr().out == "ok       numpy          2.0\n\nvidcolor can run here.\n"


def test_a_note_is_no_failure(capsys, found):
    found(WELL, NOTED)
    assert run_arguments(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "note     eccv16         isn't here\n" in out
    assert " -> vidcolor models pull eccv16\n" in out
    assert out.endswith("vidcolor can run here; 1 note above.\n")


def test_a_problem_is(capsys, found):
    found(BROKEN, WELL)
    assert run_arguments(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "problem  torch          isn't installed\n" in out
    assert " -> pip install torch\n" in out
    assert "1 problem" in out.splitlines()[-1]


def test_json(capsys, found):
    found(WELL, NOTED, BROKEN)
    assert run_arguments(["doctor", "--json"]) == 1
    *lines, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["about"], line["mark"]) for line in lines] == [
        ("numpy", "ok"),
        ("eccv16", "note"),
        ("torch", "problem"),
    ]
    assert lines[2]["mend"] == "pip install torch"
    assert last == {"event": "verdict", "can_run": False, "problems": 1, "notes": 1}


def test_what_is_found_is_shown_before_the_next_is_looked_at(capsys, monkeypatch):
    shown = []

    def examine():
        yield WELL
        shown.append(capsys.readouterr().out)
        yield NOTED

    monkeypatch.setattr("vidcolor.doctor.examine", examine)
    assert run_arguments(["doctor"]) == 0
    assert "numpy" in shown[0]


def test_a_terminal_gets_lines_that_fit(capsys, found, monkeypatch):
    found(Finding(about="others", mark="ok", says="word " * 40))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "dumb")
    assert run_arguments(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert sum("word" in line for line in lines) > 3


def test_this_machine(capsys):
    assert run_arguments(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "libx264" in out
    assert "vidcolor can run here" in out.splitlines()[-1]
