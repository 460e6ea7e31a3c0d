"""Words for devices: which are understood, which are refused, and what all of them are."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import vidcolor
from tests.clips import make_clip
from vidcolor.cli import run_arguments
from vidcolor.errors import DeviceError
from vidcolor.jobs.devices import devices_of, refuse_unlike, split_devices, spread_fingerprint


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("auto", ("auto",)),
        ("all", ("all",)),
        ("cuda", ("cuda",)),
        ("cuda:3", ("cuda:3",)),
        ("cpu,cpu", ("cpu", "cpu")),
        ("cuda:0,cuda:1", ("cuda:0", "cuda:1")),
        # Whatever way they are written, it is the same job.
        ("cuda:10, cuda:2,cuda", ("cuda:0", "cuda:2", "cuda:10")),
    ],
)
def test_devices_are_told_apart(given, names):
    assert split_devices(given) == names


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "no device called ''"),
        ("abacus", "no device called 'abacus'"),
        ("cuda:0,", "no device called ''"),
        ("cuda:0,abacus", "no device called 'abacus'"),
        ("cuda:0 cuda:1", "no device called 'cuda:0 cuda:1'"),
        ("cuda:0,1", "no device called '1'"),
        ("cuda:0,cuda:0", "cuda:0 more than once"),
        ("cuda,cuda:0", "cuda:0 more than once"),
        ("mps,mps", "mps:0 more than once"),
        ("cpu,cuda:0", "of several kinds"),
        ("auto,cpu", "auto, which stands alone"),
        ("cuda:0,all", "all, which stands alone"),
    ],
)
def test_wrong_words_are_refused(given, said):
    with pytest.raises(DeviceError) as refused:
        split_devices(given)
    assert said in str(refused.value)
    assert str(refused.value).count(".") <= 1, "one sentence"


def test_wrong_words_are_refused_before_torch_is_imported(tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=2)
    program = (
        "import sys; from vidcolor.cli import run_arguments; "
        f"code = run_arguments(['run', {str(film)!r}, '--device', 'cpu,cuda:0']); "
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the devices cpu,cuda:0 are of several kinds")


def gpus(monkeypatch, *names):
    """Let torch see these GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(names))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: names[device.index])


def test_all_is_every_gpu(monkeypatch):
    gpus(monkeypatch, "H100", "H100", "H100")
    assert devices_of("all") == ("cuda:0", "cuda:1", "cuda:2")
    gpus(monkeypatch, "H100")
    assert devices_of("all") == ("cuda:0",)
    assert devices_of("cpu,cpu") == ("cpu", "cpu")


def test_without_a_gpu_all_is_the_one_device_there_is(monkeypatch):
    gpus(monkeypatch)
    for mps, names in ((False, ("cpu",)), (True, ("mps",))):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert devices_of("all") == names


def test_gpus_that_differ_or_are_missing_are_refused(monkeypatch):
    gpus(monkeypatch, "H100", "RTX 4090", "H100")
    refuse_unlike(["cuda:0", "cuda:2"])
    with pytest.raises(DeviceError, match="cuda:0 is H100 and cuda:1 is RTX 4090"):
        refuse_unlike(devices_of("all"))
    with pytest.raises(DeviceError, match="cuda:3 was asked for"):
        refuse_unlike(["cuda:0", "cuda:3"])


def test_a_job_is_bound_to_its_devices():
    engine = {"model": "compact", "device": "cuda:0"}
    assert spread_fingerprint(engine, ["cuda:0"]) == engine
    assert spread_fingerprint(engine, ["cuda:0", "cuda:1"]) == engine | {"device": "cuda:0,cuda:1"}


@pytest.mark.parametrize("given", ["cpu,cpu", "all"])
def test_what_takes_one_device_says_so(given, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film = make_clip(tmp_path / "film.mkv", frames=2)
    said = f"error: {given!r} stands for several devices, over which only a whole film is spread"
    for command in (
        ["preview", str(film)],
        ["image", "photo.jpg"],
        ["evaluate", "--clips", str(film)],
        ["evaluate", "--photos", "album"],
    ):
        assert run_arguments([*command, "--model", "standin", "--device", given]) == 1
        assert capsys.readouterr().err.startswith(said), command
    for call in (
        lambda: vidcolor.load_model("standin", device=given),
        lambda: vidcolor.colorize_frames(film, model="standin", device=given),
        lambda: vidcolor.preview(film, model="standin", device=given),
        lambda: vidcolor.colorize_image(film, model="standin", device=given),
    ):
        with pytest.raises(DeviceError, match="stands for several devices"):
            call()


def test_all_on_a_machine_without_a_gpu_is_a_plain_run(tmp_path, monkeypatch, capsys):
    gpus(monkeypatch)
    film = make_clip(tmp_path / "film.mkv", frames=12)
    command = ["run", str(film), "--model", "standin", "--threads", "1", "--device", "all"]
    assert run_arguments([*command, "--dry-run"]) == 0
    assert " on cpu, " in capsys.readouterr().out
    # Were it spread, its processes would have torch's own functions.
    monkeypatch.setattr("vidcolor.jobs.spread.open_crew", None)
    assert run_arguments([*command, "--keep-job"]) == 0
    assert '"device": "cpu"' in (tmp_path / "film.color.mkv.job" / "job.json").read_text()
