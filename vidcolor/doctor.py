"""What this machine has of what vidcolor needs, and the command that mends what it lacks.

    for finding in examine():
        print(finding.mark, finding.about, finding.says, finding.mend)

Each thing is looked at by itself and by using it; whatever is broken, the others are still told.
Nothing goes online. No library is imported here before it is asked after.
"""

from __future__ import annotations

import importlib
import io
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Literal

from vidcolor import __version__
from vidcolor.errors import VidcolorError
from vidcolor.settings import PRESETS, Settings, configs_folder

Mark = Literal["ok", "note", "problem"]

OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 2_000_000_000
"""A film of an hour and a half and its segments hardly fit into less."""

LEAST_MEMORY_BYTES = 2_000_000_000
"""A film of 1080p takes about 0.5 GB and its encoder as much again."""

ESSENTIAL_ENCODERS = ("libx264", "ffv1")
"""With one of these every film can be written."""

FFMPEG_SECONDS = 10
"""How long the ffmpeg program may take to tell its version."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    about: str
    mark: Mark
    """`problem` is what keeps vidcolor from running; `note` is worth knowing, no more."""

    says: str
    mend: str = ""
    """A command, or words to put into one; empty where nothing needs mending."""


def examine() -> Iterator[Finding]:
    """Look at one thing after the other, the quick and the basic first. Raises nothing."""
    for about, check in CHECKS:
        try:
            yield from check()
        except Exception as error:
            # Whatever a broken installation does, it is an answer.
            said = f"can't be looked at ({type(error).__name__}: {error})"
            yield Finding(about=about, mark="note", says=said)


def ok(about: str, says: str) -> Finding:
    return Finding(about=about, mark="ok", says=says)


def note(about: str, says: str, mend: str = "") -> Finding:
    return Finding(about=about, mark="note", says=says, mend=mend)


def problem(about: str, says: str, mend: str = "") -> Finding:
    return Finding(about=about, mark="problem", says=says, mend=mend)


# Python and what is installed in it


def check_python() -> Iterator[Finding]:
    words = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield problem(
            "Python", f"{words}; {oldest} or newer is needed", system_install(f"python{oldest}")
        )
    else:
        yield ok("Python", words)


def check_vidcolor() -> Iterator[Finding]:
    yield ok("vidcolor", f"{__version__}, {Path(__file__).parent}")


@dataclass(frozen=True)
class Library:
    """A library, and how it is found."""

    module: str
    distribution: str
    """What pip calls it."""

    needed_for: str = ""
    """What else goes without it; empty where nothing does."""


LIBRARIES = (
    Library("numpy", "numpy"),
    Library("torch", "torch"),
    Library("av", "av"),
    Library("cv2", "opencv-python"),
    Library("safetensors", "safetensors"),
    Library("ffmpeg", "ffmpeg-python"),
    Library("platformdirs", "platformdirs"),
    Library("PIL", "pillow", "`vidcolor image`"),
    Library("tifffile", "tifffile", "`vidcolor image` with TIFF"),
)
SHOWN_ALONE = ("numpy", "torch", "av", "cv2")
"""Those a person asks after; the others share a line while all is well."""


def check_libraries() -> Iterator[Finding]:
    well = []
    for library in LIBRARIES:
        finding = look_at_library(library)
        if finding.mark == "ok" and library.module not in SHOWN_ALONE:
            well.append(f"{library.distribution} {finding.says}")
        else:
            yield finding
    if well:
        yield ok("others", ", ".join(well))


def look_at_library(library: Library) -> Finding:
    """Import a library and compare its version with what vidcolor asks for."""
    about, wanted = library.distribution, requirement(library.distribution)
    lacks: Callable[[str, str, str], Finding] = note if library.needed_for else problem
    purpose = f"; only {library.needed_for} needs it" if library.needed_for else ""
    try:
        module = quietly_imported(library.module)
    except ModuleNotFoundError as error:
        if error.name in (None, library.module):
            return lacks(about, f"isn't installed{purpose}", pip(wanted))
        return lacks(about, f"doesn't load, it lacks {error.name}{purpose}", pip(source_of(error)))
    except Exception as error:
        said = f"is installed but doesn't load: {one_line(error)}{purpose}"
        return lacks(about, said, mend_for(error, wanted))
    version = version_of(library, module)
    words = f"{version}{words_beside(library.module, module)}"
    if not allows(wanted, version):
        return note(about, f"{words}; vidcolor asks for {wanted}", pip(wanted))
    return ok(about, words)


def quietly_imported(name: str) -> ModuleType:
    """Import a module; what it prints meanwhile, as OpenCV does without NumPy, goes nowhere."""
    nowhere = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def source_of(error: ImportError) -> str:
    """What pip shall install for a module that isn't there."""
    module = (error.name or "").partition(".")[0]
    known = (library.distribution for library in LIBRARIES if library.module == module)
    return requirement(next(known, module))


