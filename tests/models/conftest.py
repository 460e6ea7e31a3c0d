"""What the tests of the networks share: an empty cache, and Zhang's networks made once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache as remember
from pathlib import Path

import pytest
import torch

from tests.models.made_up import made_up_network, with_classifier
from vidcolor.models.color_model import ColorModel
from vidcolor.models.registry import entry_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder in place of the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("VIDCOLOR_CACHE", str(folder))
    return folder


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small lose time to threads, much of it where other work runs beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def network(request: pytest.FixtureRequest) -> ColorModel:
    """The network a test is parametrised with (indirect), with weights that aren't trained."""
    return _network(request.param)


@remember
def _network(name: str) -> ColorModel:
    if entry_of(name).official:
        return made_up_network(name)
    torch.manual_seed(0)
    return with_classifier(entry_of(name).build().eval())
