"""Checkpoints and arrays from strangers: what they hold is read, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from vidcolor.errors import TrainingError, VidcolorError
from vidcolor.training.arrays import LabArrays
from vidcolor.training.checkpoints import CHECKPOINT, load_checkpoint
from vidcolor.training.recipe import Recipe


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("save", [torch.save, lambda content, file: pickle.dump(content, file)])
def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path, save):
    mark = tmp_path / "ran"
    with (tmp_path / CHECKPOINT).open("wb") as file:
        save({"recipe": "{}", "step": 1, "network": Harmful(mark)}, file)
    with pytest.raises(TrainingError, match="is no checkpoint of a training, or is damaged"):
        load_checkpoint(tmp_path, Recipe(network="compact"))
    assert not mark.exists()


def test_an_array_with_code_is_refused_and_not_run(tmp_path):
    mark = tmp_path / "ran"
    path = tmp_path / "gray.npy"
    np.save(path, np.array([Harmful(mark)], object), allow_pickle=True)
    with pytest.raises(VidcolorError, match="can't be read"):
        LabArrays("arrays", [path], [path])
    assert not mark.exists()
