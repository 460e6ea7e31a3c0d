"""The stream's promises: pure, luma in = luma out, bounded, neutral where it must be."""

from __future__ import annotations

import gc
import hashlib
import threading
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.clips import luma, make_clip
from vidcolor import pipeline
from vidcolor.color import ColorSpace
from vidcolor.errors import ColorSourceError
from vidcolor.facts import Box
from vidcolor.frames import BEGINNING, END, ColorTags, Frame, PictureFormat
from vidcolor.inference import Engine, open_engine
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.models.standin import StandinModel
from vidcolor.pipeline import REACH_FRAMES, Colorizer, film_facts, fit, refuse_color
from vidcolor.settings import Settings
from vidcolor.shots import REACH_FRAMES as CUT_REACH_FRAMES
from vidcolor.smoothing import COVERAGE_REACH_FRAMES, GATHER_REACH_FRAMES
from vidcolor.stages import Item, windows, with_coverage, with_flow, with_recent_anchor

BT601 = ColorTags(matrix=6, primaries=6, transfer=6, full_range=False)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(Settings(model="standin", device="cpu", threads=1))


def colorizer_for(path, engine, *, box=None, **changes):
    info = probe(path)
    facts = film_facts(info)
    if box:
        facts = replace(facts, box=box)
    full = info.subsampling in ("444", "rgb")
    shape = PictureFormat(
        pixel_format="yuv444p" if full else "yuv420p",
        bit_depth=info.bit_depth,
        width=info.width,
        height=info.height,
        chroma_width=info.width if full else info.width // 2,
        chroma_height=info.height if full else info.height // 2,
    )
    return Colorizer(info, facts, Settings(model="standin", **changes), engine, shape)


def fingerprints(colorizer, start=BEGINNING, end=END):
    return {
        picture.pts: hashlib.sha256(
            b"".join(p.tobytes() for p in (picture.y, picture.u, picture.v))
        ).hexdigest()[:16]
        for picture in colorizer.pictures(start, end)
    }


SOURCES: dict[str, dict[str, Any]] = {
    "h264": {"suffix": "mp4", "frames": 96, "cuts": (31, 64), "gop": 12},
    "one keyframe": {"suffix": "mkv", "frames": 72, "cuts": (40,), "gop": 250},
    "variable rate": {
        "suffix": "mkv",
        "pts": [int(i * 41.7) + (i % 5) * 7 + 300 * (i > 30) for i in range(72)],
        "cuts": (20,),
    },
    "10 bit": {"suffix": "mkv", "frames": 60, "pixel_format": "yuv420p10le", "cuts": (25,)},
    "linear": {"suffix": "avi", "frames": 60, "codec": "mpeg4", "cuts": (22,)},
}
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "every frame": {"anchor_every": 1},
    "sparse": {"anchor_every": 9},
    "off": {"smoothing": False, "anchor_every": 3},
}


# The ways of colouring don't touch reading: two sources show them.
CASES = [(source, "plain") for source in SOURCES] + [
    (source, way) for source in ("h264", "variable rate") for way in WAYS if way != "plain"
]


@pytest.mark.parametrize(("source", "way"), CASES)
def test_a_picture_depends_on_nothing_but_its_frame(tmp_path, engine, source, way):
    """Any range, begun cold anywhere, gives the pixels of the whole run."""
    options = dict(SOURCES[source])
    path = make_clip(tmp_path / f"film.{options.pop('suffix')}", width=96, height=64, **options)
    colorizer = colorizer_for(path, engine, **WAYS[way])
    whole = fingerprints(colorizer)
    times = sorted(whole)
    assert len(times) == options.get("frames", 72)
    assert len(set(whole.values())) == len(whole)
    for first, last in [(0, 7), (1, 2), (17, 40), (30, 33), (31, 55), (len(times) - 3, None)]:
        start, end = times[first], times[last] if last is not None else END
        part = fingerprints(colorizer, start, end)
        assert part == {t: whole[t] for t in times if start <= t < end}, (first, last)


def test_segments_of_any_length_add_up(tmp_path, engine):
    path = make_clip(tmp_path / "film.mp4", frames=80, width=96, height=64, cuts=(33,))
    colorizer = colorizer_for(path, engine)
    whole = fingerprints(colorizer)
    times = [*sorted(whole), END]
    for length in (5, 16, 37):
        pieces: dict[int, str] = {}
        borders = [*times[:-1:length], END]
        for start, end in pairwise(borders):
            pieces |= fingerprints(colorizer, start, end)
        assert pieces == whole, length


