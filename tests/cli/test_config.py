"""`vidcolor config`: what it prints is a settings file, and says where each value came from."""

from __future__ import annotations

import inspect
import json
import tomllib

import pytest

from vidcolor.cli import app, run_arguments
from vidcolor.cli.config import as_object, as_toml, preset_text, show_command
from vidcolor.cli.run import run_command
from vidcolor.settings import PRESETS, Settings, field_documentation, field_names, preset_path


@pytest.fixture
def show(capsys):
    """Run `config show`; returns what it printed."""

    def show(*words):
        code = run_arguments(["config", "show", *map(str, words)])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return out

    return show


def saved(text, tmp_path):
    """The settings that a printed file gives back."""
    file = tmp_path / "saved.toml"
    file.write_text(text, encoding="utf-8")
    return Settings.load(file=file)


def line_of(out, name):
    (line,) = (line for line in out.splitlines() if line.startswith(f"{name} = "))
    return line


ODD = {
    "options": Settings(encoder_options=(("tune", "grain"), ("x264-params", "a=1:b=2"))),
    "an option twice": Settings(encoder_options=(("a", "1"), ("b", "2"), ("a", "3"))),
    "odd keys": Settings(encoder_options=(("a b", "c"), ("", 'd"'), ("\u00e4", "e"))),
    "odd text": Settings(weights='C:\\new "weights"\t\x7f\x01\n\u2028\U0001f3a8.pth', model="a#b"),
    "numbers": Settings(crf=0, saturation=1e-7, segment_seconds=3600, threads=3),
    "an int for a float": Settings(saturation=2),
    "switches": Settings(smoothing=False, recolor=True),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("described", [False, True])
def test_what_is_printed_gives_the_same_settings(tmp_path, case, described):
    origins = dict.fromkeys(field_names(), "odd \n\x00\u2028file.toml")
    about = field_documentation() if described else {}
    assert saved(as_toml(ODD[case], origins, about), tmp_path) == ODD[case]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_being_saved(show, tmp_path, name):
    assert saved(show("--preset", name), tmp_path) == Settings.load(preset=name)


def test_each_line_says_where_its_value_came_from(show, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('preset = "best"\nsaturation = 0.5\n[encoder_options]\ntune = "grain"\n')
    out = show("--config", mine, "--crf", 20, "--smoothing", "off")
    lines = {name: line_of(out, name) for name in tomllib.loads(out)}
    assert lines["crf"].split() == ["crf", "=", "20", "#", "--crf"]
    assert lines["smoothing"].endswith("  # --smoothing")
    assert lines["anchor_every"].endswith("  # preset best")
    assert lines["saturation"].endswith(f"  # {mine}")
    assert lines["encoder_options"].endswith(f"  # {mine}")
    assert lines["codec"].endswith("  # default")
    # TOML has no word for nothing, so what isn't set is a comment.
    assert {*field_names()} - {*lines} == {"weights", "encoder_preset"}
    for name in ("weights", "encoder_preset"):
        (line,) = (line for line in out.splitlines() if line.startswith(f"# {name} is not set"))
        assert line.endswith("  # default")
    assert [name for name in field_names() if name in lines] == list(lines)


def test_flags_survive_being_saved(show, tmp_path):
    weights = tmp_path / "w.pth"
    weights.touch()
    words = ["--weights", weights, "--recolor", "--device", "cpu", "--encoder-option", "tune=film"]
    settings = saved(show(*words, "--encoder-option", "tune=grain"), tmp_path)
    assert settings.weights == str(weights)
    assert settings.recolor is True
    assert settings.encoder_options == (("tune", "film"), ("tune", "grain"))


def test_a_presets_values_may_be_asked_for_over_a_files(show, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('preset = "best"\n')
    out = show("--config", mine, "--preset", "fast")
    assert line_of(out, "anchor_every").split()[2:] == ["9", "#", "preset", "fast"]


def test_json(show):
    values = json.loads(show("--json", "--preset", "best", "--encoder-option", "tune=grain"))
    assert tuple(values) == field_names()
    assert values["anchor_every"] == {"value": 1, "origin": "preset best"}
    assert values["encoder_options"] == {
        "value": [["tune", "grain"]],
        "origin": "--encoder-option",
    }
    assert values["crf"] == {"value": None, "origin": "default"}


def test_describe_explains_every_setting(show):
    out = show("--describe")
    about = field_documentation()
    assert len(about) == len(field_names())
    comments = " ".join(line[2:] for line in out.splitlines() if line.startswith("# "))
    for name, text in about.items():
        assert text in comments, name
    assert max(map(len, out.splitlines())) <= 100
    values = json.loads(show("--describe", "--json"))
    assert {name: each["about"] for name, each in values.items()} == about


def test_the_object_holds_no_text_nobody_asked_for():
    settings, origins = Settings.trace()
    assert "about" not in as_object(settings, origins, {})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "bset"], "did you mean best"),
        (["--config", "nowhere.toml"], "nowhere.toml can't be read: No such file"),
        (["--config", "."], "can't be read: Is a directory"),
        (["--crf", "many"], "--crf was given 'many'; expected a whole number"),
        (["--saturation", "3"], "saturation is 3.0; expected a value from 0 to 2"),
        (["--smoothing", "maybe"], "expected on or off"),
        (["--model", "compcat"], "did you mean compact"),
        (["--codec", "libx246"], "libx264"),
        (["--weights", "nowhere.pth"], "nowhere.pth"),
        (["film.mp4"], "film.mp4"),
    ],
)
def test_what_a_run_would_refuse_is_refused(capsys, monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(tmp_path)
    assert run_arguments(["config", "show", *words]) in (1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_it_takes_the_flags_for_settings_that_run_takes():
    run = inspect.signature(run_command).parameters
    shown = inspect.signature(show_command).parameters
    settings = {*field_names(), "preset", "config", "encoder_option"}
    for name in run:
        if name in settings:
            assert name in shown, f"config show lacks {name}"
            assert shown[name].annotation == run[name].annotation


def test_presets_say_what_they_set_and_why(capsys):
    assert run_arguments(["config", "presets"]) == 0
    out = capsys.readouterr().out
    for name in PRESETS:
        assert preset_text(name) in out
        title, *rest = preset_text(name).splitlines()
        assert title == name
        why = " ".join(line.strip() for line in rest[: rest.index("")])
        assert len(why) > 60
        for key, value in tomllib.loads(preset_path(name).read_text("utf-8")).items():
            written = "true" if value is True else str(value)
            assert f"    {key} = {written}" in rest


def test_both_are_the_only_ones():
    (group,) = (g for g in app.registered_groups if g.name == "config")
    assert group.typer_instance is not None
    names = [command.name for command in group.typer_instance.registered_commands]
    assert names == ["show", "presets"]
