"""The networks of the four student reports: their sizes, and the bug that one couldn't explain."""

from __future__ import annotations

import json
from typing import Literal

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.models.made_up import made_up_lightness
from vidcolor.errors import WeightsError
from vidcolor.models.catalogue import EMBEDDING, cached_path
from vidcolor.models.deepcolor import CONFIGS, DeepColorModel
from vidcolor.models.descriptions import measure
from vidcolor.models.embedding import Embedder
from vidcolor.models.inception_resnet_v2 import InceptionResNetV2, published_layout
from vidcolor.models.osnabrueck import SCALE, OsnabrueckConfig, OsnabrueckModel, enlargement
from vidcolor.models.registry import entry_of, load_model, network_of
from vidcolor.models.stclair import StClairConfig, StClairModel
from vidcolor.models.ucsd import UcsdModel
from vidcolor.models.weights import NOTES_KEY


@pytest.mark.parametrize(
    ("name", "parameters", "trainable"),
    [
        ("osnabrueck-121", 31_420_181, 31_415_189),
        ("ucsd-eleven", 1_701_891, 1_701_891),
        ("deepcolor-base", 6_606_994, 6_606_994),
        ("deepcolor-1", 3_509_522, 3_509_522),
        ("deepcolor-2", 1_223_314, 1_223_314),
        ("deepcolor-3", 249_170, 249_170),
        ("stclair-autoencoder", 6_219_410, 6_219_410),
    ],
)
def test_the_reports_counts(name, parameters, trainable):
    found = measure(entry_of(name))
    assert (found.parameters, found.trainable) == (parameters, trainable)


# Osnabrück


@pytest.mark.parametrize(("way", "reached"), [("transposed", 9), ("resize", 256)])
def test_which_pixels_of_each_256_the_enlargement_reaches(way, reached):
    torch.manual_seed(0)
    layer = enlargement(way, 2)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    one, other = torch.randn(2, 1, 2, 14, 14).unbind(0)
    with torch.inference_mode():
        moved = (layer(one) - layer(other)).abs().amax((0, 1))
    assert moved.shape == (224, 224)
    tiles = (moved > 0).reshape(14, SCALE, 14, SCALE).transpose(1, 2)
    assert (tiles.sum((2, 3)) == reached).all()


def test_the_reported_dots_are_what_comes_out_and_the_cure_cures_them():
    torch.manual_seed(0)
    spread = {}
    ways: tuple[Literal["transposed", "resize"], ...] = ("transposed", "resize")
    for way in ways:
        model = OsnabrueckModel(OsnabrueckConfig(enlarge=way)).eval()
        with torch.inference_mode():
            scores = model.raw(made_up_lightness(64, 64))[0]
        tiles = scores.reshape(121, 4, SCALE, 4, SCALE)
        spread[way] = tiles.std((1, 3)).amax(0) > 0
    assert spread["transposed"].sum() == 9
    assert spread["transposed"][:3, :3].all()
    assert spread["resize"].all()


def test_both_ways_have_as_many_parameters():
    for layer in (enlargement("transposed", 121), enlargement("resize", 121)):
        assert sum(p.numel() for p in layer.parameters()) == 131_890


@pytest.mark.parametrize("decode", ["floor", "centre", "mean"])
def test_colours_of_classes(decode):
    torch.manual_seed(0)
    model = OsnabrueckModel(OsnabrueckConfig(enlarge="resize", decode=decode)).eval()
    with torch.inference_mode():
        ab = model(made_up_lightness(32, 32))
    steps = (ab + 128 - {"floor": 0, "centre": 12}.get(decode, 0)) / 25
    assert (ab.abs() <= 128).all()
    assert bool((steps == steps.round()).all()) is (decode != "mean")


