"""Previews: the pixels of a run, the right frames under the right times, readable sheets, clips."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.clips import make_clip, write_plane
from vidcolor import previews
from vidcolor.errors import ColorSourceError, OutputError, SourceError, UsageError
from vidcolor.inference import Engine, open_engine
from vidcolor.jobs.events import Warned
from vidcolor.jobs.local import Order, run_film
from vidcolor.jobs.plan import Moment
from vidcolor.media import clip
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.write import SegmentWriter
from vidcolor.previews import Variant, coloured_frames, preview_film
from vidcolor.settings import Settings
from vidcolor.sheet import Layout

STANDIN: dict[str, Any] = {"model": "standin", "device": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(Settings(**STANDIN))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return make_clip(path, frames=48, cuts=(13, 25, 38))


@pytest.fixture
def show(film, tmp_path, engine):
    """Preview the film, or another one; returns the outcome."""

    def show(source=film, name="sheet.png", labels=("standin",), settings=None, **asked):
        variants = [Variant(label=label, settings=Settings(**STANDIN)) for label in labels]
        if settings is not None:
            variants = [Variant(label="auto", settings=settings)]
        asked.setdefault("open_engine", lambda settings: engine)
        return preview_film(source, tmp_path / name, variants, **asked)

    return show


def moment(text):
    return Moment.parse(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# The pixels


def digest(picture) -> str:
    sha = hashlib.sha256()
    for plane in (picture.y, picture.u, picture.v):
        sha.update(np.ascontiguousarray(plane).tobytes())
    return sha.hexdigest()


def run_digests(source: Path, settings: Settings, folder: Path) -> dict[int, str]:
    """Sha256 of every picture a run hands to its encoder, by pts."""
    seen: dict[int, str] = {}
    write = SegmentWriter.write

    def noting(self, picture):
        # The encoder's trial is a gray picture at the first frame's time.
        if picture.u.min() != picture.u.max():
            seen[picture.pts] = digest(picture)
        write(self, picture)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentWriter, "write", noting)
        run_film(Order(source=source, output=folder / "out.mkv", settings=settings))
    return seen


@pytest.fixture
def shown(monkeypatch):
    """Sha256 of every picture that previews show, by pts; they fill it in as they go."""
    seen: dict[int, str] = {}
    images = previews._images

    def noting(row, *rest):
        for frame, picture in row:
            assert frame.pts == picture.pts
            assert seen.setdefault(picture.pts, digest(picture)) == digest(picture)
        return images(row, *rest)

    monkeypatch.setattr(previews, "_images", noting)
    return seen


def assert_as_run(shown, run, at_least):
    assert len(shown) >= at_least
    assert shown == {pts: run[pts] for pts in shown}
    shown.clear()


SOURCES: dict[str, dict[str, Any]] = {
    "film.mp4": {},
    "deep.mkv": {"pixel_format": "yuv420p10le"},
    "old.avi": {"codec": "mpeg4"},
    "fields.mp4": {"interlaced": "top"},
    "fields.avi": {"interlaced": "top", "codec": "mpeg4"},
}
WAYS: dict[str, dict[str, Any]] = {
    "each": {"anchor_every": 1},
    "default": {},
    "far": {"anchor_every": 8},
    "held": {"anchor_every": 8, "smoothing": False},
    "lightness": {"preserve": "lightness"},
}


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("film.mp4", "each"),
        ("film.mp4", "default"),
        ("film.mp4", "far"),
        ("film.mp4", "held"),
        ("deep.mkv", "default"),
        ("deep.mkv", "lightness"),
        ("old.avi", "default"),
        ("fields.mp4", "far"),
        ("fields.avi", "held"),
    ],
)
def test_its_pictures_are_those_of_a_run(name, way, tmp_path, show, shown, monkeypatch):
    """In a range's middle, all of it and parts; spread out, near each other and far apart; found by
    seeking and, where that can't be, in one reading."""
    source = make_clip(tmp_path / name, frames=80, cuts=(29, 60), gop=24, **SOURCES[name])
    assert probe(source).seekable == (not name.endswith(".avi"))
    settings = Settings(**STANDIN, codec="ffv1", segment_seconds=2, **WAYS[way])
    run = run_digests(source, settings, tmp_path)
    assert len(set(run.values())) == 80
    times = sorted(run)

    outcome = show(source, settings=settings, start=moment("1.7"), end=moment("3.1"), name="a.png")
    assert (len(outcome.shown), outcome.frames) == (12, 34)
    assert_as_run(shown, run, 12)
    for targets in ([19, 22, 31], [3, 75])[way == "far" :]:
        wanted = [times[n] for n in targets]
        monkeypatch.setattr(previews, "choose_moments", lambda *_, wanted=wanted: wanted)
        show(source, settings=settings, name="b.png", overwrite=True)
        assert list(shown) == wanted
        assert_as_run(shown, run, len(wanted))
    if way == "default":
        show(source, settings=settings, start=moment("41f"), frames=25, tiles=25, name="c.png")
        assert_as_run(shown, run, 25)
        show(source, settings=settings, start=moment("20f"), frames=5, name="c.mp4")
        assert_as_run(shown, run, 5)
    assert not [t for t in threading.enumerate() if t.name == "decode"]