def test_batch_does_not_change_a_picture(tmp_path):
    """One padded shape: a frame's place in the batch must not show."""
    path = make_clip(tmp_path / "film.mp4", frames=40, width=96, height=64, cuts=(13,))
    engine = open_engine(Settings(model="standin", device="cpu", threads=1, batch=4))
    colorizer = colorizer_for(path, engine, anchor_every=1)
    whole = fingerprints(colorizer)
    times = sorted(whole)
    assert fingerprints(colorizer, times[5], times[30]) == {t: whole[t] for t in times[5:30]}


@pytest.mark.parametrize(
    ("pixel_format", "bit_depth"),
    [("gray", 8), ("yuv420p", 8), ("yuv444p", 8), ("gray10le", 10), ("yuv420p10le", 10)],
)
def test_luma_in_is_luma_out(tmp_path, engine, pixel_format, bit_depth):
    path = make_clip(
        tmp_path / "film.mkv", frames=12, pixel_format=pixel_format, codec="ffv1", cuts=(5,)
    )
    for index, picture in enumerate(colorizer_for(path, engine).pictures(BEGINNING, END)):
        expected = luma(index, bit_depth=bit_depth, cuts=(5,))
        if pixel_format.startswith("yuv"):
            np.testing.assert_array_equal(picture.y, expected)
        assert picture.u.dtype == picture.y.dtype
        assert np.abs(picture.u.astype(int) - (128 << (bit_depth - 8))).max() > 3


@pytest.mark.parametrize("batch", [1, 3, 40])
def test_rendered_on_a_device_pictures_are_the_same_but_for_rounding(tmp_path, monkeypatch, batch):
    """Here the device is the processor; what is asserted is that each picture gets its own planes,
    in order, whatever the batch, and frames that nobody waits for get none."""
    path = make_clip(tmp_path / "film.mkv", frames=12, width=96, height=64, cuts=(5,))
    engine = open_engine(Settings(model="compact", device="cpu", threads=1))
    here = list(colorizer_for(path, engine).pairs(BEGINNING, END, wanted=lambda pts: pts % 2 == 0))
    monkeypatch.setattr("vidcolor.pipeline.RENDERING_DEVICES", ("cpu",))
    monkeypatch.setattr("vidcolor.device_color.DEFAULT_BATCH", {"cpu": batch})
    there = list(colorizer_for(path, engine).pairs(BEGINNING, END, wanted=lambda pts: pts % 2 == 0))
    assert [frame.pts for frame, _ in there] == [frame.pts for frame, _ in here]
    assert 3 < len(there) < 12
    for (_, one), (frame, other) in zip(here, there, strict=True):
        assert other.pts == frame.pts
        assert other.y is frame.luma
        for a, b in ((one.u, other.u), (one.v, other.v)):
            away = np.abs(a.astype(int) - b)
            assert away.max() <= 2
            assert np.mean(away > 0) < 0.02
    assert np.ptp([picture.u.mean() for _, picture in there]) > 0.1


def test_at_most_sixteen_full_frames_wait(tmp_path, engine, monkeypatch):
    """Promise 5: counts the decoded frames alive while pictures come out."""
    path = make_clip(tmp_path / "film.mp4", frames=90, width=96, height=64)
    colorizer = colorizer_for(path, engine)
    monkeypatch.setattr("vidcolor.pipeline.DECODED_AHEAD", 1)
    monkeypatch.setattr("vidcolor.pipeline.ANALYSED_AHEAD", 1)
    most = 0
    for _ in colorizer.pictures(BEGINNING, END):
        most = max(most, sum(type(thing) is Frame for thing in gc.get_objects()))
    # On top: those of both queues, of both threads, and the caller's own.
    assert 8 < most <= 16 + 5, most


def test_reach_is_what_the_stages_add_up_to_and_at_most_sixteen():
    """A frame gathers from 9 away; that frame was made an anchor or not by looking 4 further; a
    cut there was decided 3 further still."""
    assert REACH_FRAMES == GATHER_REACH_FRAMES + COVERAGE_REACH_FRAMES + CUT_REACH_FRAMES
    assert REACH_FRAMES <= 16