def words_beside(name: str, module: ModuleType) -> str:
    """What else is worth knowing of a library."""
    if name == "av":
        return f", with FFmpeg {getattr(module, 'ffmpeg_version_info', 'of an unknown version')}"
    if name == "torch":
        build = getattr(module, "version", None)
        cuda, hip = getattr(build, "cuda", None), getattr(build, "hip", None)
        return f", for CUDA {cuda}" if cuda else f", for ROCm {hip}" if hip else ", for CPUs"
    return ""


def version_of(library: Library, module: ModuleType) -> str:
    try:
        return metadata.version(library.distribution)
    except metadata.PackageNotFoundError:
        # OpenCV comes under several names.
        return str(getattr(module, "__version__", "of an unknown version"))


def requirement(distribution: str) -> str:
    """What vidcolor asks of a distribution, such as `torch>=2.13,<2.14`; its name alone where
    vidcolor itself isn't installed."""
    try:
        asked = metadata.requires("vidcolor") or []
    except metadata.PackageNotFoundError:
        asked = []
    for line in asked:
        words = line.partition(";")[0].strip()
        if re.split(r"[<>=!~ \[(]", words, maxsplit=1)[0].lower() == distribution.lower():
            return words
    return distribution


def allows(wanted: str, version: str) -> bool:
    """Whether a requirement of lower and upper bounds takes a version; other kinds take any."""
    have = release(version)
    for sign, bound in re.findall(r"(>=|<)\s*([\d.]+)", wanted):
        if have and (have < release(bound) if sign == ">=" else have >= release(bound)):
            return False
    return True


def release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in numbers[0].split(".")) if numbers else ()


SYSTEM_PACKAGES = {"libGL": "libgl1", "libgthread": "libglib2.0-0", "libglib": "libglib2.0-0"}
"""What a system without a screen lacks of what OpenCV links to, and Debian's names for it."""


def mend_for(error: Exception, wanted: str) -> str:
    """The command for a library that is there and doesn't load."""
    for part, package in SYSTEM_PACKAGES.items():
        if part in str(error) and sys.platform == "linux":
            return system_install(package)
    return pip(wanted, "--force-reinstall")


def pip(wanted: str, *options: str) -> str:
    """A pip command for the Python that runs this."""
    beside = Path(sys.executable).with_name("pip")
    ours = shutil.which("pip") == str(beside)
    words = ["pip"] if ours else [sys.executable, "-m", "pip"]
    return shlex.join([*words, "install", *options, wanted])


def system_install(package: str) -> str:
    """The command that installs a program or library of the system's."""
    if sys.platform == "darwin":
        return f"brew install {package}"
    if sys.platform == "win32":
        return f"winget install {package}"
    return f"sudo apt-get install {package}"


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# What does the work


