"""Dissolves on made-up films: alpha against the known one, none where there is none, and colour
that is mixed as the pictures are and crosses nowhere else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from av.video.stream import VideoStream

from tests.clips import write_plane
from tests.test_shots import (
    HEIGHT,
    ONE_SHOT,
    WIDTH,
    flickering,
    grainy,
    pan,
    scene,
    still,
    thumbnails,
    zoom,
)
from vidcolor.dissolves import (
    DISSOLVE_REACH_FRAMES,
    LONGEST,
    Dissolve,
    DissolveFinder,
    overlapping,
)
from vidcolor.frames import BEGINNING, END, PictureFormat
from vidcolor.inference import Engine
from vidcolor.media.probe import probe
from vidcolor.models.standin import StandinModel
from vidcolor.pipeline import REACH_FRAMES, Colorizer, film_facts
from vidcolor.settings import Settings
from vidcolor.shots import is_blank

BEFORE = 20
"""Frames of the first shot alone, and of the second."""


def dissolve(first, second, between):
    """`between` frames that blend the last of one film into the next's: (film, alphas).

    Both shots go on under the blend; each must have BEFORE + `between` frames.
    """
    alphas = np.clip((np.arange(2 * BEFORE + between) - BEFORE + 1) / (between + 1), 0, 1)
    film = []
    for n, a in enumerate(alphas):
        one = first[min(n, BEFORE + between - 1)]
        other = second[min(max(n - BEFORE, 0), BEFORE + between - 1)]
        film.append((1 - a) * one + a * other)
    return film, alphas


def watch(film):
    """(alpha or None, dissolves) of each frame, asked as soon as its neighbours are there."""
    finder, pictures = DissolveFinder(), thumbnails(film)
    found = []
    for n in range(len(pictures) + DISSOLVE_REACH_FRAMES):
        if n < len(pictures):
            finder.add(pictures[n])
        asked = n - DISSOLVE_REACH_FRAMES
        if asked >= 0:
            seen = finder.around(asked)
            inside = [d for d in seen if d.last < asked < d.first]
            found.append((inside[0].alpha(asked) if inside else None, seen))
    return found


@pytest.mark.parametrize("between", [1, 4, 8, 16, 24])
@pytest.mark.parametrize("noise", ["clean", "flicker and grain"])
def test_alpha_of_stills(between, noise):
    """Within 0.02 where both ends are in reach (0.12 under flicker and grain); where the far end
    isn't, within 0.12."""
    long = BEFORE + between
    film, alphas = dissolve(still(1, long), still(2, long), between)
    if noise != "clean":
        film = grainy(flickering(film, levels=12), 6)
    near = 0.02 if noise == "clean" else 0.12
    for n, (found, _) in enumerate(watch(film)):
        alpha = alphas[n]
        if not 0 < alpha < 1:
            assert found is None or min(found, 1 - found) <= 0.12, n
            continue
        last, first = BEFORE - 1, BEFORE + between
        in_reach = max(n - last, first - n) <= DISSOLVE_REACH_FRAMES
        if found is None:
            assert min(alpha, 1 - alpha) < 0.2, (n, alpha)
            assert not in_reach, n
        else:
            assert abs(found - alpha) <= (near if in_reach else 0.12), (n, found, alpha)


