"""vidcolor as people import it: what it exports, how quick it is, what it does."""

from __future__ import annotations

import hashlib
import inspect
import pkgutil
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vidcolor
from tests.clips import make_clip
from tests.jobs.helpers import decoded
from vidcolor import api, errors
from vidcolor.cli import pictures, run_arguments
from vidcolor.display import display_rgb
from vidcolor.jobs.naming import output_for
from vidcolor.jobs.plan import Moment
from vidcolor.media.probe import probe
from vidcolor.media.write import SegmentWriter

FRAMES = 30
FAST: dict[str, Any] = {"model": "standin", "codec": "ffv1", "threads": 1}
CALLS = (
    *(vidcolor.colorize, vidcolor.colorize_frames, vidcolor.preview),
    *(vidcolor.colorize_image, vidcolor.load_model),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("film") / "film.mkv", frames=FRAMES, cuts=(11,))


@pytest.fixture
def film(made, tmp_path, monkeypatch):
    """`film.mkv` in the folder one works in."""
    monkeypatch.chdir(tmp_path)
    Path("film.mkv").write_bytes(made.read_bytes())
    return Path("film.mkv")


@pytest.fixture
def encoded(monkeypatch):
    """Pts and hash of every picture that is handed to an encoder, but for trials of one."""
    seen = []
    write = SegmentWriter.write

    def spy(self, picture):
        if self._path.name != "try.mkv":
            seen.append((picture.pts, digest(picture)))
        write(self, picture)

    monkeypatch.setattr(SegmentWriter, "write", spy)
    return seen


def digest(picture):
    planes = (np.ascontiguousarray(plane) for plane in (picture.y, picture.u, picture.v))
    return hashlib.sha256(b"".join(plane.tobytes() for plane in planes)).hexdigest()


def decoder_threads():
    return [thread for thread in threading.enumerate() if thread.name == "decode"]


# What is exported


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_is_quick():
    heavy = ("torch", "av", "cv2", "numpy", "typer", "rich")
    loaded = f"[name for name in {heavy!r} if name in sys.modules]"
    assert python(f"import sys, vidcolor; vidcolor.Settings; print({loaded})") == "[]"
    assert python(f"import sys, vidcolor; vidcolor.colorize; print('torch' in {loaded})") == "False"


def test_every_export_is_there():
    assert len(set(vidcolor.__all__)) == len(vidcolor.__all__)
    for name in vidcolor.__all__:
        assert getattr(vidcolor, name) is not None
        assert name in dir(vidcolor)
    starred: dict[str, object] = {}
    exec("from vidcolor import *", starred)
    assert set(vidcolor.__all__) <= set(starred)


def test_exports_are_those_declared_for_type_checkers():
    source = Path(vidcolor.__file__).read_text(encoding="utf-8")
    declared = source.split("if TYPE_CHECKING:", 1)[1].split("__all__", 1)[0]
    names = {word.strip(",") for word in declared.split() if word.strip(",") in vidcolor.__all__}
    assert names == {*vidcolor.__all__} - {"__version__"}


def test_exports_come_from_where_type_checkers_think():
    for home, names in vidcolor._HOMES.items():
        for name in names:
            assert getattr(vidcolor, name).__module__ == home, name


def test_no_export_bears_the_name_of_a_module():
    """A module's name is taken by the module as soon as anybody imports it."""
    modules = {each.name for each in pkgutil.iter_modules(vidcolor.__path__)}
    assert modules & {*vidcolor.__all__} == set()


def test_the_errors_are_the_trees():
    for name in vidcolor.__all__:
        if name.endswith("Error"):
            assert getattr(vidcolor, name) is getattr(errors, name)
            assert issubclass(getattr(vidcolor, name), vidcolor.VidcolorError)
    assert not hasattr(vidcolor, "NoSuchThing")
    with pytest.raises(ImportError):
        exec("from vidcolor import no_such_thing")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_calls_say_what_they_do(call):
    said = inspect.getdoc(call) or ""
    assert "Raises" in said or "errors of" in said
    for parameter in list(inspect.signature(call).parameters.values())[2:]:
        assert parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD), parameter


# Films


def test_colorize_does_what_the_command_does(film, capsys):
    outcome = vidcolor.colorize("film.mkv", "a.mkv", segment_seconds=0.5, crf=None, **FAST)
    assert outcome == vidcolor.Outcome(
        output=Path("a.mkv"), made=True, model="standin", frames=FRAMES, seconds=outcome.seconds
    )
    assert capsys.readouterr() == ("", "")
    words = ["--model", "standin", "--codec", "ffv1", "--threads", "1", "--segment-seconds", "0.5"]
    assert run_arguments(["run", "film.mkv", "-o", "b.mkv", *words]) == 0
    assert decoded(Path("a.mkv")) == decoded(Path("b.mkv"))
    assert sorted(path.name for path in Path().iterdir()) == ["a.mkv", "b.mkv", "film.mkv"]


