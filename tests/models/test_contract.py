"""The contract of `ColorModel`, over every network of the registry."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.models.made_up import made_up_hints, made_up_lightness, with_classifier
from tests.tolerances import BATCH_AGAINST_SINGLES_LAB
from vidcolor.models.color_model import UNSEALED, ColorModel
from vidcolor.models.registry import MODELS, entry_of

NAMES = [entry.name for entry in MODELS]
every_network = pytest.mark.parametrize("network", NAMES, indirect=True)


@torch.inference_mode()
def colors(model: ColorModel, lightness: torch.Tensor, hints=None) -> torch.Tensor:
    ab: torch.Tensor = model(lightness, hints)
    return ab


def sides(model: ColorModel) -> tuple[int, int]:
    """A small input that isn't square, with sides that are odd multiples."""
    return 3 * model.size_multiple, 5 * model.size_multiple


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


@every_network
def test_it_says_what_it_is(network: ColorModel, request) -> None:
    assert network.name == request.node.callspec.params["network"]
    assert all(side % network.size_multiple == 0 for side in network.input_size)
    assert network.weights_sha256 == UNSEALED or len(network.weights_sha256) == 64


@every_network
@pytest.mark.parametrize("size", [None, (64, 64), (96, 32)])
def test_shape_and_values(network: ColorModel, size) -> None:
    height, width = size or sides(network)
    batch = torch.cat(
        [
            made_up_lightness(height, width),
            torch.zeros(1, 1, height, width),
            torch.full((1, 1, height, width), 100.0),
        ]
    )
    before = batch.clone()
    ab = colors(network, batch)
    assert ab.shape[:2] == (3, 2)
    # One scale for both sides, or the picture would be bent.
    assert ab.shape[2] * width == ab.shape[3] * height
    assert ab.shape[2] <= height
    assert ab.dtype == torch.float32
    assert ab.isfinite().all()
    assert torch.equal(batch, before), "the input was written to"


@every_network
def test_hints_are_used_or_ignored(network: ColorModel) -> None:
    height, width = sides(network)
    lightness = made_up_lightness(height, width)
    plain = colors(network, lightness)
    hinted = colors(network, lightness, made_up_hints(height, width))
    empty = colors(network, lightness, torch.zeros(1, 3, height, width))
    assert torch.equal(plain, empty)
    assert torch.equal(plain, hinted) is not network.accepts_hints


@every_network
def test_batch_is_its_items(network: ColorModel) -> None:
    items = [made_up_lightness(*sides(network), seed) for seed in range(3)]
    batch = colors(network, torch.cat(items))
    singles = torch.cat([colors(network, item) for item in items])
    error = (batch - singles).abs()
    assert error.max() <= BATCH_AGAINST_SINGLES_LAB, error.flatten().quantile(torch.tensor([0.5]))
    assert (singles[0] - singles[1]).abs().max() > 0


@every_network
def test_same_in_same_out(network: ColorModel) -> None:
    lightness = made_up_lightness(*sides(network))
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    assert torch.equal(colors(network, lightness), colors(network, lightness))
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[key]), key


@every_network
def test_its_state_dict_is_all_of_it(network: ColorModel) -> None:
    torch.manual_seed(1)
    other = with_classifier(entry_of(network.name).build().eval())
    other.load_state_dict(network.state_dict(), strict=True)
    lightness = made_up_lightness(*sides(network))
    assert torch.equal(colors(other, lightness), colors(network, lightness))


@every_network
def test_half_precision_gives_float32(network: ColorModel) -> None:
    lightness = made_up_lightness(*sides(network))
    ab = colors(copy.deepcopy(network).to(torch.bfloat16), lightness)
    assert ab.dtype == torch.float32
    assert ab.isfinite().all()