@pytest.mark.parametrize("between", [8, 16, 24])
def test_alpha_of_slow_pans(between):
    """Shots that move under the blend: within 0.15."""
    long = BEFORE + between
    one, other = pan(3, long, 0.25), pan(4, long, 0.25)
    film, alphas = dissolve(one, other, between)
    found = [a for a, _ in watch(film)]
    middle = BEFORE + between // 2
    assert found[middle] is not None
    for n in range(middle - between // 4, middle + between // 4 + 1):
        assert found[n] == pytest.approx(alphas[n], abs=0.15), n


NONE = ONE_SHOT | {
    "slow pan": pan(20, 60, 2),
    "slower pan": pan(21, 60, 1),
    "zoom in": zoom(22, 40, 2),
    "cut": still(23, 20) + still(24, 20),
    "cut in a pan": pan(25, 20, 3) + pan(26, 20, 3),
    "flicker": flickering(pan(27, 50, 1)),
    "light turned up": [scene(28) * (0.3 + 0.7 * min(1, n / 20)) for n in range(40)],
    "fade out and in": [
        16 + (f - 16) * abs(n - 15) / 15 for n, f in enumerate(still(29, 15) + still(30, 16))
    ],
    "wipe": [
        np.where(np.arange(160) < 8 * n, scene(31), scene(32)).astype(np.float64)
        for n in range(-6, 26)
    ],
}


@pytest.mark.parametrize("film", NONE)
def test_no_dissolve_is_seen_where_there_is_none(film):
    assert all(not seen for _, seen in watch(NONE[film]))


def test_what_is_seen_depends_on_the_neighbours_alone():
    long = BEFORE + 16
    film, _ = dissolve(pan(5, long, 0.25), pan(6, long, 0.25), 16)
    whole = watch(flickering(film))
    for start in (3, 11, 19):
        part = watch(flickering(film)[start:])
        for n in range(start + DISSOLVE_REACH_FRAMES, len(film)):
            moved = [Dissolve(d.last + start, d.first + start) for d in part[n - start][1]]
            assert moved == whole[n][1], (start, n)


@pytest.mark.parametrize(("between", "sure"), [(20, 0.2), (24, 0.4)])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_card_that_dissolves_into_a_picture_or_out_of_it(between, sure, backwards):
    """Even ground hides nothing of the picture that comes through it. The longer the dissolve, the
    more of its frames see only one end, which may be a mere trace of the other."""
    card = np.full((HEIGHT, WIDTH), 20.0)
    for row in (40, 60, 80):
        card[row : row + 6, 40:120:6] = card[row : row + 6, 42:120:6] = 210
    one, other = [card] * (BEFORE + between), still(4, BEFORE + between)
    film, alphas = dissolve(other, one, between) if backwards else dissolve(one, other, between)
    for (alpha, _), expected in zip(watch(film), alphas, strict=True):
        if sure < expected < 1 - sure:
            assert alpha == pytest.approx(expected, abs=0.2)


def test_products_are_the_same_wherever_the_stream_began():
    """To the last bit, or a threshold would now and then be crossed in one run alone."""
    pictures = thumbnails(grainy(pan(7, 40, 1)))
    one, other = DissolveFinder(), DissolveFinder(late=9)
    for n, picture in enumerate(pictures):
        one.add(picture)
        if n >= 5:
            other.add(picture)
    ours = [n % one._kept for n in range(10, 40)]
    theirs = [(n - 5) % other._kept for n in range(10, 40)]
    assert np.array_equal(
        one._products[np.ix_(ours, ours)], other._products[np.ix_(theirs, theirs)]
    )


def test_a_late_question_is_answered_alike():
    film, _ = dissolve(still(1, 40), still(2, 40), 12)
    finder = DissolveFinder(late=40)
    for picture in thumbnails(film) + thumbnails(still(9, 40)):
        finder.add(picture)
    expected = [seen for _, seen in watch(film + still(9, 40))]
    for n in range(20, len(film)):
        assert finder.around(n) == expected[n], n


def test_groups_of_overlapping_pairs():
    pairs = [Dissolve(4, 9), Dissolve(2, 8), Dissolve(9, 12), Dissolve(10, 14)]
    assert [len(group) for group in overlapping(pairs)] == [2, 2]
    assert list(overlapping([])) == []
    assert [Dissolve(10, 14).alpha(n) for n in (8, 10, 12, 14, 20)] == [0, 0, 0.5, 1, 1]
    assert LONGEST == 2 * DISSOLVE_REACH_FRAMES < 2 * REACH_FRAMES


class Sides(StandinModel):
    """One colour for a dark picture, the opposite for a bright one."""

    def forward(self, lightness, hints=None):
        side = torch.where(lightness.mean((1, 2, 3)) > 50, 1.0, -1.0)
        return side[:, None, None, None] * torch.full((1, 2, 32, 32), 20.0)


def colorizer_of(path, **changes):
    info = probe(path)
    shape = PictureFormat(
        pixel_format="yuv420p",
        bit_depth=8,
        width=info.width,
        height=info.height,
        chroma_width=info.width // 2,
        chroma_height=info.height // 2,
    )
    engine = Engine(Sides(), torch.device("cpu"), batch=1)
    return Colorizer(info, film_facts(info), Settings(model="standin", **changes), engine, shape)


def write(path, film):
    with av.open(path, "w") as out:
        video = out.add_stream("ffv1", rate=Fraction(24))
        assert isinstance(video, VideoStream)
        height, width = film[0].shape
        video.width, video.height, video.pix_fmt = width, height, "gray"
        for n, picture in enumerate(film):
            frame = av.VideoFrame(width, height, "gray")
            write_plane(frame.planes[0], np.clip(np.rint(picture), 16, 235).astype(np.uint8))
            frame.pts, frame.time_base = n, Fraction(1, 24)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def colours(colorizer):
    """Mean a of each frame as gathered, Lab units."""
    finder = colorizer._finder()
    frames = colorizer.read(BEGINNING, END)
    items = colorizer._gathered(colorizer._analysed(frames, lambda pts: True, finder), finder)
    return np.array([float(item.ab[..., 0].mean()) for item in items])


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("between", [8, 16, 24])
def test_colour_is_mixed_as_the_pictures_are(tmp_path, between, every):
    """-20 in one shot, 20 in the other: within 3 of the blend, or 7 of 40 where an end is out of
    reach; and to a hundredth of its own colour in each shot."""
    long = BEFORE + between
    dark, bright = still(1, long, level=75.0), still(2, long, level=165.0)
    film, alphas = dissolve(dark, bright, between)
    found = colours(colorizer_of(write(tmp_path / "film.mkv", film), anchor_every=every))
    expected = -20 + 40 * alphas
    np.testing.assert_allclose(found[alphas == 0], -20, atol=0.2)
    np.testing.assert_allclose(found[alphas == 1], 20, atol=0.2)
    inside = (alphas > 0) & (alphas < 1)
    off = np.abs(found - expected)[inside]
    assert off.max() < (3 if between <= DISSOLVE_REACH_FRAMES - 1 else 7), off.round(1)


def test_ranges_of_a_dissolve_are_what_the_whole_is(tmp_path):
    """Purity: a stream begun cold anywhere gives the pictures of the whole run."""
    long = BEFORE + 16
    film, _ = dissolve(pan(5, long, 0.25, level=75.0), pan(6, long, 0.25, level=165.0), 16)
    colorizer = colorizer_of(write(tmp_path / "film.mkv", flickering(film, levels=6)))
    whole = {p.pts: (p.u.tobytes(), p.v.tobytes()) for p in colorizer.pictures(BEGINNING, END)}
    times = sorted(whole)
    assert len(times) == len(film)
    for first in range(0, len(times), 5):
        start, end = times[first], times[first] + 1
        part = {p.pts: (p.u.tobytes(), p.v.tobytes()) for p in colorizer.pictures(start, end)}
        assert part == {start: whole[start]}, first


def test_ranges_are_what_the_whole_is_where_frames_are_called_titles(tmp_path, monkeypatch):
    """However the flags lie that each frame gets for itself, a vote at the window's border too."""
    film, _ = dissolve(still(1, 49, level=75.0), still(2, 49, level=165.0), 24)
    flags = np.random.default_rng(3).random(len(film)) < 0.55
    monkeypatch.setattr(Colorizer, "_shows_title", lambda _, frame, small: bool(flags[frame.pts]))
    colorizer = colorizer_of(write(tmp_path / "film.mkv", film))
    colorizer.info = replace(colorizer.info, time_base=1 / colorizer.info.rate)
    frames = [replace(f, pts=n) for n, f in enumerate(colorizer.read(BEGINNING, END))]

    def shown(start, end, given):
        pairs = colorizer.pairs(start, end, frames=iter(given))
        return [(p.u.tobytes(), p.v.tobytes()) for _, p in pairs]

    whole = shown(BEGINNING, END, frames)
    for n in range(18, len(film) - 18, 2):
        around = frames[n - REACH_FRAMES : n + REACH_FRAMES + 1]
        assert shown(n, n + 1, around) == [whole[n]], n


def test_no_colour_crosses_the_black(tmp_path):
    """A fade out and in: each side keeps its own colour."""
    one = [16 + (f - 16) * (1 - n / 12) for n, f in enumerate(still(1, 12, level=90.0))]
    two = [16 + (f - 16) * (n + 1) / 12 for n, f in enumerate(still(2, 12, level=190.0))]
    film = still(1, 8, level=90.0) + one + [np.full_like(one[0], 16)] * 3 + two
    film += still(2, 8, level=190.0)
    shown = [not is_blank(picture) for picture in thumbnails(film)]
    assert shown == [True] * 19 + [False] * 5 + [True] * 19

    class Shots(StandinModel):
        """-20 before the middle of the black, 20 after."""

        def forward(self, lightness, hints=None):
            side = 1.0 if self.is_second else -1.0
            return torch.full((len(lightness), 2, 32, 32), 20.0) * side

        is_second = False

    model = Shots()
    engine = Engine(model, torch.device("cpu"), batch=1)
    colorizer = colorizer_of(write(tmp_path / "film.mkv", film), anchor_every=1)
    colorizer.engine = engine
    lightness = colorizer._network_lightness

    def told(frame):
        model.is_second = frame.pts * float(colorizer.info.time_base) * 24 >= 23 - 0.01
        return lightness(frame)

    colorizer._network_lightness = told
    found = colours(colorizer)
    np.testing.assert_allclose(found[:19], -20, atol=0.5)
    np.testing.assert_allclose(found[24:], 20, atol=0.5)
