"""Data sets: the same samples in the same order, whoever makes them and from wherever on."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import time
import tracemalloc
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.photographs import encoded, gray_photograph, photograph, write_tar
from vidcolor.errors import TrainingError
from vidcolor.models.bins import AbBins
from vidcolor.training import dataset
from vidcolor.training.dataset import Dataset, fraction, is_gray
from vidcolor.training.loader import Loader
from vidcolor.training.pictures import Source
from vidcolor.training.prior import bins_313, class_prior
from vidcolor.training.sources import open_source

# Python 3.12 and later warn of forks in processes with threads; torch's loader forks on Linux.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

FAULTY = {3: "gray", 5: "damaged", 8: "gray", 9: "damaged"}


def files(count, faulty=FAULTY):
    made = {}
    for n in range(count):
        kind = faulty.get(n)
        rgb = gray_photograph(n) if kind == "gray" else photograph(n)
        made[f"{n:03d}.png"] = b"junk" if kind == "damaged" else encoded(rgb)
    return made


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return open_source(write_tar(tmp_path_factory.mktemp("photos") / "t.tar", files(20)))


def tar_of(tmp_path, made, name="t.tar"):
    return open_source(write_tar(tmp_path / name, made))


def dataset_of(source, **changes):
    options: dict[str, Any] = {"size": 24, "seed": 7, "augment": "film"}
    return Dataset([source], **(options | changes))


def batches(data, epoch, batch=6, **options):
    first = options.pop("first", 0)
    with closing(Loader(data, batch, **options)) as loader:
        return list(loader.epoch(epoch, first=first))


def assert_same(ones, others):
    assert len(ones) == len(others) > 0
    for one, other in zip(ones, others, strict=True):
        assert one.keys == other.keys
        torch.testing.assert_close(one.lightness, other.lightness, rtol=0, atol=0)
        torch.testing.assert_close(one.ab, other.ab, rtol=0, atol=0)
        if one.hints is None or other.hints is None:
            assert one.hints is other.hints
        else:
            torch.testing.assert_close(one.hints, other.hints, rtol=0, atol=0)


# Order and chance


def test_an_epoch_is_a_permutation_of_its_own(source):
    data = dataset_of(source)
    first, second = data.order(0).copy(), data.order(1).copy()
    assert sorted(first) == sorted(second) == list(range(20))
    assert first.tolist() != second.tolist()
    np.testing.assert_array_equal(data.order(0), first)
    np.testing.assert_array_equal(dataset_of(source).order(1), second)
    assert dataset_of(source, seed=8).order(0).tolist() != first.tolist()
    assert dataset_of(source, shuffle=False).order(3).tolist() == list(range(20))


def test_a_sample_is_a_function_of_seed_epoch_and_position(source):
    data = dataset_of(source, hinted=0.5)
    whole = data.batch(2, range(20))
    fresh = dataset_of(source, hinted=0.5)
    for position in (19, 4, 11):
        alone = fresh.batch(2, [position])
        assert alone.keys == [whole.keys[position]]
        for name in ("lightness", "ab", "hints"):
            torch.testing.assert_close(
                getattr(alone, name)[0], getattr(whole, name)[position], rtol=0, atol=0
            )
    for other in (data.batch(3, range(20)), dataset_of(source, seed=8).batch(2, range(20))):
        assert other.keys != whole.keys
        assert not torch.equal(other.ab, whole.ab)


def test_shapes_and_ranges(source):
    batch = dataset_of(source, hinted=1.0).batch(0, range(5))
    assert batch.lightness.shape == (5, 1, 24, 24)
    assert batch.ab.shape == (5, 2, 24, 24)
    assert batch.hints is not None
    assert batch.hints.shape == (5, 3, 24, 24)
    assert bool(batch.hints[:, 2].amax((1, 2)).eq(1).all())
    assert batch.lightness.dtype == batch.ab.dtype == batch.hints.dtype == torch.float32
    assert dataset_of(source).batch(0, range(5)).hints is None
    some = dataset_of(source, hinted=0.5).batch(0, range(20)).hints
    assert some is not None
    assert 4 < int(some[:, 2].amax((1, 2)).sum()) < 16


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_make_the_same_batches(source, workers):
    alone = dataset_of(source, hinted=0.3)
    shared = dataset_of(source, hinted=0.3)
    expected = [batches(alone, epoch) for epoch in (0, 1)]
    with closing(Loader(shared, 6, workers=workers)) as loader:
        for epoch in (0, 1):
            assert_same(expected[epoch], list(loader.epoch(epoch)))
        # Resumed in the middle, after an epoch that was left before its end.
        next(iter(loader.epoch(0)))
        assert_same(expected[1][2:], list(loader.epoch(1, first=2)))
    assert shared.gray == alone.gray == {"t.tar:003.png", "t.tar:008.png"}
    assert set(shared.damaged) == set(alone.damaged) == {"t.tar:005.png", "t.tar:009.png"}


def test_an_epoch_taken_up_again_goes_on_as_if_never_left(source):
    expected = batches(dataset_of(source), 4)
    assert [len(batch.keys) for batch in expected] == [6, 6, 6, 2]
    for first in (1, 3):
        assert_same(expected[first:], batches(dataset_of(source), 4, first=first))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_leaves_the_networks_random_numbers_alone(source, workers):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    batches(dataset_of(source), 0, workers=workers)
    torch.testing.assert_close(torch.get_rng_state(), before)


def test_started_processes_work_as_forked_ones(source):
    """As on macOS and Windows, where a process starts from nothing."""
    expected = batches(dataset_of(source), 0)
    assert_same(expected, batches(dataset_of(source), 0, workers=1, start_method="spawn"))


def test_devices_share_every_batch(source):
    whole = batches(dataset_of(source), 0, 6, whole=True)
    halves = [batches(dataset_of(source), 0, 6, rank=rank, ranks=2) for rank in (0, 1)]
    assert len(whole) == len(halves[0]) == len(halves[1]) == 3
    for batch, even, odd in zip(whole, *halves, strict=True):
        assert batch.keys[0::2] == even.keys
        assert batch.keys[1::2] == odd.keys
    with pytest.raises(TrainingError, match="a batch of 5 can't be shared by 2 devices"):
        Loader(dataset_of(source), 5, ranks=2)
    with pytest.raises(TrainingError, match="has 20 pictures, less than a batch of 32"):
        Loader(dataset_of(source), 32, whole=True)


# Splits and weights


def test_splits_stand_for_ever():
    # The sha256 of "a" and "abc" as the standard's examples have it.
    assert fraction("a") == 0xCA978112CA1BBDCA / 2**64
    assert fraction("abc") == 0xBA7816BF8F01CFEA / 2**64


def test_splits_share_the_pictures_out(tmp_path):
    source = Named([f"{n}.png" for n in range(3000)])
    parts = {
        split: {int(n) for n in Dataset([source], size=8, seed=0, split=split).order(0)}
        for split in ("train", "validation", "test")
    }
    assert sum(map(len, parts.values())) == 3000
    assert set.union(*parts.values()) == set(range(3000))
    for split, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        assert len(parts[split]) / 3000 == pytest.approx(share, abs=0.03)
    # One more picture moves none of the others.
    more = Dataset([Named([f"{n}.png" for n in range(3001)])], size=8, seed=9, split="test")
    assert {int(n) for n in more.order(0)} - {3000} == parts["test"]


class Named(Source):
    """Pictures with names alone."""

    def __init__(self, keys, name="named"):
        self.keys, self.name = keys, name

    def __len__(self):
        return len(self.keys)

    def key(self, index):
        return self.keys[index]

    def group(self, index):
        return self.keys[index].split("@")[0]

    def read(self, index, *, at_least=0):
        return photograph(index)


def test_a_group_stays_on_one_side():
    source = Named([f"minute {n // 30}@{n}" for n in range(900)])
    for split in ("train", "validation", "test"):
        pictures = Dataset([source], size=8, seed=0, split=split).order(0)
        assert all(np.bincount(pictures // 30)[pictures // 30] == 30)


def test_weights_draw_with_replacement():
    sources = [Named([f"{name}{n}_{name}.jpg" for n in range(500)], name) for name in "ab"]
    data = Dataset(sources, size=8, seed=0, weights=[1, 3])
    order = data.order(0)
    assert len(order) == len(data) == 1000
    assert (order >= 500).mean() == pytest.approx(0.75, abs=0.05)
    assert len(set(order.tolist())) < 1000
    np.testing.assert_array_equal(order, Dataset(sources, size=8, seed=0, weights=[1, 3]).order(0))
    assert data.order(1).tolist() != order.tolist()
    by_key = Dataset(sources, size=8, seed=0, key_weights={"*_b.jpg": 3})
    np.testing.assert_array_equal(by_key.order(0), order)
    none = Dataset(sources, size=8, seed=0, weights=[0, 1])
    assert len(none) == 500
    assert none.order(0).min() >= 500


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"weights": [1]}, "1 weights for 2 sources"),
        ({"weights": [0, 0]}, "leave no picture to draw"),
        ({"weights": [-1, 1]}, "expected numbers above 0"),
        ({"key_weights": {"*": float("nan")}}, "expected numbers above 0"),
        ({"shares": (0.5, 0.5, 0.5)}, "expected three that sum to 1"),
        ({"split": "validation", "shares": (1, 0, 0)}, "the split 'validation' of a, b is empty"),
    ],
)
def test_options_that_make_no_sense_get_one_sentence(options, sentence):
    sources = [Named(["x"], "a"), Named(["y"], "b")]
    with pytest.raises(TrainingError, match=sentence):
        Dataset(sources, size=8, seed=0, **options)


# Pictures that can't be used


def test_gray_is_what_has_no_colour_anywhere():
    rgb = np.full((40, 50, 3), 128, np.uint8)
    assert is_gray(rgb)
    assert is_gray(gray_photograph(0))
    rgb[13, 17] = (200, 40, 40)
    assert not is_gray(rgb)
    # Lab 53.7, 0.1, 2.2 and 54.2, 1.4, 11.7.
    for tint, gray in (((130, 128, 125), True), ((140, 128, 110), False)):
        assert is_gray(np.full((9, 9, 3), tint, np.uint8)) is gray


def test_the_next_usable_picture_takes_the_place(source):
    data = dataset_of(source, shuffle=False)
    batch = data.batch(0, range(20))
    numbers = [int(key.removeprefix("t.tar:").removesuffix(".png")) for key in batch.keys]
    assert numbers == [0, 1, 2, 4, 4, 6, 6, 7, 10, 10, *range(10, 20)]
    assert batch.gray == ("t.tar:003.png", "t.tar:008.png")
    assert [error.key for error in batch.damaged] == ["t.tar:005.png", "t.tar:009.png"]
    again = data.batch(0, range(20))
    assert (again.keys, again.gray, again.damaged) == (batch.keys, (), ())


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_pictures_are_named_once(source, workers, caplog):
    data = dataset_of(source)
    with caplog.at_level(logging.WARNING), closing(Loader(data, 4, workers=workers)) as loader:
        for epoch in range(3):
            list(loader.epoch(epoch))
    said = sorted(record.getMessage() for record in caplog.records)
    assert [line.split(" ")[0] for line in said] == ["t.tar:005.png", "t.tar:009.png"]
    assert "it is of no known kind. It is left out" in said[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_gray_set_gets_one_sentence(tmp_path, workers):
    gray = tar_of(tmp_path, files(5, dict.fromkeys(range(5), "gray")))
    with pytest.raises(TrainingError, match=r"^all 5 pictures of t\.tar are gray; expected"):
        batches(dataset_of(gray), 0, 2, workers=workers)
    mixed = tar_of(tmp_path, files(5, {0: "damaged"} | dict.fromkeys(range(1, 5), "gray")))
    with pytest.raises(TrainingError, match=r"4 gray, 1 damaged, the first: t\.tar:000\.png"):
        batches(dataset_of(mixed), 0, 2, workers=workers)


def test_tries_have_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "MOST_TRIES", 6)
    gray = tar_of(tmp_path, files(9, dict.fromkeys(range(8), "gray")))
    data = dataset_of(gray, shuffle=False)
    with pytest.raises(TrainingError, match=r"6 pictures in a row of t\.tar are gray"):
        data.batch(0, [0])
    assert data.batch(0, [4]).keys == ["t.tar:008.png"]


def test_a_draw_without_a_usable_picture_is_no_gray_set(tmp_path):
    made = files(6, dict.fromkeys(range(5), "gray"))
    data = dataset_of(tar_of(tmp_path, made), key_weights={"*/005.png": 1, "*00[0-4].png": 1e6})
    assert 5 not in data.order(0)
    assert data.batch(0, [0]).keys == ["t.tar:005.png"]


def test_an_empty_set_gets_one_sentence():
    with pytest.raises(TrainingError, match=r"no picture in \[nothing\]"):
        Dataset([Named([], "nothing")], size=8, seed=0)


# Memory and processes


def test_a_data_set_holds_no_pictures(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    made = {f"{n:03d}.png": encoded(np.roll(noise, n, 0)) for n in range(200)}
    data = dataset_of(tar_of(tmp_path, made))
    total = sum(map(len, made.values()))
    tracemalloc.start()
    for first in range(0, 200, 8):
        data.batch(0, range(first, first + 8))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < total / 20, f"{held} bytes kept, of pictures of {total}"
    assert len(pickle.dumps(data)) < total / 50


def test_a_process_that_dies_gets_one_sentence(source):
    with closing(Loader(dataset_of(Slow(source)), 1, workers=1)) as loader:
        made = loader.epoch(0)
        next(made)
        (worker,) = torch.multiprocessing.active_children()
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match="process that makes batches ended by itself"):
            list(made)


class Slow(Source):
    """So that the batches aren't all made before the process is killed."""

    def __init__(self, source):
        self.source, self.name = source, source.name

    def __len__(self):
        return len(self.source)

    def key(self, index):
        return self.source.key(index)

    def read(self, index, *, at_least=0):
        time.sleep(0.05)
        return self.source.read(index)


