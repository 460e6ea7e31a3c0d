"""Rendering of chroma: edges, gamut, shadows and highlights, bars, on made-up pictures."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from skimage import color as judge

from tests.clips import luma as luma_of_clip
from tests.test_repeats import FACTS
from tests.test_repeats import FORMAT as CLIP_FORMAT
from tests.test_repeats import INFO as CLIP
from vidcolor.color import ColorSpace, tone_fade
from vidcolor.errors import SettingsError
from vidcolor.facts import Box
from vidcolor.frames import BEGINNING, END, ColorTags, Frame
from vidcolor.inference import Engine
from vidcolor.models.standin import StandinModel
from vidcolor.pipeline import Colorizer
from vidcolor.rendering import gamut_scale, held_chroma, render_chroma
from vidcolor.resample import enlarge, refit, shrink
from vidcolor.settings import Settings

BT709 = ColorTags(matrix=1, primaries=1, transfer=1, full_range=False)
BT601 = ColorTags(matrix=6, primaries=6, transfer=6, full_range=False)
SPACE = ColorSpace(BT601, bit_depth=8)

WIDTH, HEIGHT = 320, 240
INFO = replace(CLIP, width=WIDTH, height=HEIGHT)
FORMAT = replace(
    CLIP_FORMAT,
    width=WIDTH,
    height=HEIGHT,
    chroma_width=WIDTH // 2,
    chroma_height=HEIGHT // 2,
)

WIDE, HIGH = 960, 720
SMALL, GATHER, CHROMA = (256, 192), (128, 96), (WIDE // 2, HIGH // 2)
OBJECT, GROUND = np.array([25, 18], np.float32), np.array([-12, -15], np.float32)
"""ab of a thing and of what lies behind it."""


def disc(contrast=60.0, texture=0.0):
    """Luma (720, 960) of a disc on a ground, and how far inside it each chroma sample lies, in
    chroma samples."""
    ys, xs = np.mgrid[:HIGH, :WIDE].astype(np.float32)
    inside = 200 - np.hypot(ys - HIGH / 2, xs - WIDE / 2)
    return drawn(inside, contrast, texture), shrink(inside, CHROMA) / 2


def drawn(inside, contrast, texture):
    noise = np.random.default_rng(0).standard_normal(inside.shape).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 4)
    luma = 100 + contrast * np.clip(inside + 0.5, 0, 1) + texture * noise / noise.std()
    return np.clip(np.rint(luma), 16, 235).astype(np.uint8)


def shares(luma, inside, blur=1.0, render=True):
    """How much of the object's colour each chroma sample has, 0 the ground's and 1 its own, when
    the colour is known at gathering size only, blurred by `blur` samples there."""
    share = shrink(np.clip(inside + 0.5, 0, 1), GATHER)
    share = cv2.GaussianBlur(share, (0, 0), blur)[..., None]
    ab = np.moveaxis(enlarge(share * OBJECT + (1 - share) * GROUND, SMALL), 2, 0)
    ab, small, y = np.ascontiguousarray(ab), shrink(luma, SMALL), shrink(luma, CHROMA)
    if render:
        planes = list(render_chroma(luma, small, ab, SPACE, size=CHROMA, guide_space=SPACE))
    else:
        wide = enlarge(SPACE.chroma(small, ab), CHROMA)
        planes = [SPACE.quantize(np.ascontiguousarray(wide[..., c])) for c in (0, 1)]
    found = (np.dstack(planes).astype(np.float32) - 128) / 224
    mine, other = (
        SPACE.chroma(y, np.broadcast_to(c[:, None, None], (2, *y.shape)).copy())
        for c in (OBJECT, GROUND)
    )
    apart = mine - other
    return ((found - other) * apart).sum(2) / (apart * apart).sum(2)


def profile(found, inside):
    """Mean share by distance from the edge, -24 to 24 chroma samples."""
    places = np.arange(-24, 25)
    return np.array([found[np.abs(inside - n) < 0.5].mean() for n in places])


def width(means):
    """Chroma samples that colour takes from 10 % to 90 %."""
    return int(np.argmax(means > 0.9) - np.argmax(means > 0.1))


@pytest.mark.parametrize("texture", [0, 8])
def test_colour_ends_where_the_object_ends_and_has_no_halo(texture):
    """6 samples where bilinear enlargement takes 12; nothing over the object's own colour or under
    the ground's by more than 3 %."""
    luma, inside = disc(texture=texture)
    distance = inside * 2
    full = np.repeat(np.repeat(distance, 2, 0), 2, 1)
    plain = profile(shares(luma, full, render=False), inside)
    ours = profile(shares(luma, full), inside)
    assert width(plain) >= 11, plain
    assert width(ours) <= 6, ours
    assert ours.min() > -0.03
    assert ours.max() < 1.03
    edge = np.arange(-24, 25) >= 0
    assert np.abs(ours - edge).sum() < 0.6 * np.abs(plain - edge).sum()


