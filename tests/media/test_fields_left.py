"""Films left interlaced stay so for players: flags, order of fields, and where chroma lies."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import av
import numpy as np
import pytest

from tests.clips import make_clip
from vidcolor.frames import END
from vidcolor.inference import open_engine
from vidcolor.jobs.local import Order, run_film
from vidcolor.media.choice import choose_encoder, picture_format
from vidcolor.media.ffmpeg import find_ffmpeg
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.pipeline import Colorizer, film_facts
from vidcolor.resample import shrink
from vidcolor.settings import Settings

LETTERS = {"top": "T", "bottom": "B"}
ORDERS = {"top": 4, "bottom": 5}
"""AV_FIELD_TB and AV_FIELD_BT, as containers are read."""

SOURCES = {
    "h264.mp4": ("-c:v libx264 -preset ultrafast -flags +ildct", (128, 96)),
    "mpeg2.mpg": ("-c:v mpeg2video -q:v 3 -flags +ildct+ilme", (128, 96)),
    "dv.avi": ("-c:v dvvideo -pix_fmt yuv411p", (720, 480)),
    "prores.mov": ("-c:v prores_ks -pix_fmt yuv422p10le -flags +ildct", (128, 96)),
}


def ffmpeg(*words):
    return subprocess.run(
        [str(find_ffmpeg()), "-nostdin", *words], capture_output=True, text=True, check=True
    ).stderr


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Makes an interlaced film, its flags set by ffmpeg's own program."""
    folder, made = tmp_path_factory.mktemp("left"), {}

    def make(name, order):
        if (name, order) not in made:
            words, (width, height) = SOURCES[name]
            frames = 4 if name == "dv.avi" else 12
            clip = {"frames": frames, "interlaced": order, "width": width, "height": height}
            woven = make_clip(folder / f"{order}.{name}.mkv", codec="ffv1", **clip)
            path = folder / f"{order}.{name}"
            rate = "30000/1001" if name == "dv.avi" else "25"
            flags = f"setfield={LETTERS[order].lower()}ff,fps={rate}:start_time=0"
            ffmpeg("-y", "-i", str(woven), "-vf", flags, *words.split(), str(path))
            made[name, order] = path
        return made[name, order]

    return make


def flags_of(path):
    """For each frame T, B or P, as ffmpeg's own program shows it."""
    said = ffmpeg("-i", str(path), "-vf", "showinfo", "-f", "null", "-")
    return re.findall(r" i:([TBP]) ", said)


def order_in_container(path):
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.field_order


def colorize(source, output, codec, **settings):
    said = []
    chosen = Settings(model="standin", device="cpu", threads=2, codec=codec, **settings)
    order = Order(source=source, output=output, settings=chosen)
    run_film(order, report=lambda event: said.append(getattr(event, "text", "")))
    return [text for text in said if "interlaced" in text]


