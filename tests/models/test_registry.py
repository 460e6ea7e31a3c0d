"""Names, what `auto` takes, and how a network without weights is explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.models.made_up import made_up_lightness
from vidcolor.errors import UsageError, WeightsError
from vidcolor.models import registry
from vidcolor.models.catalogue import OFFICIAL
from vidcolor.models.compact import CompactModel
from vidcolor.models.registry import (
    MODELS,
    bundled_weights,
    entry_of,
    explain_auto,
    load_model,
    network_of,
    resolve_auto,
)
from vidcolor.models.weights import sha256_of


def in_cache(monkeypatch, *names: str) -> None:
    monkeypatch.setattr(
        registry, "find_cached", lambda name: Path(f"{name}.pth") if name in names else None
    )


def save_compact(path: Path) -> None:
    torch.manual_seed(0)
    save_file(CompactModel().state_dict(), path)


@pytest.mark.parametrize(
    ("cached", "taken"),
    [
        ((), "compact"),
        (("eccv16",), "eccv16"),
        (("siggraph17",), "siggraph17"),
        (("eccv16", "siggraph17"), "siggraph17"),
    ],
)
def test_auto_takes_the_best_that_is_here(monkeypatch, cached, taken) -> None:
    in_cache(monkeypatch, *cached)
    assert resolve_auto() == taken
    assert explain_auto().startswith(f"{taken}, since ")


def test_auto_with_a_file_takes_the_files_network(tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    save_compact(path)
    model = load_model(weights=path)
    assert isinstance(model, CompactModel)
    assert not model.training
    assert model.weights_sha256 == sha256_of(path)


def test_auto_with_a_strangers_file(tmp_path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="fits none of the networks siggraph17, eccv16, compact"):
        load_model(weights=tmp_path / "net.safetensors")


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.name)
def test_a_network_is_known_by_its_parameters(entry) -> None:
    with torch.device("meta"):
        state = entry.build().state_dict()
    assert network_of(state) == entry.name


def test_official_networks_are_those_of_the_catalogue() -> None:
    assert {entry.name for entry in MODELS if entry.official} == set(OFFICIAL)
    assert set(registry.AUTO_ORDER) == set(OFFICIAL)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ecv16", "did you mean eccv16?"),
        ("SIGGRAPH17", "did you mean siggraph17?"),
        ("zzz", "there are auto, siggraph17, eccv16, compact."),
    ],
)
def test_an_unknown_name(name, words) -> None:
    with pytest.raises(UsageError) as error:
        load_model(name)
    assert words in str(error.value)


@pytest.mark.parametrize("name", list(OFFICIAL))
def test_an_official_network_without_weights(name) -> None:
    with pytest.raises(WeightsError) as error:
        load_model(name)
    for way in (f"vidcolor models pull {name}", "--weights FILE", "--model compact"):
        assert way in str(error.value)


def test_cached_weights_are_loaded_and_sealed(monkeypatch, tmp_path) -> None:
    path = tmp_path / "eccv16.pth"
    torch.manual_seed(0)
    torch.save(entry_of("eccv16").build().state_dict(), path)
    monkeypatch.setattr(registry, "find_cached", lambda name: path)
    model = load_model("eccv16")
    assert not model.training
    assert model.weights_sha256 == OFFICIAL["eccv16"].sha256


def test_the_standin_needs_nothing_and_takes_nothing(tmp_path) -> None:
    model = load_model("standin")
    assert entry_of("standin").for_tests
    assert len(model.weights_sha256) == 64
    ab = model(made_up_lightness(64, 64))
    assert ab.std() > 10
    assert ab.abs().max() < 110
    save_compact(tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="doesn't fit the network standin"):
        load_model("standin", tmp_path / "net.safetensors")


def test_names_cost_no_torch() -> None:
    code = "import sys, vidcolor.models.registry as r; r.explain_auto(); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not {"torch", "numpy", "cv2", "av"} & set(result.stdout.split())


# The bundled weights


def test_bundled_weights_are_small_and_half_precision() -> None:
    path = bundled_weights("compact")
    assert path.stat().st_size <= 12e6
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    wide = [k for k, v in tensors.items() if v.is_floating_point() and v.dtype != torch.float16]
    assert not wide


def test_bundled_weights_load_and_colour() -> None:
    model = load_model("compact")
    assert sum(p.numel() for p in model.parameters()) <= 5_000_000
    assert model.weights_sha256 == sha256_of(bundled_weights("compact"))
    with torch.inference_mode():
        ab = model(made_up_lightness(192, 192))
    assert ab.isfinite().all()
    assert 0 < ab.abs().mean() < 60
