"""`compact`: the small network that ships inside the package.

A U-Net whose encoder is MobileNetV2 (Sandler et al., CVPR 2018) and whose two outputs are those
of Zhang's work: a class head over the 313 ab bins (ECCV 2016), read by annealed mean, and an ab
head (SIGGRAPH 2017). The class head is vivid and blotchy, the ab head calm and a little dull; they
can be mixed, and the bundled weights answer by the ab head, strengthened. Input planes are
SIGGRAPH 2017's four: (L-50)/100, hint a/110, hint b/110, hint mask.

    stride  1    2    4    8    16   32
    encoder in - 16 - 24 - 32 - 96 - 320 - 1280
                 |    |    |    |    |      |
                 |    |    |    |    |  global mean
    decoder     48 - 96 -128 -192 -192 -----+
                 |    |
              ab head class head

Hints enter twice: as planes beside the lightness, where the encoder may hear them, and at the end,
where each pulls what is near and like the place it was put on (`HintReach`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.models.bins import N_BINS, AbBins
from vidcolor.models.color_model import ColorModel

L_CENT, L_NORM, AB_NORM = 50.0, 100.0, 110.0

# (expansion, channels, repeats, first stride), MobileNetV2's table 2.
INVERTED_RESIDUALS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
SCENE_CHANNELS = 1280
"""Of MobileNetV2's last 1x1, whose mean over the picture says what it is a picture of."""

TAPS = (0, 2, 5, 12, 16)
"""Indices of the inverted residuals whose outputs the decoder reads: strides 2, 4, 8, 16, 32."""


@dataclass(frozen=True, kw_only=True)
class CompactConfig:
    """Widths of the decoder, the way its two heads are mixed, and the size it sees."""

    side: int = 192
    """Of the square a frame is stretched to, pixels."""

    decoder: tuple[int, int, int, int] = (192, 128, 96, 48)
    """Channels at strides 16, 8, 4 and 2."""

    dropout: float = 0.2
    """Share of the scene's features that a training step goes without, as in MobileNetV2."""

    temperature: float = 0.38
    """T of the annealed mean over the class head (ECCV 2016, section 2.3)."""

    class_share: float = 0.0
    """Weight of the class head in the mixture; the ab head has the rest. At 0 it only helps
    training, and isn't computed in use."""

    strength: float = 1.1
    """Factor on the mixed ab. A network that was taught to err little answers too gray; above 1
    gives colour back. Hints aren't multiplied."""


class SameConv(nn.Conv2d):
    """A 3x3 convolution of stride 2 with TensorFlow's SAME padding: one row below, one column
    right, as the pretrained encoder expects on even sides."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def conv3x3(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride == 2:
        return SameConv(inputs, outputs, 3, stride=2, groups=groups)
    return nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups)


class HintAttention(NamedTuple):
    """How much each place of a picture follows each place that has a hint."""

    shares: Tensor
    """(N, K, h, w), 0..1; 0 for places that stand in for hints a picture doesn't have."""

    wanted: Tensor
    """(N, 2, K), the hints' a and b, Lab units."""

    places: Tensor
    """(N, K), row by row on the grid of `shares`."""

    def pull(self, ab: Tensor) -> Tensor:
        """float32 ab (N, 2, H, W), moved by what it lacks at the hints, as far as each reaches."""
        n, _, h, w = self.shares.shape
        # In 16 bits a pull of 100 would be off by half a unit.
        with torch.autocast(ab.device.type, enabled=False):
            small = F.interpolate(ab, size=(h, w), mode="area").flatten(2)
            missing = self.wanted - small.gather(2, self.places[:, None].expand(-1, 2, -1))
            shares = self.shares.flatten(2)
            # The strongest hint says how far, all together say where to.
            mean = (missing @ shares) / shares.sum(1, keepdim=True).clamp(min=1e-6)
            moved = (mean * shares.amax(1, keepdim=True)).view(n, 2, h, w)
            moved = F.interpolate(moved, size=ab.shape[2:], mode="bilinear", align_corners=False)
            return ab + moved


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """(..., K, M) between vectors (..., K, C) and (..., M, C)."""
    sums = one.square().sum(-1)[..., :, None] + other.square().sum(-1)[..., None, :]
    # In 16 bits the difference of what are nearly equals would be anything.
    with torch.autocast(one.device.type, enabled=False):
        return (sums - 2 * one @ other.transpose(-1, -2)).clamp(min=0)


