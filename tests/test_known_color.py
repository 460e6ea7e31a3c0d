"""A known colour put in by the network comes out as that colour in another program.

A network that answers one Lab colour everywhere paints a gray film; the ffmpeg program decodes the
film in colour to RGB by the tags it finds, and scikit-image says what Lab colour that is.
"""

from __future__ import annotations

import itertools
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from av.video.stream import VideoStream
from skimage import color as judge

from tests.clips import write_plane
from vidcolor.jobs.local import Order, run_film
from vidcolor.media.ffmpeg import find_ffmpeg
from vidcolor.models.standin import StandinModel
from vidcolor.settings import Settings

WIDTH, HEIGHT, FRAMES = 64, 48, 5
AB = (24.0, -18.0)
BT601, BT709 = 6, 1
LIMITED, FULL = 1, 2
WITHIN = 1.0
"""Lab units: half a code of 8-bit chroma is about 0.6 of a or b at this brightness."""


class OneColor(StandinModel):
    """Paints everything in AB."""

    def forward(self, lightness, hints=None):
        n, _, h, w = lightness.shape
        plane = torch.tensor(AB).reshape(1, 2, 1, 1)
        return plane.expand(n, 2, h // 2, w // 2).to(lightness.dtype)


def gray_film(path, matrix, range_, bits):
    """Half of full brightness everywhere, tagged with the matrix and range it means."""
    pixel_format = "yuv420p" if bits == 8 else "yuv420p10le"
    unit = 1 << (bits - 8)
    level = 128 * unit if range_ == FULL else round((16 + 219 * 0.5) * unit)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(24))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        context = stream.codec_context
        context.options = {"crf": "1"}
        context.colorspace = context.color_primaries = context.color_trc = matrix
        context.color_range = range_
        for number in range(FRAMES):
            frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
            dtype = np.uint8 if bits == 8 else np.uint16
            for plane, value in zip(frame.planes, (level, 128 * unit, 128 * unit), strict=True):
                write_plane(plane, np.full((plane.height, plane.width), value, dtype))
            frame.pts, frame.color_range = number, range_
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def lab_by_ffmpeg(path):
    """Mean L, a, b of the last frame as the ffmpeg program and scikit-image see it."""
    command = [find_ffmpeg(), "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb48le"]
    command += ["-sws_flags", "accurate_rnd+full_chroma_int", "-"]
    done = subprocess.run([str(word) for word in command], capture_output=True, check=True)
    frames = np.frombuffer(done.stdout, np.uint16).reshape(-1, HEIGHT, WIDTH, 3)
    assert len(frames) == FRAMES
    return judge.rgb2lab(frames[-1] / 65535).mean((0, 1))


PLACES = (
    ("libx264", "mp4"),
    ("libx264", "mov"),
    ("libx265", "mp4"),
    ("libx265", "mkv"),
    ("libsvtav1", "webm"),
    ("libvpx-vp9", "webm"),
    ("ffv1", "mkv"),
    ("prores_ks", "mov"),
)
"""Encoders, and a container that takes each."""

CASES = [
    (*place, *kind)
    for place, kind in itertools.product(
        PLACES, itertools.product([BT601, BT709], [LIMITED, FULL], [8, 10])
    )
    # VP9's encoder takes 8 bits here. ProRes takes 10, and has no word for full range.
    if not (place[0] == "libvpx-vp9" and kind[2] == 10)
    and not (place[0] == "prores_ks" and kind[1:] != (LIMITED, 10))
]


@pytest.mark.parametrize(("codec", "container", "matrix", "range_", "bits"), CASES)
def test_it_comes_out_within_a_unit(tmp_path, monkeypatch, codec, container, matrix, range_, bits):
    if codec not in av.codec.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    monkeypatch.setattr("vidcolor.inference.load_model", lambda name, weights: OneColor().eval())
    film = gray_film(tmp_path / "film.mkv", matrix, range_, bits)
    output = tmp_path / f"film.color.{container}"
    settings = Settings(model="standin", codec=codec, threads=1)
    run_film(Order(source=film, output=output, settings=settings))
    lightness, a, b = lab_by_ffmpeg(output)
    assert abs(a - AB[0]) < WITHIN, (a, b)
    assert abs(b - AB[1]) < WITHIN, (a, b)
    # Luma is kept, not CIE L, which a colour shifts a little.
    assert 45 < lightness < 60