@pytest.mark.parametrize(
    ("name", "order"),
    [(name, order) for name in SOURCES for order in ORDERS if (name, order) != ("dv.avi", "top")],
)
@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", ".mkv"), ("libx264", ".mp4"), ("ffv1", ".mkv")]
)
def test_flags_are_the_sources(film, tmp_path, name, order, codec, suffix):
    source, output = film(name, order), tmp_path / f"out{suffix}"
    assert set(flags_of(source)) == {LETTERS[order]}
    assert colorize(source, output, codec, deinterlace=False) == []
    assert flags_of(output) == flags_of(source)
    if codec != "libx264" or suffix == ".mkv":  # of H.264 in MP4 the picture alone is asked
        assert order_in_container(output) == ORDERS[order]
    before, after = (list(read_frames(probe(path))) for path in (source, output))
    assert len(before) == len(after)
    if codec == "ffv1":
        assert all((a.luma == b.luma).all() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("order", ORDERS)
def test_prores_has_them_too(film, tmp_path, order):
    source, output = film("prores.mov", order), tmp_path / "out.mov"
    assert colorize(source, output, "prores_ks", deinterlace=False) == []
    assert flags_of(output) == flags_of(source)
    assert order_in_container(output) == ORDERS[order]


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "libvpx-vp9"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_codecs_that_cant_say_it_say_so(film, tmp_path, codec, suffix):
    source, output = film("mpeg2.mpg", "bottom"), tmp_path / f"out{suffix}"
    (said,) = colorize(source, output, codec, deinterlace=False)
    assert "use libx264 or ffv1 or prores_ks" in said
    assert set(flags_of(output)) == {"P"}
    assert order_in_container(output) == ORDERS["bottom"]


def test_what_is_made_progressive_says_so(film, tmp_path):
    output = tmp_path / "out.mkv"
    (said,) = colorize(film("mpeg2.mpg", "top"), output, "libx264")
    assert "made progressive" in said
    assert set(flags_of(output)) == {"P"}
    assert order_in_container(output) == 1


def test_a_film_without_flags_gets_none(tmp_path):
    source = make_clip(tmp_path / "film.mkv", frames=12, interlaced="top", width=128, height=96)
    assert colorize(source, tmp_path / "out.mkv", "libx264", deinterlace=False) == []
    assert set(flags_of(tmp_path / "out.mkv")) == {"P"}


def test_x264_says_what_lines_it_cant_pair(tmp_path):
    woven = tmp_path / "woven.mkv"
    make_clip(woven, frames=4, interlaced="top", width=64, height=50, codec="ffv1")
    source = tmp_path / "film.mkv"
    ffmpeg("-i", str(woven), "-vf", "setfield=tff", "-c:v", "ffv1", "-level", "3", str(source))
    assert set(flags_of(source)) == {"T"}
    (said,) = colorize(source, tmp_path / "out.mkv", "libx264", deinterlace=False)
    assert "of libx264 of 50 lines can't say so" in said
    assert set(flags_of(tmp_path / "out.mkv")) == {"P"}
    assert colorize(source, tmp_path / "exact.mkv", "ffv1", deinterlace=False) == []
    assert flags_of(tmp_path / "exact.mkv") == flags_of(source)


def test_chroma_lines_belong_to_their_own_moment(film):
    """A moving edge lies elsewhere in the two fields, and so does its colour."""
    info = probe(film("h264.mp4", "top"))
    settings = Settings(model="standin", device="cpu", threads=1, deinterlace=False)
    layout = picture_format(info, choose_encoder(info, settings))
    assert layout.fields == "top"
    own, other = alikeness(info, settings, layout)
    assert own > 1.5 * other
    # As whole pictures the same film has it of both moments alike.
    own, other = alikeness(info, settings, replace(layout, fields=None))
    assert own < 1.1 * other


class ByLuma(Colorizer):
    """Has colour that changes where luma does, so that luma can tell where it ends."""

    def _predicted(self, items):
        for item in items:
            item.ab = np.repeat(60 * item.luma[..., None] - 30, 2, 2)
            yield item


def alikeness(info, settings, layout):
    """How alike the edges of Cb in one field are to those of luma in this field and the other."""
    colorizer = ByLuma(info, film_facts(info), settings, open_engine(settings), layout)
    found = []
    for picture in colorizer.pictures(info.start_pts, END):
        for field in (0, 1):
            edges = np.diff(picture.u[field::2].astype(float)).ravel()
            lumas = (shrink(picture.y[n::2].copy(), (64, 24)) for n in (field, 1 - field))
            pairs = (np.corrcoef(edges, np.diff(y.astype(float)).ravel())[0, 1] for y in lumas)
            found.append(list(pairs))
    own, other = np.abs(np.mean(found, axis=0))
    return own, other


def test_every_way_to_chroma_goes_by_moments(film):
    info = probe(film("h264.mp4", "bottom"))
    settings = Settings(model="standin", device="cpu", threads=1, deinterlace=False)
    layout = picture_format(info, choose_encoder(info, settings))
    colorizer = Colorizer(info, film_facts(info), settings, open_engine(settings), layout)
    asked = []

    def render(lines, size):
        asked.append((range(info.height)[lines], size))
        return np.full(size[::-1], lines.start, np.uint8), np.full(size[::-1], 9, np.uint8)

    u, v = colorizer._by_moment(render)
    assert asked == [(range(n, info.height, 2), (64, 24)) for n in (0, 1)]
    assert [set(u[n::2].ravel()) for n in (0, 1)] == [{0}, {1}]
    assert set(v.ravel()) == {9}