class Heads(NamedTuple):
    """What the two heads say, before they are mixed."""

    logits: Tensor
    """(N, 313, H/4, W/4), class scores."""

    ab: Tensor
    """(N, 2, H/2, W/2), Lab units."""

    attention: HintAttention | None
    """To the hints, by which ab has yet to be pulled; None where no planes of hints were given."""


class HintReach(nn.Module):
    """Attention from every place to the hints: near ones whose features are like their own count.

    The share of a hint is exp(-(s |key - key'|^2 + (distance / REACH)^4)): 1 where it was put. The
    keys find its object; distance hardly counts near it, and ends what they may do further off. The
    kernel is our own.
    """

    KEYS, REACH = 16, 0.25
    """Channels of a key; the distance where a share is at most 1/e, in sides of the picture."""

    SELECTIVITY = 3.0
    """s, in use; 1 in training. What errs least on average spreads a hint over its neighbours, and
    people want it to stop at an edge."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.key = nn.Conv2d(channels, self.KEYS, 1)

    def forward(self, features: Tensor, hints: Tensor) -> HintAttention:
        """features: (N, C, h, w). hints: (N, 3, H, W) as in `ColorModel.forward`."""
        n, _, h, w = features.shape
        cells = F.adaptive_avg_pool2d(
            torch.cat([hints[:, :2] * hints[:, 2:], hints[:, 2:]], 1), (h, w)
        )
        cells = cells.float().flatten(2)
        hinted = (cells[:, 2] > 0).float()
        # Hinted cells first; the least any picture needs are kept.
        found, places = hinted.topk(max(1, int(hinted.sum(1).max())), dim=1)
        picked = cells.gather(2, places[:, None].expand(-1, 3, -1))
        keys = self.key(features).float().flatten(2)
        there = keys.gather(2, places[:, None].expand(-1, self.KEYS, -1))
        axes = [(torch.arange(size, device=features.device) + 0.5) / size for size in (h, w)]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1).T / self.REACH
        away = squared_distances(grid[places], grid)
        unlike = squared_distances(there.transpose(1, 2), keys.transpose(1, 2))
        if not self.training:
            unlike = self.SELECTIVITY * unlike
        shares = torch.exp(-(unlike + away.square())) * found[:, :, None]
        wanted = picked[:, :2] / picked[:, 2:].clamp(min=1e-6)
        return HintAttention(shares.view(n, -1, h, w), wanted, places)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1, without BatchNorm (it is folded into the start)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(inputs, width, 1), nn.ReLU6()]
        layers += [conv3x3(width, width, stride=stride, groups=width), nn.ReLU6()]
        layers += [nn.Conv2d(width, outputs, 1)]
        self.layers = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y


class Up(nn.Module):
    """Double the size, join the encoder's features of that size, and mix by `convs` 3x3 convs."""

    def __init__(self, inputs: int, skip: int, outputs: int, convs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(convs):
            width = inputs + skip if i == 0 else outputs
            layers += [nn.Conv2d(width, outputs, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(outputs, momentum=0.03), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        y: Tensor = self.layers(torch.cat([x, skip], 1))
        return y


class CompactModel(ColorModel):
    """The bundled network; see the module's text for its shape and sources."""

    name: str = "compact"
    size_multiple: ClassVar[int] = 32
    accepts_hints: ClassVar[bool] = True

    def __init__(self, config: CompactConfig | None = None) -> None:
        super().__init__()
        self.config = config or CompactConfig()
        self.see_at(self.config.side)
        self.stem = conv3x3(4, 32, stride=2)
        blocks: list[nn.Module] = []
        channels, taps = 32, []
        for expansion, outputs, repeats, stride in INVERTED_RESIDUALS:
            for i in range(repeats):
                blocks.append(
                    InvertedResidual(channels, outputs, expansion, stride if i == 0 else 1)
                )
                channels = outputs
                if len(blocks) - 1 in TAPS:
                    taps.append(channels)
        self.blocks = nn.ModuleList(blocks)
        d16, d8, d4, d2 = self.config.decoder
        c2, c4, c8, c16, c32 = taps
        self.top = nn.Sequential(nn.Conv2d(c32, SCENE_CHANNELS, 1), nn.ReLU6())
        self.scene = nn.Sequential(nn.Dropout(self.config.dropout), nn.Linear(SCENE_CHANNELS, d16))
        self.neck = nn.Conv2d(c32, d16, 1)
        self.up16 = Up(d16, c16, d16, 1)
        self.up8 = Up(d16, c8, d8, 2)
        self.up4 = Up(d8, c4, d4, 2)
        self.up2 = Up(d4, c2, d2, 1)
        self.hint_reach = HintReach(d4)
        self.class_head = nn.Conv2d(d4, N_BINS, 1)
        self.ab_head = nn.Sequential(
            nn.Conv2d(d2, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 2, 3, padding=1)
        )
        centers = torch.from_numpy(AbBins.load().centers)
        self.register_buffer("centers", centers, persistent=False)
        self.centers: Tensor

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        return chain(self.stem.parameters(), self.blocks.parameters(), self.top.parameters())

    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Mix both heads; returns ab (N, 2, H/2, W/2). See `ColorModel.forward`."""
        x4, x2 = self.decoded(lightness, hints)
        ab = self.ab_of(x2)
        if share := self.config.class_share:
            classes = self.decode_classes(self.class_head(x4))
            classes = F.interpolate(classes, scale_factor=2, mode="bilinear", align_corners=False)
            ab = share * classes + (1 - share) * ab
        ab = self.config.strength * ab
        return ab if hints is None else self.hint_reach(x4, hints).pull(ab)

    def heads(self, lightness: Tensor, hints: Tensor | None = None) -> Heads:
        """Both heads' own outputs, which training needs apart; inputs as in `forward`."""
        x4, x2 = self.decoded(lightness, hints)
        attention = None if hints is None else self.hint_reach(x4, hints)
        return Heads(self.class_head(x4), self.ab_of(x2), attention)

    def decoded(self, lightness: Tensor, hints: Tensor | None) -> tuple[Tensor, Tensor]:
        """The decoder's features (N, 96, H/4, W/4) and (N, 48, H/2, W/2), their channels those of
        the config; inputs as in `forward`."""
        t2, t4, t8, t16, t32 = self.features(lightness, hints)
        scene: Tensor = self.scene(self.top(t32).mean((2, 3)))
        x = F.relu(self.neck(t32) + scene[:, :, None, None])
        x4 = self.up4(self.up8(self.up16(x, t16), t8), t4)
        return x4, self.up2(x4, t2)

    def ab_of(self, x2: Tensor) -> Tensor:
        """The ab head's answer to the decoder's features of stride 2: Lab units, float32."""
        ab: Tensor = self.ab_head(x2)
        return ab.float() * AB_NORM

    def features(self, lightness: Tensor, hints: Tensor | None = None) -> list[Tensor]:
        """What the encoder makes of a picture at strides 2, 4, 8, 16 and 32; inputs as above."""
        if hints is None:
            hints = lightness.new_zeros(lightness.shape[0], 3, *lightness.shape[2:])
        planes = torch.cat([(lightness - L_CENT) / L_NORM, hints[:, :2] / AB_NORM, hints[:, 2:]], 1)
        x = F.relu6(self.stem(planes.to(self.stem.weight.dtype)))
        taps: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                taps.append(x)
        return taps

    def decode_classes(self, logits: Tensor) -> Tensor:
        """Annealed mean: the expectation of the bin centres at temperature T.

        logits (N, 313, h, w) -> ab (N, 2, h, w), Lab units, float32.
        """
        # Bins last, as channels_last has them in memory: softmax over strided ones takes longer.
        p = torch.softmax(logits.permute(0, 2, 3, 1).float() / self.config.temperature, -1)
        return (p @ self.centers.float()).permute(0, 3, 1, 2)