def test_coloured_frames_are_those_of_a_run(film, tmp_path, engine):
    settings = Settings(**STANDIN, codec="ffv1")
    run = run_digests(film, settings, tmp_path)
    info = probe(film)
    pairs = list(coloured_frames(info, settings, 800, 1200, engine=engine))
    assert {p.pts: digest(p) for _, p in pairs} == {t: d for t, d in run.items() if 800 <= t < 1200}
    for frame, picture in pairs:
        assert frame.pts == picture.pts
        np.testing.assert_array_equal(frame.luma, picture.y)


# Which frames


@pytest.mark.parametrize(("frames", "tiles", "expected"), [
    (48, None, list(range(0, 48, 4))),
    (7, 3, [0, 2, 4]),
    (5, 12, [0, 1, 2, 3, 4]),
    (None, 1, [0]),
])  # fmt: skip
def test_tiles_are_evenly_spread_over_the_frames(show, frames, tiles, expected):
    outcome = show(start=moment("0"), frames=frames, tiles=tiles)
    assert [round(s * 24) for s in outcome.shown] == expected
    assert outcome.frames == (frames or 48)
    assert outcome.ranged


def test_a_range_that_the_film_ends_is_still_evenly_spread(show):
    outcome = show(start=moment("40f"), frames=100, tiles=4)
    assert [round(s * 24) for s in outcome.shown] == [40, 42, 44, 46]
    assert outcome.frames == 8


@pytest.mark.parametrize("end", ["1.5", "36f"])
def test_an_end_spreads_tiles_over_the_time(show, end):
    outcome = show(start=moment("0.5"), end=moment(end), tiles=6)
    # Matroska's times are rounded to milliseconds, which costs no tile.
    assert [round(s * 24) for s in outcome.shown] == [12, 16, 20, 24, 28, 32]
    assert outcome.frames == 24
    outcome = show(end=moment("12f"), name="whole.png")
    assert [round(s * 24) for s in outcome.shown] == list(range(12))


def test_a_variable_rates_end_spreads_tiles_over_the_time(show, tmp_path):
    times = [*range(0, 400, 40), *range(400, 4000, 300)]
    film = make_clip(tmp_path / "film.mkv", pts=times)
    outcome = show(film, end=moment("4"), tiles=4)
    # The film ends at 3.741 s: its quarters begin at 0.94, 1.87 and, but for a hair, 2.8 s.
    assert [round(s * 1000) for s in outcome.shown] == [0, 1000, 1900, 2800]
    assert outcome.frames == len(times)


def test_seconds_need_no_index_and_frame_numbers_do(show, monkeypatch):
    monkeypatch.setattr(previews, "index_packets", lambda info: 1 / 0)
    assert show(start=moment("0.5"), frames=2, tiles=2).shown == (0.5, pytest.approx(0.542))
    with pytest.raises(ZeroDivisionError):
        show(start=moment("12f"), frames=2, overwrite=True)


def test_a_film_whose_header_knows_no_duration(show, tmp_path, film, monkeypatch):
    from dataclasses import replace

    info = replace(probe(film), duration_seconds=None, frames_from_header=None)
    monkeypatch.setattr(previews, "probe", lambda path: info)
    assert len(show(start=moment("1"), end=moment("9")).shown) == 12
    assert len(show(tiles=4, overwrite=True).shown) == 4
    with pytest.raises(UsageError, match="beyond the film's end"):
        show(start=moment("9"), overwrite=True)


def test_moments_are_one_of_each_shot(show):
    outcome = show(tiles=4)
    shots = [sum(round(s * 24) >= cut for cut in (13, 25, 38)) for s in outcome.shown]
    assert shots == [0, 1, 2, 3]
    assert not outcome.ranged
    assert outcome.frames == 4
    again = show(tiles=4, overwrite=True)
    assert again.shown == outcome.shown


# What stands below and beside them


BITS = 8


