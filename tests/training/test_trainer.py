"""Training: every family learns, a killed run goes the way it would have gone, and what is wrong is
said in one sentence."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.clips import make_clip
from tests.models.made_up import MadeUpClassifier
from vidcolor.cli import interruption_sentence, run_arguments
from vidcolor.errors import TrainingError
from vidcolor.models.embedding import Embedder
from vidcolor.models.registry import MODELS, load_model
from vidcolor.settings import configs_folder
from vidcolor.training.checkpoints import CHECKPOINT
from vidcolor.training.journal import LOG
from vidcolor.training.recipe import Recipe
from vidcolor.training.sweep import grid, read_axes
from vidcolor.training.trainer import Machine, Training, rate_share

RECIPES = sorted((configs_folder() / "train").glob("*.toml"))

SMALL = ["--set", "size=32", "--set", "batch=4", "--set", "measured=2", "--threads", "1"]
SMALL += ["--device", "cpu", "--precision", "32-true"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Sixteen tiny photographs in colour, of which the name tells the split."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :64]
    for name in ("train", "val"):
        (folder / name).mkdir()
        for number in range(12 if name == "train" else 4):
            base, slope = rng.uniform(60, 200, 3), rng.uniform(-2, 2, (2, 3))
            picture = base + slope[0] * y[..., None] + slope[1] * x[..., None]
            picture[..., 0] += 60
            cv2.imwrite(str(folder / name / f"{number}.png"), np.clip(picture, 0, 255))
    return folder


@pytest.fixture
def train(photos, capsys):
    """Run `vidcolor train`; returns (code, stdout, stderr)."""

    def run(recipe, out, *words, data=photos):
        given = ["train", str(recipe), "--data", str(data), "--out", str(out), *SMALL]
        given += ["--set", 'data.train=["train"]', "--set", 'data.validation=["val"]', *words]
        code = run_arguments(given)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache folder in place of the user's."""
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def classifier(monkeypatch):
    """A made-up classifier for DeepColor's networks."""

    def ready(self):
        self.network, self.sha256 = MadeUpClassifier(), "0" * 64
        return self.network

    monkeypatch.setattr(Embedder, "ready", ready)


def steps_of(out):
    return [json.loads(line) for line in (out / LOG).read_text().splitlines()]


# Every family


LIGHT = ("ucsd-eleven", "deepcolor-3", "stclair-autoencoder", "compact")
"""Trained in every test run; the others, ten times as heavy, in the long suite."""


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem in LIGHT else pytest.mark.long)
        for path in RECIPES
    ],
)
def test_each_recipe_learns_and_colours_a_picture_and_a_film(
    train, classifier, recipe, tmp_path, monkeypatch
):
    words = ["--set", "steps=6", "--set", 'backbone=""', "--set", "schedule.warmup=0"]
    # The same twelve photographs in every step, so that losses can be compared.
    words += ["--set", "data.split=file", "--set", "data.augment=none", "--set", "batch=12"]
    words += ["--set", "data.hinted=0", "--set", "data.weights={}", "--set", "lr=2e-4"]
    code, out, err = train(recipe, tmp_path / "run", *words)
    assert code == 0, err
    losses = [row["loss"] for row in steps_of(tmp_path / "run")]
    assert len(losses) == 6
    assert min(losses[3:]) < losses[0]
    weights = Path(out.strip().splitlines()[-1])
    film = make_clip(tmp_path / "film.mp4", frames=4)
    network = Recipe.load(recipe).network
    colored = tmp_path / "film.color.mkv"
    given = ["--model", network, "--weights", str(weights), "--threads", "1"]
    assert run_arguments(["run", str(film), "-o", str(colored), *given]) == 0
    assert colored.exists()
    picture = tmp_path / "run" / "pictures" / "000006.png"
    target = tmp_path / "picture.png"
    assert run_arguments(["image", str(picture), "-o", str(target), "--recolor", *given]) == 0
    assert target.exists()


def test_every_network_has_a_recipe():
    learned = {Recipe.load(path).network for path in RECIPES}
    assert learned == {entry.name for entry in MODELS if not entry.formula}


# Stopping and going on