def test_the_output_has_the_commands_name(film):
    assert vidcolor.colorize(film, **FAST).output == output_for(film)
    Path("made").mkdir()
    outcome = vidcolor.colorize(film, "made", **FAST)
    assert outcome.output == Path("made/film.color.mkv")
    assert outcome.output.is_file()
    again = vidcolor.colorize(film, "made", **FAST)
    assert (again.made, again.frames) == (False, 0)
    assert vidcolor.colorize(film, "made", overwrite=True, **FAST).made


def test_presets_files_and_settings_go_over_each_other(film):
    Path("mine.toml").write_text('saturation = 0.0\nmodel = "standin"\ncodec = "ffv1"\n')
    gray = vidcolor.colorize(film, "gray.mkv", preset="best", config="mine.toml").output
    full = vidcolor.colorize(film, "full.mkv", preset="best", config="mine.toml", saturation=1)
    plain = vidcolor.colorize(film, "plain.mkv", preset="best", **FAST).output
    assert decoded(full.output) == decoded(plain) != decoded(gray)


def test_a_call_that_is_interrupted_is_gone_on_with(film):
    class EnoughError(Exception):
        pass

    def stop(event):
        if isinstance(event, vidcolor.Progress) and event.phase == "joining":
            raise EnoughError

    with pytest.raises(EnoughError):
        vidcolor.colorize(film, report=stop, **FAST)
    assert not Path("film.color.mkv").exists()
    outcome = vidcolor.colorize(film, **FAST)
    assert (outcome.frames, outcome.frames_resumed) == (FRAMES, FRAMES)


def test_reports(film):
    events: list[Any] = []
    vidcolor.colorize(film, report=events.append, **FAST)
    assert [event.frames for event in events if isinstance(event, vidcolor.Started)] == [FRAMES]
    done = [e.done for e in events if isinstance(e, vidcolor.Progress) and e.phase == "colorizing"]
    assert done[-1] == FRAMES


def test_a_range_of_a_film(film):
    vidcolor.colorize(film, **FAST)
    whole = [frame for _, frame in decoded(Path("film.color.mkv"))]
    vidcolor.colorize(film, "part.mkv", start="5f", end="20f", **FAST)
    assert [frame for _, frame in decoded(Path("part.mkv"))] == whole[5:20]


# Frames


@pytest.mark.parametrize("settings", [{}, {"preset": "best"}, {"preserve": "lightness"}])
def test_frames_are_those_a_run_encodes(film, encoded, settings):
    vidcolor.colorize(film, **FAST, **settings)
    frames = list(vidcolor.colorize_frames(film, **FAST, **settings))
    assert [(frame.pts, digest(frame)) for frame in frames] == encoded
    assert len(encoded) == FRAMES
    assert [frame.seconds for frame in frames] == pytest.approx(
        [n / 24 for n in range(FRAMES)], abs=1e-3
    )


def test_frames_of_ten_bits(tmp_path, encoded):
    film = make_clip(tmp_path / "film.mkv", frames=8, pixel_format="yuv420p10le")
    vidcolor.colorize(film, **FAST)
    frames = list(vidcolor.colorize_frames(film, **FAST))
    assert [(frame.pts, digest(frame)) for frame in frames] == encoded
    assert frames[0].y.dtype == np.uint16
    assert frames[0].rgb.dtype == np.uint8


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.2, 0.83, range(5, 20)),
        ("5f", "20f", range(5, 20)),
        ("0:00:00.5", None, range(12, FRAMES)),
        (Fraction(1, 2), "13f", range(12, 13)),
        (Moment.parse("0.5"), np.float32(0.55), range(12, 14)),
        (None, 1, range(24)),
    ],
)
def test_frames_of_a_range(film, start, end, expected):
    whole = list(vidcolor.colorize_frames(film, **FAST))
    part = list(vidcolor.colorize_frames(film, start=start, end=end, **FAST))
    assert [frame.pts for frame in part] == [whole[n].pts for n in expected]
    assert list(map(digest, part)) == [digest(whole[n]) for n in expected]


