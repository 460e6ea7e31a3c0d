"""What a machine has and lacks: whole, broken here and there, and without a library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vidcolor import doctor
from vidcolor.doctor import CHECKS, LIBRARIES, Finding, Library, allows, examine, look_at_library
from vidcolor.errors import DeviceError, EncoderError, OutputError, SettingsError, WeightsError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("VIDCOLOR_CACHE", str(folder))
    return folder


def found(check) -> dict[str, Finding]:
    return {finding.about: finding for finding in check()}


def test_this_machine_can_run():
    findings = found(examine)
    assert [f for f in findings.values() if f.mark == "problem"] == []
    assert findings["Python"].says.startswith(".".join(map(str, sys.version_info[:3])))
    assert "with FFmpeg" in findings["av"].says
    assert "libx264" in findings["encoders"].says
    assert "ffv1" in findings["encoders"].says
    assert "float" in findings["device"].says
    assert findings["compact"].mark == "ok"
    assert findings["siggraph17"].mend == "vidcolor models pull siggraph17"
    assert "fast, balanced, best" in findings["presets"].says


def test_whatever_mends_something_is_told_with_what_is_wrong():
    for finding in examine():
        assert finding.says
        if finding.mark == "ok":
            assert finding.mend == ""


def without(*modules: str) -> list[dict[str, str]]:
    """The findings of a fresh Python in which some modules can't be imported."""
    code = (
        "import json, sys\n"
        f"for name in {modules!r}: sys.modules[name] = None\n"
        "from dataclasses import asdict\n"
        "from vidcolor.doctor import examine\n"
        "print(json.dumps([asdict(finding) for finding in examine()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    held: list[dict[str, str]] = json.loads(done.stdout)
    return held


@pytest.mark.parametrize(
    ("module", "distribution", "untried"),
    [
        ("torch", "torch", {"device", "compact"}),
        ("av", "av", {"encoders"}),
        ("cv2", "opencv-python", {"encoders"}),
        ("platformdirs", "platformdirs", {"weights", "device"}),
    ],
)
def test_a_library_that_isnt_there(module, distribution, untried):
    findings = {each["about"]: each for each in without(module)}
    lacking = findings[distribution]
    assert lacking["mark"] == "problem"
    assert "pip install" in lacking["mend"]
    assert distribution in lacking["mend"]
    assert {about for about, f in findings.items() if f["mark"] == "problem"} == {distribution}
    for about in untried:
        assert f"can't be tried while {module}" in findings[about]["says"]
    assert findings["Python"]["mark"] == findings["presets"]["mark"] == "ok"


def test_without_numpy_what_needs_it_says_so_and_prints_nothing_else():
    findings = {each["about"]: each for each in without("numpy", "torch")}
    assert findings["numpy"]["says"] == "isn't installed"
    assert findings["opencv-python"]["says"].startswith("doesn't load, it lacks numpy")
    assert "numpy" in findings["opencv-python"]["mend"]


def test_the_module_imports_nothing_heavy():
    code = (
        "import sys, vidcolor.doctor; print([n for n in ('torch', 'av', 'cv2', 'numpy', 'typer') "
    )
    code += "if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="names of Debian's packages")
@pytest.mark.parametrize(
    ("words", "mend"),
    [
        ("libGL.so.1: cannot open shared object file", "sudo apt-get install libgl1"),
        ("libgthread-2.0.so.0: cannot open", "sudo apt-get install libglib2.0-0"),
        ("undefined symbol: foo", "--force-reinstall"),
    ],
)
def test_a_library_that_doesnt_load(monkeypatch, words, mend):
    def broken(name):
        raise ImportError(words)

    monkeypatch.setattr(doctor, "quietly_imported", broken)
    finding = look_at_library(Library("cv2", "opencv-python"))
    assert finding.mark == "problem"
    assert words in finding.says
    assert mend in finding.mend


def test_what_only_some_commands_need_is_no_problem(monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    optional = next(each for each in LIBRARIES if each.module == "tifffile")
    finding = look_at_library(optional)
    assert finding.mark == "note"
    assert "vidcolor image" in finding.says


@pytest.mark.parametrize(
    ("wanted", "version", "expected"),
    [
        ("torch>=2.13,<2.14", "2.13.0+cpu", True),
        ("torch>=2.13,<2.14", "2.14.0", False),
        ("torch>=2.13,<2.14", "2.9.1", False),
        ("numpy<3,>=2.0", "2.4.6", True),
        ("numpy<3,>=2.0", "3.0", False),
        ("torch", "1.0", True),
        ("torch>=2.13", "unknown", True),
    ],
)
def test_versions(wanted, version, expected):
    assert allows(wanted, version) is expected


def test_another_version_than_asked_for_is_noted(monkeypatch):
    monkeypatch.setattr(doctor, "requirement", lambda name: f"{name}>=99")
    finding = look_at_library(Library("numpy", "numpy"))
    assert finding.mark == "note"
    assert "vidcolor asks for numpy>=99" in finding.says


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert found(doctor.check_python)["Python"].mark == "problem"


def test_no_ffmpeg_is_a_note(monkeypatch):
    def none():
        raise OutputError("there is no ffmpeg on PATH; install it.")

    monkeypatch.delenv("VIDCOLOR_FFMPEG", raising=False)
    monkeypatch.setattr("vidcolor.media.ffmpeg.find_ffmpeg", none)
    finding = found(doctor.check_ffmpeg)["ffmpeg"]
    assert finding.mark == "note"
    assert "subtitles" in finding.says
    assert finding.mend.endswith("install ffmpeg")


def test_a_wrong_variable_for_ffmpeg(monkeypatch):
    monkeypatch.setenv("VIDCOLOR_FFMPEG", "nowhere/ffmpeg")
    finding = found(doctor.check_ffmpeg)["ffmpeg"]
    assert (finding.mark, finding.mend) == ("note", "unset VIDCOLOR_FFMPEG")


@pytest.mark.parametrize(("body", "code"), [("exit 1", "note"), ("echo ffmpeg version 7.1", "ok")])
@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_the_ffmpeg_program_is_run(monkeypatch, tmp_path, body, code):
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("VIDCOLOR_FFMPEG", str(program))
    finding = found(doctor.check_ffmpeg)["ffmpeg"]
    assert finding.mark == code
    assert ("7.1" in finding.says) == (code == "ok")


@pytest.mark.parametrize(
    ("working", "mark"),
    [({"libx264", "ffv1"}, "note"), ({"ffv1"}, "note"), ({"libx265"}, "problem"), ({}, "problem")],
)
def test_encoders_that_dont_open(monkeypatch, working, mark):
    def opened(codec):
        if codec not in working:
            raise EncoderError("no")
        return SimpleNamespace(bit_depth=8)

    monkeypatch.setattr("vidcolor.media.encoders.open_encoder", opened)
    finding = found(doctor.check_encoders)["encoders"]
    assert finding.mark == mark
    assert "NVENC has no GPU" in finding.says
    assert "--force-reinstall" in finding.mend


def test_a_device_that_doesnt_compute(monkeypatch):
    def zeros(size, device):
        raise RuntimeError("no kernel image")

    monkeypatch.setattr("torch.zeros", zeros)
    finding = found(doctor.check_device)["device"]
    assert (finding.mark, finding.mend) == ("problem", "--device cpu")
    assert "no kernel image" in finding.says


def test_a_gpu(monkeypatch):
    import torch

    zeros = torch.zeros
    card = SimpleNamespace(name="NVIDIA H200", total_memory=139 * 2**30)
    monkeypatch.setattr("vidcolor.inference.choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr("vidcolor.inference.choose_dtype", lambda device: torch.bfloat16)
    monkeypatch.setattr("torch.zeros", lambda size, device: zeros(size))
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: card)
    finding = found(doctor.check_device)["device"]
    assert (finding.mark, finding.says) == ("ok", "cuda: NVIDIA H200, 139 GiB; bfloat16")


def test_a_gpu_that_torch_doesnt_see(monkeypatch):
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch sees one here")
    monkeypatch.setattr(doctor, "has_nvidia", lambda: True)
    finding = found(doctor.check_device)["device"]
    assert finding.mark == "note"
    assert "NVIDIA" in finding.says
    assert finding.mend


def test_a_check_that_breaks_down_is_told_and_the_others_go_on(monkeypatch):
    def broken(name):
        raise DeviceError("the roof fell in")

    monkeypatch.setattr("vidcolor.inference.choose_device", broken)
    findings = found(examine)
    assert "the roof fell in" in findings["device"].says
    assert findings["presets"].mark == "ok"


def test_presets_that_arent_there(monkeypatch):
    def nowhere():
        raise SettingsError("no configs folder; install vidcolor again.")

    monkeypatch.setattr(doctor, "configs_folder", nowhere)
    finding = found(doctor.check_presets)["presets"]
    assert finding.mark == "note"
    assert "--preset" in finding.says


def test_bundled_weights_that_cant_be_read(monkeypatch):
    def damaged(path):
        raise WeightsError("the file is damaged.")

    monkeypatch.setattr("vidcolor.models.weights.read_state_dict", damaged)
    finding = found(doctor.check_weights)["compact"]
    assert finding.mark == "problem"
    assert "install" in finding.mend


def test_weights_in_the_cache(cache):
    from vidcolor.models.catalogue import cached_path

    cache.mkdir()
    cached_path("eccv16").write_bytes(b"not the published file")
    finding = found(doctor.check_weights)["eccv16"]
    # `--model auto` would stumble over it.
    assert finding.mark == "problem"
    assert finding.mend == "vidcolor models pull eccv16"


def test_the_cache(cache, monkeypatch):
    assert "not made yet" in found(doctor.check_weights)["cache"].says
    cache.mkdir()
    assert "empty" in found(doctor.check_weights)["cache"].says
    (cache / "weights").write_bytes(bytes(2_000_000))
    assert "holds 2.0 MB" in found(doctor.check_weights)["cache"].says
    monkeypatch.setenv("VIDCOLOR_CACHE", str(cache / "weights" / "deeper"))
    finding = found(doctor.check_weights)["cache"]
    assert finding.mark == "note"
    assert "VIDCOLOR_CACHE" in finding.mend


def test_no_place_for_temporary_files(monkeypatch):
    def full(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    finding = found(doctor.check_temporary)["temporary"]
    assert finding.mark == "problem"
    assert "No space left" in finding.says


def test_little_room(monkeypatch):
    usage = SimpleNamespace(free=1_500_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    finding = found(doctor.check_space)["this folder"]
    assert finding.mark == "note"
    assert "1.5 GB free" in finding.says


def test_fewer_cores_than_there_are(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    finding = found(doctor.check_machine)["cores"]
    assert (finding.mark, finding.mend) == ("note", "--threads 2")


def test_little_memory(monkeypatch):
    monkeypatch.setattr(doctor, "memory_bytes", lambda: 10**9)
    assert found(doctor.check_machine)["memory"].mark == "note"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(monkeypatch, tmp_path, shell):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    finding = found(doctor.check_completion)["completion"]
    assert finding.mend == f"vidcolor --install-completion {shell}"
    script = tmp_path / doctor.COMPLETIONS[shell]
    script.parent.mkdir(parents=True)
    script.touch()
    assert found(doctor.check_completion)["completion"].mark == "ok"


def test_completion_is_looked_for_where_it_is_put(monkeypatch, tmp_path):
    from vidcolor.cli import run_arguments

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert run_arguments(["--install-completion", "bash"]) == 0
    assert found(doctor.check_completion)["completion"].mark == "ok"


def test_a_shell_nobody_knows(monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/ksh")
    assert "ksh" in found(doctor.check_completion)["completion"].says


def test_every_check_stands_once():
    assert len({name for name, _ in CHECKS}) == len(CHECKS)
    checks = {name for name in vars(doctor) if name.startswith("check_")}
    assert checks == {check.__name__ for _, check in CHECKS}


def test_pip_is_named_so_that_it_serves_this_python(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.pip("numpy").startswith(sys.executable)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    if Path(sys.executable).with_name("pip").exists():
        assert doctor.pip("numpy>=2") == "pip install 'numpy>=2'"
