"""Batches on a device: the function's own answers, whatever is under way beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.devices import device, every_device, found_device, only_cuda
from vidcolor.device_batches import DeviceBatches, Planes

__all__ = ["device"]

SHAPE = (4, 3, 5)


def blended(planes: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two outputs, one of them not contiguous; nothing crosses from item to item."""
    return (planes * 2 + codes[:, None, None]).transpose(1, 2), codes + 1


def company(planes: torch.Tensor) -> tuple[torch.Tensor]:
    """Each item's answer is the sum of its batch, which shows what else is in it."""
    return (planes.sum(0, keepdim=True).expand_as(planes),)


def given(count, seed):
    rng = np.random.default_rng(seed)
    planes = rng.normal(size=(count, 3, 5)).astype(np.float32)
    return planes, rng.integers(0, 200, count).astype(np.uint8)


def expected(planes, codes):
    return (planes * 2 + codes[:, None, None]).transpose(0, 2, 1), codes + 1


def batches_of(function, device, **how):
    kinds = [Planes(SHAPE), Planes((4,), torch.uint8)][: function.__code__.co_argcount]
    return DeviceBatches(function, kinds, device, **how)


@every_device
@pytest.mark.parametrize("slots", [None, 2, 3])
@pytest.mark.parametrize("backwards", [False, True])
def test_each_batch_gets_its_own_answer(device, slots, backwards):
    """However many are under way, in whatever order they are asked for."""
    batches = batches_of(blended, device, slots=slots)
    lengths = [4, 4, 1, 3, 4, 2]
    work = [given(count, seed) for seed, count in enumerate(lengths)]
    answers = [batches.submit(*each) for each in work]
    pairs = list(zip(answers, work, strict=True))
    for answer, each in reversed(pairs) if backwards else pairs:
        for found, wanted in zip(answer.result(), expected(*each), strict=True):
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
    again = [answer.result() for answer in answers]
    for found, each in zip(again, work, strict=True):
        np.testing.assert_allclose(found[0], expected(*each)[0], rtol=1e-6)


@every_device
@pytest.mark.parametrize("slots", [None, 2])
def test_an_answer_nobody_asks_for_is_in_nobodys_way(device, slots):
    batches = batches_of(blended, device, slots=slots)
    for seed in range(5):
        batches.submit(*given(4, seed))
    work = given(2, 9)
    np.testing.assert_allclose(batches.submit(*work).result()[0], expected(*work)[0], rtol=1e-6)


@every_device
@pytest.mark.parametrize("slots", [None, 2])
def test_what_is_missing_from_a_batch_is_zeros(device, slots):
    """Nothing of the batch before is left, whether it came from the host or from the device."""
    batches = batches_of(company, device, slots=slots)
    full, part = given(4, 1)[0], given(3, 2)[0]
    for _ in range(3):
        batches.submit(full).result()
    np.testing.assert_allclose(
        batches.submit(part).result()[0], np.broadcast_to(part.sum(0), part.shape), rtol=1e-5
    )
    batches.submit(torch.from_numpy(full).to(device)).result()
    there = torch.from_numpy(part).to(device)
    np.testing.assert_allclose(
        batches.submit(there).result()[0], np.broadcast_to(part.sum(0), part.shape), rtol=1e-5
    )


@every_device
@pytest.mark.parametrize("slots", [None, 2])
def test_what_stays_on_the_device_is_kept(device, slots):
    batches = batches_of(blended, device, slots=slots)
    work = [given(count, seed) for seed, count in enumerate((4, 2, 4))]
    kept = [batches.on_device(*each) for each in work]
    batches.submit(*given(4, 7)).result()
    for outputs, each in zip(kept, work, strict=True):
        assert all(output.device.type == device.type for output in outputs)
        np.testing.assert_allclose(outputs[0].cpu().numpy(), expected(*each)[0], rtol=1e-6)


@every_device
@pytest.mark.parametrize("slots", [None, 2])
def test_tensors_and_arrays_go_together(device, slots):
    batches = batches_of(blended, device, slots=slots)
    for seed in range(4):
        planes, codes = given(3, seed)
        answer = batches.submit(torch.from_numpy(planes).to(device), codes)
        np.testing.assert_allclose(answer.result()[0], expected(planes, codes)[0], rtol=1e-6)


@every_device
def test_arrays_of_any_layout_go_in(device):
    batches = batches_of(company, device)
    turned = np.ascontiguousarray(given(1, 3)[0].transpose(0, 2, 1)).transpose(0, 2, 1)
    for planes in (turned, turned[..., ::-1]):
        np.testing.assert_allclose(batches.submit(planes).result()[0], planes, rtol=1e-6)


def test_one_value_too_few_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        batches_of(blended, torch.device("cpu")).submit(given(4, 0)[0])


def test_running_out_of_memory_comes_through():
    def hungry(planes):
        raise torch.OutOfMemoryError("CUDA out of memory")

    for slots in (0, 2):
        with pytest.raises(torch.OutOfMemoryError):
            batches_of(hungry, torch.device("cpu"), slots=slots).submit(given(4, 0)[0])


@only_cuda
def test_replayed_kernels_give_the_same_bits(device):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 8, 3, padding=1).to(device)

    def convolved(planes):
        return (conv(planes).relu(),)

    shape = Planes((4, 3, 16, 16))
    plain, replayed = (DeviceBatches(convolved, [shape], device, graphs=g) for g in (False, True))
    rng = np.random.default_rng(0)
    for count in (4, 1, 3):
        planes = rng.normal(size=(count, 3, 16, 16)).astype(np.float32)
        np.testing.assert_array_equal(
            plain.submit(planes).result()[0], replayed.submit(planes).result()[0]
        )
    assert replayed.graphed
    assert not plain.graphed


@only_cuda
def test_what_cannot_be_recorded_is_called(device):
    def asks_the_host(planes):
        return (planes * float(planes.abs().max().cpu() > -1),)

    batches = DeviceBatches(asks_the_host, [Planes(SHAPE)], device)
    for seed in range(3):
        planes = given(4, seed)[0]
        np.testing.assert_array_equal(batches.submit(planes).result()[0], planes)
    assert not batches.graphed


def test_a_machine_said_to_have_cuda_must_have_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(pytest.skip.Exception, match="needs a CUDA device"):
        found_device("cuda")
    monkeypatch.setenv("VIDCOLOR_EXPECT_CUDA", "1")
    with pytest.raises(pytest.fail.Exception, match="VIDCOLOR_EXPECT_CUDA"):
        found_device("cuda")
