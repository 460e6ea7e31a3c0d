"""What a GPU decodes is what the processor decodes, or the processor does it."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from av.video.reformatter import ColorRange

from tests.clips import make_clip
from tests.devices import device, only_cuda
from tests.media.films import fingerprint
from vidcolor.frames import END
from vidcolor.media import reader
from vidcolor.media.gpu import GpuDecodeError, may_decode
from vidcolor.media.gpu_trial import decoding_gpu
from vidcolor.media.probe import probe
from vidcolor.media.read import gpu_frames, read_frames

__all__ = ["device"]

FILMS: dict[str, dict[str, Any]] = {
    "h264": {"pixel_format": "yuv420p", "codec": "libx264"},
    "h264, full range": {"pixel_format": "yuv420p", "codec": "libx264", "full_range": True},
    "h264, colour": {"pixel_format": "yuv420p", "codec": "libx264", "color": True},
    "hevc, 10 bits": {"pixel_format": "yuv420p10le", "codec": "libx265", "color": True},
    "odd size": {"pixel_format": "yuv420p", "codec": "libx264", "width": 66, "height": 50},
}
everything = pytest.mark.parametrize("kind", FILMS)


@pytest.fixture
def film(request, tmp_path, kind):
    return probe(make_clip(tmp_path / "film.mkv", frames=60, **FILMS[kind]))


@pytest.fixture
def pretended(monkeypatch):
    """A GPU that decodes as the processor does, and gives the samples as cards do."""
    return pretend(monkeypatch)


def pretend(monkeypatch, change=lambda frame, number: frame):
    """Have reading on a GPU go to the processor, its frames changed by `change`; the list returned
    gets each frame's format."""
    formats = []
    own = reader.Reader._decoded

    def decoded(self, packet):
        frames = own(self, packet)
        if self._gpu is None:
            return frames
        of_card = []
        for frame in frames:
            deep = "10" in frame.format.name
            span = ColorRange.JPEG if int(frame.color_range) == 2 else ColorRange.MPEG
            card = frame.reformat(
                format="p010le" if deep else "nv12", src_color_range=span, dst_color_range=span
            )
            card.color_range = frame.color_range
            formats.append(card.format.name)
            of_card.append(change(card, len(formats)))
        return of_card

    monkeypatch.setattr(reader, "accelerator", lambda gpu: None)
    monkeypatch.setattr(reader.Reader, "_decoded", decoded)
    return formats


def brighter(frame, number):
    """A sample of the frame's luma is off by one."""
    plane = np.frombuffer(memoryview(frame.planes[0]), np.uint8).copy()
    plane[5] ^= 1
    frame.planes[0].update(plane.tobytes())
    return frame


def marks(frame):
    return frame.damaged, frame.repeated, *fingerprint(frame)


@everything
def test_frames_are_the_same(film, pretended):
    plain = [marks(frame) for frame in read_frames(film)]
    assert [marks(frame) for frame in read_frames(film, gpu=0)] == plain
    assert set(pretended) == {"p010le" if film.bit_depth == 10 else "nv12"}
    assert len(pretended) == len(plain) == 60


@everything
def test_a_card_is_trusted_where_it_decodes_alike(film, pretended, monkeypatch):
    assert decoding_gpu(film, 0) == 0
    assert 8 <= len(pretended) < 60
    pretend(monkeypatch, brighter)
    assert decoding_gpu(film, 0) is None


def test_a_card_that_decodes_otherwise_is_told_of(tmp_path, monkeypatch, caplog):
    film = probe(make_clip(tmp_path / "film.mkv"))
    pretend(monkeypatch, brighter)
    with caplog.at_level(logging.WARNING):
        assert decoding_gpu(film, 0) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"GPU 0 decodes {film.path} otherwise than the processor, which does it instead"
    ]


def test_windows_are_the_same(tmp_path, pretended):
    film = probe(make_clip(tmp_path / "film.mkv", frames=90, gop=12))
    edges = [frame.pts for frame in read_frames(film)]
    window: dict[str, Any] = {"start": edges[40], "end": edges[55], "before": 5, "after": 4}
    plain = [marks(frame) for frame in read_frames(film, **window)]
    assert len(plain) == 24
    assert [marks(frame) for frame in read_frames(film, **window, gpu=0)] == plain
    assert pretended


def test_where_a_film_is_damaged_the_processor_goes_on(tmp_path, pretended, caplog):
    path = make_clip(tmp_path / "film.ts", frames=120, gop=12)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    film = probe(path)
    plain = [marks(frame) for frame in read_frames(film)]
    assert any(mark[0] or mark[1] for mark in plain)
    with caplog.at_level(logging.INFO):
        assert [marks(frame) for frame in read_frames(film, gpu=0)] == plain
    assert 0 < len(pretended) < 120
    assert sum("from here on the processor decodes" in text for text in caplog.messages) == 1


def test_without_a_card_the_processor_decodes(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    film = probe(make_clip(tmp_path / "film.mkv"))
    with pytest.raises(GpuDecodeError):
        next(gpu_frames(film, gpu=77))
    assert decoding_gpu(film, 77) is None
    plain = [marks(frame) for frame in read_frames(film)]
    assert [marks(frame) for frame in read_frames(film, gpu=77)] == plain


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("ffv1", "yuv420p", ".mkv"),
        ("libx264", "yuv444p", ".mkv"),
        ("mpeg2video", "yuv420p", ".mkv"),
        ("mpeg4", "yuv420p", ".avi"),
    ],
)
def test_what_no_card_gives_back_exactly_isn_t_tried(tmp_path, codec, pixel_format, suffix):
    path = make_clip(tmp_path / f"film{suffix}", codec=codec, pixel_format=pixel_format)
    assert not may_decode(probe(path))


def test_interlaced_films_aren_t_tried(tmp_path):
    film = probe(make_clip(tmp_path / "film.mkv"))
    assert may_decode(film)
    assert not may_decode(film, "top")


@everything
@only_cuda
def test_a_real_card_decodes_alike(film, device):
    """Both the trust and, for every frame, what it rests on."""
    assert decoding_gpu(film, device.index or 0) == 0
    on_card = list(gpu_frames(film, film.start_pts, END, gpu=0))
    assert [marks(frame) for frame in on_card] == [marks(frame) for frame in read_frames(film)]