def numbered_film(path: Path, count: int, times: list[int]) -> Path:
    """Frames that carry their number as eight black or white bars."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 96, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame(320, 96, "yuv420p")
            bars = np.array([200 if number >> bit & 1 else 40 for bit in range(BITS)], np.uint8)
            write_plane(frame.planes[0], np.broadcast_to(bars.repeat(320 // BITS), (96, 320)))
            for plane in frame.planes[1:]:
                write_plane(plane, np.full((48, 160), 128, np.uint8))
            frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def number_in(tile) -> int:
    row = tile[tile.shape[0] // 2].astype(int).mean(-1)
    width = tile.shape[1] / BITS
    return sum((row[int((bit + 0.5) * width)] > 120) << bit for bit in range(BITS))


@pytest.mark.parametrize("range_", [{"start": "0.9", "frames": 20, "tiles": 7}, {"tiles": 5}])
def test_each_timecode_finds_the_frame_above_it(show, tmp_path, monkeypatch, range_):
    """Read from the picture that was written; times are uneven and begin late."""
    times = [700 + 41 * n + (n * n) % 37 for n in range(60)]
    source = numbered_film(tmp_path / "film.mkv", 60, times)
    drawn: list[tuple[Layout, Any]] = []
    draw = Layout.draw

    def noting(self, title, subtitle, columns):
        drawn.append((self, columns))
        return draw(self, title, subtitle, columns)

    monkeypatch.setattr(Layout, "draw", noting)
    if "start" in range_:
        range_ = {**range_, "start": moment(range_["start"])}
    outcome = show(source, **range_)
    ((layout, columns),) = drawn
    sheet = cv2.imread(str(outcome.output))
    assert sheet is not None
    assert len(columns) == len(outcome.shown) == range_["tiles"]
    info = probe(source)
    for n, (column, seconds) in enumerate(zip(columns, outcome.shown, strict=True)):
        left, top = layout.place(n)
        source_tile = sheet[top : top + layout.tile[1], left : left + layout.tile[0]]
        number = number_in(source_tile)
        found = moment(column.caption).pts((), info)
        assert times[number] == next(time for time in times if time >= found)
        assert seconds == pytest.approx((times[number] - times[0]) / 1000)


def test_labels_and_rows(show, engine, monkeypatch, tmp_path):
    """The source in its own colours, then a row for each variant; `auto` is the network's name."""
    film = make_clip(tmp_path / "film.mkv", frames=6, color=True)
    loaded = []

    def open_engine(settings):
        loaded.append(settings)
        return engine

    gray = Settings(**{**STANDIN, "model": "auto"}, recolor=True, saturation=0.0)
    both = [
        Variant(label="auto, pale", settings=gray),
        Variant(label="strong", settings=Settings(**STANDIN, recolor=True)),
        Variant(label="again", settings=Settings(**STANDIN, recolor=True, anchor_every=1)),
    ]
    drawn = []
    monkeypatch.setattr(previews, "Column", lambda images, caption: drawn.append(images))
    monkeypatch.setattr(Layout, "draw", lambda *_: np.zeros((8, 8, 3), np.uint8))
    outcome = preview_film(film, tmp_path / "a.png", both, frames=2, open_engine=open_engine)
    assert outcome.labels == ("standin, pale", "strong", "again")
    assert len(loaded) == 2, "variants of one network share it"
    colours = [[float(np.ptp(image.astype(int), axis=-1).mean()) for image in row] for row in drawn]
    assert len(colours) == 2
    for source, pale, strong, again in colours:
        assert source > 20
        assert pale < 2
        assert strong > 5
        assert again > 5


def test_colour_is_refused(show, tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=4, color=True)
    with pytest.raises(ColorSourceError, match="--recolor"):
        show(film)
    assert names(tmp_path) == ["film.mkv"]


def test_what_is_done_to_the_luma_is_said_once(show, tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=8, interlaced="top")
    said: list[Any] = []
    show(film, labels=("a", "b"), frames=2, report=said.append)
    (warning,) = (event.text for event in said if isinstance(event, Warned))
    assert "interlaced" in warning


# Clips


