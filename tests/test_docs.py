"""What the pages and the help tell a person to type does what they say.

Every `vidcolor ...` line of README.md, of docs/ and of the commands' own examples is run, each in a
fresh folder that holds the films and photographs the pages speak of, with the stand-in network.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import tarfile
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.tree import LEAVES
from tests.clips import make_clip
from tests.models.made_up import MadeUpClassifier
from tests.models.servers import Reply, Server
from tests.training.photographs import encoded, photograph, write_tar
from vidcolor.cli import run_arguments
from vidcolor.models.embedding import Embedder
from vidcolor.models.standin import StandinModel

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
WEIGHTS = b"\x80\x02 weights of a network that nobody published" * 50

COMMENT = re.compile(r"\s{2,}#\s.*$")


def commands_of(text):
    """The `vidcolor ...` lines of a text's code blocks, without their comments."""
    for line in text.splitlines():
        words = COMMENT.sub("", line.strip().removeprefix("$ "))
        if line.startswith("  ") and words.startswith("vidcolor "):
            yield words


SHOWN = {
    **{line: page.name for page in PAGES for line in commands_of(page.read_text("utf-8"))},
    **{line: " ".join(w) for w, each in LEAVES.items() for line in commands_of(each.epilog or "")},
}


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """The files the pages speak of, tiny. The film is as long as their times ask for."""
    folder = tmp_path_factory.mktemp("shelf")
    for name in ("old-films/reels", "reels", "more/deep", "scans", "albums/1931"):
        (folder / name).mkdir(parents=True)
    make_clip(folder / "film.mp4", frames=408, rate=Fraction(4), audio=True, cuts=(100, 335, 360))
    make_clip(folder / "film.avi", frames=12, codec="mpeg4")
    for name in ("old-films/a.mp4", "old-films/reels/b.mkv", "more/deep/c.mp4"):
        make_clip(folder / name, frames=12)
    make_clip(folder / "reels/d.avi", frames=12, codec="mpeg4")
    (folder / "clips").mkdir()
    for name in ("clips/e.mp4", "clips/f.mkv", "truth.mp4", "ours.mp4", "theirs.mkv"):
        make_clip(folder / name, frames=8, color=True)
    rows = np.linspace(0, 255, 480)[:, None]
    gray = np.broadcast_to(rows, (480, 360)).astype(np.uint8)
    photographs = ("photo.jpg", "negative.tif", "scan.tif", "scans/1.png", "scans/2.jpg")
    for name in (*photographs, "albums/1931/3.jpg"):
        assert cv2.imwrite(str(folder / name), gray)
    (folder / "my.toml").write_text('preset = "best"\nsaturation = 0.85\ncrf = 19\n')
    for name in ("siggraph17-df00044c.pth", "mine.safetensors"):
        (folder / name).write_bytes(WEIGHTS)
    with tarfile.open(folder / "val.tar", "w") as tar:
        tar.add(folder / "photo.jpg", "photo.jpg")
    (folder / "photos").mkdir()
    for name, count in (("train-000.tar", 64), ("val.tar", 2)):
        pictures = {f"{number}.png": encoded(photograph(number)) for number in range(count)}
        write_tar(folder / "photos" / name, pictures)
    (folder / "photos" / "samples").mkdir()
    for number in range(4):
        (folder / "photos" / "samples" / f"{number}.png").write_bytes(encoded(photograph(number)))
    return folder


@pytest.fixture(scope="session")
def server():
    """An address that has the published weights."""
    with Server({"/siggraph17.pth": Reply(WEIGHTS)}) as server:
        yield server


@pytest.fixture
def at_home(shelf, server, tmp_path, monkeypatch):
    """A person's folder, on a machine whose networks take no time."""
    shutil.copytree(shelf, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vidcolor.inference.load_model", quick_network)
    monkeypatch.setattr(Embedder, "ready", quick_classifier)
    publish(server.url("/siggraph17.pth"), monkeypatch)
    return tmp_path / "home"


def quick_classifier(embedder):
    """Stands in for Inception-ResNet-v2."""
    embedder.network, embedder.sha256 = MadeUpClassifier(), "0" * 64
    return embedder.network


def quick_network(name="auto", weights=None):
    """The stand-in under another network's name."""
    model = StandinModel()
    model.name = name
    model.accepts_hints = True  # type: ignore[misc]
    return model.eval()


def publish(url, monkeypatch):
    """Let the catalogue's siggraph17 be WEIGHTS at `url`."""
    from vidcolor.models.catalogue import OFFICIAL

    entry = OFFICIAL["siggraph17"]
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    monkeypatch.setitem(OFFICIAL, "siggraph17", replace(entry, urls=(url,), sha256=digest))


BRIEFLY = ["--threads", "1", "--precision", "32-true"]
for change in ("steps=1", "size=32", "measured=1", 'backbone=""', "data.augment=none"):
    BRIEFLY += ["--set", change]
"""What makes a training take no time."""


def run_shown(line, server):
    """Run a line as a shell would; returns its exit code and the file it names as its output."""
    line = line.replace("https://files.example.org", server.url(""))
    words = shlex.split(line.split(" > ")[0])
    if words[1] == "train":
        words += BRIEFLY
    output = next((b for a, b in pairwise(words) if a == "-o"), None)
    return run_arguments(words[1:]), output


@pytest.mark.parametrize("line", sorted(SHOWN), ids=lambda line: line.removeprefix("vidcolor "))
def test_every_line_shown_to_a_person_works(line, at_home, server, capsys):
    before = set(at_home.rglob("*"))
    code, output = run_shown(line, server)
    out, err = capsys.readouterr()
    assert code == 0, f"{SHOWN[line]}: {line}\n{out}{err}"
    assert "error" not in err
    made = set(at_home.rglob("*")) - before
    if output is not None:
        assert Path(output) in {path.relative_to(at_home) for path in made}, made
    elif " --dry-run" in line:
        assert not made
    elif line.split()[1] in ("run", "preview", "image"):
        assert made
    elif "--json" not in line:
        assert out.strip()


def test_the_pages_show_every_command():
    missing = [
        words
        for words in LEAVES
        if words != ("jobs", "list")  # its name goes without saying
        and not any(line.split()[1 : len(words) + 1] == list(words) for line in SHOWN)
    ]
    assert missing == [], "show these in README.md or docs/"


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_and_option_has_help(words):
    command = LEAVES[words]
    assert command.help
    for option in command.params:
        assert getattr(option, "help", None), f"{words} {option.name}"


LINK = re.compile(r"\]\(([^)#\s]+)?(?:#([^)\s]+))?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        if target.startswith(("http:", "https:")):
            continue
        other = (page.parent / target) if target else page
        assert other.exists(), f"{page.name} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", other.read_text("utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles]
            assert anchor in anchors, f"{page.name} links to {target}#{anchor}"


def test_every_page_is_in_the_readme():
    text = (CHECKOUT / "README.md").read_text("utf-8")
    for page in PAGES[1:]:
        assert f"](docs/{page.name})" in text, page.name


def test_every_picture_is_shown():
    shown = "".join(page.read_text("utf-8") for page in PAGES)
    for picture in (CHECKOUT / "docs" / "pictures").iterdir():
        assert f"pictures/{picture.name})" in shown, f"no page shows {picture.name}"