def test_processes_end_with_the_loader(source):
    with closing(Loader(dataset_of(source), 4, workers=2)) as loader:
        next(loader.epoch(0))
        children = torch.multiprocessing.active_children()
        assert len(children) == 2
    for child in children:
        child.join(10)
        assert not child.is_alive()


def test_a_loader_works_outside_the_main_thread(source):
    found = []
    worker = threading.Thread(
        target=lambda: found.extend(batches(dataset_of(source), 0, workers=1))
    )
    worker.start()
    worker.join(60)
    assert_same(batches(dataset_of(source), 0), found)


# The prior


def test_the_prior_counts_nearest_bins(source):
    data = dataset_of(source, augment="none")
    prior = class_prior(data, bins_313, limit=4)
    assert prior.shape == (313,)
    assert prior.sum() == pytest.approx(1)
    centers = AbBins.load().centers.astype(np.float64)
    counts = np.zeros(313)
    for position in range(4):
        sample, _, _ = data.sample(0, position)
        for a, b in np.rint(sample.ab).reshape(2, -1).T:
            counts[np.argmin(((centers - (a, b)) ** 2).sum(1))] += 1
    np.testing.assert_allclose(prior, counts / counts.sum())
    assert (class_prior(data, bins_313, limit=8) != prior).any()
