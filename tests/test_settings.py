"""Settings: layers and their origins, presets, refusals, documentation, and where configs/ is."""

from __future__ import annotations

import ast
import json
from dataclasses import fields
from pathlib import Path

import pytest

from vidcolor import inference, settings
from vidcolor.errors import SettingsError
from vidcolor.settings import (
    DEFAULT,
    KINDS,
    LIMITS,
    PRESETS,
    Settings,
    configs_folder,
    field_documentation,
    field_names,
    flag_of,
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "mine.toml"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load(name):
    assert Settings.load(preset=name).anchor_every in (1, 4, 9)


def test_balanced_is_the_default():
    assert Settings.load(preset="balanced") == Settings()


def test_later_layers_win(file):
    file.write_text("crf = 21\nanchor_every = 3\n")
    settings = Settings.load(preset="best", file=file, crf=None, anchor_every=2)
    assert (settings.crf, settings.anchor_every, settings.analysis_side) == (21, 2, 320)


def test_every_value_has_its_origin(file):
    file.write_text("crf = 21\nsaturation = 0.5\n")
    options = (("tune", "grain"),)
    settings, origins = Settings.trace(
        preset="best", file=file, crf=18, encoder_options=options, model=None
    )
    assert settings == Settings.load(preset="best", file=file, crf=18, encoder_options=options)
    assert tuple(origins) == field_names()
    assert {name: origin for name, origin in origins.items() if origin != DEFAULT} == {
        "anchor_every": "preset best",
        "smoothing": "preset best",
        "analysis_side": "preset best",
        "saturation": str(file),
        "crf": "--crf",
        "encoder_options": "--encoder-option",
    }


def test_no_layers_no_origins():
    assert Settings.trace() == (Settings(), dict.fromkeys(field_names(), "default"))


def test_flags_are_those_of_the_command_line():
    assert flag_of("anchor_every") == "--anchor-every"
    assert flag_of("encoder_options") == "--encoder-option"
    assert flag_of("threads") == "--threads"


def test_a_file_may_build_on_a_preset(file):
    file.write_text('preset = "best"\nanchor_every = 2\n')
    settings, origins = Settings.trace(file=file)
    assert (settings.anchor_every, settings.analysis_side) == (2, 320)
    assert (origins["anchor_every"], origins["analysis_side"]) == (str(file), "preset best")


def test_a_preset_that_is_asked_for_replaces_the_files(file):
    file.write_text('preset = "best"\nsaturation = 0.5\n')
    settings, origins = Settings.trace(preset="fast", file=file)
    assert (settings.anchor_every, settings.analysis_side) == (9, 256)
    assert (settings.saturation, origins["anchor_every"]) == (0.5, "preset fast")
    file.write_text('preset = "bset"\n')
    with pytest.raises(SettingsError, match=r"mine\.toml: .*did you mean best"):
        Settings.load(preset="fast", file=file)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("anchor_evry = 2", "did you mean 'anchor_every'"),
        ("anchor-every = 2", "did you mean 'anchor_every'"),
        ("Saturation = 1", "did you mean 'saturation'"),
        ("zzz = 2", "unknown setting 'zzz'; known are model, weights"),
        ("anchor_every = 0", "anchor_every is 0; expected a value from 1 to 9"),
        ('anchor_every = "two"', "anchor_every is 'two'; expected a whole number"),
        ("anchor_every = 2.0", "anchor_every is 2.0; expected a whole number"),
        ("smoothing = 1", "smoothing is 1; expected true or false"),
        ("batch = true", "batch is True; expected a whole number"),
        ("model = 3", "model is 3; expected text"),
        ("saturation = nan", "saturation is nan; expected a value from 0 to 2"),
        ("segment_seconds = inf", "segment_seconds is inf; expected a value from 0.2 to 3600"),
        ('preserve = "all"', "preserve is 'all'; expected luma or lightness"),
        ("preserve = ['luma']", "preserve is a list; expected luma or lightness"),
        ("crf = ", "can't be read"),
        ("crf = 99", "from 0 to 63"),
        ("[crf]\nvalue = 20", "crf is a table; expected a whole number"),
        ("model = ['auto']", "model is a list; expected text"),
        ("[video]\ncrf = 20", r"the table \[video\], .* at the file's top, without a table"),
        ("encoder_options = 'tune=grain'", "encoder_options is 'tune=grain'; expected a table"),
        ("encoder_options = ['tune']", "encoder_options holds 'tune'; expected a key and a value"),
        ("[encoder_options]\ntune = ['grain']", "the encoder option tune is a list; expected text"),
        ("[encoder_options.tune]\na = 1", "the encoder option tune is a table; expected text"),
        ("preset = 3", "preset is 3; expected one of fast, balanced, best"),
        ("preset = 'bset'", "there is no preset 'bset'; did you mean best"),
    ],
)
def test_faults_get_one_sentence_that_names_the_file(file, text, sentence):
    file.write_text(text)
    with pytest.raises(SettingsError, match=sentence) as caught:
        Settings.load(file=file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_faults_of_a_call_name_no_file():
    with pytest.raises(SettingsError) as caught:
        Settings.load(crf=99)
    assert str(caught.value) == "crf is 99; expected a value from 0 to 63."
    with pytest.raises(SettingsError, match="'cfr'; did you mean 'crf'"):
        Settings.load(cfr=20)


def unreadable(file):
    return {
        "missing": (lambda: None, "No such file"),
        "folder": (file.mkdir, "Is a directory"),
        "not UTF-8": (lambda: file.write_bytes(b"model = '\xff'"), "isn't text in UTF-8"),
        "UTF-16": (lambda: file.write_text("crf = 20", encoding="utf-16"), "isn't text in UTF-8"),
        "not TOML": (lambda: file.write_text("crf: 20"), "line 1"),
        "a key twice": (lambda: file.write_text("crf = 20\ncrf = 21"), "overwrite"),
        "digits beyond Python's": (lambda: file.write_text("crf = " + "9" * 5000), "digits"),
    }


@pytest.mark.parametrize("case", unreadable(Path()))
def test_files_that_cant_be_read(file, case):
    make, why = unreadable(file)[case]
    make()
    with pytest.raises(SettingsError, match=why) as caught:
        Settings.load(file=file)
    said = str(caught.value)
    assert said.startswith(f"the settings file {file} can't be read: ")
    assert said.count("\n") == 0
    for python in ("Errno", "codec"):
        assert python not in said


def test_a_byte_order_mark_is_passed_over(file):
    file.write_text("crf = 20", encoding="utf-8-sig")
    assert Settings.load(file=file).crf == 20


def test_encoder_options_as_a_table(file):
    file.write_text('[encoder_options]\ntune = "grain"\naq-mode = 3\nmbtree = false\nb = 0.5\n')
    expected = (("tune", "grain"), ("aq-mode", "3"), ("mbtree", "0"), ("b", "0.5"))
    assert Settings.load(file=file).encoder_options == expected


def test_encoder_options_as_a_list_and_as_a_dictionary(file):
    file.write_text('encoder_options = [["a", "1"], ["a", 2]]')
    assert Settings.load(file=file).encoder_options == (("a", "1"), ("a", "2"))
    assert Settings.load(encoder_options={"a": 1}).encoder_options == (("a", "1"),)


def test_unknown_preset():
    with pytest.raises(SettingsError, match="did you mean balanced"):
        Settings.load(preset="balance")
    with pytest.raises(SettingsError, match="there are fast, balanced, best"):
        Settings.load(preset="xyz")


def test_fingerprint_is_plain_json():
    settings = Settings(encoder_options=(("tune", "grain"),))
    again = json.loads(json.dumps(settings.fingerprint()))
    assert again == settings.fingerprint()
    assert again["encoder_options"] == [["tune", "grain"]]


def test_configs_of_this_checkout():
    assert configs_folder() == Path(__file__).parents[1] / "configs"


def documented(tree):
    """Each annotated field of the class Settings, with the text that stands right under it."""
    (owner,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings")
    for node, below in zip(owner.body, owner.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign):
            text = below.value if isinstance(below, ast.Expr) else None
            assert isinstance(node.target, ast.Name)
            yield node.target.id, text.value if isinstance(text, ast.Constant) else None


def test_every_field_says_what_it_is_for():
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    found = dict(documented(tree))
    assert tuple(found) == field_names()
    for name, text in found.items():
        assert isinstance(text, str), f"{name} says nothing about itself"
        # What it does, and in another sentence when one would change it.
        assert text.count(". ") + text.count(".\n") >= 1, f"{name}: {text}"
        for low_or_high in LIMITS.get(name, ())[1:]:
            assert f"{low_or_high:g}" in text, f"{name} doesn't say how far it goes"
    assert field_documentation() == {name: " ".join(found[name].split()) for name in found}


def test_the_documentation_is_true():
    about = field_documentation()
    for device, batch in inference.DEFAULT_BATCH.items():
        assert f"{batch} on a {device.upper()}" in about["batch"] or (
            f"{batch} with {device.upper()}" in about["batch"]
        )
    numbers = [f.name for f in fields(Settings) if str(f.type).startswith(("int", "float"))]
    assert sorted(numbers) == sorted(LIMITS)
    kinds = {str(f.type) for f in fields(Settings)} - {"Preserve", "tuple[tuple[str, str], ...]"}
    assert kinds == set(KINDS)