def test_options_travel_with_the_weights(tmp_path):
    torch.manual_seed(0)
    model = OsnabrueckModel(OsnabrueckConfig(enlarge="resize", decode="floor"))
    path = tmp_path / "trained.safetensors"
    notes = json.dumps({"options": {"enlarge": "resize", "decode": "floor"}})
    save_file(model.state_dict(), path, {NOTES_KEY: notes})
    again = load_model("osnabrueck-121", path)
    assert isinstance(again, OsnabrueckModel)
    assert again.config == model.config
    with torch.inference_mode():
        assert torch.equal(
            again(made_up_lightness(32, 32)), model.eval()(made_up_lightness(32, 32))
        )


def test_options_of_another_network_are_refused(tmp_path):
    path = tmp_path / "trained.safetensors"
    notes = json.dumps({"options": {"enlarge": "resize"}})
    save_file(StClairModel().state_dict(), path, {NOTES_KEY: notes})
    with pytest.raises(WeightsError, match=r"options \{'enlarge': 'resize'\} that stclair"):
        load_model("stclair-autoencoder", path)


# The others


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_kernels_as_varied(kernel):
    model = StClairModel(StClairConfig(kernel=kernel)).eval()
    with torch.inference_mode():
        assert model(made_up_lightness(32, 40)).shape == (1, 2, 32, 40)


def test_ucsd_predicts_rgb_and_its_ab_are_the_rgbs():
    torch.manual_seed(0)
    model = UcsdModel().eval()
    with torch.inference_mode():
        rgb = model.rgb(made_up_lightness(24, 16))
    assert rgb.shape == (1, 3, 24, 16)
    assert ((rgb >= 0) & (rgb <= 1)).all()


def test_each_network_knows_its_weights():
    for name in ("osnabrueck-regression", "ucsd-eleven", *CONFIGS, "stclair-autoencoder"):
        assert network_of(entry_of(name).build().state_dict()) == name


# DeepColor's classifier


def test_without_the_classifier_nothing_is_coloured(tmp_path):
    with pytest.raises(WeightsError, match="models pull inception-resnet-v2"):
        DeepColorModel()(made_up_lightness(32, 32))
    path = tmp_path / "trained.safetensors"
    save_file(DeepColorModel(CONFIGS["deepcolor-3"]).state_dict(), path)
    with pytest.raises(WeightsError, match=str(cached_path(EMBEDDING))):
        load_model("deepcolor-3", path)


@pytest.fixture(scope="module")
def published():
    """A made-up state dict as others published the real one: background first, no counters."""
    torch.manual_seed(0)
    state = InceptionResNetV2().state_dict()
    assert sum(v.numel() for k, v in state.items() if "running" not in k and "num" not in k) == (
        55_843_464
    )
    for key in ("last_linear.weight", "last_linear.bias"):
        state[key] = torch.cat([torch.full_like(state[key][:1], 9.0), state[key]])
    return {key: value for key, value in state.items() if not key.endswith("batches_tracked")}


def test_published_weights_are_read_without_their_background(published, tmp_path):
    path = tmp_path / "inceptionresnetv2.pth"
    torch.save(published, path)
    model = DeepColorModel(CONFIGS["deepcolor-3"])
    model.embedder.load(path)
    before = model.weights_sha256
    model.prepare()
    assert len(model.weights_sha256) == 64
    assert model.weights_sha256 != before
    network = model.embedder.network
    assert isinstance(network, InceptionResNetV2)
    assert torch.equal(network.last_linear.weight, published["last_linear.weight"][1:])
    # Saved and counted without it, and never in half precision.
    assert not any("embedder" in key or "conv2d_1a" in key for key in model.state_dict())
    assert {p.dtype for p in model.to(torch.bfloat16).embedder.parameters()} == {torch.float32}
    scores = model.embedder(made_up_lightness(64, 48))
    assert scores.shape == (1, 1000)
    assert scores.std() > 0


def test_other_names_of_the_last_layer(published):
    renamed = {key.replace("last_linear", "classif"): value for key, value in published.items()}
    assert set(published_layout(renamed)) == set(published)


def test_weights_that_dont_fit_the_classifier_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"conv2d_1a.conv.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"doesn't fit Inception-ResNet-v2: its 'conv2d_1a.conv"):
        Embedder().load(path)
