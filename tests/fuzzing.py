"""Readers fed with hostile files, each in a process of its own.

    with Fuzzer(folder) as fuzzer:
        result = fuzzer.run("film.mkv", 17)
    result.became                     # "read", "refused", or what went wrong

A warm process, which has imported everything and started no thread, forks a child for each case
and gives it a limited memory and a limited time. A case is a file's name and a number; the same
case has the same bytes every time.

    python -m tests.fuzzing film.mkv 17        # one case again, with all it says
"""

from __future__ import annotations

import json
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tests.clips import luma, make_clip
from tests.mutations import mutated
from vidcolor.frames import Plane

ROOT = Path(__file__).parent.parent

HANG_SECONDS = 60.0
"""Of the wall; a case takes a tenth of a second on an idle machine."""

CPU_SECONDS = 30

MOST_GROWTH_KB = 700_000
"""What a child may take beside what it shares with its parent, in KiB."""

ADDRESS_BYTES = 6 << 30
"""What a child may map beside what is mapped already: more is refused by the system."""

FRAMES = 40
"""So many frames of a film are read."""

FILMS: dict[str, dict[str, Any]] = {
    "film.mkv": {"audio": True, "subtitle": True, "chapters": [(0.0, 0.2, "One")]},
    "film.mp4": {"audio": True, "subtitle": True, "chapters": [(0.0, 0.2, "One")], "rotation": 90},
    "film.mov": {"audio": True, "codec": "mjpeg", "pixel_format": "yuvj420p"},
    "film.avi": {"audio": True, "codec": "mpeg4"},
    "film.ts": {"audio": True},
    "film.vob": {"audio": True, "codec": "mpeg2video", "rate": Fraction(25)},
    "film.webm": {"audio": True, "codec": "libvpx-vp9"},
    "film.flv": {"audio": False, "codec": "flv"},
    "film.nut": {"audio": True, "codec": "ffv1"},
    "film.gif": {"codec": "gif", "pixel_format": "gray"},
    "film.apng": {"codec": "apng", "pixel_format": "gray"},
    "film.y4m": {"codec": "rawvideo"},
    "film.mxf": {"codec": "mpeg2video", "rate": Fraction(25)},
    "film.asf": {"codec": "msmpeg4"},
    "hevc.mp4": {"codec": "libx265", "width": 64, "height": 64},
    "av1.mkv": {"codec": "libsvtav1", "width": 64, "height": 64},
    "prores.mov": {"codec": "prores_ks", "pixel_format": "yuv422p10le"},
}
"""What `make_clip` is told."""

STILLS = ("a.png", "deep.png", "a.jpg", "a.tif", "deep.tif", "lzw.tif", "a.webp", "a.gif", "a.bmp")
OTHERS = ("weights.safetensors", "weights.pth", "job.json", "marker.json", "preset.toml")
NAMES = (*FILMS, *STILLS, *OTHERS)


@dataclass(frozen=True)
class Result:
    """What became of a case."""

    name: str
    number: int
    became: str
    """`read`, `refused`, or what should never be."""

    said: str
    seconds: float
    growth_kb: int

    @property
    def bad(self) -> bool:
        return self.became not in ("read", "refused")

    def __str__(self) -> str:
        return f"{self.name} {self.number}: {self.became} {self.said[-1500:]}"


