"""Inception-ResNet-v2, which tells DeepColor's networks what a picture shows.

    network = InceptionResNetV2().eval()
    logits = network(torch.zeros(1, 3, 299, 299))       # (1, 1000)

Szegedy, Ioffe, Vanhoucke and Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning" (AAAI 2017, arXiv 1602.07261), as Google published it for TensorFlow and
others carried it over to PyTorch. The attributes are named as in those files. It sees RGB in -1..1.

    side  299  149 147 147  73   71   35      35        17        8
    stem    3 - 32- 32- 64 -80 -192 - 192 - A x 10 ---- B x 20 -- C x 10 - 1536 - mean - 1000
                                           320 planes   1088      2080
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 1000
SIDE = 299
EPSILON = 1e-3
"""Of every BatchNorm, as in TensorFlow."""


class BasicConv2d(nn.Module):
    """A convolution without bias, BatchNorm, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def pooled(inputs: int, outputs: int) -> nn.Sequential:
    """A mean over 3x3, then a convolution of 1x1."""
    mean = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return nn.Sequential(mean, BasicConv2d(inputs, outputs, 1))


class Branches(nn.Module):
    """Branches side by side, their planes joined: `branch0`, `branch1`, ..."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        for number, branch in enumerate(branches):
            self.add_module(f"branch{number}", branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], 1)


class Residual(nn.Module):
    """x plus a share of what two or three branches make of it."""

    def __init__(
        self, planes: int, joined: int, scale: float, branches: list[nn.Module], *, relu: bool
    ) -> None:
        super().__init__()
        self.scale, self.relu, self.count = scale, relu, len(branches)
        for number, branch in enumerate(branches):
            self.add_module(f"branch{number}", branch)
        self.conv2d = nn.Conv2d(joined, planes, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.get_submodule(f"branch{number}")(x) for number in range(self.count)]
        x = self.conv2d(torch.cat(parts, 1)) * self.scale + x
        return F.relu(x) if self.relu else x


def block35() -> Residual:
    """The paper's A, at 35x35."""
    branches: list[nn.Module] = [
        BasicConv2d(320, 32, 1),
        nn.Sequential(BasicConv2d(320, 32, 1), BasicConv2d(32, 32, 3, padding=1)),
        nn.Sequential(
            BasicConv2d(320, 32, 1),
            BasicConv2d(32, 48, 3, padding=1),
            BasicConv2d(48, 64, 3, padding=1),
        ),
    ]
    return Residual(320, 128, 0.17, branches, relu=True)


def block17() -> Residual:
    """The paper's B, at 17x17."""
    branches: list[nn.Module] = [
        BasicConv2d(1088, 192, 1),
        nn.Sequential(
            BasicConv2d(1088, 128, 1),
            BasicConv2d(128, 160, (1, 7), padding=(0, 3)),
            BasicConv2d(160, 192, (7, 1), padding=(3, 0)),
        ),
    ]
    return Residual(1088, 384, 0.10, branches, relu=True)


def block8(*, scale: float = 0.20, relu: bool = True) -> Residual:
    """The paper's C, at 8x8; the last one is added whole and has no ReLU."""
    branches: list[nn.Module] = [
        BasicConv2d(2080, 192, 1),
        nn.Sequential(
            BasicConv2d(2080, 192, 1),
            BasicConv2d(192, 224, (1, 3), padding=(0, 1)),
            BasicConv2d(224, 256, (3, 1), padding=(1, 0)),
        ),
    ]
    return Residual(2080, 448, scale, branches, relu=relu)


class InceptionResNetV2(nn.Module):
    """The classifier over ImageNet's 1,000 classes."""

    def __init__(self) -> None:
        super().__init__()
        conv = BasicConv2d
        self.conv2d_1a = conv(3, 32, 3, stride=2)
        self.conv2d_2a = conv(32, 32, 3)
        self.conv2d_2b = conv(32, 64, 3, padding=1)
        self.conv2d_3b = conv(64, 80, 1)
        self.conv2d_4a = conv(80, 192, 3)
        self.mixed_5b = Branches(
            conv(192, 96, 1),
            nn.Sequential(conv(192, 48, 1), conv(48, 64, 5, padding=2)),
            nn.Sequential(conv(192, 64, 1), conv(64, 96, 3, padding=1), conv(96, 96, 3, padding=1)),
            pooled(192, 64),
        )
        self.repeat = nn.Sequential(*(block35() for _ in range(10)))
        self.mixed_6a = Branches(
            conv(320, 384, 3, stride=2),
            nn.Sequential(
                conv(320, 256, 1), conv(256, 256, 3, padding=1), conv(256, 384, 3, stride=2)
            ),
            nn.MaxPool2d(3, stride=2),
        )
        self.repeat_1 = nn.Sequential(*(block17() for _ in range(20)))
        self.mixed_7a = Branches(
            nn.Sequential(conv(1088, 256, 1), conv(256, 384, 3, stride=2)),
            nn.Sequential(conv(1088, 256, 1), conv(256, 288, 3, stride=2)),
            nn.Sequential(
                conv(1088, 256, 1), conv(256, 288, 3, padding=1), conv(288, 320, 3, stride=2)
            ),
            nn.MaxPool2d(3, stride=2),
        )
        self.repeat_2 = nn.Sequential(*(block8() for _ in range(9)))
        self.block8 = block8(scale=1.0, relu=False)
        self.conv2d_7b = conv(2080, 1536, 1)
        self.last_linear = nn.Linear(1536, CLASSES)

    def forward(self, rgb: Tensor) -> Tensor:
        """Class scores (N, 1000) of RGB (N, 3, 299, 299) in -1..1; other sides from 75 up go."""
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(rgb)))
        x = F.max_pool2d(x, 3, stride=2)
        x = F.max_pool2d(self.conv2d_4a(self.conv2d_3b(x)), 3, stride=2)
        x = self.repeat(self.mixed_5b(x))
        x = self.repeat_1(self.mixed_6a(x))
        x = self.block8(self.repeat_2(self.mixed_7a(x)))
        scores: Tensor = self.last_linear(self.conv2d_7b(x).mean((2, 3)))
        return scores


def published_layout(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under this module's names.

    Some files call the last layer `classif`, and some have a class of background before the 1,000,
    which is dropped.
    """
    renamed = {key.replace("classif.", "last_linear."): value for key, value in state.items()}
    for key in ("last_linear.weight", "last_linear.bias"):
        if key in renamed and len(renamed[key]) == CLASSES + 1:
            renamed[key] = renamed[key][1:]
    return renamed
