"""Chroma planes rendered on a device, a batch of frames at once: `render_chroma` in torch.

    color = DeviceColor(
        space, guide_space=small_space, size=(960, 540), guide_size=(320, 180), ab_size=(160, 90),
        device=torch.device("cuda"),
    )
    rendering = color.submit(luma, guide, ab)       # luma at the chroma planes' size
    u, v = rendering.result()                       # (n, 540, 960) each, codes

Only what can't be found on the device goes up: 0.6 MB a frame of 1080p; U and V come back, 1 MB.
The numbers are those of `rendering`, up to rounding: torch sums in another order. So a code differs
by one here and there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.color import (
    D65,
    HIGHLIGHT_FADE,
    HLG,
    HLG_A,
    HLG_B,
    HLG_C,
    HLG_GAMMA,
    HLG_LUMINANCE,
    PQ,
    REFERENCE_WHITE_HLG,
    REFERENCE_WHITE_PQ,
    RGB_709_TO_2020,
    XYZ_TO_709,
    ColorSpace,
    lab_root,
)
from vidcolor.device_batches import Answer, DeviceBatches, Planes
from vidcolor.device_filters import Separable, gaussian, mean, resized
from vidcolor.errors import DeviceError
from vidcolor.frames import Plane
from vidcolor.rendering import (
    GUIDE_BLUR_SHARE,
    GUIDE_EPSILON,
    GUIDE_RADIUS,
    HELD_HALVINGS,
    IN_GAMUT,
    LEAST_BLUR,
    NEIGHBOURS,
    ROUNDING,
    TINY_SPREAD,
)
from vidcolor.resample import Size

Floats = NDArray[np.float32]

DEFAULT_BATCH = {"cpu": 1, "mps": 4, "cuda": 8}
"""Frames at once by device type."""


class Rendering:
    """Chroma planes that are being rendered."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = answers

    def result(self) -> tuple[Plane, Plane]:
        """U and V codes, (n, height, width) each; waits for them where need be."""
        both = np.concatenate([answer.result()[0] for answer in self._answers])
        codes: Plane = both if both.dtype == np.uint8 else both.view(np.uint16)
        return codes[:, 0], codes[:, 1]


class DeviceColor:
    """Renders frames of one size and one film on one device; not safe for two threads at once."""

    def __init__(
        self,
        space: ColorSpace,
        *,
        guide_space: ColorSpace,
        size: Size,
        guide_size: Size,
        ab_size: Size,
        device: torch.device,
        batch: int | None = None,
        saturation: float = 1.0,
    ) -> None:
        """Sizes are (width, height): of the chroma planes, of the guides, of the colour that is
        given. batch: frames at once, DEFAULT_BATCH where it is None. Colour is multiplied by
        `saturation`.
        """
        self.device = device
        self.batch = batch or DEFAULT_BATCH.get(device.type, 1)
        # torch knows little of 16 bits without a sign.
        code = torch.uint8 if space.bit_depth == 8 else torch.int16
        self._sizes = (size[::-1], guide_size[::-1], (2, *ab_size[::-1]))
        kinds = (code, torch.uint8, torch.float32)
        planes = [
            Planes((self.batch, *each), kind) for each, kind in zip(self._sizes, kinds, strict=True)
        ]
        with torch.inference_mode():
            renderer = Renderer(space, guide_space, size, guide_size, ab_size, saturation, device)
        self._batches = DeviceBatches(renderer, planes, device)

    def render(
        self, luma: Plane, guide: NDArray[np.uint8], ab: Floats | Tensor
    ) -> tuple[Plane, Plane]:
        """What `submit` gives, once it is there."""
        return self.submit(luma, guide, ab).result()

    def submit(self, luma: Plane, guide: NDArray[np.uint8], ab: Floats | Tensor) -> Rendering:
        """Begin to render n frames; with CUDA it returns before they are there.

        luma: codes (n, height, width), shrunk to the chroma planes' size. guide: (n, h, w), the
        small luma, 8 bits. ab: (n, 2, h, w), Lab units, an array or a tensor on the device.
        Raises DeviceError when the device's memory runs out.
        """
        for given, wanted in zip((luma, guide, ab), self._sizes, strict=True):
            if tuple(given.shape[1:]) != wanted:
                raise ValueError(f"a batch of {tuple(given.shape)}, where (n, *{wanted}) goes in")
        codes = luma if luma.dtype == np.uint8 else luma.view(np.int16)
        try:
            answers = [
                self._batches.submit(*(each[i : i + self.batch] for each in (codes, guide, ab)))
                for i in range(0, len(luma), self.batch)
            ]
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{self.device} ran out of memory while it rendered {self.batch} frames at once; "
                "try a smaller --batch, or --device cpu."
            ) from error
        return Rendering(answers)


