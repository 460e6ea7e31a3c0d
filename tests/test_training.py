"""Training: the coding of the papers, batches that repeat, and a run that can be stopped."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidcolor.errors import TrainingError
from vidcolor.models.bins import AbBins
from vidcolor.models.compact import CompactModel
from vidcolor.settings import configs_folder
from vidcolor.training.loop import Recipe, load_backbone, make_batch, source_chances, train
from vidcolor.training.losses import BinCoder, rebalancing_weights
from vidcolor.training.photos import PhotoTars, center_crop

SMALL = Recipe(size=32, batch=2, steps=6, warmup=2, measure_every=6, hinted=0.5)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "train-000.tar"
    with tarfile.open(path, "w") as tar:
        for i in range(6):
            rng = np.random.default_rng(i)
            image = cv2.resize(rng.integers(0, 255, (6, 8, 3)).astype(np.uint8), (64, 48))
            data = cv2.imencode(".png", image)[1].tobytes()
            entry = tarfile.TarInfo(f"train/{i:05d}_{'faces' if i % 2 else 'other'}.png")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return PhotoTars.open([path])


def test_rebalancing_weights_are_the_papers():
    weights = rebalancing_weights(0.5)
    prior = torch.from_numpy(AbBins.load().prior)
    assert float((weights * prior).sum()) == pytest.approx(1, abs=1e-5)
    assert float(weights.min()) == pytest.approx(0.0965, abs=5e-5)
    assert float(weights.max()) == pytest.approx(6.17, abs=5e-3)


def test_soft_encoding_equals_a_plain_transcription():
    centers = AbBins.load().centers.astype(np.float64)
    points = np.random.default_rng(0).integers(-80, 80, (1, 2, 3, 4)).astype(np.float32)
    indices, weights, rebalance = BinCoder().encode(torch.from_numpy(points))
    table = rebalancing_weights().numpy()
    for y in range(3):
        for x in range(4):
            squared = ((centers - points[0, :, y, x]) ** 2).sum(1)
            near = np.argsort(squared, kind="stable")[:5]
            kernel = np.exp(-squared[near] / (2 * 5.0**2))
            kernel /= kernel.sum()
            got = np.zeros(313)
            got[indices[0, :, y, x].numpy()] = weights[0, :, y, x].numpy()
            np.testing.assert_allclose(np.sort(got)[-5:], np.sort(kernel), atol=1e-5)
            assert rebalance[0, y, x] in table[squared == squared.min()]


def test_a_batch_is_a_function_of_seed_and_step(photos):
    chances = source_chances(photos.names, {"faces": 1.5})
    assert chances[1] == pytest.approx(1.5 * chances[0])
    one, again = (make_batch(SMALL, photos, chances, 3) for _ in range(2))
    other = make_batch(SMALL, photos, chances, 4)
    for a, b in zip(one[1:], again[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(one[3], other[3])
    assert one[1].min() >= 0
    assert one[1].max() <= 100
    assert one[2][:, 2].unique().tolist() in ([0.0], [0.0, 1.0])


def test_stopped_and_resumed_equals_unbroken(photos, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    unbroken = train(SMALL, photos, photos, tmp_path / "unbroken", None)
    with monkeypatch.context() as patch:
        patch.setattr("vidcolor.training.loop.make_batch", stop_at(3, make_batch))
        patch.setattr("vidcolor.training.loop.SAVE_SECONDS", 0)
        with pytest.raises(KeyboardInterrupt):
            train(SMALL, photos, photos, tmp_path / "stopped", None)
    resumed = train(SMALL, photos, photos, tmp_path / "stopped", None)
    expected = unbroken.state_dict()
    for name, tensor in resumed.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0, msg=name)


def stop_at(step, make):
    def limited(recipe, photos, chances, number):
        if number == step:
            raise KeyboardInterrupt
        return make(recipe, photos, chances, number)

    return limited


def test_loss_that_is_no_number_stops_with_a_sentence(photos, tmp_path):
    wild = replace(SMALL, rate=1e12, warmup=1, steps=30)
    with pytest.raises(TrainingError, match=r"loss is .* at step \d+ with rate 1000000000000"):
        train(wild, photos, photos, tmp_path, None)


def test_the_bundled_recipe_reads_and_its_rate_rises_holds_and_falls():
    recipe = Recipe.load(configs_folder() / "train" / "compact.toml")
    rates = [recipe.rate_at(step) for step in range(recipe.steps + 1)]
    assert rates[0] < 0.05
    assert rates[recipe.warmup] == 1
    assert rates[-1] == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"stepz = 3", "unknown key 'stepz'"),
        (b"steps = ", "can't be read"),
        (b"# \xff", "can't be read"),
        (b'steps = "many"', "steps is 'many' in the recipe; expected int"),
        (b"rate = -1", "rate is -1"),
        (b"warmup = 0", "warmup is 0"),
    ],
)
def test_a_recipe_with_a_fault_gets_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "recipe.toml"
    path.write_bytes(text)
    with pytest.raises(TrainingError, match=sentence):
        Recipe.load(path)


def test_tars_without_photographs_get_one_sentence(tmp_path):
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    (tmp_path / "text.tar").write_text("no tar")
    for name in ("empty.tar", "text.tar"):
        with pytest.raises(TrainingError, match="photograph"):
            PhotoTars.open([tmp_path / name])


def test_starts_that_cannot_be_used_get_one_sentence(photos, tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "junk.npz").write_bytes(b"junk")
    for name, said in [("other", "lacks"), ("junk", "can't be read"), ("none", "can't be read")]:
        with pytest.raises(TrainingError, match=said):
            load_backbone(CompactModel(), tmp_path / f"{name}.npz")
    (tmp_path / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(TrainingError, match="no checkpoint of this network"):
        train(SMALL, photos, photos, tmp_path, None)


def test_center_crop_shrinks_the_short_side(photos):
    assert center_crop(photos.decode(0), 32).shape == (32, 32, 3)


def test_the_backbone_fits_the_encoder(tmp_path):
    """The published start, where it is at hand: every convolution of it goes in."""
    path = Path(__file__).parents[2] / "shared" / "backbone" / "mobilenet_v2_imagenet.npz"
    if not path.exists():
        pytest.skip("the ImageNet start of the encoder is not on this machine")
    model = CompactModel()
    load_backbone(model, path)
    arrays = np.load(path)
    last = model.state_dict()["blocks.16.layers.4.weight"].numpy()
    np.testing.assert_array_equal(last, arrays["50.weight"].astype(np.float32))
    assert float(model.stem.weight.detach()[:, 1:].abs().max()) == 0
