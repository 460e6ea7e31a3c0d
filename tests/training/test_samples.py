"""What a network is shown: squares of photographs, and what age does to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.photographs import photograph
from vidcolor.color import rgb_to_lab
from vidcolor.training import samples
from vidcolor.training.samples import (
    CHANCES,
    WEAR,
    bars,
    crush,
    dust,
    fade,
    flicker,
    make_sample,
    middle,
    middle_square,
    random_square,
    scratch,
    simulate_hints,
    wear,
)

LARGE = photograph(0, width=120, height=90)


def ramp(size=64):
    """L from 0 to 100 across (size, size)."""
    return np.tile(np.linspace(0, 100, size, dtype=np.float32), (size, 1))


def rng_of(seed):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("augment", ["none", "mirror", "crop", "film"])
@pytest.mark.parametrize("shape", [(120, 90), (90, 120), (32, 32), (3, 200), (1, 1)])
def test_every_photograph_gives_a_whole_sample(augment, shape):
    rgb = photograph(1, width=shape[1], height=shape[0])
    for seed in range(8):
        sample = make_sample(rgb, size=48, augment=augment, rng=rng_of(seed))
        again = make_sample(rgb, size=48, augment=augment, rng=rng_of(seed))
        assert sample.lightness.shape == (1, 48, 48)
        assert sample.ab.shape == (2, 48, 48)
        assert sample.lightness.dtype == sample.ab.dtype == np.float32
        assert sample.lightness.min() >= 0
        assert sample.lightness.max() <= 100.001
        np.testing.assert_array_equal(sample.lightness, again.lightness)
        np.testing.assert_array_equal(sample.ab, again.ab)


def test_none_is_the_middle_square_and_needs_no_chance():
    sample = make_sample(LARGE, size=64, augment="none", rng=rng_of(0))
    other = make_sample(LARGE, size=64, augment="none", rng=rng_of(1))
    np.testing.assert_array_equal(sample.ab, other.ab)
    expected = rgb_to_lab(middle_square(LARGE, size=64))
    np.testing.assert_array_equal(sample.lightness[0], expected[..., 0])
    np.testing.assert_array_equal(sample.ab, expected[..., 1:].transpose(2, 0, 1))
    scored = middle(LARGE, 64)
    assert scored.dtype == np.uint8
    np.testing.assert_array_equal(middle_square(LARGE, size=64), scored.astype(np.float32) / 255)


def test_mirror_shows_both_sides():
    plain = make_sample(LARGE, size=64, augment="none", rng=rng_of(0))
    seen = set()
    for seed in range(12):
        sample = make_sample(LARGE, size=64, augment="mirror", rng=rng_of(seed))
        same = np.array_equal(sample.ab, plain.ab)
        assert same or np.array_equal(sample.ab, plain.ab[..., ::-1])
        seen.add(same)
    assert seen == {True, False}


def test_small_photographs_are_enlarged_without_blocks():
    small = photograph(2, width=16, height=16)
    square = random_square(small, size=128, rng=rng_of(0))
    steps = np.abs(np.diff(square, axis=1)).max((0, 2))
    assert steps.max() < 4 * np.median(steps[steps > 0])


def test_film_ages_the_lightness_alone_and_about_half_of_the_time(monkeypatch):
    monkeypatch.setattr(samples, "BARS_SHARE", 0.0)
    aged = 0
    for seed in range(200):
        clean = make_sample(LARGE, size=32, augment="crop", rng=rng_of(seed))
        film = make_sample(LARGE, size=32, augment="film", rng=rng_of(seed))
        np.testing.assert_array_equal(film.ab, clean.ab)
        aged += not np.array_equal(film.lightness, clean.lightness)
    assert 70 < aged < 130


@pytest.mark.parametrize("apply", WEAR.values(), ids=WEAR)
def test_wear_is_a_pure_function_of_array_and_chance(apply):
    before = ramp()
    for seed in range(20):
        one = apply(before, rng_of(seed))
        np.testing.assert_array_equal(before, ramp())
        np.testing.assert_array_equal(one, apply(before, rng_of(seed)))
        assert one.dtype == np.float32
        assert one.shape == before.shape
        assert not np.array_equal(one, before), "nothing was worn"
        assert not np.array_equal(one, apply(before, rng_of(seed + 1)))


def test_each_kind_of_wear_comes_by_its_chance(monkeypatch):
    counts = dict.fromkeys(WEAR, 0)
    for name in WEAR:

        def note(lightness, rng, name=name):
            counts[name] += 1
            return lightness

        monkeypatch.setitem(WEAR, name, note)
    for seed in range(1000):
        wear(ramp(8), rng_of(seed))
    for name, count in counts.items():
        assert abs(count / 1000 - CHANCES[name]) < 0.06, name


def test_fading_lifts_blacks_and_sinks_whites():
    for seed in range(50):
        faded = fade(ramp(), rng_of(seed))
        assert 0 <= faded.min() <= 25
        assert 70 <= faded.max() <= 100
        assert (np.diff(faded, axis=1) > 0).all()


def test_crushing_loses_both_ends_and_nothing_between():
    for seed in range(50):
        crushed = crush(ramp(201), rng_of(seed))
        black, white = (crushed == 0).mean(), (crushed == 100).mean()
        assert 0 < black < 0.21
        assert 0 < white < 0.21
        assert (np.diff(crushed, axis=1) >= 0).all()


def test_flicker_is_one_gain_and_one_offset():
    for seed in range(50):
        gain, offset = np.polyfit(ramp()[0], flicker(ramp(), rng_of(seed))[0], 1)
        assert 0.8 <= gain <= 1.2
        assert -5.01 <= offset <= 5.01


def test_scratches_are_few_narrow_and_upright():
    tall = 0
    for seed in range(100):
        change = np.abs(scratch(np.full((64, 64), 50, np.float32), rng_of(seed)) - 50)
        assert 0 < (change > 0).sum(1).max() <= 8, "four lines of two samples"
        assert change.max() <= 4 * 45
        tall += int((change > 0).any(1).all())
    assert tall > 50


def test_dust_covers_little_and_tends_to_one_tone():
    for seed in range(100):
        change = dust(np.full((128, 128), 50, np.float32), rng_of(seed)) - 50
        assert 0 < (change != 0).mean() < 0.05
        assert (change <= 0).all() or (change >= 0).all()


def test_bars_are_black_and_neutral_and_leave_the_picture():
    lab = np.full((3, 64, 64), 33, np.float32)
    lying = 0
    for seed in range(100):
        barred = bars(lab, rng_of(seed))
        inside = (barred != 0).all(0)
        np.testing.assert_array_equal(barred[:, inside], lab[:, inside])
        assert (barred[:, ~inside] == 0).all()
        rows, columns = inside.any(1), inside.any(0)
        assert 0.65 * 64**2 <= rows.sum() * columns.sum() == inside.sum() < 64**2
        assert rows.all() or columns.all()
        assert not (rows if columns.all() else columns)[[0, -1]].any()
        lying += bool(columns.all())
    assert 40 < lying < 80


def test_film_puts_bars_over_some_samples_colour_and_all():
    black = 0
    for seed in range(400):
        film = make_sample(LARGE, size=32, augment="film", rng=rng_of(seed))
        edges = [film.lightness[0, 0], film.lightness[0, :, 0]]
        for edge, colour in zip(edges, [film.ab[:, 0], film.ab[:, :, 0]], strict=True):
            if not edge.any() and not colour.any():
                black += 1
    assert 8 < black < 45


def test_hints_are_means_of_small_patches():
    ab = torch.from_numpy(rng_of(0).uniform(-80, 80, (2, 40, 40)).astype(np.float32))
    points = []
    for seed in range(100):
        hints = torch.zeros(3, 40, 40)
        simulate_hints(hints, ab, rng_of(seed))
        marked = hints[2] == 1
        assert bool(((hints[2] == 0) | marked).all())
        assert not hints[:2, ~marked].any()
        points.append(len(torch.unique(hints[0, marked])))
    # A geometric distribution with p = 1/8 has the mean 8; later patches cover some earlier ones.
    assert 5 < np.mean(points) < 8.5
    hints = torch.zeros(3, 40, 40)
    simulate_hints(hints, torch.full((2, 40, 40), 7.0), rng_of(1))
    torch.testing.assert_close(hints[:2, hints[2] == 1].unique(), torch.tensor([7.0]))
