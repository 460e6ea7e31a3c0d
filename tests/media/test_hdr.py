"""What a high dynamic range film says of its grading reaches the film in colour."""

from __future__ import annotations

from fractions import Fraction

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
