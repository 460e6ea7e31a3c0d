"""What a network is trained towards: from its raw output and the truth to one number.

    objective = make_objective("classes-313", ObjectiveOptions(rebalance="prior"))
    losses = objective(network, batch)
    losses.total.backward()

Each compares at the size the network answers in; the truth is shrunk to it by area.

| name | compares | source |
|---|---|---|
| mse, l1 | ab | Osnabrück, DeepColor, St. Clair |
| smooth-l1 | ab, in steps of a bin | SIGGRAPH 2017, section 3.3 |
| rgb-mse, rgb-l1 | RGB | UC San Diego |
| classes-121 | scores of 11x11 bins | Osnabrück |
| classes-313 | scores of Zhang's bins | ECCV 2016, section 2.1-2.2 |
| classes-529 | scores of 23x23 bins | SIGGRAPH 2017's first phase |
| two-heads | both heads of compact | classes-313 and smooth-l1 together |
| perceptual, beside any | features of a network that sees colours | Johnson et al., ECCV 2016 |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, Protocol, TypeVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.errors import TrainingError
from vidcolor.models.bins import GRID
from vidcolor.models.cantor import AbGrid
from vidcolor.models.color_model import ColorModel
from vidcolor.models.compact import CompactModel
from vidcolor.models.deepcolor import DeepColorModel
from vidcolor.models.eccv16 import Eccv16Model
from vidcolor.models.lab import lab_to_rgb
from vidcolor.models.osnabrueck import OsnabrueckModel
from vidcolor.models.siggraph17 import Siggraph17Model
from vidcolor.models.ucsd import UcsdModel
from vidcolor.training.coding import SoftCoder, colored, rebalancing_weights
from vidcolor.training.perceptual import PerceptualLoss
from vidcolor.training.prior import imagenet_121

NAMES = (
    *("mse", "l1", "smooth-l1", "rgb-mse", "rgb-l1"),
    *("classes-121", "classes-313", "classes-529", "two-heads"),
)

AB_UNIT = 110.0
"""Lab units that count as 1 in mse and l1, unless said otherwise, so that rates mean about the same
for all objectives."""


@dataclass(frozen=True)
class Truth:
    """A batch as an objective needs it."""

    lightness: Tensor
    """(N, 1, S, S), CIE L in 0..100, what the network is given."""

    ab: Tensor
    """(N, 2, S, S), Lab units."""

    hints: Tensor | None = None
    """(N, 3, S, S): a, b and a mask, for networks that take hints."""

    embedding: Tensor | None = None
    """(N, 1000): what a classifier says, for DeepColor's networks."""


class Losses(NamedTuple):
    total: Tensor
    parts: dict[str, Tensor]
    """By name, detached."""


class Objective(Protocol):
    def __call__(self, network: ColorModel, truth: Truth) -> Losses: ...


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """What a recipe says beside the objective's name."""

    rebalance: Literal["none", "prior", "data"] = "prior"
    """Weights of the 313 or 121 classes: none, from ImageNet's counts, or from the data's own."""

    unit: float = AB_UNIT
    """Of mse and l1: the Lab units that count as 1."""

    neighbours: int = 5
    """Bins of the soft encoding: the paper's 5, or the published code's 10."""

    ab_share: float = 1.0
    """Of two-heads: the weight of the ab head beside the class head."""

    knee: float = GRID
    """Of smooth-l1 and two-heads: the Lab units up to which a distance counts squared. A small one
    teaches the median of likely colours, a large one their mean, which is less gray."""

    perceptual: float = 0.0
    """Weight of the perceptual loss beside the objective."""


