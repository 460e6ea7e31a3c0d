"""What a user gets from the wheel: the whole package, its data, its presets, all it imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from vidcolor import settings

CHECKOUT = Path(__file__).resolve().parent.parent

DISTRIBUTIONS = {
    "cv2": "opencv-python",
    "ffmpeg": "ffmpeg-python",
    "skimage": "scikit-image",
    "PIL": "pillow",
}
"""Imports whose distribution has another name, beyond - for _."""

OWN = {"vidcolor", "tests", "examples", *(p.stem for p in (CHECKOUT / "benchmarks").glob("*.py"))}
"""Imports that are the checkout's own."""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, built from the checkout without asking a network for anything."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, CHECKOUT)
    (path,) = folder.glob("vidcolor-*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """A folder that holds the wheel's package and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", folder, wheel)
    return folder


def pip(*words):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def printed_by(code, installed, cwd):
    """What `code` prints, where `installed` comes before every other vidcolor."""
    environment = {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_a_checkout_uses_its_own_configs():
    assert settings.configs_folder() == CHECKOUT / "configs"


def test_a_wheel_carries_its_presets(installed, tmp_path):
    code = "import vidcolor.settings as s; print(s.configs_folder())"
    assert printed_by(code, installed, tmp_path) == installed / "vidcolor" / "configs"
    for preset in settings.PRESETS:
        mine = settings.preset_path(preset)
        theirs = installed / "vidcolor" / "configs" / "presets" / mine.name
        assert theirs.read_bytes() == mine.read_bytes()


def test_every_preset_loads_from_the_wheel(installed, tmp_path):
    code = (
        "import vidcolor.settings as s\n"
        "for name in s.PRESETS: s.Settings.load(preset=name)\n"
        "print(s.__file__)"
    )
    assert printed_by(code, installed, tmp_path).is_relative_to(installed)


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel):
    package = CHECKOUT / "vidcolor"
    there = {
        path.relative_to(CHECKOUT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    configs = CHECKOUT / "configs"
    there |= {
        f"vidcolor/configs/{path.relative_to(configs).as_posix()}"
        for path in configs.rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == there


def test_the_wheel_carries_the_networks_data(wheel):
    data = CHECKOUT / "vidcolor" / "models" / "data"
    wanted = [*data.glob("*.csv"), *data.glob("*.safetensors")]
    assert wanted
    with zipfile.ZipFile(wheel) as archive:
        for path in wanted:
            packed = archive.read(path.relative_to(CHECKOUT).as_posix())
            assert packed == path.read_bytes(), path.name


def test_the_wheel_carries_licence_and_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        licence = archive.read(info["LICENSE"]).decode()
        commands = archive.read(info["entry_points.txt"]).decode()
    assert licence == (CHECKOUT / "LICENSE").read_text(encoding="utf-8")
    assert "the vidcolor authors" in licence
    assert "vidcolor = vidcolor.__main__:main" in commands


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("vidcolor", ("train",)),
        ("examples", ("demo",)),
        ("tests", ("demo", "dev")),
        ("benchmarks", ("demo", "dev")),
    ],
)
def test_whatever_is_imported_is_declared(folder, extras):
    """An import that only works on the developer's machine is how an install breaks."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = list(project["dependencies"])
    for extra in extras:
        declared += project["optional-dependencies"][extra]
    names = {re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in declared}
    for path in sorted((CHECKOUT / folder).rglob("*.py")):
        missing = {
            name
            for name in imports_of(path) - set(sys.stdlib_module_names) - OWN
            if DISTRIBUTIONS.get(name, name.replace("_", "-")) not in names
        }
        assert not missing, f"{path.relative_to(CHECKOUT)} imports {sorted(missing)}"


def imports_of(path):
    """The top-level modules a file imports, wherever in it, those under `if TYPE_CHECKING` too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found
