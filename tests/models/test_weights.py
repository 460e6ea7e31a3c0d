"""Weights files: good ones, and every kind of bad one."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vidcolor.errors import WeightsError
from vidcolor.models import weights
from vidcolor.models.color_model import UNSEALED, ColorModel
from vidcolor.models.compact import CompactModel
from vidcolor.models.eccv16 import Eccv16Model
from vidcolor.models.siggraph17 import Siggraph17Model
from vidcolor.models.weights import load_weights, options_of, read_state_dict, sha256_of

STATE = {"a": torch.arange(40_000.0).reshape(200, 200), "b": torch.tensor(3)}


class Code:
    """What a hostile file holds: loading it would run a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch ran",)


def save_old(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


# Reading


@pytest.mark.parametrize("save", [torch.save, save_old, save_file], ids=["zip", "old", "safe"])
@pytest.mark.parametrize("suffix", [".pth", ".bin"])
def test_reads_every_format_whatever_its_name(tmp_path, save, suffix) -> None:
    path = tmp_path / f"net{suffix}"
    save(STATE, path)
    state = read_state_dict(path)
    assert set(state) == set(STATE)
    for key, tensor in STATE.items():
        assert torch.equal(state[key], tensor)
        assert state[key].dtype == tensor.dtype


def test_a_missing_file(tmp_path) -> None:
    with pytest.raises(WeightsError, match="doesn't exist"):
        read_state_dict(tmp_path / "net.pth")


def test_a_folder(tmp_path) -> None:
    with pytest.raises(WeightsError, match="can't be read: Is a directory"):
        read_state_dict(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\n <!doctype html><html></html>", "is a web page, not weights"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error/>", "is a web page, not weights"),
        ("Zugriff verweigert für Sie\n".encode(), "is a text, not weights"),
        (b"", r"\(0 bytes\) is damaged"),
        (b"\x80", "is damaged"),
        (bytes(4000), "is damaged"),
        (np.random.RandomState(0).bytes(4000), "is damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_not_a_weights_file(tmp_path, content, words, suffix) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        read_state_dict(path)


@pytest.mark.parametrize("save", [torch.save, save_old, save_file], ids=["zip", "old", "safe"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_file_cut_short(tmp_path, save, share) -> None:
    path = tmp_path / "net.pth"
    save(STATE, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match="is damaged, cut short"):
        read_state_dict(path)


@pytest.mark.parametrize("save", [torch.save, save_old, save_pickle], ids=["zip", "old", "pickle"])
def test_code_is_refused_and_not_run(tmp_path, monkeypatch, save) -> None:
    monkeypatch.chdir(tmp_path)
    save({"a": Code()}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"was refused: it .*numbers only"):
        read_state_dict(tmp_path / "net.pth")
    assert not (tmp_path / "ran").exists()


def test_a_whole_network_is_refused(tmp_path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"wants to call torch\.nn\.modules\.linear\.Linear"):
        read_state_dict(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "is a list"),
        ({}, "is empty"),
        (torch.zeros(3), "is a Tensor"),
        ({"epoch": 3, "state_dict": STATE}, "a table whose 'epoch' is a int"),
    ],
)
def test_what_is_not_a_state_dict(tmp_path, content, words) -> None:
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=words):
        read_state_dict(tmp_path / "net.pth")


# Loading


def compact_state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return CompactModel().state_dict()


def test_half_precision_is_widened_and_the_sum_kept(tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    half = {k: v.half() if v.is_floating_point() else v for k, v in compact_state().items()}
    save_file(half, path)
    model = CompactModel()
    load_weights(model, path)
    for key, tensor in model.state_dict().items():
        assert tensor.dtype == (torch.float32 if tensor.is_floating_point() else torch.int64)
        assert torch.equal(tensor, half[key].to(tensor.dtype)), key
    assert model.weights_sha256 == sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def without(state: dict[str, Tensor]) -> None:
    del state["stem.bias"]


def reshaped(state: dict[str, Tensor]) -> None:
    state["stem.bias"] = torch.zeros(7)


def retyped(state: dict[str, Tensor]) -> None:
    state["stem.bias"] = torch.zeros(32, dtype=torch.int8)


def broken(state: dict[str, Tensor]) -> None:
    state["stem.bias"][3] = float("nan")


def extended(state: dict[str, Tensor]) -> None:
    state["tail.bias"] = torch.zeros(7)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without, r"it lacks 'stem.bias' \[32\]"),
        (reshaped, r"its 'stem.bias' is \[7\] where \[32\] was expected"),
        (retyped, "its 'stem.bias' is torch.int8 where torch.float32 was expected"),
        (broken, "its 'stem.bias' holds values that aren't finite"),
        (extended, "it has the unexpected 'tail.bias'"),
    ],
)
def test_a_mismatch_is_named_and_changes_nothing(tmp_path, change, words) -> None:
    path = tmp_path / "net.safetensors"
    state = compact_state()
    change(state)
    save_file(state, path)
    torch.manual_seed(1)
    model = CompactModel()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match=f"net.safetensors doesn't fit .* compact: {words}"):
        load_weights(model, path)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert model.weights_sha256 == UNSEALED


@pytest.mark.parametrize(
    ("kind", "other"), [(Eccv16Model, "siggraph17"), (Siggraph17Model, "eccv16")]
)
def test_another_networks_weights_are_recognised(
    monkeypatch, kind: type[ColorModel], other: str
) -> None:
    from vidcolor.models.registry import entry_of

    with torch.device("meta"):
        model, state = kind(), entry_of(other).build().state_dict()
    monkeypatch.setattr(weights, "read_state_dict", lambda path: state)
    with pytest.raises(WeightsError, match=f"these are weights of {other}, try --model {other}"):
        load_weights(model, Path("net.pth"))


def test_what_is_no_file_is_told_at_once(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    for path in (tmp_path / "pipe.pth", Path("/dev/zero")):
        assert options_of(path) == {}
        with pytest.raises(WeightsError, match="not a weights file"):
            read_state_dict(path)


def test_an_archive_that_promises_far_more_than_it_holds(tmp_path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/data/0", bytes(10_000_000))
    assert path.stat().st_size < 20_000
    with pytest.raises(WeightsError, match="damaged"):
        read_state_dict(path)