class Renderer:
    """The rendering itself: a function of tensors of fixed shapes, with its constants."""

    def __init__(
        self,
        space: ColorSpace,
        guide_space: ColorSpace,
        size: Size,
        guide_size: Size,
        ab_size: Size,
        saturation: float,
        device: torch.device,
    ) -> None:
        self._space, self._guide_space = SpaceOn.of(space, device), SpaceOn.of(guide_space, device)
        self._size, self._guide_size = size[::-1], guide_size[::-1]
        self._saturation = saturation
        sigma = max(LEAST_BLUR, GUIDE_BLUR_SHARE * max(guide_size))
        length = round(sigma * 4 * 2 + 1) | 1  # OpenCV's own for floats
        self._shrink = Separable.placing(guide_size, ab_size, (0, 0), ab_size, device)
        self._soften = Separable.filtering(gaussian(length, sigma), guide_size, device)
        self._box = Separable.filtering(mean(2 * GUIDE_RADIUS + 1), guide_size, device)
        self._even = Separable.filtering(mean(3), guide_size, device)

    def __call__(self, luma: Tensor, guide: Tensor, ab: Tensor) -> tuple[Tensor]:
        """U and V codes (B, 2, H, W), of luma (B, H, W), guide (B, h, w) and ab (B, 2, h', w')."""
        guide_light = self._guide_space.normalize(guide[:, None])
        soft = self._soften(guide_light)
        codes = self._guide_space.soft_codes(self._shrink(soft))
        held = held_chroma(codes, ab * self._saturation, self._guide_space)
        chroma = resized(held, self._guide_size)
        slope, offset = self._coefficients(guide_light, soft, chroma)
        both = resized(torch.cat([slope, offset], 1), self._size)
        light = self._space.normalize(luma[:, None])
        chroma = both[:, :2] * light + both[:, 2:]
        scale = self._space.gamut_scale(light, chroma) * self._space.tone_fade(light)
        return (self._space.quantize(chroma * scale),)

    def _coefficients(self, guide: Tensor, soft: Tensor, chroma: Tensor) -> tuple[Tensor, Tensor]:
        """`rendering.guided_coefficients`: slope and offset (B, 2, h, w). guide, soft: (B, 1, h,
        w)."""
        moments = self._box(torch.cat([soft, soft * soft, chroma, chroma * soft, chroma**2], 1))
        mean, square, mean_chroma, product, chroma_square = torch.split(moments, [1, 1, 2, 2, 2], 1)
        spread = square - mean * mean + GUIDE_EPSILON
        covariance = product - mean_chroma * mean
        chroma_spread = chroma_square - mean_chroma * mean_chroma
        slope = covariance / spread
        explained = slope * covariance / (chroma_spread.clamp(min=0) + TINY_SPREAD)
        slope = slope * explained.clamp(0, 1)
        slope = self._even(slope * within_neighbours(chroma, slope * (guide - soft)))
        return slope, chroma - slope * soft


def held_chroma(codes: Tensor, ab: Tensor, space: SpaceOn) -> Tensor:
    """`rendering.held_chroma`: Cb and Cr (B, 2, h, w) of ab (B, 2, h, w) over codes (B, 1, h, w),
    as saturated as the gamut allows.

    Every colour's saturation is halved as those out of the gamut need it: which ones these are
    mustn't decide what is computed.
    """
    root, light = space.root(codes), space.normalize(codes)

    def fits(chroma: Tensor) -> Tensor:
        return space.gamut_scale(light, chroma) >= IN_GAMUT

    whole = space.chroma(root, ab)
    inside = torch.zeros_like(light)
    for halving in range(1, HELD_HALVINGS + 1):
        tried = inside + 0.5**halving
        inside = torch.where(fits(space.chroma(root, ab * tried)), tried, inside)
    return torch.where(fits(whole), whole, space.chroma(root, ab * inside))