def recipe_for(photos, **changes):
    table = {
        "network": "ucsd-eleven",
        "ema": 0.9,
        "options": {"widths": [8, 8]},
        "data": {"train": ["train"], "validation": ["val"], "size": 24, "batch": 4},
        "objective": {"name": "rgb-mse"},
        "schedule": {"epochs": 4, "name": "fall", "warmup": 2},
        "measured": 2,
    }
    return Recipe.of(table | changes, "a test")


KILLED = """
import sys, time
from pathlib import Path
import torch
from tests.training.test_trainer import recipe_for
from vidcolor.training.journal import Journal
from vidcolor.training.trainer import Machine, Training

torch.set_num_threads(1)
photos, out = map(Path, sys.argv[1:3])
machine = Machine(device="cpu", precision="32-true", save_seconds=0)
run = Training(recipe_for(photos), photos, out, machine)
journal = Journal(out, step=run.step)
for event in run.steps():
    journal.note(event)
    print(event.step, flush=True)
    if event.step == int(sys.argv[3]):
        time.sleep(60)
"""


def run_to_end(photos, out):
    torch.set_num_threads(1)
    machine = Machine(device="cpu", precision="32-true")
    training = Training(recipe_for(photos), photos, out, machine)
    losses = {event.step: event.losses["loss"] for event in training.steps()}
    return losses, training.finish().read_bytes()