def test_rgb_is_the_frame_as_it_is_shown(tmp_path):
    film = make_clip(tmp_path / "film.mp4", frames=3, rotation=90, sample_aspect=Fraction(2))
    frame = next(vidcolor.colorize_frames(film, **FAST))
    assert frame.y.shape == (48, 64)
    assert frame.rgb.shape == (128, 48, 3)
    assert frame.rgb is frame.rgb
    assert (frame.rgb == display_rgb(frame.y, (frame.u, frame.v), probe(film))).all()
    assert frame.rgb.std(axis=2).max() > 10, "there is no colour in it"
    assert len(repr(frame)) < 80


def test_frames_are_made_as_they_are_asked_for(tmp_path, monkeypatch):
    """A window of frames is decoded ahead, and not the film."""
    film = make_clip(tmp_path / "film.mkv", frames=120, width=32, height=32)
    read = []
    planes_of = sys.modules["vidcolor.media.read"].planes_of

    def spy(picture):
        read.append(picture)
        return planes_of(picture)

    frames = vidcolor.colorize_frames(film, **FAST)
    monkeypatch.setattr("vidcolor.media.read.planes_of", spy)
    for _ in range(3):
        next(frames)
    assert len(read) < 60
    frames.close()


def test_closing_the_iterator_ends_its_threads(film):
    frames = vidcolor.colorize_frames(film, **FAST)
    next(frames)
    assert decoder_threads()
    frames.close()
    assert not decoder_threads()
    with pytest.raises(StopIteration):
        next(frames)
    for frame in vidcolor.colorize_frames(film, **FAST):
        assert frame.pts == 0
        break
    assert not decoder_threads()


# Previews, pictures, models


def test_previews(film, capsys):
    outcome = vidcolor.preview(film, presets=["fast", "best"], start="0:00.5", frames=4, **FAST)
    assert outcome.output == Path("film.preview.png")
    assert outcome.labels == ("standin, fast", "standin, best")
    assert outcome.frames == 4
    assert cv2.imread("film.preview.png") is not None
    one = vidcolor.preview(film, "sheet.jpg", models="standin", presets="fast", tiles=2)
    assert one.labels == ("standin, fast",)
    assert len(one.shown) == 2
    assert capsys.readouterr() == ("", "")
    with pytest.raises(vidcolor.OutputError, match=r"sheet\.jpg"):
        vidcolor.preview(film, "sheet.jpg", **FAST)
    assert vidcolor.preview(film, "sheet.jpg", tiles=1, overwrite=True, **FAST).shown


def test_models(film):
    model = vidcolor.load_model("standin")
    assert (model.name, model.accepts_hints) == ("standin", False)
    assert repr(model).startswith("<standin on ")
    gray = next(vidcolor.colorize_frames(film, **FAST)).y
    rgb = model.colorize(gray)
    assert rgb.shape == (48, 64, 3)
    assert rgb.dtype == np.uint8
    assert rgb.std(axis=2).max() > 10
    deep = model.colorize(gray.astype(np.uint16) * 257, saturation=0)
    assert deep.dtype == np.uint16
    assert deep.std(axis=2).max() < 300


HINTS = ([vidcolor.Hint(20, 30, 60.0, 40.0)], [(20, 30, 60, 40)], ["20,30,60,40"], "20,30,60,40")


@pytest.mark.parametrize("hints", HINTS, ids=repr)
def test_hints_in_every_form(hints):
    assert api._hints(hints) == (vidcolor.Hint(20, 30, 60.0, 40.0),)


def test_hints_colour_their_place():
    model = vidcolor.load_model("compact", device="cpu")
    gray = np.full((64, 96), 130, np.uint8)
    plain = model.colorize(gray).astype(int)
    hinted = model.colorize(gray, hints=[(48, 32, 60.0, 40.0)]).astype(int)
    redder = (hinted - plain)[..., 0] - (hinted - plain)[..., 2]
    assert redder[32, 48] > 20


def test_images(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = np.broadcast_to(np.linspace(20, 230, 48)[:, None], (48, 64)).astype(np.uint8)
    for name in ("photo.jpg", "photo.png", "photo.bmp"):
        assert cv2.imwrite(name, rows)
    outcome = vidcolor.colorize_image("photo.jpg", model="standin", quality=95)
    assert (outcome.output, outcome.made, outcome.size) == (Path("photo.color.jpg"), True, (64, 48))
    assert vidcolor.colorize_image("photo.png", model="standin").output == Path("photo.color.png")
    assert vidcolor.colorize_image("photo.bmp", "x.png", model="standin").output == Path("x.png")
    colour = cv2.imread("photo.color.jpg")
    assert colour is not None
    assert colour.std(axis=2).max() > 10
    assert not vidcolor.colorize_image("photo.jpg", model="standin").made
    assert vidcolor.colorize_image("photo.jpg", model="standin", overwrite=True).made
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["photo.jpg", "PHOTO.TIF", "a.b.png", "photo.bmp", "photo"])
def test_pictures_are_named_as_the_command_names_them(name):
    assert api._photo_name(Path(name)) == pictures.output_for(Path(name)).name


