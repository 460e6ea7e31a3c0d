"""The bundled network: what hints do to its answer, and how large it may be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray

import vidcolor.models.compact
from vidcolor.color import rgb_to_lab
from vidcolor.models.color_model import ColorModel
from vidcolor.models.compact import CompactModel, HintReach
from vidcolor.models.registry import load_model
from vidcolor.resample import shrink

SIDE = 192
BYTES, PARAMETERS = 12_000_000, 5_000_000
FAR, LEFT_ALONE = 96 / 256, 5.0
"""Sides of the picture from a hint, and by how many Lab units it may move colours out there."""

OBJECTS = {
    "sleeve": ("astronaut", [(0.1, 0.62), (0.22, 0.62), (0.27, 0.92), (0.08, 0.9)], (0.17, 0.76)),
    "wall": ("astronaut", [(0.58, 0.03), (0.74, 0.03), (0.7, 0.35), (0.6, 0.38)], (0.65, 0.2)),
    "coffee": ("coffee", [(0.3, 0.36), (0.48, 0.27), (0.62, 0.36), (0.45, 0.48)], (0.45, 0.38)),
    "saucer": ("coffee", [(0.75, 0.45), (0.93, 0.6), (0.8, 0.85), (0.72, 0.6)], (0.8, 0.62)),
    "forehead": ("chelsea", [(0.55, 0.2), (0.75, 0.2), (0.72, 0.5), (0.6, 0.52)], (0.65, 0.36)),
}
"""A photograph, an outline of something in it, and a place inside: (across, down) in 0..1."""

Outline = list[tuple[float, float]]
Mask = NDArray[np.bool_]


@pytest.fixture(scope="module")
def bundled() -> ColorModel:
    return load_model("compact").eval()


@pytest.fixture(scope="module")
def untrained() -> CompactModel:
    torch.manual_seed(0)
    return CompactModel().eval()


def lightness_of(name: str) -> torch.Tensor:
    rgb = np.asarray(getattr(skimage.data, name)()[..., :3], np.float32) / np.float32(255)
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    square = shrink(np.ascontiguousarray(rgb[top : top + side, left : left + side]), (SIDE, SIDE))
    return torch.from_numpy(np.ascontiguousarray(rgb_to_lab(square)[..., 0]))[None, None]


def inside(outline: Outline) -> Mask:
    mask = np.zeros((SIDE // 2, SIDE // 2), np.uint8)
    cv2.fillPoly(mask, [np.rint(np.array(outline) * (SIDE // 2)).astype(np.int32)], 1)
    return mask > 0


def hint_at(place: tuple[float, float], ab: tuple[float, float]) -> torch.Tensor:
    hints = torch.zeros(1, 3, SIDE, SIDE)
    x, y = (int(each * SIDE) for each in place)
    hints[0, :, y - 3 : y + 4, x - 3 : x + 4] = torch.tensor([*ab, 1.0])[:, None, None]
    return hints


def answer(
    model: ColorModel, lightness: torch.Tensor, hints: torch.Tensor | None = None
) -> NDArray[np.float32]:
    with torch.inference_mode():
        found: NDArray[np.float32] = model(lightness, hints)[0].permute(1, 2, 0).numpy()
    return found


def test_it_is_small_enough_to_ship(bundled):
    file = Path(vidcolor.models.compact.__file__).parent / "data" / "compact.safetensors"
    assert file.stat().st_size <= BYTES
    assert sum(p.numel() for p in bundled.parameters()) <= PARAMETERS


@pytest.mark.parametrize("ab", [(45.0, 25.0), (-35.0, 30.0), (10.0, -45.0)], ids=str)
@pytest.mark.parametrize("name", OBJECTS)
def test_a_hint_colours_its_object_and_leaves_the_rest_alone(bundled, name, ab):
    photograph, outline, place = OBJECTS[name]
    lightness, mask = lightness_of(photograph), inside(outline)
    before = answer(bundled, lightness)
    after = answer(bundled, lightness, hint_at(place, ab))
    wanted = np.array(ab) - before[mask].mean(0)
    moved = after[mask].mean(0) - before[mask].mean(0)
    assert float(moved @ wanted) >= 0.5 * float(wanted @ wanted)
    rows, columns = np.mgrid[: SIDE // 2, : SIDE // 2] / (SIDE / 2)
    far = np.hypot(columns - place[0], rows - place[1]) > FAR
    assert np.linalg.norm(after - before, axis=2)[far].max() <= LEFT_ALONE


def test_planes_without_a_hint_change_nothing(untrained):
    lightness = lightness_of("coffee")
    assert (
        answer(untrained, lightness) == answer(untrained, lightness, torch.zeros(1, 3, SIDE, SIDE))
    ).all()


def test_the_answer_at_a_hint_is_the_hint(untrained):
    found = answer(untrained, lightness_of("coffee"), hint_at((0.5, 0.5), (40.0, -20.0)))
    np.testing.assert_allclose(found[SIDE // 4, SIDE // 4], (40, -20), atol=2)


def test_pictures_in_a_batch_keep_their_hints_to_themselves(untrained):
    lightness = torch.cat([lightness_of("coffee"), lightness_of("chelsea"), lightness_of("coffee")])
    one, two = hint_at((0.3, 0.3), (40.0, 0.0)), hint_at((0.7, 0.6), (0.0, 50.0))
    hints = torch.cat([one, torch.zeros_like(one), torch.maximum(one, two)])
    with torch.inference_mode():
        together = untrained(lightness, hints)
        alone = [untrained(lightness[[i]], hints[[i]])[0] for i in range(3)]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-3, rtol=1e-3)


def test_like_places_are_pulled_further_than_unlike_ones():
    """By the keys: of two places as far from the hint, the one with its features."""
    reach = HintReach(1)
    torch.nn.init.ones_(reach.key.weight)
    torch.nn.init.zeros_(reach.key.bias)  # type: ignore[arg-type]
    features = torch.zeros(1, 1, 16, 16)
    features[..., 9:] = 1.0
    hints = torch.zeros(1, 3, 64, 64)
    hints[0, :, 32:36, 32:36] = torch.tensor([30.0, 10.0, 1.0])[:, None, None]
    with torch.inference_mode():
        pulled = reach(features, hints).pull(torch.zeros(1, 2, 16, 16))[0, 0]
    assert pulled[8, 8] == pytest.approx(30, abs=0.01)
    assert pulled[8, 6] > 10 * pulled[8, 10] > 0
    assert pulled[8, 7] > pulled[8, 6] > pulled[8, 4]
