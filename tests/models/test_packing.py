"""A network whose weights are laid out answers as before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tests.models.made_up import made_up_hints, made_up_lightness
from tests.models.test_contract import colors, every_network, sides
from vidcolor.inference import cpu_has_bf16
from vidcolor.models.color_model import ColorModel
from vidcolor.packing import Packed, fold_norms, pack

SAME = 1e-4
"""Other sums of float32, as a share of the greatest value: folding rounds weights once more, and
a kernel of another layout adds in another order. 1e-6 was seen."""

needs_packing = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch here has no oneDNN"
)


UNCALLED = {"compact": 2, "siggraph17": 1, "eccv16": 1}
"""Convolutions that a picture doesn't pass: heads for training, the keys of hints, and a decoding
that is computed another way."""


def packed_parts(model: nn.Module) -> int:
    return sum(isinstance(each, Packed) for part in model.modules() for each in vars(part).values())


@needs_packing
@every_network
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_every_network_answers_as_before(network: ColorModel, dtype) -> None:
    if dtype == torch.bfloat16 and not cpu_has_bf16():
        pytest.skip("this CPU has no bfloat16 arithmetic")
    height, width = sides(network)
    lightness = torch.cat([made_up_lightness(height, width, seed) for seed in range(2)])
    plain = copy.deepcopy(network).to(dtype)
    plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ready = copy.deepcopy(plain)
    pack(ready, torch.zeros_like(lightness))
    convolutions = [m for m in plain.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    # What only training or hints call stays as it is.
    assert packed_parts(ready) == len(convolutions) - UNCALLED.get(network.name, 0)
    before, after = colors(plain, lightness), colors(ready, lightness)
    if dtype == torch.bfloat16:
        assert torch.equal(before, after), (before - after).abs().max()
    else:
        assert (before - after).abs().max() <= SAME * before.abs().max()
    if network.accepts_hints:
        hints = made_up_hints(height, width).expand(2, -1, -1, -1).contiguous()
        error = (colors(plain, lightness, hints) - colors(ready, lightness, hints)).abs()
        assert error.max() <= SAME * before.abs().max()


@needs_packing
@pytest.mark.parametrize("network", ["compact", "eccv16"], indirect=True)
def test_once_more_changes_nothing(network: ColorModel) -> None:
    lightness = made_up_lightness(*sides(network))
    ready = copy.deepcopy(network)
    pack(ready, lightness)
    once, count = colors(ready, lightness), packed_parts(ready)
    pack(ready, lightness)
    assert packed_parts(ready) == count
    assert torch.equal(colors(ready, lightness), once)
    for key, tensor in network.state_dict().items():
        assert torch.equal(ready.state_dict()[key], tensor), key


@pytest.mark.parametrize("network", ["compact", "eccv16"], indirect=True)
def test_folded_norms_leave_the_colours(network: ColorModel) -> None:
    model = copy.deepcopy(network)
    for norm in [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    lightness = made_up_lightness(*sides(network))
    before = colors(model, lightness)
    fold_norms(model)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    # Behind a ReLU a norm can't be folded into what stands before that.
    assert len(norms) == {"compact": 0, "eccv16": 7}[network.name]
    assert (colors(model, lightness) - before).abs().max() <= SAME * before.abs().max()


@needs_packing
def test_what_is_no_plain_chain_keeps_its_parts() -> None:
    """A convolution called twice, one that mirrors its edges, and an activation of another kind."""
    torch.manual_seed(0)

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.twice = nn.Conv2d(4, 4, 3, padding=1)
            self.mirrored = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
            self.chain = nn.Sequential(
                nn.Conv2d(4, 4, 1), nn.Identity(), nn.ReLU(), nn.Conv2d(4, 4, 1)
            )
            self.smooth = nn.Sequential(nn.Conv2d(4, 4, 1), nn.GELU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.twice(self.twice(x.expand(-1, 4, -1, -1)))
            found: torch.Tensor = self.smooth(self.chain(self.mirrored(x)))
            return found

    model = Odd().eval()
    x = torch.randn(2, 1, 16, 16)
    with torch.inference_mode():
        before = model(x)
        pack(model, x)
        after = model(x)
    torch.testing.assert_close(after, before)
    assert packed_parts(model) == 3
    assert isinstance(model.chain[2], nn.Identity)
    assert isinstance(model.smooth[1], nn.GELU)
