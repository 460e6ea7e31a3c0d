"""The bundled network's own recipe, for two minutes: its loss falls, and a kill costs nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vidcolor.training.checkpoints import CHECKPOINT
from vidcolor.training.journal import LOG

SHARED = Path(__file__).parents[3] / "shared"
BACKBONE = "mobilenet_v2_imagenet.npz"
SECONDS = 60
"""Of each of the two runs; the first is killed, the second takes up what it left."""

RUN = """
import sys
from contextlib import closing
from pathlib import Path
import torch
from vidcolor.settings import configs_folder
from vidcolor.training.journal import Journal
from vidcolor.training.recipe import Recipe
from vidcolor.training.trainer import Machine, Training

torch.set_num_threads(2)
photos, out = map(Path, sys.argv[1:])
recipe = Recipe.load(configs_folder() / "train" / "compact.toml")
run = Training(recipe, photos, out, Machine(device="cpu", save_seconds=20))
print(run.step, flush=True)
with closing(Journal(out, step=run.step)) as journal:
    for event in run.steps():
        journal.note(event)
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The photographs and the encoder's start in one folder, as the recipe has them."""
    if not (SHARED / "photos").is_dir() or not (SHARED / "backbone" / BACKBONE).exists():
        pytest.skip("the photographs that the recipe learns from are not on this machine")
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in [*(SHARED / "photos").glob("*.tar"), SHARED / "backbone" / BACKBONE]:
        (folder / path.name).symlink_to(path)
    return folder


def run_and_kill(photos: Path, out: Path) -> tuple[int, dict[int, float]]:
    """The step a run went on behind, and the losses it noted, by step."""
    command = [sys.executable, "-c", RUN, str(photos), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        assert process.stdout is not None
        began = int(process.stdout.readline())
        time.sleep(SECONDS)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    rows = [json.loads(line) for line in (out / LOG).read_text(encoding="utf-8").splitlines()]
    return began, {row["step"]: row["loss"] for row in rows}


@pytest.mark.long
def test_two_minutes_of_the_recipe_with_a_kill_in_the_middle(photos, tmp_path):
    began, before = run_and_kill(photos, tmp_path / "run")
    assert began == 0
    assert (tmp_path / "run" / CHECKPOINT).exists()
    resumed, after = run_and_kill(photos, tmp_path / "run")
    assert 0 < resumed < max(before) < max(after)
    again = [step for step in before if step > resumed]
    assert [after[step] for step in again] == [before[step] for step in again]
    losses = [after[step] for step in sorted(after)]
    assert np.mean(losses[-30:]) < 0.85 * np.mean(losses[:30])