@pytest.mark.parametrize("at", [2, 7])
def test_killed_and_gone_on_with_it_is_the_same_loss_for_loss(photos, tmp_path, at):
    whole, weights = run_to_end(photos, tmp_path / "whole")
    assert sorted(whole) == list(range(1, 13))
    command = [sys.executable, "-c", KILLED, str(photos), str(tmp_path / "killed"), str(at)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == at:
                process.send_signal(signal.SIGKILL)
                break
    before = {row["step"]: row["loss"] for row in steps_of(tmp_path / "killed")}
    after, again = run_to_end(photos, tmp_path / "killed")
    assert sorted(after) == list(range(at + 1, 13))
    assert {**before, **after} == whole
    assert again == weights


def test_a_finished_run_is_left_alone(train, tmp_path):
    words = ["--set", "steps=3", "--set", "measure_every=1"]
    first = train("ucsd-eleven", tmp_path, *words)
    before = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    code, out, err = train("ucsd-eleven", tmp_path, *words)
    assert (code, out) == (0, first[1])
    assert "going on behind step 3 of 3" in err
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == before
    assert [row["step"] for row in steps_of(tmp_path)] == [1, 2, 3]


def test_longer_is_gone_on_with(train, tmp_path):
    train("ucsd-eleven", tmp_path, "--set", "steps=2")
    code, _, err = train("ucsd-eleven", tmp_path, "--set", "steps=4")
    assert code == 0
    assert "going on behind step 2 of 4" in err
    assert [row["step"] for row in steps_of(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.skipif(sys.platform == "win32", reason="no flock there")
def test_two_runs_in_one_folder(train, photos, tmp_path):
    """The second is refused, and touches nothing of the first."""
    first = Training(recipe_for(photos), photos, tmp_path, Machine(device="cpu"))
    before = sorted(tmp_path.iterdir())
    code, out, err = train("ucsd-eleven", tmp_path)
    assert (code, out) == (1, "")
    assert f"is working on the training in {tmp_path}; wait until it is done" in err
    assert sorted(tmp_path.iterdir()) == before
    first.finish()
    assert train("ucsd-eleven", tmp_path, "--set", "steps=1")[0] == 0


def test_a_full_disk_loses_no_checkpoint(photos, tmp_path, monkeypatch):
    run_to_end(photos, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    real = torch.save

    def full(state, file):
        real(state, file)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    training = Training(
        recipe_for(photos), photos, tmp_path, Machine(device="cpu", precision="32-true")
    )
    with pytest.raises(TrainingError, match=r"No space left on device.*is whole; make room"):
        training.save()
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    names = {"checkpoint.pt", "lock", "ucsd-eleven.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_two_devices_learn_as_one_and_one_of_them_speaks(photos, tmp_path):
    """Two processes with half of each batch: the loss, a mean, is what one device has."""
    words = ["--set", "network=stclair-autoencoder", "--set", "objective.name=mse"]
    words += ["--set", "steps=3", "--set", "measure_every=2", "--json"]
    words += ["--set", 'data.train=["train"]', "--set", 'data.validation=["val"]']
    logs = []
    for devices in ("cpu", "cpu:2"):
        out = tmp_path / devices.replace(":", "-")
        command = [sys.executable, "-m", "vidcolor", "train", "ucsd-eleven", "--data", str(photos)]
        command += ["--out", str(out), *SMALL, *words, "--device", devices]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert [row.get("step") for row in said] == [1, 2, 3, None]
        logs.append(steps_of(out))
        assert len(list(out.glob("events.*"))) == 1
        assert load_model("stclair-autoencoder", out / "stclair-autoencoder.safetensors")
    one, two = ([row["loss"] for row in log] for log in logs)
    assert two == pytest.approx(one, rel=1e-4)
    assert [row["step"] for row in logs[1] if "reading" in row] == [2, 3]


# What is wrong


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("netwerk = 'compact'", "names no network"),
        ("network = 'compact'\nbatch = 3", "unknown key 'batch'"),
        ("network = 'compact'\n[data]\nsise = 3", "unknown key 'data.sise'"),
        ("network = 'compact'\n[data]\nsize = 'big'", "data.size is 'big'.*whole number"),
        ("network = 'compact'\n[data]\nsize = true", "data.size is True.*whole number"),
        ("network = 'compact'\n[data]\nbatch = 0", "batch is 0.*at least 1"),
        ("network = 'compact'\n[optimizer]\nname = 'adagrad'", "optimizer.name is 'adagrad'.*sgd"),
        ("network = 'compact'\n[optimizer]\nbetas = [1]", "betas is.*two numbers"),
        ("network = 'compact'\ndata = 3", "data is 3.*expected a table"),
        ("network = 'compact'\nema = 1.5", "ema is 1.5.*less than 1"),
        ("network = ", "can't be read"),
    ],
)
def test_recipes_that_dont_fit(tmp_path, text, words):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=words):
        Recipe.load(path)


def test_changes():
    recipe = Recipe.of({"network": "compact"}, "a test")
    changed = recipe.changed({"lr": "1e-4", "data.augment": "none", "options.class_share": "0.5"})
    assert changed.optimizer.rate == 1e-4
    assert changed.data.augment == "none"
    assert changed.options == {"class_share": 0.5}
    with pytest.raises(TrainingError, match="no 'learning_rate'; it has lr, "):
        recipe.changed({"learning_rate": "1"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "lr"], "isn't NAME=VALUE"),
        (["--set", "objective.unit=0"], "expected Lab units"),
        (["--sweep", "lr="], "isn't NAME=VALUE,VALUE"),
        (["--sweep", "lr=1", "--sweep", "lr=2"], "given twice"),
        (["--set", "network=standin"], "learns nothing"),
        (["--set", "network=nobody"], "there is no network 'nobody'"),
        (["--set", "objective.name=hinge"], "there is no objective 'hinge'"),
        (["--set", "options.enlarge=resize"], "doesn't have the options"),
        (["--set", "network=eccv16", "--set", "options.side=100"], "isn't a multiple of 8"),
        (["--set", "network=compact", "--set", "backbone=m.npz"], "which isn't there"),
        (["--set", 'data.train=["nowhere"]'], "nowhere"),
        (["--set", "network=stclair-autoencoder", "--set", "size=36"], "takes multiples of 8"),
        (["--set", "start=nothing.safetensors"], "doesn't exist"),
        (["--set", "backbone=m.npz"], "a backbone is for compact"),
        (["--device", "cuda"], "can't train on cuda"),
        (["--precision", "8-bit"], "can't train on cpu with 8-bit"),
    ],
)
def test_one_sentence_each(train, tmp_path, words, said):
    code, out, err = train("ucsd-eleven", tmp_path / "out", *words)
    assert code in (1, 2)
    assert out == ""
    assert said in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1


def test_no_recipe_of_that_name(train, tmp_path):
    code, _, err = train("compct", tmp_path)
    assert code == 2
    assert "there is no recipe 'compct'; name a .toml file or one of compact, " in err


