"""How far a hint's colour reaches."""

from __future__ import annotations

import numpy as np

from vidcolor.hints import with_hints

SIZE = 96
HINT = ((0.25, 0.5), (40.0, -20.0))


def coat_and_wall(noise=0.0):
    """Lightness (96, 96) with an edge in the middle, and colours of nothing at all."""
    lightness = np.full((SIZE, SIZE), 30, np.float32)
    lightness[:, SIZE // 2 :] = 75
    lightness += np.random.default_rng(0).normal(0, noise, lightness.shape).astype(np.float32)
    return lightness, np.zeros((SIZE, SIZE, 2), np.float32)


def test_it_is_the_colour_at_the_hint_and_stops_at_the_edge():
    lightness, ab = coat_and_wall(noise=1.5)
    made = with_hints(ab, lightness, [HINT])
    np.testing.assert_allclose(made[48, 24], HINT[1], atol=0.5)
    assert np.hypot(*made[40:56, 4:44].mean((0, 1))) > 0.7 * np.hypot(*HINT[1])
    assert np.abs(made[:, 52:]).max() < 1
    # The mean of what is added keeps the hint's hue everywhere.
    lit = np.hypot(made[..., 0], made[..., 1]) > 1
    np.testing.assert_allclose(made[lit][:, 1] / made[lit][:, 0], -0.5, atol=0.01)


def test_an_edge_of_colour_stops_it_too():
    lightness = np.full((SIZE, SIZE), 50, np.float32)
    ab = np.zeros((SIZE, SIZE, 2), np.float32)
    ab[:, SIZE // 2 :] = 25, 40
    made = with_hints(ab, lightness, [HINT])
    assert np.abs(made - ab)[:, 52:].max() < 1
    np.testing.assert_allclose(made[48, 24], HINT[1], atol=0.5)


def test_shading_lets_it_pass():
    ramp = np.linspace(20, 80, SIZE, dtype=np.float32)
    lightness = np.broadcast_to(ramp[:, None], (SIZE, SIZE)).copy()
    made = with_hints(np.zeros((SIZE, SIZE, 2), np.float32), lightness, [((0.5, 0.5), (40.0, 0.0))])
    assert made[38, 48, 0] > 25
    assert made[58, 48, 0] > 25


def test_what_the_network_heard_already_is_left():
    lightness, ab = coat_and_wall()
    ab[:, : SIZE // 2] = HINT[1]
    np.testing.assert_allclose(with_hints(ab, lightness, [HINT]), ab, atol=1e-4)


def test_two_hints_share_the_ground_between_them():
    lightness = np.full((SIZE, SIZE), 50, np.float32)
    ab = np.zeros((SIZE, SIZE, 2), np.float32)
    red, blue = ((0.05, 0.5), (40.0, 0.0)), ((0.95, 0.5), (-40.0, 0.0))
    made = with_hints(ab, lightness, [red, blue])[48, :, 0]
    assert made[5] > 30
    assert made[-6] < -30
    assert abs(made[48]) < 5
    # The same colour twice is no more of it.
    same = with_hints(ab, lightness, [red, red])
    assert same[..., 0].max() < 41


def test_any_size_will_do():
    for shape in ((1, 1), (1, 40), (300, 2), (3, 3)):
        lightness = np.full(shape, 50, np.float32)
        made = with_hints(
            np.zeros((*shape, 2), np.float32), lightness, [((0.999, 0.0), (9.0, 9.0))]
        )
        assert made.shape == (*shape, 2)
        np.testing.assert_allclose(made[0, -1], 9, atol=0.3)
