"""A network made ready for the processor: norms folded in, weights laid out once.

    fold_norms(model)                              # in float32, before it is made bfloat16
    pack(model, torch.zeros(1, 1, 192, 192))       # changes `model`; it answers as before

Left alone, torch lays a convolution's weights out anew at each call, and goes through its output a
second time for the ReLU behind it. The operators used here are those that torch's own compiler
calls; where they won't take a convolution, it stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_norms(model: nn.Module) -> None:
    """Fold each BatchNorm that stands right behind a convolution into it; `model` in eval mode."""
    for chain, name, conv, following in behind_convolutions(model):
        norm = getattr(chain, following)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and not norm.training:
            setattr(chain, name, fuse_conv_bn_eval(conv, norm))
            setattr(chain, following, nn.Identity())


def behind_convolutions(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module, str]]:
    """Each convolution in a chain that something follows: chain, name in it, convolution, and the
    name of what follows."""
    for chain in list(model.modules()):
        if type(chain).forward is not nn.Sequential.forward:
            continue
        names = [name for name, part in chain.named_children() if not isinstance(part, nn.Identity)]
        for name, following in pairwise(names):
            conv = getattr(chain, name)
            if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
                yield chain, name, conv, following


@dataclass(frozen=True, slots=True)
class Fused:
    """What a convolution does to its sums before it rounds them, in the operators' words."""

    name: str = "none"
    numbers: tuple[float, ...] = ()

    @classmethod
    def of(cls, activation: nn.Module) -> Fused | None:
        """None for what would round otherwise than on its own, or has no word there."""
        if isinstance(activation, nn.ReLU6):
            return cls("hardtanh", (0.0, 6.0))
        if isinstance(activation, nn.ReLU):
            return cls("relu")
        return None


@dataclass(frozen=True, slots=True)
class Packed:
    """A convolution whose weights lie as the kernels want them; called as `_conv_forward` is."""

    weight: Tensor
    bias: Tensor | None
    geometry: tuple[Any, ...]
    fused: Fused
    transposed: bool

    def __call__(self, x: Tensor, *_: Any) -> Tensor:
        ops = torch.ops.mkldnn
        run = (
            ops._convolution_transpose_pointwise if self.transposed else ops._convolution_pointwise
        )
        found: Tensor = run(
            x, self.weight, self.bias, *self.geometry, self.fused.name, self.fused.numbers, ""
        )
        return found


@torch.inference_mode()
def pack(model: nn.Module, example: Tensor) -> None:
    """Lay out the weights of `model` for inputs of the shape of `example`, (N, 1, H, W).

    The model must lie on the CPU, in eval mode; it may no longer be trained or moved. Its outputs
    stay as they were, bit for bit; so does its state dict.
    """
    shapes = input_shapes(model, example)
    chained = {id(conv): (chain, name) for chain, _, conv, name in behind_convolutions(model)}
    for conv, shape in shapes.items():
        chain, following = chained.get(id(conv), (None, ""))
        fused = Fused.of(getattr(chain, following)) if chain else None
        packed = packed_for(conv, shape, fused or Fused())
        if packed is None:
            continue
        # Not a module of another class: a subclass may prepare the input, a network ask its dtype.
        setattr(conv, "forward" if packed.transposed else "_conv_forward", packed)
        if chain and fused:
            setattr(chain, following, nn.Identity())


def input_shapes(model: nn.Module, example: Tensor) -> dict[nn.Module, torch.Size]:
    """What each convolution is given, for those that are called once."""
    seen: dict[nn.Module, list[torch.Size]] = {}
    recorded = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    recorded = [m for m in recorded if not {"forward", "_conv_forward"} & set(vars(m))]

    def record(conv: nn.Conv2d) -> Any:
        def noted(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            seen.setdefault(conv, []).append(x.shape)
            found: Tensor = nn.Conv2d._conv_forward(conv, x, weight, bias)
            return found

        return noted

    hooks = []
    for conv in recorded:
        if isinstance(conv, nn.Conv2d):
            conv._conv_forward = record(conv)  # type: ignore[method-assign]
        else:
            note = conv.register_forward_pre_hook
            hooks.append(note(lambda m, given: seen.setdefault(m, []).append(given[0].shape)))
    try:
        model(example)
    finally:
        for hook in hooks:
            hook.remove()
        for conv in recorded:
            vars(conv).pop("_conv_forward", None)
    return {conv: shapes[0] for conv, shapes in seen.items() if len(shapes) == 1}


def packed_for(conv: nn.Module, shape: torch.Size, fused: Fused) -> Packed | None:
    """The convolution laid out for inputs of `shape`; None where that can't be done."""
    ops = torch.ops.mkldnn
    transposed = isinstance(conv, nn.ConvTranspose2d)
    assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        return None
    between = (conv.output_padding,) if transposed else ()
    geometry = (conv.padding, *between, conv.stride, conv.dilation, conv.groups)
    lay_out = (
        ops._reorder_convolution_transpose_weight if transposed else ops._reorder_convolution_weight
    )
    try:
        weight = lay_out(conv.weight, *geometry, shape)
    except RuntimeError:
        return None
    return Packed(weight, conv.bias, geometry, fused, transposed)