def within_neighbours(chroma: Tensor, detail: Tensor) -> Tensor:
    """`color.within_neighbours`, of (B, 2, h, w)."""
    side = len(NEIGHBOURS)
    greatest = F.max_pool2d(chroma, side, 1, side // 2)
    least = -F.max_pool2d(-chroma, side, 1, side // 2)
    room = torch.where(detail > 0, greatest - chroma, chroma - least)
    size = detail.abs()
    return torch.minimum(room, size) / size.clamp(min=1e-9)


@dataclass(frozen=True, slots=True)
class SpaceOn:
    """A `ColorSpace` on a device. Tensors of codes and of light are (B, 1, h, w)."""

    space: ColorSpace
    roots: Tensor
    """(2**bit_depth,): f(Y/Yn) of CIE Lab of each luma code."""

    light_to_rgb: Sequence[Sequence[float]]
    rgb_to_chroma: Sequence[Sequence[float]]
    encode: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, space: ColorSpace, device: torch.device) -> SpaceOn:
        codes = np.arange(1 << space.bit_depth, dtype=np.float32)
        roots = lab_root(space.transfer.decode(space.normalize(codes)))
        rgb = RGB_709_TO_2020 @ XYZ_TO_709 if space.tags.primaries == 9 else XYZ_TO_709
        kr, kb = space.kr, space.kb
        shares = np.array([kr, 1 - kr - kb, kb])
        cb = (np.array([0, 0, 1]) - shares) / (2 * (1 - kb))
        cr = (np.array([1, 0, 0]) - shares) / (2 * (1 - kr))
        encode = {PQ: pq_encode, HLG: hlg_encode}.get(space.tags.transfer, srgb_encode)
        table = torch.from_numpy(roots).to(device)
        return cls(space, table, (rgb * D65).tolist(), [cb.tolist(), cr.tolist()], encode)

    def normalize(self, codes: Tensor) -> Tensor:
        """Luma codes -> 0..1 between black and white, clipped."""
        return ((self._unsigned(codes) - self.space.luma_offset) / self.space.luma_span).clamp(0, 1)

    def soft_codes(self, light: Tensor) -> Tensor:
        """`rendering.soft_codes`, as floats."""
        return (light * self.space.luma_span + (self.space.luma_offset + ROUNDING)).floor()

    def _unsigned(self, codes: Tensor) -> Tensor:
        return codes.int() & 0xFFFF if codes.dtype == torch.int16 else codes

    def root(self, codes: Tensor) -> Tensor:
        """f(Y/Yn) of luma codes, whole numbers of any dtype."""
        return self.roots[codes.long()]

    def chroma(self, root: Tensor, ab: Tensor) -> Tensor:
        """Cb and Cr (B, 2, h, w) of the colours whose lightness has this root; not clipped."""
        light = torch.cat([root + ab[:, :1] / 500, root, root - ab[:, 1:] / 200], 1)
        return mixed(self.rgb_to_chroma, self.encode(mixed(self.light_to_rgb, lab_cube(light))))

    def gamut_scale(self, light: Tensor, chroma: Tensor) -> Tensor:
        """`rendering.gamut_scale`, (B, 1, h, w)."""
        kr, kb = self.space.kr, self.space.kb
        blue, red = chroma[:, :1] * (2 * (1 - kb)), chroma[:, 1:] * (2 * (1 - kr))
        green = (red * kr + blue * kb) / -(1 - kr - kb)
        above = torch.maximum(torch.maximum(torch.maximum(red, green), blue), 1 - light)
        below = torch.maximum(-torch.minimum(torch.minimum(red, green), blue), light)
        tiny = 1e-6
        return torch.minimum((1 - light + tiny) / (above + tiny), (light + tiny) / (below + tiny))

    def tone_fade(self, light: Tensor) -> Tensor:
        """`color.tone_fade`, (B, 1, h, w)."""
        low, high = self.space.shadow_fade
        rise = ((light - low) / (high - low)).clamp(0, 1)
        low, high = HIGHLIGHT_FADE
        return rise * rise * (3 - 2 * rise) * ((high - light) / (high - low)).clamp(0, 1)

    def quantize(self, chroma: Tensor) -> Tensor:
        """`ColorSpace.quantize`: codes, uint8, or int16 to be read as uint16."""
        depth = self.space.bit_depth
        codes = chroma * self.space.chroma_span + self.space.chroma_center
        if depth == 8:
            return codes.round().clamp(0, 255).to(torch.uint8)
        return (codes + 0.5).clamp(0, (1 << depth) - 1).int().to(torch.int16)


def mixed(matrix: Sequence[Sequence[float]], planes: Tensor) -> Tensor:
    """(B, m, h, w): the sums of planes (B, n, h, w) by a matrix (m, n)."""
    first, *others = torch.split(planes, 1, 1)
    rows = []
    # Not torch's matrix product, which a user's setting may round to 10 bits.
    for share, *shares in matrix:
        row = first * share
        for plane, more in zip(others, shares, strict=True):
            row = row.add(plane, alpha=more)
        rows.append(row)
    return torch.cat(rows, 1)


def lab_cube(f: Tensor) -> Tensor:
    return torch.where(f > 6 / 29, f * f * f, (f - 4 / 29) * (108 / 841))


def srgb_encode(light: Tensor) -> Tensor:
    size = light.abs()
    curve = size.pow(1 / 2.4) * 1.055 - 0.055
    return torch.where(size <= 0.0031308, size * 12.92, curve).copysign(light)


def pq_encode(light: Tensor) -> Tensor:
    power = (light * REFERENCE_WHITE_PQ).clamp(0, 1).pow(0.1593017578)
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)).pow(78.84375)


def hlg_encode(light: Tensor) -> Tensor:
    luminance = mixed([HLG_LUMINANCE.tolist()], light).clamp(min=1e-6)
    scene = (light * luminance.pow(1 / HLG_GAMMA - 1) * REFERENCE_WHITE_HLG).clamp(min=0)
    upper = HLG_A * ((12 * scene).clamp(min=1) - HLG_B).log() + HLG_C
    return torch.where(scene <= 1 / 12, (3 * scene).sqrt(), upper)
