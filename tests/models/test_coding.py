"""Classes of colour on a grid, and Lab on tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from tests.tolerances import LAB
from vidcolor.models.cantor import AbGrid, cantor, uncantor
from vidcolor.models.lab import gray_of_lightness, rgb_to_lab


def test_cantors_numbers_go_both_ways():
    rng = np.random.default_rng(0)
    for x, y in [*rng.integers(0, 10**9, (1000, 2)).tolist(), (0, 0), (0, 10**9), (10**9, 0)]:
        assert uncantor(cantor(x, y)) == (x, y)


def test_cantors_numbers_leave_none_out():
    assert sorted(cantor(x, y) for x in range(20) for y in range(20) if x + y < 20) == list(
        range(210)
    )
    with pytest.raises(ValueError, match="-1"):
        uncantor(-1)


def test_each_class_comes_back_from_both_ends_of_its_bin():
    classes = torch.arange(121).reshape(1, 11, 11)
    for centre in (False, True):
        assert torch.equal(AbGrid.encode(AbGrid.decode(classes, centre=centre)), classes)


@pytest.mark.parametrize(
    ("ab", "pair"),
    [
        ((-128, -128), (0, 0)),
        ((0, 0), (5, 5)),  # 128 // 25
        ((-4, 122), (4, 10)),
        ((127, -103), (10, 1)),
        ((200, -300), (10, 0)),  # cut to 8 bits
    ],
)
def test_the_reports_bins(ab, pair):
    encoded = AbGrid.encode(torch.tensor(ab, dtype=torch.float32).reshape(1, 2, 1, 1))
    number = AbGrid.NUMBERS[int(encoded)]
    assert number == cantor(*pair)
    x, y = pair
    floor = AbGrid.decode(encoded, centre=False).flatten().tolist()
    assert floor == [25 * x - 128, 25 * y - 128]


def test_the_mean_of_a_sure_class_is_its_centre():
    classes = torch.tensor([[[60, 3]]])
    scores = torch.nn.functional.one_hot(classes, 121).movedim(-1, 1) * 100.0
    assert torch.allclose(AbGrid.mean(scores, 0.38), AbGrid.decode(classes, centre=True))


def test_lab_on_tensors_is_scikit_images():
    rgb = np.random.default_rng(0).random((9, 7, 3)).astype(np.float32)
    rgb[0, :3] = np.array([[0, 0, 0], [1, 1, 1], [0.01, 0.02, 0.03]])
    ours = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    assert np.abs(ours.numpy() - rgb2lab(rgb)).max() < 3 * LAB


def test_lab_has_gradients_everywhere():
    rgb = torch.tensor([0.0, 0.001, 0.04, 0.5, 1.0]).repeat(3, 1).reshape(1, 3, 5, 1)
    rgb.requires_grad_()
    rgb_to_lab(rgb).square().sum().backward()
    assert rgb.grad is not None
    assert rgb.grad.isfinite().all()


def test_gray_of_a_lightness_has_that_lightness_and_no_colour():
    lightness = torch.linspace(0, 100, 101).reshape(1, 1, 101, 1)
    lab = rgb_to_lab(gray_of_lightness(lightness).expand(-1, 3, -1, -1))
    assert (lab[:, :1] - lightness).abs().max() < 1e-3
    assert lab[:, 1:].abs().max() < 1e-3