def clip_frames(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.codec_context, [(frame.time, frame) for frame in container.decode(stream)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_clip_keeps_the_films_times_and_begins_at_zero(show, tmp_path, suffix):
    times = [500, 540, 595, 620, 800, 810, 960, 1000, 1400, 1440]
    film = make_clip(tmp_path / "film.mkv", pts=times)
    outcome = show(film, name=f"clip.{suffix}", start=moment("2f"), frames=6)
    assert outcome.frames == len(outcome.shown) == 6
    _, frames = clip_frames(outcome.output)
    expected = [(time - times[2]) / 1000 for time in times[2:8]]
    assert [seconds for seconds, _ in frames] == pytest.approx(expected, abs=1e-6)
    with av.open(str(outcome.output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        (stream,) = container.streams
        assert stream.start_time in (0, None)
        seconds = (container.duration or 0) / av.time_base
        assert seconds == pytest.approx((times[8] - times[2]) / 1000, abs=0.002)


@pytest.mark.parametrize(("height", "matrix"), [(96, 6), (720, 1)])
def test_a_clips_source_panel_is_the_source(show, tmp_path, monkeypatch, height, matrix):
    """Neutral, its matrix tagged by size, its luma within a code but for what encoding costs."""
    width = 320
    film = make_clip(tmp_path / "film.mkv", frames=2, width=width, height=height)
    sources = list(read_frames(probe(film)))
    for crf in (clip.CRF, 0):
        monkeypatch.setattr(clip, "CRF", crf)
        context, frames = clip_frames(show(film, name="a.preview.mp4").output)
        assert (context.colorspace, context.color_range) == (matrix, 1)
        for source, (_, frame) in zip(sources, frames, strict=True):
            y, u, v = samples_of(frame)
            top = frame.height - height
            # R'G'B' knows nothing blacker than black.
            error = y[top:, :width] - source.luma.clip(16, 235)
            assert abs(error.mean()) < 0.3, error.mean()
            assert np.abs(error).max() <= (1 if crf == 0 else 40), error.max()
            for chroma in (u, v):
                assert np.abs(chroma[top // 2 + 1 :, : width // 2 - 4] - 128).max() <= 1
                assert np.abs(chroma[top // 2 + 1 :, width // 2 + 6 :] - 128).max() > 5


def samples_of(frame):
    """The three planes without the padding of their lines, as signed numbers."""
    for plane in frame.planes:
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        yield lines[:, : plane.width].astype(int)


def test_odd_sizes_and_aspects_make_a_clip(show, tmp_path):
    film = make_clip(
        tmp_path / "film.mkv",
        frames=2,
        width=65,
        height=49,
        pixel_format="yuv444p",
        sample_aspect=Fraction(4, 3),
        rotation=90,
    )
    context, frames = clip_frames(show(film, name="clip.mp4", labels=("a", "b")).output)
    assert len(frames) == 2
    # 49 x 87 upright, at most doubled, so three panels of 98 x 174 under a strip.
    assert (context.width, context.height) == (3 * 98 + 2 * 4, 174 + 30)


# Files


def test_an_output_that_is_there(show, tmp_path):
    (tmp_path / "sheet.png").write_text("precious")
    with pytest.raises(OutputError, match=r"sheet\.png is there already; give --overwrite"):
        show(frames=2)
    assert (tmp_path / "sheet.png").read_text() == "precious"
    show(frames=2, overwrite=True)
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None
    for _ in range(2):
        show(name="film.preview.jpg", frames=2)
    assert names(tmp_path) == ["film.preview.jpg", "sheet.png"]


def test_what_fails_leaves_nothing_behind(show, tmp_path, monkeypatch):
    (tmp_path / "film.preview.png").write_text("the last one")

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(previews, "display_rgb", fail)
    for name in ("film.preview.png", "clip.mp4"):
        with pytest.raises(KeyboardInterrupt):
            show(name=name, frames=2)
    assert names(tmp_path) == ["film.preview.png"]
    assert (tmp_path / "film.preview.png").read_text() == "the last one"


def test_the_source_is_never_the_output(engine, film, tmp_path):
    source = tmp_path / "film.preview.mkv"
    source.write_bytes(film.read_bytes())
    variants = [Variant(label="a", settings=Settings(**STANDIN))]
    with pytest.raises(UsageError, match="source itself"):
        preview_film(source, source, variants, overwrite=True)
    assert source.read_bytes() == film.read_bytes()


def test_folders_that_are_missing_or_closed(film, show):
    variants = [Variant(label="a", settings=Settings(**STANDIN))]
    with tempfile.TemporaryDirectory() as place:
        with pytest.raises(OutputError, match="isn't a folder; make it first"):
            preview_film(film, Path(place, "nowhere", "a.png"), variants)
        Path(place, "b.png").mkdir()
        with pytest.raises(OutputError, match="is a folder"):
            preview_film(film, Path(place, "b.png"), variants)
        source = Path(shutil.copy(film, Path(place, "film.mkv")))
        source.chmod(0o644)
        Path(place).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            # Root may write anywhere.
            os.seteuid(65534)
        try:
            with pytest.raises(OutputError, match=r"may not be written to .* -o"):
                preview_film(source, Path(place, "a.png"), variants, frames=2)
        finally:
            os.seteuid(user)
            Path(place).chmod(0o755)


def test_a_range_no_frame_of_which_can_be_decoded(show, monkeypatch):
    from vidcolor.pipeline import Colorizer

    def nothing(*_, **__):
        yield from ()

    monkeypatch.setattr(Colorizer, "pairs", nothing)
    with pytest.raises(SourceError, match="can be decoded"):
        show(start=moment("1"))
