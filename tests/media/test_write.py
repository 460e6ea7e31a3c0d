"""Segments hold what they were given, the same bytes each time, and refuse in a sentence."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.clips import make_clip
from tests.media.films import FAST, tinted, write_segment
from vidcolor.errors import EncoderError, OutputError, SettingsError
from vidcolor.media.choice import (
    EncoderChoice,
    another_codec,
    choose_encoder,
    encoder_options,
    picture_format,
)
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.write import SegmentWriter, try_encoder
from vidcolor.settings import Settings

LOSSLESS = Settings(codec="ffv1", threads=2)


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
@pytest.mark.parametrize(
    "pixel_format", ["gray", "yuv420p", "gray10le", "yuv420p10le", "yuv422p12le", "yuv410p", "bgra"]
)
def test_luma_in_is_luma_out(tmp_path, pixel_format, size):
    width, height = size
    info = probe(
        make_clip(
            tmp_path / "film.mkv",
            frames=6,
            width=width,
            height=height,
            pixel_format=pixel_format,
            codec="ffv1",
        )
    )
    frames = list(read_frames(info))
    segment = write_segment(tmp_path / "segment.mkv", info, frames, LOSSLESS)
    out = probe(segment.path)
    back = list(read_frames(out))
    assert len(back) == len(frames)
    assert out.tags == info.tags
    assert (out.width, out.height, out.bit_depth) == (width, height, info.bit_depth)
    for before, after in zip(frames, back, strict=True):
        np.testing.assert_array_equal(before.luma, after.luma)
        assert after.chroma is not None
        assert (after.chroma[0] == 100 << (info.bit_depth - 8)).all()
        assert (after.chroma[1] == 150 << (info.bit_depth - 8)).all()
    assert segment.pts == tuple(frame.pts for frame in frames)
    assert segment.durations == tuple(frame.duration for frame in frames)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1"])
def test_the_same_pictures_give_the_same_file(tmp_path, codec):
    # 320 samples are 20 macroblocks: a width at which x264's AVX-512 code gave different bits.
    info = probe(make_clip(tmp_path / "film.mkv", frames=30, width=320, height=64, codec="ffv1"))
    frames = list(read_frames(info))
    preset = {"libx264": "medium", "libx265": "fast", "libsvtav1": "10", "libvpx-vp9": "6"}
    settings = Settings(codec=codec, encoder_preset=preset.get(codec), threads=2)
    digests = set()
    for number in range(3):
        segment = write_segment(tmp_path / f"{number}.mkv", info, frames, settings)
        digests.add(hashlib.sha256(segment.path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_headers_are_the_same_for_all_segments_of_a_film(tmp_path):
    info = probe(make_clip(tmp_path / "film.mkv", frames=40))
    frames = list(read_frames(info))
    first = write_segment(tmp_path / "0.mkv", info, frames[:20])
    second = write_segment(tmp_path / "1.mkv", info, frames[20:])
    other = write_segment(
        tmp_path / "2.mkv", info, frames[:20], Settings(encoder_preset="ultrafast", threads=2)
    )
    assert first.extradata_sha256 == second.extradata_sha256
    assert first.extradata_sha256 != other.extradata_sha256


def test_tags_and_aspect_are_written(tmp_path):
    info = probe(
        make_clip(tmp_path / "film.mkv", frames=4, full_range=True, sample_aspect=Fraction(16, 15))
    )
    segment = write_segment(tmp_path / "segment.mkv", info, list(read_frames(info)))
    out = probe(segment.path)
    assert out.tags == info.tags
    assert out.tags.full_range
    assert out.sample_aspect == Fraction(16, 15)


@pytest.mark.parametrize(
    ("pixel_format", "size", "wanted"),
    [
        ("yuv420p", (64, 48), "yuv420p"),
        ("gray", (64, 48), "yuv420p"),
        ("yuv411p", (64, 48), "yuv420p"),
        ("yuv410p", (64, 48), "yuv420p"),
        ("yuv440p", (64, 48), "yuv420p"),
        ("yuv422p10le", (64, 48), "yuv422p10le"),
        ("yuv444p", (64, 48), "yuv444p"),
        ("yuv420p", (63, 48), "yuv444p"),
        ("gray10le", (64, 47), "yuv444p10le"),
        ("yuv420p12le", (64, 48), "yuv420p12le"),
        ("bgra", (64, 48), "yuv420p"),
    ],
)
def test_picture_format(tmp_path, pixel_format, size, wanted):
    info = probe(
        make_clip(
            tmp_path / "f.mkv",
            frames=1,
            width=size[0],
            height=size[1],
            pixel_format=pixel_format,
            codec="ffv1",
        )
    )
    layout = picture_format(info, choose_encoder(info, Settings()))
    assert layout.pixel_format == wanted
    chroma = (layout.chroma_width, layout.chroma_height)
    assert (
        chroma
        == {
            "yuv420p": (32, 24),
            "yuv422p10le": (32, 48),
            "yuv444p": size,
            "yuv444p10le": size,
            "yuv420p12le": (32, 24),
        }[wanted]
    )


def test_the_encoder_is_chosen_by_depth(tmp_path):
    for pixel_format, codec in [
        ("yuv420p", "libx264"),
        ("yuv420p10le", "libx264"),
        ("yuv420p12le", "libx265"),
        ("gray16le", "ffv1"),
    ]:
        info = probe(
            make_clip(tmp_path / "f.mkv", frames=1, pixel_format=pixel_format, codec="ffv1")
        )
        choice = choose_encoder(info, Settings(threads=3))
        assert choice.codec == codec
        assert choice.threads == 3
    assert choose_encoder(info, Settings()).threads >= 1


def test_defaults_and_given_values(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=1))
    assert choose_encoder(info, Settings(threads=1)) == EncoderChoice(
        "libx264", 17, "medium", (), 1
    )
    given = Settings(
        codec="h264", crf=23, encoder_preset="slow", encoder_options=(("tune", "film"),)
    )
    choice = choose_encoder(info, given)
    assert (choice.codec, choice.crf, choice.preset) == ("libx264", 23, "slow")
    assert choice.options == (("tune", "film"),)


def refusal(tmp_path, pixel_format="yuv420p", **settings):
    info = probe(make_clip(tmp_path / "f.mkv", frames=1, pixel_format=pixel_format, codec="ffv1"))
    try:
        choice = choose_encoder(info, Settings(threads=1, **settings))
        try_encoder(info, picture_format(info, choice), choice)
    except EncoderError as error:
        return str(error)
    pytest.fail(f"{settings} should have been refused")


def test_encoders_refuse_in_a_sentence(tmp_path):
    assert "try libx265, libx264" in refusal(tmp_path, codec="libx26")
    aac = refusal(tmp_path, codec="aac")
    assert "aac is an encoder for audio, not for video; try libx264, libx265" in aac
    assert "xface" not in aac
    far = refusal(tmp_path, codec="qqq")
    assert "try libx264, libx265" in far
    assert "try dnxhd" in refusal(tmp_path, codec="dnxhr")
    assert "use libx265 or ffv1" in refusal(tmp_path, "yuv420p12le", codec="libx264")
    assert "8-bit" in refusal(tmp_path, codec="prores_ks")
    assert "did you mean tune" in refusal(tmp_path, encoder_options=(("tun", "film"),))
    assert "has no option 'crf'" in refusal(tmp_path, codec="ffv1", crf=3)
    assert "preset" in refusal(tmp_path, encoder_preset="bogus")
    for codec in ("libx264", "libx265"):
        params = ((f"{codec[3:]}-params", "bogus=1"),)
        assert "bogus" in refusal(tmp_path, codec=codec, encoder_options=params)


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="an NVIDIA driver is here")
def test_an_absent_nvidia_driver_is_told(tmp_path):
    assert "no NVIDIA driver, or no GPU" in refusal(tmp_path, codec="h264_nvenc")


def test_a_good_encoder_passes_its_trial(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=1))
    choice = choose_encoder(info, FAST)
    try_encoder(info, picture_format(info, choice), choice)


def test_a_full_disk_is_told(tmp_path):
    full = tmp_path / "full.mkv"
    try:
        full.symlink_to("/dev/full")
        full.write_bytes(b"x")
        pytest.skip("this system has no /dev/full to stand for a full disk")
    except OSError:
        pass
    info = probe(make_clip(tmp_path / "f.mkv", frames=30))
    with pytest.raises(OutputError, match="the disk is full"):
        write_segment(full, info, list(read_frames(info)))


def test_a_missing_folder_is_told(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=2))
    with pytest.raises(OutputError, match="can't be written"):
        write_segment(tmp_path / "none" / "0.mkv", info, list(read_frames(info)))


def test_an_exception_leaves_a_closed_readable_file(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=30))
    choice = choose_encoder(info, LOSSLESS)
    layout = picture_format(info, choice)
    path = tmp_path / "0.mkv"
    with suppress(KeyboardInterrupt), SegmentWriter(path, info, layout, choice) as writer:
        for frame in read_frames(info):
            writer.write(tinted(frame, layout))
            if frame.pts > 500:
                raise KeyboardInterrupt
    assert len(list(read_frames(probe(path)))) > 5


def test_misfit_planes_and_falling_times_are_caught(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=3))
    choice = choose_encoder(info, FAST)
    layout = picture_format(info, choice)
    frames = list(read_frames(info))
    first, second = (tinted(frame, layout) for frame in frames[:2])
    with SegmentWriter(tmp_path / "0.mkv", info, layout, choice) as writer:
        writer.write(second)
        with pytest.raises(ValueError, match="doesn't follow"):
            writer.write(first)
        with pytest.raises(ValueError, match="doesn't fit"):
            writer.write(replace(second, pts=second.pts + 99, y=second.y[:-2]))


@pytest.mark.parametrize(
    ("codec", "pixel_format", "encoder"),
    [
        ("libx264", "yuv420p", "libx264"),
        ("libx265", "yuv420p10le", "libx265"),
        ("libvpx-vp9", "yuv420p", "libvpx-vp9"),
        ("libsvtav1", "yuv420p", "libsvtav1"),
        ("ffv1", "yuv420p12le", "ffv1"),
        ("prores_ks", "yuv422p10le", "prores_ks"),
        # These have no encoder here worth taking.
        ("mpeg4", "yuv420p", "libx264"),
        ("mjpeg", "yuvj420p", "libx264"),
    ],
)
def test_source_is_the_sources_own_codec_where_it_can_be(tmp_path, codec, pixel_format, encoder):
    film = make_clip(tmp_path / "film.mkv", frames=3, codec=codec, pixel_format=pixel_format)
    assert choose_encoder(probe(film), Settings(codec="source")).codec == encoder


@pytest.mark.parametrize(
    ("codec", "pixel_format", "size", "encoder", "words"),
    [
        ("libsvtav1", "yuv420p", (64, 48), "libsvtav1", None),
        ("libx265", "yuv420p10le", (64, 48), "libx265", None),
        ("ffv1", "gray", (7, 5), "ffv1", None),
        ("mpeg4", "yuv420p", (64, 48), "libx264", "can't stay mpeg4: no encoder for mpeg4"),
        ("prores_ks", "yuv444p10le", (64, 48), "libx265", "prores_ks can't encode 12-bit"),
    ],
)
def test_another_codec_than_the_sources_is_said(
    tmp_path, codec, pixel_format, size, encoder, words
):
    width, height = size
    film = make_clip(
        tmp_path / "film.mkv",
        frames=2,
        codec=codec,
        pixel_format=pixel_format,
        width=width,
        height=height,
    )
    info, settings = probe(film), Settings(codec="source")
    choice = choose_encoder(info, settings)
    assert choice.codec == encoder
    said = another_codec(info, settings, choice)
    assert (said is None) if words is None else words in (said or "")
    assert another_codec(info, Settings(codec="libx264"), choice) is None


def test_small_pictures_get_an_encoder_that_takes_them(tmp_path):
    info = probe(
        make_clip(tmp_path / "f.mkv", frames=1, width=8, height=8, pixel_format="yuv420p12le")
    )
    assert choose_encoder(info, Settings(threads=1)).codec == "ffv1"
    with pytest.raises(EncoderError, match=r"smaller than 16x16, .* use ffv1"):
        choose_encoder(info, Settings(codec="libx265"))


def test_x265_goes_without_its_tree_where_that_kills_the_program(tmp_path):
    settings = Settings(codec="libx265", threads=1)
    for width, without in ((16, True), (48, True), (50, False)):
        film = make_clip(tmp_path / "f.mkv", frames=1, width=width)
        options = encoder_options(choose_encoder(probe(film), settings), width)
        assert ("cutree=0" in options["x265-params"].split(":")) == without
    given = Settings(codec="libx265", encoder_options=(("x265-params", "aq-mode=0"),), threads=1)
    narrow = probe(make_clip(tmp_path / "narrow.mkv", frames=12, width=40))
    assert "cutree=0:aq-mode=0" in encoder_options(choose_encoder(narrow, given), 40)["x265-params"]
    frames = list(read_frames(narrow))
    assert write_segment(tmp_path / "0.mkv", narrow, frames, given).pts


@pytest.mark.parametrize(
    ("width", "whole"), [(1920, True), (640, True), (1916, True), (720, False)]
)
def test_x264_goes_without_avx512_only_where_that_reads_past_its_rows(
    tmp_path, monkeypatch, width, whole
):
    monkeypatch.setattr("vidcolor.media.choice._has_avx512", lambda: True)
    film = probe(make_clip(tmp_path / "f.mkv", frames=1))
    options = encoder_options(choose_encoder(film, Settings(threads=1)), width)
    assert ("asm=" not in options.get("x264-params", "")) == whole


ENCODE = """
import hashlib, sys
from pathlib import Path
from tests.media.films import write_segment
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.settings import Settings
film, out = map(Path, sys.argv[1:])
info = probe(film)
write_segment(out, info, list(read_frames(info)), Settings(threads=2))
print(hashlib.sha256(out.read_bytes()).hexdigest())
"""


@pytest.mark.long
@pytest.mark.parametrize("width", [720, 640, 1024, 1916])
def test_x264_gives_the_same_bits_whatever_lies_in_memory(tmp_path, width):
    """glibc fills what it hands out with the byte asked for: what is read before it is written then
    differs."""
    film = make_clip(tmp_path / "film.mkv", frames=40, width=width, height=400)
    found = set()
    for byte in ("1", "85", "170", "255"):
        words = [sys.executable, "-c", ENCODE, str(film), str(tmp_path / "0.mkv")]
        made = subprocess.run(
            words, env=os.environ | {"MALLOC_PERTURB_": byte}, capture_output=True, timeout=120
        )
        assert made.returncode == 0, made.stderr.decode()
        found.add(made.stdout)
    assert len(found) == 1


def test_a_crf_beyond_the_sources_codec_is_refused_once_that_is_known(tmp_path):
    film = probe(make_clip(tmp_path / "film.mkv", frames=3))
    with pytest.raises(SettingsError, match="libx264 takes 0 to 51"):
        choose_encoder(film, Settings(codec="source", crf=60))