def test_texture_is_not_printed_into_colour():
    luma, inside = disc(texture=12)
    full = np.repeat(np.repeat(inside * 2, 2, 0), 2, 1)
    found = shares(luma, full)
    assert found[inside < -20].std() < 0.02
    assert found[inside > 20].std() < 0.02
    near = (inside < -4) & (inside > -20)
    assert (
        found[near] - profile(found, inside)[np.rint(inside[near]).astype(int) + 24]
    ).std() < 0.06


@pytest.mark.parametrize(("thick", "least"), [(6, 0.33), (12, 0.55), (24, 0.8)])
def test_thin_things_get_more_of_their_colour_and_spill_less(thick, least):
    """A pole, some pixels of 960 wide: at 6 it is one and a half samples of the small picture."""
    inside = np.broadcast_to(thick / 2 - np.abs(np.arange(WIDE) - WIDE / 2), (HIGH, WIDE))
    inside = np.ascontiguousarray(inside, np.float32)
    luma = drawn(inside, 60, 0)
    ours, plain = (shares(luma, inside, render=r)[100:-100] for r in (True, False))
    middle = CHROMA[0] // 2
    assert ours[:, middle].mean() >= max(least, plain[:, middle].mean() - 0.02)
    beside = np.r_[middle - thick // 4 - 8 : middle - thick // 4 - 2]
    assert np.abs(ours[:, beside]).mean() < 0.95 * np.abs(plain[:, beside]).mean()
    assert ours.min() > -0.1
    assert ours.max() < 1.1


def test_what_luma_does_not_show_stays():
    """Two colours of one luma: the border stays where and as sharp as it was."""
    luma = np.full((HIGH, WIDE), 120, np.uint8)
    inside = np.broadcast_to(np.arange(WIDE) - WIDE / 2, (HIGH, WIDE)).astype(np.float32)
    ours, plain = (shares(luma, inside, render=r) for r in (True, False))
    assert np.abs(ours - plain).max() < 0.03


def sweep(tags, bit_depth, chroma):
    """Lumas by hues: codes (m, n), ab (2, m, n), hues in radians (n,)."""
    scale = 1 << (bit_depth - 8)
    hues = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    codes = np.repeat(np.linspace(30, 225, 40)[:, None], len(hues), 1) * scale
    codes = codes.astype(np.uint8 if bit_depth == 8 else np.uint16)
    ab = chroma * np.stack([np.cos(hues), np.sin(hues)])[:, None]
    return codes, np.repeat(ab, len(codes), 1).astype(np.float32), hues


def lab_of(codes, planes, space):
    """CIE Lab of luma and chroma codes, by scikit-image."""
    y = space.normalize(codes).astype(np.float64)
    cb, cr = ((p.astype(np.float64) - space.chroma_center) / space.chroma_span for p in planes)
    red, blue = y + 2 * (1 - space.kr) * cr, y + 2 * (1 - space.kb) * cb
    green = (y - space.kr * red - space.kb * blue) / (1 - space.kr - space.kb)
    rgb = np.dstack([red, green, blue])
    slack = 1.5 / space.chroma_span
    assert rgb.min() > -slack
    assert rgb.max() < 1 + slack
    return judge.rgb2lab(np.clip(rgb, 0, 1))


@pytest.mark.parametrize("tags", [BT601, BT709])
@pytest.mark.parametrize("bit_depth", [8, 10])
@pytest.mark.parametrize(("chroma", "most", "mean"), [(20, 9, 1.1), (40, 11, 1.2), (80, 15, 1.8)])
def test_hue_holds_at_the_edge_of_the_gamut(tags, bit_depth, chroma, most, mean):
    """CIE hue in degrees, where there is colour enough to have one; half a code is 7 of them at a
    chroma of 6. Scaling Cb and Cr alone turned blues of chroma 80 by 37."""
    space = ColorSpace(tags, bit_depth=bit_depth)
    codes, ab, hues = sweep(tags, bit_depth, chroma)
    small = ColorSpace(tags, bit_depth=8)
    held = held_chroma((codes >> (bit_depth - 8)).astype(np.uint8), ab, small)
    y = space.normalize(codes)
    scale = gamut_scale(y, held[..., 0], held[..., 1], space)
    assert scale.min() > 0.95  # nothing is left for the matrix's own scaling to do
    planes = [space.quantize(np.ascontiguousarray(held[..., c]) * scale) for c in (0, 1)]
    lab = lab_of(codes, planes, space)
    turned = np.degrees(np.arctan2(lab[..., 2], lab[..., 1]) - hues)
    turned = np.abs((turned + 180) % 360 - 180)[np.hypot(lab[..., 1], lab[..., 2]) > 6]
    assert turned.max() < most, turned.max()
    assert turned.mean() < mean, turned.mean()


def test_colours_that_fit_are_not_touched():
    codes, ab, _ = sweep(BT709, 8, 8.0)
    space = ColorSpace(BT709, bit_depth=8)
    inside = slice(4, -12)
    np.testing.assert_array_equal(
        held_chroma(codes[inside], np.ascontiguousarray(ab[:, inside]), space),
        space.chroma(codes[inside], np.ascontiguousarray(ab[:, inside])),
    )


@pytest.mark.parametrize("bit_depth", [8, 10])
def test_shadows_and_highlights_fade_without_a_step(bit_depth):
    """On a ramp of every luma code colour grows out of black and dies into white, each code of luma
    moving chroma by a code at most (of 8 bits), two in the last highlights, where the gamut ends
    too."""
    space = ColorSpace(BT601, bit_depth=bit_depth)
    scale = 1 << (bit_depth - 8)
    ramp = np.arange(16 * scale, 236 * scale)
    ramp = ramp.astype(np.uint8 if bit_depth == 8 else np.uint16)
    luma = np.repeat(np.repeat(ramp[None], 64, 0), 8, 1)
    guide = (shrink(luma, (220, 16)) >> (bit_depth - 8)).astype(np.uint8)
    ab = np.broadcast_to(np.array([14, 10], np.float32)[:, None, None], (2, 16, 220)).copy()
    u, v = render_chroma(
        luma, guide, ab, space, size=(len(ramp), 32), guide_space=ColorSpace(BT601, bit_depth=8)
    )
    size = np.hypot(*((p[16].astype(float) - space.chroma_center) / scale for p in (u, v)))
    y = (ramp / scale - 16) / 219
    assert size[y < 0.03].max() == 0
    assert size[-1] <= 1
    growing, dying = size[y < 0.2], size[y > 0.94]
    assert np.diff(growing).min() >= -1.5 / scale - 0.5
    assert np.abs(np.diff(growing)).max() <= 1.5
    assert np.diff(dying).max() <= 0.75
    assert np.abs(np.diff(dying)).max() <= 2.5
    assert size[(y > 0.25) & (y < 0.9)].min() > 8


def test_the_fade_itself_is_monotone():
    fade = tone_fade(np.linspace(0, 1, 2001, dtype=np.float32))
    top = int(np.argmax(fade == 1))
    assert (np.diff(fade[: top + 1]) >= 0).all()
    assert (np.diff(fade[1000:]) <= 0).all()
    assert np.abs(np.diff(fade)).max() < 0.01


def test_enlarging_again_what_was_made_small_loses_little():
    """A smooth field of colour that luma knows nothing of comes back as from bilinear enlargement:
    the guided filter itself smoothed it away."""
    rng = np.random.default_rng(4)
    field = cv2.GaussianBlur(rng.standard_normal((96, 128, 2)).astype(np.float32), (0, 0), 2.5)
    field = np.asarray(field * (8 / field.std()), np.float32)
    luma = drawn(np.full((HIGH, WIDE), -9, np.float32), 60, 10)
    wide = enlarge(refit(field, GATHER), SMALL)
    ab = np.ascontiguousarray(np.moveaxis(wide, 2, 0), np.float32)
    small = shrink(luma, SMALL)
    planes = render_chroma(luma, small, ab, SPACE, size=CHROMA, guide_space=SPACE)
    plain = enlarge(SPACE.chroma(small, ab), CHROMA)
    for plane, expected in zip(planes, np.moveaxis(plain, 2, 0), strict=True):
        wanted = SPACE.quantize(np.ascontiguousarray(expected)).astype(int)
        assert np.abs(plane.astype(int) - wanted).mean() < 0.6


def test_colour_at_its_own_size_gives_what_enlarged_colour_does():
    """To a code where all colours fit into the gamut; where many don't, to three for 98 of 100:
    the border is steep beside edges."""
    luma = cv2.resize(cv2.cvtColor(skimage.data.coffee(), cv2.COLOR_RGB2GRAY), (WIDE, HIGH))
    noise = np.random.default_rng(6).standard_normal((GATHER[1], GATHER[0], 2)).astype(np.float32)
    small, ab = shrink(luma, SMALL), cv2.GaussianBlur(noise, (0, 0), 6)
    for strength, share, most in ((8, 100, 1), (25, 98, 3)):
        at_its_size = np.asarray(ab * (strength / ab.std()), np.float32)
        own, wide = (
            render_chroma(
                luma,
                small,
                np.ascontiguousarray(np.moveaxis(each, 2, 0)),
                SPACE,
                size=CHROMA,
                guide_space=SPACE,
            )
            for each in (at_its_size, enlarge(at_its_size, SMALL))
        )
        away = np.abs(np.stack(own).astype(int) - np.stack(wide))
        assert away.mean() < 0.2
        assert np.percentile(away, share) <= most


def film_of(planes, *, chroma=None):
    return [Frame(pts, 1, plane, chroma) for pts, plane in enumerate(planes)]


def pictures(frames, *, box=(0, HEIGHT, 0, WIDTH), **changes):
    top, bottom, left, right = box
    facts = replace(FACTS, box=Box(top=top, bottom=bottom, left=left, right=right))
    engine = Engine(StandinModel(), torch.device("cpu"), batch=1)
    made = Colorizer(INFO, facts, Settings(model="standin", **changes), engine, FORMAT)
    return [picture for _, picture in made.pairs(BEGINNING, END, frames=iter(frames))]


def mean_chroma(picture):
    return float(np.hypot(*(p.astype(float) - 128 for p in (picture.u, picture.v))).mean())


def test_a_tinted_source_reads_as_gray():
    """Sepia planes beside the luma change nothing."""
    planes = [luma_of_clip(n, WIDTH, HEIGHT) for n in range(6)]
    sepia = np.full((HEIGHT // 2, WIDTH // 2), 108, np.uint8)
    gray, toned = (pictures(film_of(planes, chroma=c)) for c in (None, (sepia, sepia + 50)))
    for one, other in zip(gray, toned, strict=True):
        np.testing.assert_array_equal(one.u, other.u)
        np.testing.assert_array_equal(one.v, other.v)


def test_saturation_scales_colour():
    planes = [luma_of_clip(n, WIDTH, HEIGHT) for n in range(3)]
    none, plain, strong = (pictures(film_of(planes), saturation=s)[1] for s in (0.0, 1.0, 1.5))
    assert mean_chroma(none) == 0
    assert 1.3 * mean_chroma(plain) < mean_chroma(strong) < 1.6 * mean_chroma(plain)


@pytest.mark.parametrize("wrong", [-0.5, 2.5])
def test_a_wrong_saturation_is_told_in_one_sentence(wrong):
    with pytest.raises(SettingsError) as told:
        Settings(saturation=wrong)
    assert "saturation" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("box", [(31, 209, 0, WIDTH), (0, HEIGHT, 13, 285), (31, 209, 13, 285)])
def test_no_chroma_sample_reaches_into_a_bar(box):
    """Bars that end within a chroma sample: it is neutral too, the next one isn't."""
    top, bottom, left, right = box
    planes = []
    for n in range(4):
        plane = np.full((HEIGHT, WIDTH), 16, np.uint8)
        plane[top:bottom, left:right] = luma_of_clip(n, WIDTH, HEIGHT)[top:bottom, left:right]
        planes.append(plane)
    for picture in pictures(film_of(planes), box=box):
        for chroma in (picture.u, picture.v):
            wide = np.repeat(np.repeat(chroma, 2, 0), 2, 1)
            inside = np.zeros((HEIGHT, WIDTH), np.bool_)
            inside[top:bottom, left:right] = True
            assert (wide[~inside] == 128).all()
        first = picture.u[(top + 1) // 2, (left + 1) // 2 : right // 2]
        assert (first != 128).any()


def test_a_title_between_two_shots_is_neutral_and_they_are_not():
    """The title's frames alone, exactly, from its first to its last, under grain."""
    rng = np.random.default_rng(7)
    card = written(["A long time ago, in", "a town by the sea, where", "nobody knew him."])
    planes = [luma_of_clip(n, WIDTH, HEIGHT) for n in range(10)]
    planes += [
        np.clip(card + rng.normal(0, 4, card.shape), 0, 255).astype(np.uint8) for _ in range(14)
    ]
    planes += [luma_of_clip(n, WIDTH, HEIGHT, seed=3) for n in range(10)]
    for changes in ({}, {"smoothing": False, "anchor_every": 1}):
        sizes = [mean_chroma(p) for p in pictures(film_of(planes), **changes)]
        assert max(sizes[10:24]) == 0, sizes
        assert min(sizes[:10] + sizes[24:]) > 1, sizes


def written(lines):
    """Light writing on a dark ground, (HEIGHT, WIDTH)."""
    wide = np.full((4 * HEIGHT, 4 * WIDTH), 24, np.uint8)
    for n, line in enumerate(lines):
        cv2.putText(wide, line, (30, 110 + 70 * n), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 220, 3)
    return shrink(wide, (WIDTH, HEIGHT)).astype(np.float32)
