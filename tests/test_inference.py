"""The batch inferencer: one shape, one answer, and sentences for devices that aren't there."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tests.devices import device, every_device, only_cuda
from tests.models.made_up import with_classifier
from vidcolor.errors import DeviceError, UsageError
from vidcolor.inference import Engine, choose_device, choose_dtype, open_engine
from vidcolor.models.compact import CompactConfig, CompactModel
from vidcolor.models.eccv16 import Eccv16Model
from vidcolor.models.registry import MODELS, entry_of
from vidcolor.models.siggraph17 import Siggraph17Model
from vidcolor.models.standin import StandinModel
from vidcolor.settings import Settings

__all__ = ["device"]

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


@pytest.mark.parametrize(("share", "strength"), [(0.25, 1.0), (0.25, 1.5), (0.0, 1.5)])
def test_the_mixture_is_between_the_heads(share, strength):
    torch.manual_seed(0)
    model = CompactModel(CompactConfig(class_share=share, strength=strength)).eval()
    planes = torch.from_numpy(lightness(1, (64, 64)))[:, None]
    with torch.inference_mode():
        heads = model.heads(planes)
        classes = model.decode_classes(heads.logits)
        mixed = model(planes)
    wide = torch.nn.functional.interpolate(classes, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(mixed, strength * (share * wide + (1 - share) * heads.ab))


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


@every_device
@pytest.mark.parametrize("model_class", [StandinModel, CompactModel])
def test_predictions_under_way_are_the_same(device, model_class):
    """Begun one after the other, asked for backwards, longer and shorter than a batch."""
    engine = Engine(seeded(model_class), device, batch=2)
    work = [lightness(count, engine.input_size, seed=count) for count in (1, 5, 2, 3)]
    plain = [engine.colorize(each) for each in work]
    under_way = [engine.submit(each) for each in work]
    for prediction, expected in zip(reversed(under_way), reversed(plain), strict=True):
        np.testing.assert_array_equal(prediction.result(), expected)


@every_device
def test_what_stays_on_the_device_is_what_comes_back(device):
    engine = Engine(seeded(CompactModel), device, batch=2)
    frames = lightness(3, engine.input_size)
    expected = engine.colorize(frames)
    there = torch.from_numpy(frames).to(device)
    for ab in (engine.colorize_on_device(frames), engine.colorize_on_device(there)):
        assert ab.device.type == device.type
        np.testing.assert_array_equal(ab.cpu().numpy(), expected)


def test_one_network_serves_two_engines():
    """Made ready once, it isn't made ready twice."""
    model = seeded(CompactModel)
    frames = lightness(2, model.input_size)
    first = Engine(model, CPU, batch=1)
    expected = first.colorize(frames)
    np.testing.assert_array_equal(Engine(model, CPU, batch=1).colorize(frames), expected)
    np.testing.assert_array_equal(first.colorize(frames), expected)


@only_cuda
@pytest.mark.parametrize("model_class", [StandinModel, CompactModel, Eccv16Model, Siggraph17Model])
def test_a_graph_changes_no_colour(device, model_class):
    frames = lightness(5, (64, 64))
    answers = {}
    for graphs in (False, True):
        model = seeded(model_class)
        model.input_size = (64, 64)
        engine = Engine(model, device, batch=2, graphs=graphs)
        answers[graphs] = engine.colorize(frames)
        np.testing.assert_array_equal(engine.colorize(frames), answers[graphs])
        assert engine.graphed == graphs
    np.testing.assert_array_equal(answers[True], answers[False])


@only_cuda
@pytest.mark.parametrize("name", [entry.name for entry in MODELS])
def test_every_network_runs_on_cuda(device, name):
    """Graph or not, it says what it says on the CPU, in as far as half precision does."""
    torch.manual_seed(0)
    model = with_classifier(entry_of(name).build().eval())
    model.input_size = (64, 64)
    frames = lightness(3, (64, 64))
    with torch.inference_mode():
        full = copy.deepcopy(model)(torch.from_numpy(frames[:, None])).numpy()
    half = Engine(model, device, batch=2).colorize(frames)
    assert np.abs(half - full).mean() < 0.05 * np.abs(full).std() + 0.3


@only_cuda
def test_hints_reach_the_frames_on_cuda(device):
    engine = Engine(seeded(CompactModel), device, batch=2)
    frames, none = lightness(3, engine.input_size), np.zeros((3, 3, 192, 192), np.float32)
    some = none.copy()
    some[1, :, 60:120, 60:120] = np.array([60, 40, 1])[:, None, None]
    plain, hinted = engine.colorize(frames), engine.colorize(frames, some)
    error = np.abs(engine.colorize(frames, none) - plain)
    assert error.max() < 0.5, error.max()
    changed = np.abs(hinted - plain).mean((1, 2, 3))
    assert changed[1] > 10 * max(changed[0], changed[2])