def test_an_empty_and_an_all_gray_set(train, tmp_path):
    (tmp_path / "train").mkdir()
    code, _, err = train("ucsd-eleven", tmp_path / "out", data=tmp_path)
    assert code == 1
    assert len(err.strip().splitlines()) == 1
    for name in ("train", "val"):
        (tmp_path / name).mkdir(exist_ok=True)
        for number in range(6):
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), np.full((40, 40), 20 * number))
    code, _, err = train("ucsd-eleven", tmp_path / "out", "--set", "steps=2", data=tmp_path)
    assert code == 1
    assert "gray" in err.strip().splitlines()[-1]


def test_the_checkpoint_of_another_network(train, tmp_path):
    train("ucsd-eleven", tmp_path, "--set", "steps=1")
    before = (tmp_path / CHECKPOINT).read_bytes()
    code, _, err = train("stclair-autoencoder", tmp_path, "--set", "steps=1")
    assert code == 1
    assert "belongs to a run of another recipe" in err
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_loss_that_is_no_number_names_the_step_and_the_rate(photos, tmp_path):
    recipe = recipe_for(photos)
    wild = replace(recipe, optimizer=replace(recipe.optimizer, name="sgd", rate=1e30))
    training = Training(wild, photos, tmp_path, Machine(device="cpu", precision="32-true"))
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d, at the rate \de\+"):
        list(training.steps())


# Sweeps and schedules


def test_a_sweep_runs_the_grid_and_prints_a_table(train, tmp_path):
    words = ["--sweep", "lr=1e-3,1e-2", "--sweep", "seed=1,2", "--set", "steps=2"]
    code, out, _ = train("ucsd-eleven", tmp_path, *words)
    assert code == 0
    table = [line for line in out.splitlines() if line.startswith("| ")]
    assert len(table) == 1 + 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lr=1e-2,seed=1",
        "lr=1e-2,seed=2",
        "lr=1e-3,seed=1",
        "lr=1e-3,seed=2",
    ]
    best = [float(line.split("|")[2]) for line in table[1:]]
    assert best == sorted(best, reverse=True)


def test_the_grid():
    points = list(grid(read_axes(["lr=1e-2, 1e-3", "batch=5,50"])))
    assert [point.folder for point in points] == [
        "lr=1e-2,batch=5",
        "lr=1e-2,batch=50",
        "lr=1e-3,batch=5",
        "lr=1e-3,batch=50",
    ]
    assert [point.folder for point in grid({})] == [""]


def test_rates():
    constant = Recipe.of({"network": "compact"}, "a test").schedule
    assert {rate_share(constant, step, 10) for step in range(10)} == {1.0}
    fall = replace(constant, name="fall", fall_share=0.5, warmup=2)
    assert [rate_share(fall, step, 10) for step in (0, 1, 4, 5, 9)] == [0.5, 1, 1, 1, 0.2]
    steps = replace(constant, name="steps", every=3, factor=0.1)
    assert [rate_share(steps, step, 9) for step in (0, 2, 3, 6)] == pytest.approx([1, 1, 0.1, 0.01])


def test_the_weights_that_are_saved_are_the_average(photos, tmp_path):
    run_to_end(photos, tmp_path)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    saved = load_model("ucsd-eleven", tmp_path / "ucsd-eleven.safetensors").state_dict()
    assert all(torch.equal(saved[key], value) for key, value in state["average"].items())
    assert not all(torch.equal(saved[key], value) for key, value in state["network"].items())


def test_pictures_of_readings(train, tmp_path):
    train("ucsd-eleven", tmp_path, "--set", "steps=2")
    picture = cv2.imread(str(tmp_path / "pictures" / "000002.png"))
    assert picture is not None
    assert picture.shape == (3 * 32, 2 * 32, 3)
    gray, _, truth = np.split(picture.astype(int), 3)
    assert np.ptp(gray, axis=2).max() <= 3
    assert np.ptp(truth, axis=2).max() > 30


def test_interrupted_it_says_how_to_go_on():
    assert "to go on where it was" in interruption_sentence(["train", "compact"])


def test_a_checkpoint_comes_after_its_time(photos, tmp_path):
    machine = Machine(device="cpu", precision="32-true", save_seconds=0)
    training = Training(recipe_for(photos), photos, tmp_path, machine)
    assert all(event.saved for event in training.steps())