def make_objective(
    name: str, options: ObjectiveOptions, prior: NDArray[np.float64] | None = None
) -> Objective:
    """The objective of that name.

    prior: the data's own counts where `rebalance` is `data`. Raises TrainingError on an unknown
    name.
    """
    makers: dict[str, Callable[[], Objective]] = {
        "mse": lambda: AbDistance(F.mse_loss, options.unit),
        "l1": lambda: AbDistance(F.l1_loss, options.unit),
        "smooth-l1": lambda: AbDistance(smooth_l1(options.knee), GRID),
        "rgb-mse": lambda: RgbDistance(F.mse_loss),
        "rgb-l1": lambda: RgbDistance(F.l1_loss),
        "classes-121": lambda: Classes121(options, prior),
        "classes-529": Classes529,
        "classes-313": lambda: Classes313(options, prior),
        "two-heads": lambda: TwoHeads(options, prior),
    }
    if name not in makers:
        raise TrainingError(f"there is no objective {name!r}; there are {', '.join(NAMES)}.")
    objective = makers[name]()
    return WithPerceptual(objective, options.perceptual) if options.perceptual else objective


Distance = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AbDistance:
    """A distance between predicted and true ab, in units of `unit`."""

    distance: Distance
    unit: float

    def __call__(self, network: ColorModel, truth: Truth) -> Losses:
        ab = predicted_ab(network, truth)
        target = F.interpolate(truth.ab, size=ab.shape[2:], mode="area")
        loss = self.distance(ab.float() / self.unit, target / self.unit)
        return Losses(loss, {"ab": loss.detach()})


@dataclass(frozen=True)
class RgbDistance:
    """A distance between predicted and true sRGB in 0..1."""

    distance: Distance

    def __call__(self, network: ColorModel, truth: Truth) -> Losses:
        model = of_kind(network, UcsdModel, "an objective on RGB")
        rgb = model.rgb(truth.lightness)
        loss = self.distance(rgb.float(), lab_to_rgb(torch.cat([truth.lightness, truth.ab], 1)))
        return Losses(loss, {"rgb": loss.detach()})


class Classes121:
    """Cross entropy over the Osnabrück report's classes. Every pixel counts the same, as reported,
    or by how rare its class is, as the report's authors wished."""

    def __init__(self, options: ObjectiveOptions, prior: NDArray[np.float64] | None) -> None:
        self.weights: Tensor | None = None
        if options.rebalance != "none":
            counts = imagenet_121() if options.rebalance == "prior" else own_counts(prior)
            self.weights = rebalancing_weights(counts, classes=AbGrid.CLASSES)

    def __call__(self, network: ColorModel, truth: Truth) -> Losses:
        model = of_kind(network, OsnabrueckModel, "classes-121")
        if not model.config.classes:
            raise TrainingError(f"{model.name} has no classes; take mse, l1 or smooth-l1.")
        scores = model.raw(truth.lightness)
        classes = AbGrid.encode(truth.ab)
        entropy = F.cross_entropy(scores.float(), classes, reduction="none")
        if self.weights is not None:
            entropy = entropy * self.weights.to(classes.device)[classes]
        loss = entropy.mean()
        return Losses(loss, {"classes": loss.detach()})


class Classes529:
    """Cross entropy over SIGGRAPH 2017's classes for its first phase, without hints: ab rounded to
    multiples of 10, 23 of them along a and along b."""

    def __call__(self, network: ColorModel, truth: Truth) -> Losses:
        scores = of_kind(network, Siggraph17Model, "classes-529").class_scores(truth.lightness)
        target = F.interpolate(truth.ab, size=scores.shape[2:], mode="area")
        steps = (target / GRID).round().long().clamp(-11, 11) + 11
        entropy = F.cross_entropy(scores.float(), steps[:, 0] * 23 + steps[:, 1], reduction="none")
        loss = (entropy * colored(truth.ab)[:, None, None]).mean()
        return Losses(loss, {"classes": loss.detach()})