class Fuzzer:
    """The warm process, as seen from a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzzing", "--serve", str(self._folder)],
            cwd=ROOT,
            env=os.environ | dict.fromkeys(_THREADS, "1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.communicate(timeout=HANG_SECONDS)

    def run(self, name: str, number: int) -> Result:
        """Have a file mutated and read."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, number]) + "\n")
        self._process.stdin.flush()
        return Result(**json.loads(self._process.stdout.readline()))


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Server:
    """That process itself."""

    def __init__(self, folder: Path) -> None:
        # Imported once, for all children.
        import torch

        import vidcolor.jobs.local
        import vidcolor.media.photos
        import vidcolor.models.weights  # noqa: F401

        torch.set_num_threads(1)
        # What every child has in memory from the beginning.
        said = Path(tempfile.gettempdir()) / f"said-{os.getpid()}"
        self._idle_kb = _in_child(lambda: None, said)[1]
        said.unlink()
        self._folder = folder
        self._whole: dict[str, bytes] = {}
        (folder / "whole").mkdir(parents=True, exist_ok=True)

    def serve(self) -> None:
        for line in sys.stdin:
            name, number = json.loads(line)
            sys.stdout.write(json.dumps(asdict(self.run(name, number))) + "\n")
            sys.stdout.flush()

    def run(self, name: str, number: int) -> Result:
        path = self._folder / name
        data = self._bytes_of(name)
        path.write_bytes(mutated(data, random.Random(f"{name} {number}")) if number else data)
        began, said = time.monotonic(), self._folder / "said"
        became, peak = _in_child(lambda: read(path), said)
        growth = max(0, peak - self._idle_kb)
        if growth > MOST_GROWTH_KB:
            became = f"took {growth // 1024} MiB"
        words = said.read_text(errors="replace")
        return Result(name, number, became, words, time.monotonic() - began, growth)

    def _bytes_of(self, name: str) -> bytes:
        if name not in self._whole:
            whole = self._folder / "whole" / name
            said = self._folder / "said"
            became, _ = _in_child(lambda: write_whole(whole), said)
            assert became == "read", said.read_text()
            self._whole[name] = whole.read_bytes()
        return self._whole[name]


def _in_child(act: Callable[[], None], said: Path) -> tuple[str, int]:
    """What became of it, and the most memory the child had, in KiB."""
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"{threads} threads: forking would be unsafe"
    child = os.fork()
    if child == 0:
        _be_child(act, said)
    handle = os.pidfd_open(child)
    ready, _, _ = select.select([handle], [], [], HANG_SECONDS)
    os.close(handle)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if not ready or code == -signal.SIGXCPU:
        return "hung", usage.ru_maxrss
    named = {0: "read", 1: "refused", 2: "raised what nobody foresaw"}
    return named.get(code, f"ended with {code}"), usage.ru_maxrss


def _be_child(act: Callable[[], None], said: Path) -> None:
    """Do something and end, come what may."""
    from vidcolor.errors import VidcolorError

    code = 2
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + ADDRESS_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with said.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        try:
            act()
            code = 0
        except VidcolorError as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            code = 1 if str(error).endswith((".", "?")) and "\n" not in str(error) else 2
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


# Whole files


def write_whole(path: Path) -> None:
    """Make the file that is mutated, by its name."""
    if path.name in FILMS:
        settings = {"frames": 10, "width": 48, "height": 32, "gop": 5, **FILMS[path.name]}
        make_clip(path, **settings)
    elif path.name in STILLS:
        _write_still(path)
    elif path.name.startswith("weights"):
        _write_weights(path)
    else:
        path.write_text(_TEXTS[path.name])


def _write_still(path: Path) -> None:
    import tifffile
    from PIL import Image

    from vidcolor.media.metadata import Metadata
    from vidcolor.media.photos import write_photo

    gray = luma(0, 40, 30)
    rgb = np.dstack([gray] * 3)
    deep = rgb.astype(np.uint16) * 257
    if path.name == "lzw.tif":
        Image.fromarray(rgb).save(path, compression="tiff_lzw")
    elif path.suffix in (".gif", ".bmp"):
        Image.fromarray(gray).save(path)
    elif path.name == "deep.tif":
        tifffile.imwrite(path, deep, photometric="rgb")
    else:
        about = Metadata(icc=bytes(200), xmp=b"<x:xmpmeta/>", dpi=(300, 300))
        pixels: Plane = deep if path.name == "deep.png" else rgb.astype(np.uint8)
        write_photo(path, pixels, about, suffix=path.suffix)


