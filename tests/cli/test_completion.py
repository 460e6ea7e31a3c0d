"""Completion by Tab: the script in a real bash, the words it offers, and how quick and quiet it is.

The other shells aren't at hand everywhere, so they are asked as their scripts would ask.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from vidcolor.cli import run_arguments
from vidcolor.cli.completion import COMPLETE_VARIABLE, SHELLS
from vidcolor.models.registry import MODELS
from vidcolor.settings import PRESETS

HEAVY = ("torch", "av", "cv2", "numpy")
NAMES = [entry.name for entry in MODELS if not entry.for_tests]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A folder with a `vidcolor` in it that is this checkout's own."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "vidcolor"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vidcolor "$@"\n')
    script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def bash(program):
    """Ask a real bash for completions of lines, as pressing Tab at their ends does."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")

    def bash(*lines):
        asked = [
            "source <(vidcolor --show-completion bash) || exit 9; complete -p vidcolor || exit 9",
            *(f"ask {' '.join(map(shlex.quote, line))}" for line in lines),
        ]
        function = """ask() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _vidcolor_completion vidcolor "${COMP_WORDS[COMP_CWORD]}"
            echo "${COMPREPLY[*]}"
        }\n"""
        done = subprocess.run(
            ["bash", "--norc", "-c", function + "\n".join(asked)],
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": f"{program}:{os.environ['PATH']}"},
        )
        assert (done.returncode, done.stderr) == (0, "")
        how, *answers = done.stdout.splitlines()
        # What we have no words for, such as a film's name, bash completes with files.
        assert how == "complete -o default -F _vidcolor_completion vidcolor"
        return dict(zip(lines, [answer.split() for answer in answers], strict=True))

    return bash


def test_bash_completes_what_was_begun(bash):
    answers = {
        ("vidcolor", "run", "--preset", "b"): ["balanced", "best"],
        ("vidcolor", "mod"): ["models"],
        ("vidcolor", "run", "--model", "com"): ["compact"],
        ("vidcolor", "run", "fi"): [],
    }
    assert bash(*answers) == answers


def ask(*words, shell="bash", **more):
    """What a shell's script would be answered, and what was said on stderr."""
    line = {
        "bash": {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)},
        "powershell": {
            "_TYPER_COMPLETE_ARGS": " ".join(words),
            "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1],
        },
    }
    given = line.get(shell, {"_TYPER_COMPLETE_ARGS": " ".join(words)})
    done = subprocess.run(
        [sys.executable, "-m", "vidcolor"],
        capture_output=True,
        text=True,
        env=os.environ | given | {COMPLETE_VARIABLE: f"complete_{shell}"} | more,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def offered(capsys, monkeypatch):
    """The words offered at the end of a line, asked in this process."""

    def offered(*words):
        monkeypatch.setenv("COMP_WORDS", "\n".join(("vidcolor", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        monkeypatch.setenv(COMPLETE_VARIABLE, "complete_bash")
        with pytest.raises(SystemExit) as ended:
            run_arguments([])
        out, err = capsys.readouterr()
        assert (ended.value.code, err) == (0, "")
        return out.split()

    return offered


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--model", ""), ["auto", *NAMES]),
        (("--preset", ""), list(PRESETS)),
        (("--device", ""), ["auto", "cpu", "cuda", "mps", "all"]),
        (("--codec", "libx26"), ["libx264", "libx265"]),
        (("--smoothing", ""), ["on", "off"]),
        (("--preserve", "l"), ["luma", "lightness"]),
        (("--anch",), ["--anchor-every"]),
        # The shell knows the files; offering anything would keep it from doing so.
        (("",), []),
        (("--config", ""), []),
        (("--weights", "w"), []),
        (("-o", ""), []),
        # A line that isn't right yet doesn't keep what comes later from being completed.
        (("--crf", "good", "--model", "com"), ["compact"]),
        (("--preset", "none", "--config", "nowhere.toml", "--preserve", "lu"), ["luma"]),
    ],
)
def test_words_for_options_of_run(offered, words, expected):
    assert offered("run", *words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("config", ""), ["show", "presets"]),
        (("config", "show", "--preset", "f"), ["fast"]),
        (("--show-completion", ""), list(SHELLS)),
        # None of these is carried out for being completed.
        (("--version", "mod"), ["models"]),
        (("--show-completion", "bash", "mod"), ["models"]),
        (("--install-completion", "bash", "mod"), ["models"]),
    ],
)
def test_words_elsewhere(offered, words, expected):
    assert offered(*words) == expected


def test_other_shells_are_answered_in_their_own_way():
    words = ("vidcolor", "run", "--preset", "b")
    assert ask(*words, shell="zsh") == '_arguments \'*: :(("balanced"\n"best"))\'\n'
    assert ask("vidcolor", "run", "fi", shell="zsh") == "_files\n"
    fish = ask(*words, shell="fish", _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert fish.split() == ["balanced", "best"]
    power = ask(*words, shell="powershell")
    assert [line.split(":::")[0] for line in power.splitlines()] == ["balanced", "best"]


def test_a_tab_imports_nothing_heavy():
    code = (
        "import sys, vidcolor.__main__\n"
        "try: vidcolor.__main__.main()\n"
        f"finally: print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    given = {"COMP_WORDS": "vidcolor\nrun\n--model\nco", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | given | {COMPLETE_VARIABLE: "complete_bash"},
    )
    assert (done.stdout, done.stderr) == ("compact\nHEAVY []\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(capsys, monkeypatch, shell):
    assert run_arguments(["--show-completion", shell]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert COMPLETE_VARIABLE in out
    assert f"complete_{shell}" in out
    # Without a name it is the person's own.
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert run_arguments(["--show-completion"]) == 0
    assert capsys.readouterr().out == out


def test_install_writes_where_the_shell_looks(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for shell, place in {
        "bash": ".bash_completions/vidcolor.sh",
        "zsh": ".zfunc/_vidcolor",
        "fish": ".config/fish/completions/vidcolor.fish",
    }.items():
        assert run_arguments(["--install-completion", shell]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert f"{tmp_path / place} is written" in out
        assert COMPLETE_VARIABLE in (tmp_path / place).read_text()
    assert str(tmp_path / ".bash_completions/vidcolor.sh") in (tmp_path / ".bashrc").read_text()


def test_install_that_fails_is_one_sentence(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert run_arguments(["--install-completion", "fish"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: completion for fish can't be installed")
    assert "--show-completion fish" in err
    assert err.count("\n") == 1
    # Its profile is the person's to change.
    assert run_arguments(["--install-completion", "powershell"]) == 2
    assert "--show-completion powershell >> $PROFILE" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("flag", ["--show-completion", "--install-completion"])
def test_shells_nobody_knows(capsys, monkeypatch, flag):
    assert run_arguments([flag, "tcsh"]) == 2
    err = capsys.readouterr().err
    assert "there is no completion for the shell 'tcsh'; expected bash, zsh" in err
    monkeypatch.delenv("SHELL", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert run_arguments([flag]) == 2
    assert f"`vidcolor {flag} bash`" in capsys.readouterr().err


def test_the_help_has_a_line_about_it_and_no_options(capsys):
    assert run_arguments(["--help"]) == 0
    out = capsys.readouterr().out
    options, commands = out.split("Commands", 1)
    assert "completion" not in options
    assert "vidcolor --install-completion" in commands
