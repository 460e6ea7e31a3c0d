"""Scores of DeepColor's classifier are asked for once."""

from __future__ import annotations

import torch

from tests.models.made_up import MadeUpClassifier, made_up_lightness
from vidcolor.models.embedding import Embedder
from vidcolor.training.embeddings import Remembered


class Counting(MadeUpClassifier):
    """Counts the pictures it was asked about."""

    asked = 0

    def forward(self, rgb):
        self.asked += len(rgb)
        return super().forward(rgb)


def test_each_picture_is_asked_about_once(tmp_path):
    embedder, network = Embedder(), Counting()
    embedder.network = network
    one, other, third = (made_up_lightness(16, 24, seed) for seed in range(3))
    remembered = Remembered(embedder, tmp_path)
    first = remembered(torch.cat([one, other]))
    assert (first.shape, network.asked) == ((2, 1000), 2)
    # Another process, later: two are known, in another order, and one is new.
    again = Remembered(embedder, tmp_path)(torch.cat([other, third, one]))
    assert network.asked == 3
    assert torch.equal(again[[2, 0]], first)
    torch.testing.assert_close(again, embedder(torch.cat([other, third, one])))


def test_damaged_scores_are_made_again(tmp_path):
    embedder, network = Embedder(), Counting()
    embedder.network = network
    remembered = Remembered(embedder, tmp_path)
    scores = remembered(made_up_lightness(16, 16))
    (path,) = tmp_path.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:100])
    assert torch.equal(remembered(made_up_lightness(16, 16)), scores)
    assert network.asked == 2


def test_a_cache_that_cant_be_written_costs_nothing_but_time(tmp_path):
    embedder = Embedder()
    embedder.network = Counting()
    (tmp_path / "file").write_text("in the way")
    remembered = Remembered(embedder, tmp_path / "file" / "cache")
    assert remembered(made_up_lightness(16, 16)).shape == (1, 1000)
