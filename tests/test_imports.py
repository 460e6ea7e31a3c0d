"""The structure holds: imports go down the rows, libraries stay behind their owners' doors.

The rows are those of the design: a module imports only from the rows above its own. Within rows 0
and 2 it may also import what stands before it in the list.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vidcolor"

ROWS = (
    (
        "errors",
        "settings",
        "frames",
        "flow",
        "prefetch",
        "resample",
        "color",
        "rendering",
        "display",
        "files",
        "threads",
        "heap",
        "locks",
    ),
    (
        "media",
        "models",
        "shots",
        "smoothing",
        "metrics",
        "facts",
        "sheet",
        "hints",
        "titles",
        "denoise",
    ),
    (
        "packing",
        "device_batches",
        "device_filters",
        "inference",
        "device_color",
        "device_gather",
        "dissolves",
        "stages",
        "pipeline",
        "moments",
        "still_facts",
    ),
    ("jobs",),
    ("previews", "stills", "evaluation", "training", "doctor", "cluster", "studio"),
    ("api", "cli", "__main__"),
)
ORDERED_ROWS = (0, 2, 5)
"""Rows whose modules may import from those listed before them in the same row."""

OWNERS = {
    "av": ("media",),
    "ffmpeg": ("media",),
    "imageio_ffmpeg": ("media",),
    "typer": ("cli",),
    "rich": ("cli",),
    "ray": ("cluster",),
}
"""Who may import a library; the others go through its owner."""

TALKERS = ("cli",)
"""Modules that print and exit."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """vidcolor/media/read.py -> media.read; the package root is the empty name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit(module: str) -> str:
    """What of the rows a module belongs to: its first name below vidcolor."""
    return module.split(".")[0]


def imported(tree: ast.Module) -> Iterator[str]:
    """Full dotted names of everything a module imports, wherever in it and for whatever reason."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the rows"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(module: str) -> tuple[int, int]:
    """(row, position) of a module's unit."""
    for row, names in enumerate(ROWS):
        if unit(module) in names:
            return row, names.index(unit(module))
    raise AssertionError(f"vidcolor.{module} stands in no row; add it to ROWS where it belongs")


def may_import(importer: str, target: str) -> bool:
    """Whether the rows allow module `importer` to import module `target` of vidcolor."""
    if unit(importer) == unit(target):
        return True
    if unit(importer) == "training" and unit(target) == "pipeline":
        return False
    if (unit(importer), unit(target)) == ("evaluation", "training"):
        return True  # its photographs, and its classes of colour
    (row, position), (target_row, target_position) = place(importer), place(target)
    if row == target_row:
        return row in ORDERED_ROWS and target_position < position
    return target_row < row


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_down_the_rows(path):
    importer = dotted(path)
    if importer == "":
        return
    for name in imported(parse(path)):
        if unit(name) != "vidcolor":
            continue
        target = name.removeprefix("vidcolor.")
        if target == "__version__":
            continue
        assert may_import(importer, target), f"{importer} may not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_libraries_stay_with_their_owner(path):
    for name in imported(parse(path)):
        owners = OWNERS.get(unit(name), (unit(dotted(path)),))
        assert unit(dotted(path)) in owners, f"only {', '.join(owners)} imports {unit(name)}"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_only_the_command_line_prints_and_exits(path):
    if dotted(path).startswith(TALKERS):
        return
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "exit", "quit", "sys.exit", "os._exit"), (
                f"line {node.lineno} calls {called}; report an event or raise instead"
            )
        if isinstance(node, ast.Raise) and node.exc is not None:
            assert "SystemExit" not in ast.unparse(node.exc), f"line {node.lineno} exits"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_every_module_opens_with_a_docstring(path):
    assert ast.get_docstring(parse(path)), f"{path} says nothing about itself"


def test_the_rules_can_fail():
    assert not may_import("media.read", "jobs.local")
    assert not may_import("settings", "frames")
    assert not may_import("media.read", "models.weights")
    assert not may_import("training.trainer", "pipeline")
    assert not may_import("previews", "cli.screen")
    assert may_import("pipeline", "inference")
    assert not may_import("inference", "pipeline")
    assert may_import("training.trainer", "inference")
    assert may_import("evaluation.bench", "training.pictures")
    assert not may_import("training.trainer", "evaluation.bench")
    assert not may_import("evaluation.bench", "previews")
    with pytest.raises(AssertionError, match="no row"):
        place("utils")