def _write_weights(path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.zeros(3)}
    if path.suffix == ".pth":
        torch.save(tensors, path)
    else:
        save_file(tensors, path, {"vidcolor": json.dumps({"options": {"width": 4}})})


_TEXTS = {
    "job.json": json.dumps(
        {
            "format": 1,
            "identity": {"source": {"size": 1, "mtime_ns": 2, "sha256_ends": "0" * 64}},
            "plan": [[0, -(2**63), 10], [1, 10, 2**63 - 1]],
            "frames": [5, 5],
            "source": "/films/a.mkv",
            "options": ["--crf", "20"],
        }
    ),
    "marker.json": json.dumps(
        {
            "path": "00000.mkv",
            "frames": 2,
            "pts": [0, 1],
            "durations": [1, 1],
            "extradata_sha256": "0" * 64,
            "sha256": "1" * 64,
            "damaged": [],
            "repeated": [],
        }
    ),
    "preset.toml": 'model = "compact"\nanchor_every = 3\ncrf = 18\n[encoder_options]\nx = "y"\n',
}


# Reading them


def read(path: Path) -> None:
    """Let the readers loose on a file. Raises what they raise."""
    if path.name in FILMS:
        _read_film(path)
    elif path.name in STILLS:
        from vidcolor.media.photos import is_photo, losses, read_photo

        is_photo(path)
        losses(read_photo(path), path.suffix if path.suffix not in (".gif", ".bmp") else ".png")
    elif path.name.startswith("weights"):
        from vidcolor.models.weights import options_of, read_state_dict

        options_of(path)
        read_state_dict(path)
    elif path.suffix == ".toml":
        from vidcolor.settings import Settings

        Settings.load(file=path)
    else:
        _read_job(path)


def _read_film(path: Path) -> None:
    """All that a run does with a source but colouring it."""
    from vidcolor.facts import facts_of
    from vidcolor.media.choice import choose_encoder
    from vidcolor.media.join import check_output_container
    from vidcolor.media.probe import probe
    from vidcolor.media.read import read_frames
    from vidcolor.media.reader import index_packets
    from vidcolor.media.sample import sample_pairs
    from vidcolor.media.tracks import company_of, weigh
    from vidcolor.settings import Settings

    info = probe(path)
    index = index_packets(info)
    list(islice(read_frames(info, threads=1), FRAMES))
    if index.times:
        middle = index.times[len(index.times) // 2]
        list(islice(read_frames(info, middle, before=2, after=2, threads=1), FRAMES))
    facts_of(sample_pairs(info, 4), info)
    choice = choose_encoder(info, Settings(encoder_preset="ultrafast", threads=1))
    output = path.with_name(f"out{'.mp4' if path.suffix == '.mp4' else '.mkv'}")
    check_output_container(info, output, choice)
    weigh(info, company_of(info, output).tracks)


def _read_job(path: Path) -> None:
    from vidcolor.frames import Segment
    from vidcolor.jobs.folder import JobFolder
    from vidcolor.jobs.listing import look_at

    output = path.with_name("out.mkv")
    folder = path.with_name("out.mkv.job")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    (folder / "segments" / "00000.mkv").touch()
    target = folder / "job.json" if path.name == "job.json" else folder / "segments/00000.json"
    target.write_bytes(path.read_bytes())
    JobFolder(output).marked(Segment(0, 0, 10))
    look_at(folder)
    JobFolder(output).read_job()


def main() -> None:
    if sys.argv[1] == "--serve":
        _Server(Path(sys.argv[2])).serve()
        return
    folder = Path(tempfile.mkdtemp(prefix="fuzzing-"))
    result = _Server(folder).run(sys.argv[1], int(sys.argv[2]))
    sys.stdout.write(
        f"{result}\n{result.seconds:.2f} s, {result.growth_kb // 1024} MiB; {folder}\n"
    )


if __name__ == "__main__":
    main()