def test_closing_early_ends_the_decoder(tmp_path, engine):
    path = make_clip(tmp_path / "film.mp4", frames=90, width=96, height=64)
    stream = colorizer_for(path, engine).pictures(BEGINNING, END)
    assert len(list(islice(stream, 3))) == 3
    stream.close()
    assert not [t for t in threading.enumerate() if t.name == "decode"]


def test_bars_are_exactly_neutral(tmp_path, engine):
    path = make_clip(tmp_path / "film.mkv", frames=6, width=96, height=64)
    box = Box(top=10, bottom=54, left=0, right=96)
    for picture in colorizer_for(path, engine, box=box).pictures(BEGINNING, END):
        for plane in (picture.u, picture.v):
            assert np.all(plane[:5] == 128)
            assert np.all(plane[27:] == 128)
            assert np.any(plane[6:26] != 128)


def test_rotation_is_undone_for_the_network_only(tmp_path, engine):
    """A film shot on its side gets the colours of the upright one, turned."""
    upright = make_clip(tmp_path / "upright.mkv", frames=4, width=96, height=64, codec="ffv1")
    colorizer = colorizer_for(upright, engine, smoothing=False, anchor_every=1)
    frame = next(iter(colorizer.pictures(BEGINNING, END)))
    turned = colorizer_for(upright, engine, smoothing=False, anchor_every=1)
    turned.info = replace(turned.info, rotation=90)
    lightness = colorizer._network_lightness(Frame(0, 1, frame.y, None))
    side = Frame(0, 1, np.ascontiguousarray(np.rot90(frame.y)), None)
    turned.info = replace(turned.info, width=64, height=96)
    turned.facts = replace(turned.facts, box=Box(top=0, bottom=96, left=0, right=64))
    np.testing.assert_allclose(turned._network_lightness(side), lightness, atol=1.5)
    turned.gather_size = colorizer.gather_size[::-1]
    ab = engine.colorize(lightness[None])[0]
    np.testing.assert_allclose(turned._place(ab), np.rot90(colorizer._place(ab)), atol=1e-3)


def test_lightness_mode_rewrites_luma(tmp_path, engine):
    path = make_clip(tmp_path / "film.mkv", frames=3, codec="ffv1")
    kept = list(colorizer_for(path, engine).pictures(BEGINNING, END))
    rewritten = list(colorizer_for(path, engine, preserve="lightness").pictures(BEGINNING, END))
    assert any(np.any(a.y != b.y) for a, b in zip(kept, rewritten, strict=True))
    assert rewritten[0].u.shape == kept[0].u.shape


def test_zero_saturation_is_gray(tmp_path, engine):
    path = make_clip(tmp_path / "film.mkv", frames=3)
    for picture in colorizer_for(path, engine, saturation=0.0).pictures(BEGINNING, END):
        assert np.all(picture.u == 128)
        assert np.all(picture.v == 128)


def test_colour_films_are_refused_unless_asked_for(tmp_path):
    path = make_clip(tmp_path / "film.mkv", frames=6, color=True)
    info = probe(path)
    facts = film_facts(info)
    with pytest.raises(ColorSourceError, match=r"already has colour.*--recolor"):
        refuse_color(info, facts, Settings())
    refuse_color(info, facts, Settings(recolor=True))


def test_windows_at_the_ends():
    seen = [("".join(a), b, "".join(c)) for a, b, c in windows(iter("abcd"), 1, 2)]
    assert seen == [("", "a", "bc"), ("a", "b", "cd"), ("b", "c", "d"), ("c", "d", "")]
    assert list(windows(iter(""), 1, 2)) == []


def test_fit_never_enlarges():
    assert fit(1920, 1080, 256) == (256, 144)
    assert fit(50, 40, 256) == (50, 40)
    assert fit(4096, 16, 256) == (256, 16)
    assert Fraction(*fit(720, 576, 256)) == Fraction(256, 205)


class Flickering(StandinModel):
    """Every prediction is off by another tint: what per-frame colorizers do."""

    def __init__(self):
        super().__init__()
        self.tints = torch.Generator().manual_seed(0)

    def forward(self, lightness, hints=None):
        tint = torch.randn(2, generator=self.tints) * 8
        return (
            0 * super().forward(lightness)
            + torch.tensor([20.0, 10.0])[:, None, None]
            + (tint[:, None, None])
        )


