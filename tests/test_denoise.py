"""What the network and the flow are shown: less grain, no scratches, everything else as it was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidcolor.denoise import calm, unscratched
from vidcolor.smoothing import FlowEngine


def scene(height=192, width=192, seed=0):
    """Soft hills (h, w) with sharp discs on them, floats in 40..210."""
    rng = np.random.default_rng(seed)
    hills = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 12)
    hills = 80 + 50 * (hills - hills.min()) / np.ptp(hills)
    for n in range(6):
        cv2.circle(hills, (20 + 31 * n, 30 + 25 * n), 8 + 2 * n, 180 + 5 * n, -1)
    return hills


def scratched(picture, level, columns=((40, 1), (97, 2), (150, 3))):
    worn = picture.copy()
    for column, wide in columns:
        worn[:, column : column + wide] += level
    return worn


def codes(picture, bit_depth=8):
    kind = np.uint8 if bit_depth == 8 else np.uint16
    return np.clip(np.rint(picture * (1 << (bit_depth - 8))), 0, (1 << bit_depth) - 1).astype(kind)


@pytest.mark.parametrize("bit_depth", [8, 10])
@pytest.mark.parametrize("level", [35, -35])
@pytest.mark.parametrize("grain", [0, 6])
def test_scratches_go_and_the_picture_stays(bit_depth, level, grain):
    clean = scene() + grain * np.random.default_rng(1).standard_normal((192, 192))
    worn, clean = codes(scratched(clean, level), bit_depth), codes(clean, bit_depth)
    shown = unscratched(worn, bit_depth)
    assert shown.dtype == worn.dtype
    scale = 1 << (bit_depth - 8)
    before, after = (np.abs(x.astype(float) - clean) / scale for x in (worn, shown))
    lines = np.r_[40, 97, 98, 150, 151, 152]
    assert before[:, lines].mean() > 30
    assert after[:, lines].mean() < 3 + grain
    far = np.setdiff1d(np.arange(192), np.r_[38:43, 95:101, 148:155])
    assert after[:, far].mean() < 0.02


def test_a_scratch_at_the_picture_s_edge_goes_too():
    worn = codes(scratched(scene(), 35, columns=((0, 1), (191, 1))))
    shown = unscratched(worn)
    assert np.abs(shown[:, [0, 191]].astype(float) - scene()[:, [0, 191]]).mean() < 8


def test_a_clean_picture_is_shown_as_it_is():
    for seed in range(3):
        view = codes(scene(seed=seed))
        assert unscratched(view) is view


def test_short_upright_things_stay():
    """A lamp post of a third of the height is no scratch."""
    picture = scene()
    picture[100:160, 70:72] = 200
    view = codes(picture)
    np.testing.assert_array_equal(unscratched(view), view)


def test_lines_that_lie_stay():
    picture = scene()
    picture[90:92] += 60
    view = codes(picture)
    np.testing.assert_array_equal(unscratched(view), view)


def test_tiny_views_pass():
    for shape in ((1, 1), (2, 5), (8, 8)):
        view = np.full(shape, 90, np.uint8)
        np.testing.assert_array_equal(unscratched(view), view)
        np.testing.assert_array_equal(calm(view), view)


def test_flow_under_grain_is_better_on_the_calmed_copy():
    """A pan of known motion: the mean error of the flow falls."""
    wide = cv2.GaussianBlur(
        np.random.default_rng(2).standard_normal((144, 300)).astype(np.float32), (0, 0), 3
    )
    wide = 60 + 120 * (wide - wide.min()) / np.ptp(wide)
    rng = np.random.default_rng(3)
    frames = [wide[:, 3 * n : 3 * n + 256] + 12 * rng.standard_normal((144, 256)) for n in (0, 1)]
    errors = []
    for show in (lambda x: x, calm):
        one, two = (show(codes(frame)) for frame in frames)
        back = FlowEngine().step(one, two, (128, 72)).back[8:-8, 10:-10]
        errors.append(float(np.hypot(back[..., 0] - 1.5, back[..., 1]).mean()))
    assert errors[1] < 0.9 * errors[0], errors


def test_calming_keeps_edges_in_their_place():
    picture = np.full((96, 128), 60, np.uint8)
    picture[:, 64:] = 180
    middle = calm(picture)[48].astype(int)
    assert middle[63] < 120 < middle[64]
    assert (middle[:61] == 60).all()
    assert (middle[67:] == 180).all()
