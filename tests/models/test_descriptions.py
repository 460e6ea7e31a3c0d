"""What is said of a network is so: its weights' whereabouts, its figures, its words."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path

import pytest
import torch

from tests.models.made_up import published_shapes
from tests.models.published import publish, put_in_cache
from vidcolor.errors import UsageError, WeightsError
from vidcolor.models import registry
from vidcolor.models.catalogue import OFFICIAL, cached_path
from vidcolor.models.compact import CompactModel
from vidcolor.models.descriptions import find_weights, measure
from vidcolor.models.registry import MODELS, bundled_weights, entry_of, load_model
from vidcolor.models.weights import sha256_of

OF_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
GOOD_FOR_CHARACTERS = 24
every_entry = pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.name)


@pytest.mark.parametrize(
    ("name", "parameters", "gflop"),
    [
        # The papers' networks, counted on the published state dicts; the first one's work is known.
        ("eccv16", 32_236_011, 83.6),
        ("siggraph17", 34_187_027, 150.4),
        ("compact", 3_728_235, 3.2),
        ("standin", 0, 0),
    ],
)
def test_figures(name: str, parameters: int, gflop: float) -> None:
    measures = measure(entry_of(name))
    assert (measures.parameters, measures.trainable) == (parameters, parameters)
    assert measures.gflop == pytest.approx(gflop, abs=0.06)


@pytest.mark.parametrize("name", list(OFFICIAL))
def test_parameters_are_the_published_values_without_buffers(name: str) -> None:
    shapes = published_shapes(name)
    values = sum(prod(shapes[key]) for key in shapes if not key.endswith(OF_BUFFERS))
    assert measure(entry_of(name)).parameters == values


@every_entry
def test_what_a_network_takes(entry) -> None:
    model, measures = entry.build(), measure(entry)
    assert measures.input_size == model.input_size
    assert measures.size_multiple == model.size_multiple
    assert measures.accepts_hints == model.accepts_hints
    # What people read says the same.
    assert ("takes hints" in entry.strengths.lower()) == model.accepts_hints


def test_frozen_parameters_are_not_trainable() -> None:
    def build() -> CompactModel:
        model = CompactModel()
        model.stem.requires_grad_(False)
        return model

    measures = measure(replace(entry_of("compact"), build=build))
    assert measures.parameters - measures.trainable == 32 * 4 * 9 + 32


def test_a_network_that_looks_at_values_has_no_known_cost() -> None:
    class Choosy(CompactModel):
        def forward(self, lightness, hints=None):
            return super().forward(lightness if lightness.mean() > 50 else -lightness, hints)

    measures = measure(replace(entry_of("compact"), build=Choosy))
    assert (measures.gflop, measures.parameters) == (None, 3_728_235)


@every_entry
def test_words_fit_their_places(entry) -> None:
    assert 0 < len(entry.good_for) <= GOOD_FOR_CHARACTERS
    for text in (entry.summary, entry.strengths, entry.weaknesses):
        assert text.endswith(".")
        assert "\n" not in text


# Whereabouts


def test_published_weights_come_go_and_are_taken_for_what_they_are(monkeypatch) -> None:
    publish(monkeypatch, b"weights")
    entry = entry_of("eccv16")
    absent = find_weights(entry)
    assert (absent.state, absent.path, absent.bytes) == ("absent", None, len(b"weights"))
    assert absent.belongs == cached_path("eccv16")
    path = put_in_cache(b"weights")
    here = find_weights(entry)
    assert (here.state, here.path, here.bytes) == ("here", path, len(b"weights"))
    assert here.sha256 == absent.sha256 == sha256_of(path)
    path.write_bytes(b"others!!")
    wrong = find_weights(entry)
    assert (wrong.state, wrong.path, wrong.sha256) == ("wrong", None, here.sha256)
    assert "isn't the published file of eccv16" in wrong.trouble


def test_weights_in_the_package(monkeypatch) -> None:
    found, path = find_weights(entry_of("compact")), bundled_weights("compact")
    assert (found.state, found.path, found.belongs) == ("here", path, path)
    assert (found.bytes, found.sha256) == (path.stat().st_size, sha256_of(path))
    monkeypatch.setattr(registry, "__file__", str(Path("/nowhere/registry.py")))
    lost = find_weights(entry_of("compact"))
    assert (lost.state, lost.path) == ("lost", None)
    assert "install vidcolor again" in lost.trouble


def test_a_formula_needs_none() -> None:
    assert find_weights(entry_of("standin")).state == "needless"


def test_a_network_whose_weights_nobody_published(monkeypatch) -> None:
    entry = replace(entry_of("compact"), name="homemade", bundled=False)
    monkeypatch.setattr(registry, "MODELS", (*MODELS, entry))
    assert find_weights(entry).state == "unpublished"
    with pytest.raises(WeightsError, match="nobody has published weights of homemade; pass a file"):
        load_model("homemade")
    assert isinstance(load_model("homemade", bundled_weights("compact")), CompactModel)


def test_auto_is_no_network() -> None:
    with pytest.raises(UsageError, match="name one of siggraph17, eccv16, compact"):
        entry_of("auto")


def test_measuring_keeps_torchs_device() -> None:
    measure(entry_of("compact"))
    assert torch.zeros(1).device.type == "cpu"
