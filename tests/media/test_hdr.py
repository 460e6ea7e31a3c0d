"""What a high dynamic range film says of its grading reaches the film in colour."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

from tests.clips import make_clip
from vidcolor.jobs.events import Warned
from vidcolor.jobs.local import Order, run_film
from vidcolor.media.probe import probe
from vidcolor.settings import Settings

GRADED = (
    "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    ":max-cll=1000,400"
)
X, Y, NITS = Fraction(1, 50000), Fraction(1, 50000), Fraction(1, 10000)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("hdr") / "film.mkv"
    options = {"preset": "ultrafast", "x265-params": GRADED}
    deep = "yuv420p10le"
    make_clip(path, frames=6, height=64, codec="libx265", pixel_format=deep, options=options)
    return path


def test_it_is_read(film):
    hdr = probe(film).hdr
    assert hdr is not None
    red, green, blue = (34000 * X, 16000 * Y), (13250 * X, 34500 * Y), (7500 * X, 3000 * Y)
    white, range_ = (15635 * X, 16450 * Y), (50 * NITS, 10000000 * NITS)
    assert hdr.display == (*red, *green, *blue, *white, *range_)
    assert hdr.levels == (1000, 400)


def test_most_films_have_none(tmp_path):
    assert probe(make_clip(tmp_path / "film.mkv", frames=2)).hdr is None


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_it_is_handed_on(film, tmp_path, codec, suffix):
    output = tmp_path / f"film.color{suffix}"
    settings = Settings(model="standin", codec=codec, threads=1)
    run_film(Order(source=film, output=output, settings=settings))
    before, after = probe(film), probe(output)
    assert before.hdr is not None
    assert after.hdr is not None
    assert after.hdr.levels == before.hdr.levels
    assert after.tags == before.tags
    assert after.hdr.display is not None
    # AV1 stores fractions of another unit.
    near = Fraction(1, 30000)
    for old, new in zip(before.hdr.display or (), after.hdr.display, strict=True):
        assert abs(new - old) <= max(near, old * near), (float(old), float(new))


def test_where_it_cannot_be_that_is_said(film, tmp_path):
    said = []
    order = Order(
        source=film,
        output=tmp_path / "film.color.mkv",
        settings=Settings(model="standin", codec="ffv1", threads=1),
    )
    run_film(order, report=lambda event: said.append(event))
    texts = [event.text for event in said if isinstance(event, Warned)]
    assert any("mastering display" in text for text in texts), texts


def test_notes_on_scenes_are_missed_aloud(film, tmp_path):
    noted = tmp_path / "film.mkv"
    with av.open(str(film)) as source, av.open(str(noted), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                unit = b"\x4e\x01\x04" + bytes((len(HDR10_PLUS),)) + HDR10_PLUS + b"\x80"
                whole = av.Packet(len(unit).to_bytes(4, "big") + unit + bytes(packet))
                whole.pts, whole.dts, whole.time_base = packet.pts, packet.dts, packet.time_base
                whole.is_keyframe, whole.stream = packet.is_keyframe, video
                out.mux(whole)
    assert probe(film).scene_notes == ()
    assert probe(noted).scene_notes == ("HDR10+",)
    output = tmp_path / "film.color.mkv"
    assert any("the HDR10+ notes" in text for text in warnings_of(noted, output))
    assert probe(output).scene_notes == ()
    assert not any("notes" in text for text in warnings_of(film, tmp_path / "other.mkv"))


def written(*fields):
    """(value, bits) one after the other, filled up to whole bytes."""
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


# One window that is the whole picture (SMPTE ST 2094-40): three brightest, the mean, no
# distribution, no bright share, no curve, no weight of saturation.
HDR10_PLUS = b"\xb5\x00\x3c\x00\x01\x04\x01" + written(
    *((1, 2), (400, 27), (0, 1)), *[(50_000, 17)] * 4, *((0, 4), (1, 10), (0, 1), (0, 1), (0, 1))
)


def warnings_of(source, output):
    said = []
    order = Order(source=source, output=output, settings=Settings(model="standin", threads=1))
    run_film(order, report=lambda event: said.append(getattr(event, "text", "")))
    return said
