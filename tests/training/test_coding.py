"""The codings of Zhang, Isola and Efros against a plain, slow transcription of their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vidcolor.models.bins import AbBins
from vidcolor.training.coding import (
    SoftCoder,
    annealed_mean,
    colored,
    rebalancing_weights,
)


def soft_encoding_by_hand(ab, neighbours, sigma=5.0):
    """ECCV 2016, section 2.1, for one pixel: (313,) shares; None where two bins are equally near
    and either may be the last neighbour."""
    centers = AbBins.load().centers.astype(np.float64)
    distances = [float(np.hypot(ab[0] - a, ab[1] - b)) for a, b in centers]
    ordered = sorted(range(313), key=lambda q: distances[q])
    near = ordered[:neighbours]
    if distances[near[-1]] == distances[ordered[neighbours]]:
        return None
    shares = np.zeros(313)
    for q in near:
        shares[q] = np.exp(-(distances[q] ** 2) / (2 * sigma**2))
    return shares / shares.sum()


@pytest.mark.parametrize("neighbours", [5, 10])
def test_soft_encoding(neighbours):
    rng = np.random.default_rng(0)
    # Whole units, at which the table is exact.
    colors = rng.integers(-70, 70, (40, 2))
    indices, shares = SoftCoder(neighbours=neighbours).encode(
        torch.from_numpy(colors.astype(np.float32)).reshape(1, 40, 1, 2).permute(0, 3, 1, 2)
    )
    assert indices.shape == shares.shape == (1, neighbours, 40, 1)
    expected = [soft_encoding_by_hand(color, neighbours) for color in colors]
    assert sum(each is not None for each in expected) > 15
    for k, slow in enumerate(expected):
        ours = np.zeros(313)
        np.add.at(ours, indices[0, :, k, 0].numpy(), shares[0, :, k, 0].numpy())
        assert slow is None or np.abs(ours - slow).max() < 1e-5, colors[k]


def test_shares_sum_to_one_even_far_from_every_bin():
    ab = torch.tensor([[127.0, -128.0], [0.0, 0.0]]).reshape(2, 2, 1, 1)
    _, shares = SoftCoder().encode(ab)
    assert torch.allclose(shares.sum(1), torch.ones(2, 1, 1))


def test_rebalancing_weights():
    prior = AbBins.load().prior
    slow = []
    for p in prior:
        slow.append(1 / (0.5 * p + 0.5 / 313))
    scale = sum(p * w for p, w in zip(prior, slow, strict=True))
    expected = np.array(slow) / scale
    ours = rebalancing_weights().numpy()
    assert np.abs(ours - expected).max() < 1e-6
    assert ours.min() == pytest.approx(0.0965, abs=5e-5)
    assert ours.max() == pytest.approx(6.17, abs=5e-3)


def test_weights_of_a_uniform_prior_are_all_one():
    assert torch.allclose(rebalancing_weights(np.full(313, 1 / 313)), torch.ones(313))
    with pytest.raises(ValueError, match="313 probabilities"):
        rebalancing_weights(np.full(313, 1.0))


def test_a_pixel_has_the_weight_of_its_nearest_bin():
    centers, weights = AbBins.load().centers, rebalancing_weights()
    ab = torch.from_numpy(centers).T.reshape(1, 2, 313, 1)
    assert torch.equal(SoftCoder().weights(ab)[0, :, 0], weights)


def test_annealed_mean():
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((313,)).astype(np.float32) * 3
    centers = AbBins.load().centers
    for temperature in (0.05, 0.38, 1.0):
        total, mean = 0.0, np.zeros(2)
        for q in range(313):
            share = float(np.exp((scores[q] - scores.max()) / temperature))
            total, mean = total + share, mean + share * centers[q]
        ours = annealed_mean(torch.from_numpy(scores).reshape(1, 313, 1, 1), temperature)
        assert np.abs(ours.flatten().numpy() - mean / total).max() < 1e-3


def test_a_sure_and_right_answer_costs_what_the_encoding_itself_is_worth():
    ab = torch.full((1, 2, 2, 2), 10.0)
    coder = SoftCoder()
    indices, shares = coder.encode(ab)
    scores = torch.full((1, 313, 2, 2), -50.0).scatter(1, indices, shares.log())
    least = -(shares * shares.log()).sum(1)
    assert torch.allclose(coder.cross_entropy(scores, ab, rebalanced=False), least, atol=1e-4)
    wrong = coder.cross_entropy(scores, -ab, rebalanced=False)
    assert (wrong > least + 1).all()


def test_gray_pictures_count_for_nothing():
    ab = torch.zeros(2, 2, 3, 3)
    ab[0, 1, 2, 2] = 5.1
    assert colored(ab).tolist() == [1, 0]
    loss = SoftCoder().cross_entropy(torch.randn(2, 313, 3, 3), ab, rebalanced=True)
    assert (loss[1] == 0).all()
    assert (loss[0] > 0).all()