# What is wrong

TYPOS = {
    "colorize": (lambda film: vidcolor.colorize(film, saturatoin=1), "'saturation'"),
    "an own word": (lambda film: vidcolor.colorize(film, overwrit=True), "'overwrite'"),
    "frames": (lambda film: vidcolor.colorize_frames(film, modle="x"), "'model'"),
    "preview": (lambda film: vidcolor.preview(film, preset_s=["fast"]), "'presets'"),
    "image": (lambda film: vidcolor.colorize_image(film, qualty=3), "'quality'"),
    "far off": (lambda film: vidcolor.colorize(film, zzz=1), "unknown setting 'zzz'"),
    "a preset": (lambda film: vidcolor.colorize(film, preset="bset"), "best"),
    "a value": (lambda film: vidcolor.colorize(film, crf="good"), "whole number"),
}


@pytest.mark.parametrize("case", TYPOS)
def test_a_settings_typo_names_the_nearest(film, case):
    call, said = TYPOS[case]
    with pytest.raises(vidcolor.SettingsError, match=said) as caught:
        call(film)
    assert "\n" not in str(caught.value)


def colorize_array(image: Any, **more: Any) -> object:
    return vidcolor.load_model("standin").colorize(image, **more)


WRONG = {
    "no film": (lambda film: vidcolor.colorize("none.mp4", **FAST), vidcolor.SourceError),
    "no name": (lambda film: vidcolor.colorize(""), vidcolor.UsageError),
    "no output": (lambda film: vidcolor.colorize(film, ""), vidcolor.UsageError),
    "itself": (lambda film: vidcolor.colorize(film, film, **FAST), vidcolor.UsageError),
    "a codec": (lambda film: vidcolor.colorize(film, codec="libx246"), vidcolor.EncoderError),
    "no frames": (lambda film: vidcolor.colorize_frames("none.mp4"), vidcolor.SourceError),
    "a model": (lambda film: vidcolor.load_model("compcat"), vidcolor.UsageError),
    "a device": (lambda film: vidcolor.load_model(device="gpu"), vidcolor.DeviceError),
    "weights": (lambda film: vidcolor.load_model(weights="none.pth"), vidcolor.WeightsError),
    "two networks": (
        lambda film: vidcolor.preview(film, models=["compact", "eccv16"], weights="w.pth"),
        vidcolor.UsageError,
    ),
    "not an array": (
        lambda film: colorize_array([1]),
        vidcolor.UsageError,
    ),
    "not a hint": (
        lambda film: colorize_array(np.zeros((2, 2), np.uint8), hints=[7]),
        vidcolor.UsageError,
    ),
    "not a picture": (lambda film: vidcolor.colorize_image("none.jpg"), vidcolor.SourceError),
    "a suffix": (lambda film: vidcolor.preview(film, "sheet.txt"), vidcolor.UsageError),
    "beyond the end": (lambda film: vidcolor.colorize_frames(film, start=9), vidcolor.UsageError),
    "backwards": (
        lambda film: vidcolor.colorize_frames(film, start=1, end=0.5),
        vidcolor.UsageError,
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_raised_by_the_call(film, case, capsys):
    call, kind = WRONG[case]
    with pytest.raises(kind) as caught:
        call(film)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")
    assert [path.name for path in Path().iterdir()] == ["film.mkv"]


@pytest.mark.parametrize("time", [-1, True, float("nan"), float("inf"), "soon", object(), 1j])
def test_times_that_are_none(time):
    with pytest.raises(vidcolor.UsageError, match="isn't a time"):
        api._moment(time)


def test_times():
    int_of_numpy: Any = np.int64(83)
    assert api._moment(0.1) == api._moment("0.1") == Moment(seconds=Fraction(1, 10))
    assert api._moment(int_of_numpy) == api._moment("1:23")
    assert api._moment("300f") == Moment(frame=300)
    assert api._moment(None) is None


def test_colour_is_refused(tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=12, color=True)
    with pytest.raises(vidcolor.ColorSourceError):
        vidcolor.colorize_frames(film, **FAST)
    assert next(vidcolor.colorize_frames(film, recolor=True, **FAST)).pts == 0