class Classes313:
    """Soft cross entropy over Zhang's bins, rebalanced or not."""

    def __init__(self, options: ObjectiveOptions, prior: NDArray[np.float64] | None) -> None:
        self.coder = coder_of(options, prior)
        self.rebalanced = options.rebalance != "none"

    def __call__(self, network: ColorModel, truth: Truth) -> Losses:
        scores = class_scores(network, truth)
        target = F.interpolate(truth.ab, size=scores.shape[2:], mode="area")
        loss = self.coder.cross_entropy(scores, target, rebalanced=self.rebalanced).mean()
        return Losses(loss, {"classes": loss.detach()})


class TwoHeads:
    """Both heads of compact: classes as in classes-313, ab by smooth L1 in steps of a bin."""

    def __init__(self, options: ObjectiveOptions, prior: NDArray[np.float64] | None) -> None:
        self.coder = coder_of(options, prior)
        self.rebalanced = options.rebalance != "none"
        self.ab_share, self.distance = options.ab_share, smooth_l1(options.knee, reduction="none")

    def __call__(self, network: ColorModel, truth: Truth) -> Losses:
        heads = of_kind(network, CompactModel, "two-heads").heads(truth.lightness, truth.hints)
        small = F.interpolate(truth.ab, size=heads.logits.shape[2:], mode="area")
        classes = self.coder.cross_entropy(heads.logits, small, rebalanced=self.rebalanced).mean()
        half = F.interpolate(truth.ab, size=heads.ab.shape[2:], mode="area")
        guess = heads.attention.pull(heads.ab) if heads.attention is not None else heads.ab
        distance = self.distance(guess / GRID, half / GRID).sum(1)
        ab = (distance * colored(truth.ab)[:, None, None]).mean()
        total = classes + self.ab_share * ab
        return Losses(total, {"classes": classes.detach(), "ab": ab.detach()})


class WithPerceptual:
    """An objective, and beside it the distance of features."""

    def __init__(self, objective: Objective, share: float) -> None:
        self.objective, self.share = objective, share
        self.perceptual = PerceptualLoss.load()

    def __call__(self, network: ColorModel, truth: Truth) -> Losses:
        total, parts = self.objective(network, truth)
        ab = predicted_ab(network, truth)
        features = self.perceptual(truth.lightness, ab, truth.ab)
        return Losses(total + self.share * features, {**parts, "features": features.detach()})


def smooth_l1(knee: float, *, reduction: str = "mean") -> Distance:
    """Of ab in steps of a bin, squared up to `knee` Lab units and straight beyond."""
    return partial(F.smooth_l1_loss, beta=knee / GRID, reduction=reduction)


def coder_of(options: ObjectiveOptions, prior: NDArray[np.float64] | None) -> SoftCoder:
    own = own_counts(prior) if options.rebalance == "data" else None
    return SoftCoder(neighbours=options.neighbours, prior=own)


def own_counts(prior: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The data's own, where they were counted. Raises TrainingError."""
    if prior is None:
        raise TrainingError("rebalancing by the data's own counts needs them; none were given.")
    return prior


def predicted_ab(network: ColorModel, truth: Truth) -> Tensor:
    """ab (N, 2, h, w) that gradients go through, in Lab units."""
    if isinstance(network, DeepColorModel) and truth.embedding is not None:
        return network.raw(truth.lightness, truth.embedding)
    return cast(Tensor, network(truth.lightness, truth.hints))


def class_scores(network: ColorModel, truth: Truth) -> Tensor:
    """Scores (N, 313, h, w). Raises TrainingError for a network that has none."""
    if isinstance(network, CompactModel):
        return network.heads(truth.lightness, truth.hints).logits
    if isinstance(network, Eccv16Model):
        return network.class_scores(truth.lightness)
    raise TrainingError(f"{network.name} doesn't score the 313 colours; take another objective.")


Kind = TypeVar("Kind", bound=ColorModel)


def of_kind(network: ColorModel, kind: type[Kind], objective: str) -> Kind:
    """The network, if it is of that kind. Raises TrainingError."""
    if isinstance(network, kind):
        return network
    raise TrainingError(f"{objective} isn't for {network.name}; see its recipe in configs/train/.")
