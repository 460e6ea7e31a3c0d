"""Settings: layers, presets, refusals, and where configs/ is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidcolor.errors import SettingsError
from vidcolor.settings import PRESETS, Settings, configs_folder


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load(name):
    assert Settings.load(preset=name).anchor_every in (1, 4, 8)


def test_balanced_is_the_default():
    assert Settings.load(preset="balanced") == Settings()


def test_later_layers_win(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("crf = 21\nanchor_every = 3\n")
    settings = Settings.load(preset="best", file=file, crf=None, anchor_every=2)
    assert (settings.crf, settings.anchor_every, settings.analysis_side) == (21, 2, 320)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("anchor_evry = 2", "did you mean 'anchor_every'"),
        ("anchor_every = 0", "anchor_every is 0; expected a value from 1 to 8"),
        ('anchor_every = "two"', "anchor_every is 'two'; expected int"),
        ("smoothing = 1", "smoothing is 1; expected bool"),
        ("batch = true", "batch is True; expected int"),
        ('preserve = "all"', "expected luma or lightness"),
        ("crf = ", "can't be read"),
        ("crf = 99", "from 0 to 63"),
    ],
)
def test_faults_get_one_sentence(tmp_path, text, sentence):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=sentence) as caught:
        Settings.load(file=file)
    assert "\n" not in str(caught.value)


def test_encoder_options_as_a_table(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[encoder_options]\ntune = "grain"\naq-mode = 3\n')
    expected = (("tune", "grain"), ("aq-mode", "3"))
    assert Settings.load(file=file).encoder_options == expected


def test_unknown_preset_and_missing_file(tmp_path):
    with pytest.raises(SettingsError, match="did you mean balanced"):
        Settings.load(preset="balance")
    with pytest.raises(SettingsError, match="can't be read"):
        Settings.load(file=tmp_path / "none.toml")


def test_fingerprint_is_plain_json():
    settings = Settings(encoder_options=(("tune", "grain"),))
    again = json.loads(json.dumps(settings.fingerprint()))
    assert again == settings.fingerprint()
    assert again["encoder_options"] == [["tune", "grain"]]


def test_configs_of_this_checkout():
    assert configs_folder() == Path(__file__).parents[1] / "configs"