def test_colour_holds_still_where_predictions_flicker(tmp_path):
    """Promise 4, on a drifting texture: gathering takes most of a flicker away."""
    path = make_clip(tmp_path / "film.mp4", frames=40, width=96, height=64)
    spreads = {}
    for smoothing in (True, False):
        engine = Engine(Flickering(), torch.device("cpu"), batch=1)
        colorizer = colorizer_for(path, engine, smoothing=smoothing, anchor_every=1)
        means = [float(p.v.mean()) for p in colorizer.pictures(BEGINNING, END)]
        spreads[smoothing] = float(np.abs(np.diff(means)).mean())
    assert spreads[False] > 3
    assert spreads[True] < 0.25 * spreads[False], spreads


class ByBrightness(StandinModel):
    """One colour for a dark shot, the opposite for a bright one."""

    def forward(self, lightness, hints=None):
        side = torch.where(lightness.mean((1, 2, 3)) > 50, 1.0, -1.0)
        return side[:, None, None, None] * torch.full((1, 2, 32, 32), 8.0)


def test_no_colour_crosses_a_cut(tmp_path):
    source = make_clip(tmp_path / "film.mp4", frames=36, width=256, height=192, cuts=(17,), seed=34)
    levels = [luma(i, 256, 192, cuts=(17,), seed=34).mean() for i in (16, 17)]
    middle = sum(levels) / 2

    class Sides(ByBrightness):
        def forward(self, lightness, hints=None):
            offset = 50 - float(
                ColorSpace(BT601, bit_depth=8).lightness(np.array([middle], np.uint8))[0]
            )
            return super().forward(lightness + offset)

    assert abs(levels[0] - levels[1]) > 30, "the shots must differ in brightness"
    engine = Engine(Sides(), torch.device("cpu"), batch=1)
    pictures = list(colorizer_for(source, engine).pictures(BEGINNING, END))
    means = np.array([p.v.mean() - 128.0 for p in pictures])
    first, second = np.sign(means[0]), np.sign(means[-1])
    assert first == -second
    np.testing.assert_array_equal(np.sign(means[:17]), first)
    np.testing.assert_array_equal(np.sign(means[17:]), second)
    assert np.ptp(means[:17]) < 1.5
    assert np.ptp(means[17:]) < 1.5


def stills(count):
    """Items of one unmoving picture, no anchor among them."""
    small = luma(0, 96, 64)
    assert small.dtype == np.uint8
    return [
        Item(
            frame=None,
            pts=i,
            small=small.astype(np.uint8),
            calmed=small.astype(np.uint8),
            luma=np.full((32, 48), 0.5, np.float32),
            thumbnail=np.zeros((60, 80), np.uint8),
            difference=0.0,
        )
        for i in range(count)
    ]


def test_no_flow_leads_over_a_cut():
    items = stills(6)
    items[0].cut = items[3].cut = True
    steps = [item.step for item in with_flow(iter(items), (48, 32))]
    assert [step is None for step in steps] == [True, False, False, True, False, False]


def test_extra_anchors_neither_bring_nor_spare_another():
    """Without grid and shot anchors every frame of a still needs its own prediction, though one
    of them would do for all: else decisions would chain along the whole film. Only the last one
    spares those in its reach."""
    items = list(with_coverage(with_flow(iter(stills(12)), (48, 32))))
    assert [item.extra for item in items] == [True] * 8 + [False] * 3 + [True]
    one = stills(12)
    one[5].anchor = True
    covered = list(with_coverage(with_flow(iter(one), (48, 32))))
    assert [item.extra for item in covered] == [i in (0, 11) for i in range(12)]


@pytest.mark.parametrize("tail", range(1, 9))
def test_of_a_shots_end_behind_its_anchors_the_last_frame_alone_is_asked(tail):
    """So far behind that no anchor is within its reach; those across the cut don't count."""
    items = stills(18)
    for n in (0, 9 - tail, 9, 17):
        items[n].anchor = True
    items[0].cut = items[9].cut = True
    found = list(with_coverage(with_flow(iter(items), (48, 32))))
    assert [n for n, item in enumerate(found) if item.extra] == ([8] if tail > 5 else [])


