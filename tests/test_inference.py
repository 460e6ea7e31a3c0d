"""The batch inferencer: one shape, one answer, and sentences for devices that aren't there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vidcolor.errors import DeviceError, UsageError
from vidcolor.inference import Engine, choose_device, choose_dtype, open_engine
from vidcolor.models.compact import CompactConfig, CompactModel
from vidcolor.models.standin import StandinModel
from vidcolor.settings import Settings

CPU = torch.device("cpu")


def lightness(count, size, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 100, (count, *size)).astype(np.float32)


def seeded(model_class):
    torch.manual_seed(0)
    return model_class()


@pytest.mark.parametrize("model_class", [StandinModel, CompactModel])
def test_a_frame_gets_the_same_bits_in_any_company(model_class):
    """Alone, in the middle of a full batch, or last of a padded one."""
    engine = Engine(seeded(model_class), CPU, batch=3)
    frames = lightness(5, engine.input_size)
    together = engine.colorize(frames)
    assert together.shape[:2] == (5, 2)
    assert together.dtype == np.float32
    for i in range(5):
        np.testing.assert_array_equal(engine.colorize(frames[i : i + 1])[0], together[i])


def test_no_answer_is_left_from_the_batch_before():
    engine = Engine(seeded(StandinModel), CPU, batch=4)
    first = engine.colorize(lightness(4, engine.input_size, seed=1))
    again = engine.colorize(lightness(1, engine.input_size, seed=2))
    assert again.shape[0] == 1
    assert not np.array_equal(first[0], again[0])


def test_half_precision_keeps_the_colours_of_full():
    if choose_dtype(CPU) != torch.bfloat16:
        pytest.skip("this CPU has no bfloat16 arithmetic, so full precision is all there is")
    frames = lightness(1, (192, 192))
    half = Engine(seeded(CompactModel), CPU, batch=1).colorize(frames)
    with torch.inference_mode():
        full = seeded(CompactModel).eval()(torch.from_numpy(frames[:, None])).numpy()
    assert np.abs(half - full).mean() < 0.02 * np.abs(full).std() + 0.2


def test_the_mixture_is_between_the_heads():
    torch.manual_seed(0)
    model = CompactModel(CompactConfig(class_share=0.25)).eval()
    planes = torch.from_numpy(lightness(1, (64, 64)))[:, None]
    with torch.inference_mode():
        heads = model.heads(planes)
        classes = model.decode_classes(heads.logits)
        mixed = model(planes)
    wide = torch.nn.functional.interpolate(classes, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(mixed, 0.25 * wide + 0.75 * heads.ab)


@pytest.mark.parametrize("name", ["cuda:7", "abacus", "xpu"])
def test_a_device_that_is_not_there_gets_one_sentence(name):
    with pytest.raises(DeviceError) as caught:
        choose_device(name)
    assert name.split(":")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hints_reach_each_frame_of_their_own():
    """In any batch, and none where none are given."""

    class Echo(StandinModel):
        accepts_hints = True

        def forward(self, lightness, hints=None):
            return super().forward(lightness) if hints is None else hints[:, :2] * hints[:, 2:]

    frames = lightness(3, (64, 64))
    hints = np.zeros((3, 3, 64, 64), np.float32)
    hints[:, :, 20:30, 40:50] = np.array([40, -30, 1])[:, None, None]
    hints[:, 0] *= np.arange(3)[:, None, None]
    engine = Engine(Echo(), CPU, batch=2)
    assert engine.accepts_hints
    assert not Engine(StandinModel(), CPU, batch=2).accepts_hints
    np.testing.assert_array_equal(engine.colorize(frames, hints), hints[:, :2])
    plain = Engine(StandinModel(), CPU, batch=2).colorize(frames)
    np.testing.assert_array_equal(engine.colorize(frames), plain)


def test_running_out_of_memory_names_the_batch():
    class Hungry(StandinModel):
        def forward(self, lightness, hints=None):
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = Engine(Hungry(), CPU, batch=8)
    with pytest.raises(DeviceError, match=r"8 frames at once.*--batch, such as 4"):
        engine.colorize(lightness(1, engine.input_size))


def test_open_engine_says_what_it_took():
    engine = open_engine(Settings(model="standin", device="cpu", threads=1, batch=2))
    assert engine.describe().startswith("standin on cpu")
    assert engine.fingerprint()["batch"] == 2
    with pytest.raises(UsageError):
        open_engine(Settings(model="standing"))
    torch.set_num_threads(2)
