"""docs/python.md runs: every block in order, every value it shows, every file it says it writes.

A block's lines may end in `# -> value`, what the line's expression gives, and `# writes NAME`, a
file that isn't there before the block and is afterwards.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import vidcolor
from tests.clips import make_clip
from vidcolor.models.standin import StandinModel

PAGE = Path(__file__).resolve().parent.parent / "docs" / "python.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"# -> (.*?)(?:; writes .*)?$")
WRITES = re.compile(r"#.*\bwrites (\S+)$")


def blocks_of(text):
    return BLOCK.findall(text)


def run_block(code, names):
    """Run a block's statements in turn; fails where a value isn't what the page shows."""
    lines = code.splitlines()
    files = [found[1] for line in lines if (found := WRITES.search(line))]
    there = [name for name in files if Path(name).exists()]
    assert not there, f"{there} are there already"
    for node in ast.parse(code).body:
        source = ast.get_source_segment(code, node)
        assert source is not None
        assert node.end_lineno is not None
        shown = SHOWN.search(lines[node.end_lineno - 1])
        if shown is None:
            exec(compile(source, "docs/python.md", "exec"), names)
        else:
            assert isinstance(node, ast.Expr), f"no expression: {source}"
            value = eval(compile(source, "docs/python.md", "eval"), names)
            assert value == ast.literal_eval(shown[1]), source
    missing = [name for name in files if not Path(name).is_file()]
    assert not missing, f"{missing} weren't written"


def quick_network(name="auto", weights=None):
    """The stand-in under another network's name."""
    model = StandinModel()
    model.name = "compact" if name == "auto" else name
    model.accepts_hints = True  # type: ignore[misc]
    return model.eval()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A person's folder, on a machine whose networks are all there and take no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setattr("vidcolor.inference.load_model", quick_network)
    make_clip(tmp_path / "film.mp4", frames=48, width=160, height=120, audio=True)
    rows = np.broadcast_to(np.linspace(20, 230, 120)[:, None], (120, 160)).astype(np.uint8)
    assert cv2.imwrite("photo.jpg", rows)
    return tmp_path


def test_every_block_does_what_the_page_says(folder, capsys):
    names: dict[str, object] = {}
    for code in blocks_of(PAGE.read_text(encoding="utf-8")):
        run_block(code, names)
    out, err = capsys.readouterr()
    assert err == ""
    # What is printed, the page's own code prints.
    assert re.fullmatch(r"(\r\w+: \d+ of \d+)+", out)
    assert not list(folder.glob("*.job"))


def test_the_page_shows_every_call():
    code = "".join(blocks_of(PAGE.read_text(encoding="utf-8")))
    calls = [name for name in vidcolor.__all__ if name.islower() and name != "__version__"]
    assert len(calls) >= 5
    for name in calls:
        assert f"vidcolor.{name}(" in code, f"the page doesn't show {name}"
    text = PAGE.read_text(encoding="utf-8")
    for name in vidcolor.__all__:
        if name.endswith("Error"):
            assert name in text, f"the page doesn't name {name}"


def test_blocks_are_short():
    for code in blocks_of(PAGE.read_text(encoding="utf-8")):
        assert len(code.splitlines()) <= 8, code
        assert max(map(len, code.splitlines())) <= 100, code


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("1 + 1  # -> 3", "1 \\+ 1"),
        ("x = 2  # -> 2", "no expression"),
        ("x = 2  # writes nothing.png", "weren't written"),
        ("x = 2  # writes film.mp4", "there already"),
    ],
)
def test_a_page_that_is_wrong_fails(tmp_path, monkeypatch, code, fault):
    monkeypatch.chdir(tmp_path)
    Path("film.mp4").touch()
    with pytest.raises(AssertionError, match=fault):
        run_block(code, {})