def test_mirrored_is_the_mean_of_what_is_said_of_both(tmp_path, engine):
    """What a network says of one side alone is halved and said of both."""

    class OneSided:
        def colorize(self, lightness):
            said = np.zeros((len(lightness), 2, 4, 6), np.float32)
            said[..., :3] = lightness.mean((1, 2))[:, None, None, None]
            return said

        def __getattr__(self, name):
            return getattr(engine, name)

    path = make_clip(tmp_path / "film.mp4", frames=2, width=96, height=64)
    planes = np.stack([np.full((8, 8), value, np.float32) for value in (20, 60)])
    plain = colorizer_for(path, OneSided())._answers(planes)
    both = colorizer_for(path, OneSided(), mirrored=True)._answers(planes)
    assert plain[1, 0, 0].tolist() == [60, 60, 60, 0, 0, 0]
    assert both[1, 0, 0].tolist() == [30] * 6
    assert both[0, 1, 2].tolist() == [10] * 6


def test_without_smoothing_no_anchor_serves_further_than_the_margin_shows():
    items = stills(40)
    items[0].anchor = True
    extra = [item.extra for item in with_recent_anchor(iter(items))]
    assert extra.index(True) < REACH_FRAMES
    assert not any(extra[:9])


def test_frames_far_faster_than_the_rate_stay_pure_without_smoothing(tmp_path, engine):
    """A grid cell may be longer than the margin: 60 frames at 5 ms in a film of 25 fps."""
    times = [i * 40 for i in range(20)]
    times += [times[-1] + 5 * i for i in range(1, 61)]
    times += [times[-1] + 40 * i for i in range(1, 20)]
    path = make_clip(tmp_path / "film.mkv", pts=times, width=96, height=64, rate=Fraction(25))
    colorizer = colorizer_for(path, engine, smoothing=False, anchor_every=8)
    whole = fingerprints(colorizer)
    for first in range(22, 78, 5):
        part = fingerprints(colorizer, times[first], times[first + 1])
        assert part == {times[first]: whole[times[first]]}, first


@pytest.mark.parametrize("size", [(8, 8), (64, 4), (4, 64), (12, 12)])
def test_tiny_films_are_coloured_too(tmp_path, engine, size):
    path = make_clip(tmp_path / "film.mkv", frames=5, width=size[0], height=size[1], codec="ffv1")
    pictures = list(colorizer_for(path, engine).pictures(BEGINNING, END))
    assert [p.u.shape for p in pictures] == [(size[1] // 2, size[0] // 2)] * 5


def test_a_prediction_is_enlarged_without_blocks(tmp_path, engine):
    """Networks answer in squares, so one side often grows: a ramp must stay a ramp."""
    path = make_clip(tmp_path / "film.mkv", frames=2, width=128, height=64)
    colorizer = colorizer_for(path, engine)
    ramp = np.broadcast_to(np.arange(24, dtype=np.float32), (2, 24, 24))
    steps = np.diff(colorizer._place(np.ascontiguousarray(ramp))[16, 4:-4, 0])
    assert steps.min() > 0.5 * steps.mean(), steps
    assert steps.max() < 1.5 * steps.mean(), steps


def test_a_gpu_that_computes_also_decodes_where_it_may(tmp_path, engine, monkeypatch):
    path = make_clip(tmp_path / "film.mkv", frames=30)
    asked = []

    def trial(info, gpu, fields):
        asked.append((info.path, gpu, fields))

    monkeypatch.setattr(pipeline, "decoding_gpu", trial)
    colorizer = colorizer_for(path, engine)
    plain = [frame.pts for frame in colorizer.read(BEGINNING, END)]
    assert len(plain) == 30
    assert asked == []
    for changes in ({}, {"gpu_decode": False}):
        colorizer = colorizer_for(path, engine, **changes)
        colorizer.engine = SimpleNamespace(device=torch.device("cuda:1"))
        for _ in range(2):
            assert [frame.pts for frame in colorizer.read(BEGINNING, END)] == plain
        assert asked == [(path, 1, "progressive")]


def test_frames_come_from_the_gpu_that_was_found(tmp_path, engine, monkeypatch):
    """One that isn't there, for which the processor steps in."""
    colorizer = colorizer_for(make_clip(tmp_path / "film.mkv", frames=30), engine)
    given = []

    def reading(info, start, end, **options):
        given.append(options["gpu"])
        return read_frames(info, start, end, **options)

    monkeypatch.setattr(pipeline, "read_frames", reading)
    monkeypatch.setattr(pipeline, "decoding_gpu", lambda info, gpu, fields: gpu)
    before = fingerprints(colorizer)
    colorizer.__dict__["_decoding_gpu"] = 3
    assert fingerprints(colorizer) == before
    assert given == [None, 3]
