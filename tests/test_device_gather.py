"""Gathering on a device is `smoothing`'s gathering."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from tests.devices import device, every_device
from vidcolor.device_gather import DeviceFrames, Placing, Want, sample
from vidcolor.resample import refit, shrink, turn
from vidcolor.smoothing import (
    GATHER_REACH_FRAMES,
    Fetch,
    FlowEngine,
    FlowStep,
    Walk,
    anchor_weight,
    coverage,
    gather,
)
from vidcolor.smoothing import sample as sample_of_smoothing

__all__ = ["device"]

Floats = NDArray[np.float32]

SIZE = (96, 54)
MEAN_LAB, ODD_LAB = 0.05, 0.5
"""Lab units of difference on the average, and up to which 99.9 % lie: places are rounded to 32nds
of a pixel, and one that lies between two of them may fall to the other side, at each step of a
walk. 0.007 and 0.33 were seen, in colours with a standard deviation of 8.6."""
COVERAGE = 2e-3
"""Share of pixels that lie so close to the trust that counts."""


@dataclass
class Film:
    """A shot of a photograph that is turned and moved, with flow and made-up predictions."""

    lumas: list[Floats]
    steps: list[FlowStep | None]
    ab: list[Floats]

    @property
    def frames(self):
        return range(len(self.lumas))


@pytest.fixture(scope="module")
def film():
    photo = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    pictures: list[NDArray[np.uint8]] = []
    for t in range(24):
        moved = cv2.getRotationMatrix2D((256, 256), 1.5 * t, 0.8 + 0.01 * t)
        moved[:, 2] += [3 * t - 120, t - 110]
        turned = cv2.warpAffine(photo, moved, (192, 108), borderMode=cv2.BORDER_REFLECT)
        pictures.append(np.asarray(turned, np.uint8))
    flow, rng = FlowEngine(), np.random.default_rng(0)
    return Film(
        lumas=[shrink(each, SIZE).astype(np.float32) / np.float32(255) for each in pictures],
        steps=[None] + [flow.step(a, b, SIZE) for a, b in pairwise(pictures)],
        ab=[smooth_colors(rng) for _ in pictures],
    )


def smooth_colors(rng):
    noise = rng.normal(size=(54, 96, 2)).astype(np.float32)
    return np.float32(200) * cv2.GaussianBlur(noise, (0, 0), 5)


def on_device(film, device, anchors, held=64):
    frames = DeviceFrames(SIZE, device, held=held)
    for t in film.frames:
        assert frames.add(film.lumas[t], film.steps[t]) == t
        if t in anchors:
            frames.predict(t, np.ascontiguousarray(film.ab[t].transpose(2, 0, 1)))
    return frames


def wanted(film, t, anchors):
    """Everything in reach, as the stages ask for it."""
    steps = range(1, GATHER_REACH_FRAMES + 1)
    past = tuple(k for k in steps if t - k in anchors)
    return Want(t, t in anchors, past, tuple(k for k in steps if t + k in anchors))


def by_smoothing(film, want):
    """Colour (h, w, 2) and coverage by the functions on the host."""
    t, fetches = want.number, []
    for direction, steps in ((-1, want.past), (1, want.future)):
        walk = Walk()
        for k in range(1, max(steps, default=0) + 1):
            step = film.steps[t - k + 1] if direction < 0 else film.steps[t + k]
            if direction < 0:
                walk.extend(step.back, step.back_trust)
            else:
                walk.extend(step.ahead, step.ahead_trust)
            if k in steps:
                other = t + direction * k
                weight = anchor_weight(film.lumas[t], film.lumas[other], walk, k)
                fetches.append(Fetch(weight, walk.places[k - 1], film.ab[other]))
    own = film.ab[t] if want.own else None
    return gather(own, fetches, film.lumas[t].shape), coverage([f.weight for f in fetches])


@every_device
@pytest.mark.parametrize("anchors", [range(0, 24, 4), range(24), (11,)])
def test_it_gathers_as_smoothing_does(film, device, anchors):
    frames = on_device(film, device, anchors)
    wants = [wanted(film, t, anchors) for t in film.frames]
    ours = frames.gather(wants).cpu().numpy().transpose(0, 2, 3, 1)
    shares = frames.coverage(wants)
    theirs = [by_smoothing(film, want) for want in wants]
    error = np.abs(ours - np.stack([ab for ab, _ in theirs]))
    assert error.mean() <= MEAN_LAB, error.mean()
    assert np.quantile(error, 0.999) <= ODD_LAB, np.quantile(error, [0.5, 0.9, 0.999, 1])
    np.testing.assert_allclose(shares, [share for _, share in theirs], atol=COVERAGE)
    assert ours.std() > 3


@every_device
def test_a_frame_gets_the_same_colour_in_any_company(film, device):
    anchors = range(0, 24, 3)
    frames = on_device(film, device, anchors)
    wants = [wanted(film, t, anchors) for t in (2, 7, 8, 15)]
    together = frames.gather(wants)
    for n, want in enumerate(wants):
        torch.testing.assert_close(frames.gather([want])[0], together[n], rtol=0, atol=1e-3)


@every_device
def test_only_the_wanted_steps_count(film, device):
    """What a cut or a dissolve forbids has no part in it, whatever lies there."""
    anchors = range(0, 24, 2)
    frames = on_device(film, device, anchors)
    narrow = Want(9, past=(1,), future=(3,))
    before = frames.gather([narrow])
    for t in (6, 10, 14):
        frames.predict(t, np.full((2, 54, 96), 90, np.float32))
    torch.testing.assert_close(frames.gather([narrow]), before, rtol=0, atol=0)
    frames.predict(8, np.full((2, 54, 96), 90, np.float32))
    assert (frames.gather([narrow]) - before).abs().max() > 10


@every_device
def test_old_frames_make_room(film, device):
    """Nothing of them is left in the walks of those that stand in their place."""
    anchors = range(0, 24, 4)
    few, many = (on_device(film, device, anchors, held=held) for held in (20, 64))
    want = wanted(film, 14, anchors)
    assert torch.equal(few.gather([want]), many.gather([want]))
    with pytest.raises(ValueError, match="frame 3 isn't here; those from 4 to 23 are"):
        few.gather([Want(3)])
    with pytest.raises(ValueError, match="frame 24"):
        few.predict(24, None)


@every_device
def test_no_colour_and_mixtures(film, device):
    frames = on_device(film, device, range(24))
    frames.predict(5, None)
    assert not frames.gather([Want(5, own=True)]).any()
    both = frames.mixed([{4: 0.25, 8: 0.75}, {5: 1.0}]).cpu().numpy()
    expected = (0.25 * film.ab[4] + 0.75 * film.ab[8]).transpose(2, 0, 1)
    np.testing.assert_allclose(both[0], expected, atol=1e-4)
    assert not both[1].any()


@every_device
def test_sampling_is_opencvs(device):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 40, 2)).astype(np.float32)
    places = rng.uniform(-8, 48, (30, 40, 2)).astype(np.float32)
    planes, there = (
        torch.from_numpy(each.transpose(2, 0, 1).copy())[None].to(device)
        for each in (values, places)
    )
    ours = sample(planes, there)[0].cpu().numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(ours, sample_of_smoothing(values, places), atol=1e-4)


@every_device
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_answers_are_placed_as_the_pipeline_places_them(device, rotation):
    """Turned back, refitted between the bars, and nothing in the bars."""
    ab = np.random.default_rng(0).normal(size=(3, 2, 24, 32)).astype(np.float32)
    placing = Placing((32, 24), rotation, (40, 20), (0, 4), (40, 28), device)
    ours = placing(torch.from_numpy(ab).to(device)).cpu().numpy()
    for n in range(3):
        inner = refit(turn(ab[n].transpose(1, 2, 0), -rotation), (40, 20))
        expected = np.zeros((28, 40, 2), np.float32)
        expected[4:24] = inner
        np.testing.assert_allclose(ours[n].transpose(1, 2, 0), expected, atol=1e-5)