def check_ffmpeg() -> Iterator[Finding]:
    from vidcolor.media.ffmpeg import find_ffmpeg

    purpose = "needed only to turn text subtitles into another kind"
    try:
        path = find_ffmpeg()
    except VidcolorError as error:
        given = bool(os.environ.get("VIDCOLOR_FFMPEG"))
        mend = "unset VIDCOLOR_FFMPEG" if given else system_install("ffmpeg")
        yield note("ffmpeg", f"{str(error).partition(';')[0]}; {purpose}", mend)
        return
    try:
        done = subprocess.run(
            [path, "-version"], capture_output=True, text=True, timeout=FFMPEG_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = f"{path} doesn't run ({one_line(error)}); {purpose}"
        yield note("ffmpeg", said, system_install("ffmpeg"))
        return
    version = re.match(r"ffmpeg version (\S+)", done.stdout)
    yield ok("ffmpeg", f"{version[1] if version else 'some version'}, {purpose}; {path}")


def check_encoders() -> Iterator[Finding]:
    try:
        from vidcolor.media.encoders import known_encoders, open_encoder
    except Exception as error:
        yield untried("encoders", error)
        return
    opened, refused = [], []
    for name in known_encoders():
        try:
            depth = open_encoder(name).bit_depth
            opened.append(name if depth == 8 else f"{name} ({depth} bit)")
        except VidcolorError:
            refused.append(name)
    on_gpu = [name for name in refused if name.endswith("_nvenc")]
    refused = [name for name in refused if name not in on_gpu]
    words = ", ".join(opened)
    if on_gpu:
        words += "; NVENC has no GPU here that encodes"
    mend = pip(requirement("av"), "--force-reinstall")
    if not {*opened} & {*ESSENTIAL_ENCODERS}:
        said = f"neither of {' and '.join(ESSENTIAL_ENCODERS)} opens; {words or 'none does'}"
        yield problem("encoders", said, mend)
    elif refused:
        yield note("encoders", f"{words}; {', '.join(refused)} can't be opened", mend)
    else:
        yield ok("encoders", words)


def check_device() -> Iterator[Finding]:
    try:
        import torch

        from vidcolor import inference
    except Exception as error:
        yield untried("device", error)
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        device = inference.choose_device("auto")
        dtype = str(inference.choose_dtype(device)).removeprefix("torch.")
        try:
            (torch.zeros(8, device=device) + 1).sum().item()
        except Exception as error:
            words = f"{device} doesn't compute ({one_line(error)})"
            yield problem("device", words, "--device cpu")
            return
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        memory = f"{properties.total_memory / 2**30:.0f} GiB"
        yield ok("device", f"{device}: {properties.name}, {memory}; {dtype}")
    elif device.type == "mps":
        yield ok("device", f"mps: this Mac's GPU; {dtype}")
    elif has_nvidia():
        yield lost_gpu(torch.__version__, getattr(torch.version, "cuda", None), dtype, said)
    else:
        fast = dtype == "bfloat16"
        why = "which this CPU computes in" if fast else "for this CPU has no fast bfloat16"
        yield ok("device", f"cpu, as no GPU is seen; {dtype}, {why}")


def has_nvidia() -> bool:
    """Whether this machine seems to have a GPU of NVIDIA's, whatever torch thinks."""
    places = ("/proc/driver/nvidia/version", "/dev/nvidia0")
    return bool(shutil.which("nvidia-smi")) or any(Path(place).exists() for place in places)


def lost_gpu(
    version: str, cuda: str | None, dtype: str, said: list[warnings.WarningMessage]
) -> Finding:
    """An NVIDIA GPU that torch doesn't use."""
    words = f"cpu, {dtype}, though there seems to be an NVIDIA GPU"
    if cuda is None:
        return note(
            "device",
            f"{words}: torch {version} is a build for CPUs",
            pip(requirement("torch"), "--force-reinstall"),
        )
    why = f" ({one_line(said[0].message)})" if said and isinstance(said[0].message, Warning) else ""
    return note("device", f"{words}: torch can't reach it with CUDA {cuda}{why}", "nvidia-smi")


def check_machine() -> Iterator[Finding]:
    cores = os.cpu_count() or 1
    affinity = getattr(os, "sched_getaffinity", None)
    usable = len(affinity(0)) if affinity else cores
    threads = f"{usable} thread{'s' if usable > 1 else ''} each for network, decoder and encoder"
    if usable < cores:
        said = f"{usable} of {cores} cores may be used"
        yield note("cores", said, f"--threads {usable}")
    else:
        yield ok("cores", f"{cores}; {threads}")
    memory = memory_bytes()
    if memory is None:
        return
    words = f"{memory / 2**30:.1f} GiB"
    if memory < LEAST_MEMORY_BYTES:
        said = f"{words}, little for 1080p"
        yield note("memory", said, "--encoder-preset veryfast --threads 1")
    else:
        yield ok("memory", words)


def memory_bytes() -> int | None:
    """Memory this process may use; None where the system doesn't say."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    try:
        # What a container allows.
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return whole
    return min(whole, limit)


# Files

INSTALL_AGAIN = f"{pip('.', '--force-reinstall', '--no-deps')}  (in vidcolor's source folder)"


def check_presets() -> Iterator[Finding]:
    try:
        folder = configs_folder()
        for name in PRESETS:
            Settings.load(preset=name)
    except VidcolorError as error:
        said = f"{str(error).rstrip('.')}; runs without --preset still work"
        yield note("presets", said, INSTALL_AGAIN)
        return
    yield ok("presets", f"{', '.join(PRESETS)}, in {folder / 'presets'}")


def check_weights() -> Iterator[Finding]:
    try:
        from vidcolor.models.catalogue import cache_folder
        from vidcolor.models.registry import MODELS
    except Exception as error:
        yield untried("weights", error)
        return
    yield look_at_cache(cache_folder())
    for entry in MODELS:
        if entry.bundled:
            yield look_at_bundled(entry.name)
        elif entry.official:
            yield look_at_official(entry.name)


def look_at_cache(folder: Path) -> Finding:
    """Whether weights can be put into the cache, what it holds, and the room beside it."""
    standing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not (standing.is_dir() and os.access(standing, os.W_OK | os.X_OK)):
        said = f"{folder} can't be written to, so weights can't be pulled"
        return note("cache", said, "export VIDCOLOR_CACHE=/some/other/folder")
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    state = "not made yet" if not folder.exists() else f"holds {amount(held)}" if held else "empty"
    return look_at_space("cache", standing, f"{folder}, {state}")


def look_at_bundled(name: str) -> Finding:
    """Read the weights inside the package."""
    from vidcolor.models.registry import bundled_weights
    from vidcolor.models.weights import read_state_dict

    try:
        path = bundled_weights(name)
        read_state_dict(path)
    except VidcolorError as error:
        return problem(name, one_line(error).rstrip("."), INSTALL_AGAIN)
    except ImportError as error:
        return untried(name, error)
    return ok(name, f"its weights are in the package, {amount(path.stat().st_size)}")


def look_at_official(name: str) -> Finding:
    """Whether published weights are in the cache, and whole."""
    from vidcolor.models.catalogue import find_cached, official

    pull = f"vidcolor models pull {name}"
    try:
        path = find_cached(name)
    except VidcolorError as error:
        return problem(name, one_line(error).partition(";")[0], pull)
    if path is None:
        size = amount(official(name).approximate_bytes)
        return note(name, f"its weights aren't here; it can be had, {size}", pull)
    return ok(name, f"its weights are here, {path.name}")


def check_temporary() -> Iterator[Finding]:
    try:
        folder = tempfile.gettempdir()
        with tempfile.NamedTemporaryFile(prefix="vidcolor-") as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        said = f"no temporary file can be written: {error.strerror or error}"
        yield problem("temporary", said, "export TMPDIR=/some/other/folder")
        return
    yield look_at_space("temporary", Path(folder))


def check_space() -> Iterator[Finding]:
    yield look_at_space("this folder", Path.cwd())


def look_at_space(about: str, folder: Path, words: str = "") -> Finding:
    """The room on a folder's disk, said behind `words`, which are the folder's name if empty."""
    free = shutil.disk_usage(folder).free
    said = f"{words or folder}, {amount(free)} free"
    if not os.access(folder, os.W_OK):
        return note(
            about, f"{said}, but nothing can be written here", "vidcolor run FILM -o OTHER/FOLDER/"
        )
    if free < LEAST_FREE_BYTES:
        return note(about, f"{said}; a film may need more", f"df -h {shlex.quote(str(folder))}")
    return ok(about, said)


COMPLETIONS = {
    "bash": ".bash_completions/vidcolor.sh",
    "zsh": ".zfunc/_vidcolor",
    "fish": ".config/fish/completions/vidcolor.fish",
}
"""Where `vidcolor --install-completion` puts its script, below the person's home."""


def check_completion() -> Iterator[Finding]:
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in COMPLETIONS:
        yield ok("completion", f"none is known for {shell or 'this shell'}; it is a convenience")
        return
    script = Path.home() / COMPLETIONS[shell]
    if script.exists():
        yield ok("completion", f"{shell}: Tab completes what follows vidcolor")
    else:
        said = f"{shell}: Tab doesn't complete yet what follows vidcolor"
        yield note("completion", said, f"vidcolor --install-completion {shell}")


def untried(about: str, error: BaseException) -> Finding:
    """Something that can't be looked at because a library told of above doesn't load."""
    missing = str(getattr(error, "name", None) or "a library").partition(".")[0]
    return note(about, f"can't be tried while {missing} doesn't load")


def amount(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


CHECKS: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
    ("Python", check_python),
    ("vidcolor", check_vidcolor),
    ("libraries", check_libraries),
    ("ffmpeg", check_ffmpeg),
    ("encoders", check_encoders),
    ("device", check_device),
    ("machine", check_machine),
    ("presets", check_presets),
    ("weights", check_weights),
    ("temporary", check_temporary),
    ("space", check_space),
    ("completion", check_completion),
)
