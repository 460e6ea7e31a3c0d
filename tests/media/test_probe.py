"""What probe says of a source, and how it refuses what is none."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from tests.clips import make_clip
from tests.media.films import shared_clip
from vidcolor.errors import SourceError
from vidcolor.media.pixels import is_transparent
from vidcolor.media.probe import probe
from vidcolor.media.tracks import lost_in_picture


def test_a_film_is_described(tmp_path):
    path = make_clip(
        tmp_path / "film.mkv",
        rate=Fraction(24000, 1001),
        audio=True,
        subtitle=True,
        sample_aspect=Fraction(4, 3),
    )
    info = probe(path)
    assert (info.codec, info.width, info.height, info.bit_depth) == ("h264", 64, 48, 8)
    assert info.rate == Fraction(24000, 1001)
    assert info.sample_aspect == Fraction(4, 3)
    assert info.upright_size == (85, 48)
    assert (info.times_from, info.seekable, info.start_pts) == ("decoder", True, 0)
    assert [stream.kind for stream in info.streams] == ["video", "audio", "subtitle"]
    assert info.streams[1].language == "eng"
    assert info.streams[2].title == "Untertitel"


@pytest.mark.parametrize(
    ("pixel_format", "subsampling", "depth", "full"),
    [
        ("yuv420p", "420", 8, False),
        ("yuv420p10le", "420", 10, False),
        ("yuv422p", "422", 8, False),
        ("yuv444p12le", "444", 12, False),
        ("yuv411p", "411", 8, False),
        ("yuv410p", "410", 8, False),
        ("yuv440p", "440", 8, False),
        ("yuva420p", "420", 8, False),
        ("gray", "400", 8, True),
        ("gray10le", "400", 10, True),
        ("bgra", "rgb", 8, False),
        ("gbrp12le", "rgb", 10, False),
    ],
)
def test_pixel_formats(tmp_path, pixel_format, subsampling, depth, full):
    info = probe(make_clip(tmp_path / "f.mkv", frames=2, pixel_format=pixel_format, codec="ffv1"))
    assert (info.subsampling, info.bit_depth) == (subsampling, depth)
    assert info.tags.full_range == full


@pytest.mark.parametrize(("height", "matrix"), [(48, 6), (576, 5), (718, 6), (720, 1), (1080, 1)])
def test_untagged_colour_follows_the_number_of_lines(tmp_path, height, matrix):
    info = probe(make_clip(tmp_path / "f.mkv", frames=1, width=32, height=height))
    assert (info.tags.matrix, info.tags.primaries) == (matrix, matrix)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_clockwise(tmp_path, suffix, rotation):
    info = probe(make_clip(tmp_path / f"f{suffix}", frames=2, rotation=rotation))
    assert info.rotation == rotation
    assert info.upright_size == ((48, 64) if rotation != 180 else (64, 48))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_of_a_phone(rotation):
    assert probe(shared_clip(f"odd/rot{rotation}_3frames.mov")).rotation == rotation


def test_full_range_tag(tmp_path):
    info = probe(make_clip(tmp_path / "f.mp4", frames=2, full_range=True))
    assert info.tags.full_range


def test_h264_in_avi_takes_packet_times(tmp_path):
    info = probe(make_clip(tmp_path / "f.avi", frames=40))
    assert (info.times_from, info.seekable) == ("packets", False)


def test_a_cover_picture_is_no_film(tmp_path):
    info = probe(shared_clip("odd/cover_art_mjpeg.mkv"))
    assert info.codec == "h264"
    assert [stream.cover for stream in info.streams] == [False, False, True]


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match=r"there is no file .*check the name"):
        probe(tmp_path / "none.mp4")


def test_folder(tmp_path):
    with pytest.raises(SourceError, match="is a folder; expected a video file"):
        probe(tmp_path)


@pytest.mark.parametrize("content", [b"", b"once upon a time\n" * 99])
def test_no_media(tmp_path, content):
    path = tmp_path / "tale.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="not a video FFmpeg can read"):
        probe(path)


def test_text_is_no_film(tmp_path):
    path = tmp_path / "tale.txt"
    path.write_text("once upon a time\n" * 99)
    with pytest.raises(SourceError, match="holds no film"):
        probe(path)


def test_sound_alone(tmp_path):
    path = tmp_path / "sound.mka"
    film = make_clip(tmp_path / "film.mkv", audio=True)
    with av.open(str(film)) as source, av.open(str(path), "w", format="matroska") as out:
        copy = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    with pytest.raises(SourceError, match="holds no film, only audio"):
        probe(path)


def test_single_picture(tmp_path):
    path = tmp_path / "photo.png"
    frame = av.VideoFrame(16, 16, "rgb24")
    frame.save(str(path))
    with pytest.raises(SourceError, match=r"single picture.*vidcolor image"):
        probe(path)


def test_cut_before_the_first_frame(tmp_path):
    film = make_clip(tmp_path / "film.mkv")
    with av.open(str(film)) as container:
        position = next(container.demux(video=0)).pos
    assert position is not None
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(film.read_bytes()[: position + 3])
    with pytest.raises(SourceError, match="cut before its first frame"):
        probe(cut)


@pytest.mark.parametrize("opacity", [255, 200, 0])
@pytest.mark.parametrize("pixel_format", ["yuva420p", "bgra"])
def test_transparency_is_seen_where_it_is_used(pixel_format, opacity):
    frame = av.VideoFrame.from_ndarray(np.full((16, 16, 4), 128, np.uint8), "bgra")
    if pixel_format == "bgra":
        samples = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(16, -1, 4)
        samples[..., 3] = 255
        samples[5, 5, 3] = opacity
    else:
        frame = frame.reformat(format=pixel_format)
        alpha = np.frombuffer(memoryview(frame.planes[3]), np.uint8).reshape(16, -1)
        alpha[:] = 255
        alpha[5, 5] = opacity
    assert is_transparent(frame) is (opacity < 255)


def test_a_film_without_alpha_is_not_transparent(tmp_path):
    assert not probe(make_clip(tmp_path / "film.mkv", frames=2)).transparent


def test_a_matrix_no_colours_can_be_made_for_gives_way_aloud(tmp_path):
    for primaries, matrix in (("bt709", 1), ("bt2020", 9)):
        options = {"x264-params": f"colorprim={primaries}:transfer=bt709:colormatrix=YCgCo"}
        film = probe(make_clip(tmp_path / "film.mkv", frames=2, options=options))
        assert (film.foreign_matrix, film.tags.matrix) == (8, matrix)
        (said,) = lost_in_picture(film, "h264")
        assert "(YCgCo) becomes BT." in said
    usual = probe(make_clip(tmp_path / "usual.mkv", frames=2))
    assert usual.foreign_matrix is None
    assert list(lost_in_picture(usual, "h264")) == []
