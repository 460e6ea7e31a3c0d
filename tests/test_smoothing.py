"""Flow, trust and gathering on pictures whose motion is known."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from vidcolor.smoothing import (
    Fetch,
    FlowEngine,
    Walk,
    agreement,
    anchor_weight,
    coverage,
    fill,
    gather,
    grid,
)


def texture(height, width, seed=0):
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return (40 + 170 * smooth).astype(np.uint8)


def pan(frames, *, step=4, height=144, width=256):
    """Frames cut from one wide picture, `step` pixels further to the right each time."""
    wide = texture(height, width + step * frames)
    return [np.ascontiguousarray(wide[:, i * step : i * step + width]) for i in range(frames)]


def test_flow_of_a_pan_is_its_motion_at_half_size():
    one, two = pan(2, step=4)
    step = FlowEngine().step(one, two, (128, 72))
    inner = (slice(10, -10), slice(12, -12))
    np.testing.assert_allclose(step.back[inner][..., 0], 2, atol=0.15)
    np.testing.assert_allclose(step.ahead[inner][..., 0], -2, atol=0.15)
    assert np.abs(step.back[inner][..., 1]).max() < 0.15
    assert step.back_trust[inner].min() > 0.9


def test_trust_falls_where_flows_disagree():
    here = np.zeros((20, 30, 2), np.float32)
    there = here.copy()
    there[:, 15:] = 3
    trust = agreement(here, there)
    assert trust[:, :14].min() > 0.99
    assert trust[:, 16:].max() < 1e-3


def test_walk_adds_up_and_stops_at_the_border():
    flow, trust = np.zeros((20, 30, 2), np.float32), np.full((20, 30), 0.9, np.float32)
    flow[..., 0] = 5
    walk = Walk()
    for _ in range(3):
        walk.extend(flow, trust)
    np.testing.assert_allclose(walk.places[2][..., 0], grid(20, 30)[..., 0] + 15)
    np.testing.assert_allclose(walk.trusts[2][:, :14], 0.9**3, rtol=1e-6)
    assert walk.trusts[2][:, 16:].max() == 0


def test_colour_follows_a_pan():
    """Colour fetched over four steps lands on the texture it came from."""
    frames = pan(5, step=4)
    engine = FlowEngine()
    lumas = [
        cv2.resize(f, (128, 72), interpolation=cv2.INTER_AREA) / np.float32(255) for f in frames
    ]
    ab = np.dstack([40 * lumas[0], -30 * lumas[0]]).astype(np.float32)
    walk = Walk()
    for i in range(4, 0, -1):
        step = engine.step(frames[i - 1], frames[i], (128, 72))
        walk.extend(step.back, step.back_trust)
    weight = anchor_weight(lumas[4], lumas[0], walk, 4)
    found = gather(None, [Fetch(weight, walk.places[3], ab)], (72, 128))
    expected = np.dstack([40 * lumas[4], -30 * lumas[4]])
    inner = (slice(8, -8), slice(8, -24))
    assert np.abs(found - expected)[inner].mean() < 1.0
    assert coverage([weight]) > 0.75


def test_gather_is_a_weighted_mean():
    own = np.full((10, 12, 2), 10, np.float32)
    other = np.full((10, 12, 2), 40, np.float32)
    half = np.full((10, 12), 0.5, np.float32)
    found = gather(own, [Fetch(half, grid(10, 12), other)], (10, 12))
    np.testing.assert_allclose(found, 20, atol=0.05)


def test_alone_a_prediction_stays_what_it_is():
    own = np.random.default_rng(0).normal(0, 20, (40, 60, 2)).astype(np.float32)
    found = gather(own, [], (40, 60))
    assert np.abs(found - own).max() < 0.05 * np.abs(own).max()


def test_untrusted_places_take_their_neighbourhoods_colour():
    total = np.full((40, 60, 2), 25, np.float32)
    weights = np.ones((40, 60), np.float32)
    total[18:22, 28:32], weights[18:22, 28:32] = 0, 0
    assert fill(total, weights)[19, 29] == pytest.approx([25, 25], abs=0.3)
    assert np.all(np.isfinite(fill(np.zeros((8, 8, 2), np.float32), np.zeros((8, 8), np.float32))))


def test_no_coverage_without_anchors():
    assert coverage([]) == 0


@pytest.mark.parametrize("shape", [(12, 64), (16, 256), (20, 1024), (28, 320), (64, 12)])
def test_flow_takes_pictures_of_any_shape(shape):
    # In a process of its own, since where OpenCV fails here it ends the process.
    code = (
        "import numpy as np\n"
        "from vidcolor.smoothing import FlowEngine\n"
        f"a = np.random.default_rng(0).integers(0, 255, {shape}).astype(np.uint8)\n"
        "step = FlowEngine().step(a, np.roll(a, 1, 1), (a.shape[1] // 2, a.shape[0] // 2))\n"
        "print(step.back.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str((shape[0] // 2, shape[1] // 2, 2))
