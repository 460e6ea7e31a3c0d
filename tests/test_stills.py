"""Colour for one photograph: lightness kept, colours inside edges, files whole or not at all."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color as judge

from tests import tolerances
from tests.pictures import (
    ADOBE,
    P3,
    colours,
    exif_block,
    gamma_tag,
    gray_profile,
    lab_by_lcms,
    rgb_profile,
    soft_gray,
)
from vidcolor.color import RgbSpace
from vidcolor.errors import ColorSourceError, OutputError, SourceError, UsageError
from vidcolor.inference import Engine, open_engine
from vidcolor.media.icc import srgb_profile
from vidcolor.media.metadata import stored, upright
from vidcolor.models.standin import StandinModel
from vidcolor.settings import Settings
from vidcolor.stills import (
    BAND_SAMPLES,
    HINT_SIDE,
    Hint,
    StillOrder,
    colorize_photo,
    colorize_still,
)

SETTINGS = Settings(model="standin", device="cpu", threads=2)
SRGB = RgbSpace.srgb()
PHOTOS = Path(__file__).parent.parent.parent / "shared" / "clips" / "photos_bw"


class Listening(StandinModel):
    """The stand-in, taking hints and remembering what it was given."""

    accepts_hints = True

    def forward(self, lightness, hints=None):
        self.heard = lightness, hints
        return super().forward(lightness)


class Painting(StandinModel):
    """One colour for everything, as given."""

    def __init__(self, a, b):
        super().__init__()
        self.ab = a, b

    def forward(self, lightness, hints=None):
        return torch.tensor(self.ab)[None, :, None, None].expand(len(lightness), 2, 32, 32)


@pytest.fixture(scope="module")
def engine():
    return open_engine(SETTINGS)


@pytest.fixture
def listening():
    return Engine(Listening(), torch.device("cpu"), 1)


def painting(a, b):
    return Engine(Painting(a, b), torch.device("cpu"), 1)


def photo(width=150, height=110, bits=8, channels=1):
    gray = soft_gray(width, height)
    gray = (gray >> 8).astype(np.uint8) if bits == 8 else gray
    return gray if channels == 1 else np.dstack([gray] * channels)


def lightness_by_judge(rgb):
    """CIE L of R'G'B' or gray by scikit-image."""
    whole = rgb / np.iinfo(rgb.dtype).max
    return judge.rgb2lab(np.dstack([whole] * 3) if rgb.ndim == 2 else whole)[..., 0]


def chroma(rgb):
    return np.hypot(*SRGB.lab(np.ascontiguousarray(rgb[..., :3]))[..., 1:].transpose(2, 0, 1))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colour", [None, (70, 60), (-60, 50), (20, -100)], ids=str)
def test_lightness_stays(engine, bits, channels, colour):
    pixels = photo(bits=bits, channels=channels)
    made = colorize_still(pixels, painting(*map(float, colour)) if colour else engine)
    assert (made.shape, made.dtype) == ((110, 150, 3), pixels.dtype)
    error = np.abs(lightness_by_judge(made) - lightness_by_judge(pixels))
    assert error.max() < tolerances.STILL_LIGHTNESS[bits], np.percentile(error, (50, 99, 100))
    assert error.mean() < tolerances.STILL_LIGHTNESS_MEAN[bits]
    assert chroma(made).mean() > 5


def test_no_channel_is_clipped_so_hues_stay():
    made = colorize_still(photo(bits=16), painting(20.0, -100.0))
    lab = judge.rgb2lab(made / 65535)
    seen = np.hypot(lab[..., 1], lab[..., 2]) > 5
    hues = np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))[seen]
    assert seen.mean() > 0.5
    np.testing.assert_allclose(hues, np.degrees(np.arctan2(-100, 20)), atol=1)


def test_saturation_scales_the_colour(engine):
    pixels = photo(bits=16)
    none, half, whole = (
        colorize_still(pixels, painting(8.0, 6.0), saturation=s) for s in (0.0, 0.5, 1.0)
    )
    assert (np.ptp(none.astype(int), axis=2) <= 1).all()
    middle = (lightness_by_judge(pixels) > 40) & (lightness_by_judge(pixels) < 80)
    np.testing.assert_allclose(chroma(whole)[middle], 10, atol=0.1)
    np.testing.assert_allclose(chroma(half)[middle], 5, atol=0.1)
    with pytest.raises(UsageError, match="0 to 2"):
        colorize_still(pixels, engine, saturation=2.5)
    with pytest.raises(UsageError, match="1 to 8"):
        colorize_still(pixels, engine, orientation=9)


def test_black_and_white_stay_neutral():
    pixels = np.zeros((40, 60), np.uint16)
    pixels[:, 30:] = 65535
    pixels[10:30, 10:50] = soft_gray(40, 20)
    made = colorize_still(pixels, painting(60.0, 60.0))
    ends = (pixels == 0) | (pixels == 65535)
    assert np.ptp(made.astype(int), axis=2)[ends].max() <= 1
    assert np.ptp(made.astype(int), axis=2).max() > 5000


def test_colour_fades_out_of_deep_shadows_and_burnt_highlights():
    steps = np.array([5.0, 15, 50, 80, 99])
    codes = np.rint(judge.lab2rgb(np.array([[(step, 0, 0) for step in steps]]))[0, :, 0] * 65535)
    column = np.repeat(codes.astype(np.uint16), 60)[:, None]
    # Upside down beside itself, or its first and last steps would be bars.
    pixels = np.hstack([np.repeat(column, 150, 1), np.repeat(column[::-1], 150, 1)])
    made = chroma(colorize_still(pixels, painting(2.0, 1.0)))
    deep, dark, middle, light, burnt = made.reshape(5, 60, 300)[:, 25:35, 20:130].mean((1, 2))
    whole = np.hypot(2, 1)
    assert deep < 0.3 * whole < dark < 0.95 * whole
    assert burnt < 0.5 * whole
    assert (middle, light) == pytest.approx((whole, whole), abs=0.05)


def test_colour_ends_where_the_lightness_does():
    """A network's unsharp edge is sharpened by the picture's own."""

    class Sides(StandinModel):
        def forward(self, lightness, hints=None):
            sides = torch.tensor([-40.0] * 47 + [-20, 20] + [40.0] * 47)
            return torch.stack([sides, 0 * sides])[None, :, None].expand(1, 2, 96, 96)

    pixels = np.full((512, 512), 90, np.uint8)
    pixels[:, 256:] = 180
    pixels += np.random.default_rng(0).integers(0, 8, pixels.shape, dtype=np.uint8)
    a = SRGB.lab(colorize_still(pixels, Engine(Sides(), torch.device("cpu"), 1)))[..., 1].mean(0)
    assert a[240:254].max() < -15
    assert a[258:272].min() > 15


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (16, 16), (20, 4000), (3000, 7), (257, 255)])
@pytest.mark.parametrize("bits", [8, 16])
def test_any_shape_will_do(engine, shape, bits):
    made = colorize_still(photo(shape[1], shape[0], bits), engine)
    assert made.shape == (*shape, 3)
    error = np.abs(lightness_by_judge(made) - lightness_by_judge(photo(shape[1], shape[0], bits)))
    assert error.max() < tolerances.STILL_LIGHTNESS[bits]


def test_bands_leave_no_seam(engine, monkeypatch):
    pixels = photo(700, 300, 16)
    assert pixels.size > 3 * BAND_SAMPLES
    banded = colorize_still(pixels, engine)
    monkeypatch.setattr("vidcolor.stills.BAND_SAMPLES", pixels.size)
    whole = colorize_still(pixels, engine)
    assert np.abs(banded.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_stays(engine, bits, channels):
    pixels = photo(bits=bits, channels=channels)
    alpha = pixels[::-1, :, -1].copy()
    pixels[..., -1] = alpha
    made = colorize_still(pixels, engine)
    assert made.shape == (110, 150, 4)
    np.testing.assert_array_equal(made[..., 3], alpha)
    opaque = colorize_still(np.ascontiguousarray(pixels[..., :-1]), engine)
    assert np.abs(made[..., :3].astype(int) - opaque).max() <= 1


def test_views_and_single_channels_are_pictures_too(engine):
    pixels = photo()
    made = colorize_still(pixels, engine)
    np.testing.assert_array_equal(colorize_still(pixels[..., None], engine), made)
    turned = colorize_still(pixels[::-1, ::-1], engine)
    np.testing.assert_array_equal(turned, colorize_still(pixels[::-1, ::-1].copy(), engine))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), ">u2"),
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        [[1, 2], [3, 4]],
    ],
    ids=["float", "big-endian", "a line", "5 channels", "nothing", "a film", "lists"],
)
def test_other_arrays_are_refused(engine, pixels):
    with pytest.raises(UsageError, match="the picture") as caught:
        colorize_still(pixels, engine)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("turned", range(1, 9))
def test_the_network_sees_it_upright_and_the_samples_stay(engine, turned):
    shown = photo(150, 100, 16)
    expected = colorize_still(shown, engine)
    made = colorize_still(stored(shown, turned), engine, orientation=turned)
    difference = np.abs(upright(made, turned).astype(int) - expected)
    # Resampling sums in another order when rows are columns.
    assert difference.max() < 300, difference.max()
    assert chroma(expected).mean() > 5


def test_pictures_in_colour_are_refused(engine):
    pixels = (colours(150, 110) >> 8).astype(np.uint8)
    with pytest.raises(ColorSourceError, match=r"already has colour.*--recolor"):
        colorize_still(pixels, engine)
    made = colorize_still(pixels, engine, recolor=True)
    error = np.abs(lightness_by_judge(made) - lightness_by_judge(pixels))
    assert error.max() < tolerances.STILL_LIGHTNESS[8]
    assert np.abs(made.astype(int) - pixels).mean() > 10


def test_a_toned_print_gets_the_colours_of_its_lightness(engine):
    sepia = np.rint(photo()[..., None] * np.array([1, 0.85, 0.65])).astype(np.uint8)
    made = colorize_still(sepia, engine)
    error = np.abs(lightness_by_judge(made) - lightness_by_judge(sepia))
    assert error.max() < tolerances.STILL_LIGHTNESS[8]
    gray = colorize_still(sepia, engine, saturation=0)
    assert np.ptp(gray.astype(int), axis=2).max() <= 1


@pytest.mark.parametrize("level", [0, 128, 236, 255])
def test_a_frame_stays_neutral_and_is_kept_from_the_network(engine, level):
    inner = np.clip(photo(180, 130), 20, 200)
    inner += np.random.default_rng(0).integers(0, 30, inner.shape, dtype=np.uint8)
    framed = np.pad(inner, ((14, 20), (17, 11)), constant_values=level)
    made = colorize_still(framed, engine)
    view = made[14:-20, 17:-11]
    np.testing.assert_array_equal(view, colorize_still(inner, engine))
    around = np.ones(framed.shape, bool)
    around[14:-20, 17:-11] = False
    assert np.ptp(made.astype(int), axis=2)[around].max() == 0
    np.testing.assert_array_equal(made[around][:, 0], framed[around])


def test_hints_reach_the_network_where_they_are(listening):
    pixels = photo(320, 160)
    colorize_still(pixels, listening, hints=[Hint(80, 40, 30, -20), Hint(319, 159, 5, 6)])
    _, planes = listening._model.heard
    assert planes.shape == (1, 3, 64, 64)
    a, b, mask = planes[0].numpy()
    assert set(np.unique(mask)) == {0, 1}
    assert mask.sum() == 2 * HINT_SIDE**2
    rows, columns = np.nonzero(a == 30)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((16, 16), abs=0.5)
    assert (b[a == 30] == -20).all()
    assert a[-1, -1] == 5
    colorize_still(pixels, listening)
    assert listening._model.heard[1] is None


@pytest.mark.parametrize("turned", range(1, 9))
def test_hints_are_places_of_the_upright_picture(listening, turned):
    shown = photo(160, 90)
    hint = Hint(20, 70, 30, -20)
    colorize_still(stored(shown, turned), listening, hints=[hint], orientation=turned)
    lightness, planes = (plane.clone() for plane in listening._model.heard)
    made = colorize_still(shown, listening, hints=[hint])
    again, expected = listening._model.heard
    assert (lightness - again).abs().max() < 1
    assert torch.equal(planes, expected)
    assert made[70, 20, 2] > made[70, 20, 1], "the hint's blue isn't there"


def test_a_hint_colours_its_object_even_where_the_network_is_deaf(listening):
    pixels = np.full((240, 320), 60, np.uint8)
    pixels[60:, 80:240] = 150
    plain = SRGB.lab(colorize_still(pixels, listening))
    made = SRGB.lab(colorize_still(pixels, listening, hints=[Hint(160, 130, 10, -45)]))
    np.testing.assert_allclose(made[130, 160, 1:], (10, -45), atol=3)
    moved = np.hypot(*(made - plain)[..., 1:].transpose(2, 0, 1))
    assert moved[70:190, 90:230].mean() > 15
    assert moved[:40].max() < 3


def test_hints_that_cant_be_taken(engine, listening):
    pixels = photo(150, 110)
    with pytest.raises(UsageError, match=r"standin takes no hints; siggraph17 and compact do"):
        colorize_still(pixels, engine, hints=[Hint(1, 1, 0, 0)])
    for x, y in ((150, 5), (5, 110), (-1, 5), (5, -1)):
        with pytest.raises(UsageError, match=r"outside the picture, which is 150 x 110"):
            colorize_still(pixels, listening, hints=[Hint(x, y, 0, 0)])
    with pytest.raises(UsageError, match=r"outside the picture, which is 110 x 150"):
        colorize_still(pixels, listening, hints=[Hint(120, 5, 0, 0)], orientation=6)
    inner = np.random.default_rng(0).integers(0, 200, (80, 90), dtype=np.uint8)
    framed = np.pad(inner, 15, constant_values=255)
    with pytest.raises(UsageError, match="frame"):
        colorize_still(framed, listening, hints=[Hint(3, 3, 0, 0)])


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("120,80,40,-20", Hint(120, 80, 40.0, -20.0)),
        (" 1, 2 , 0.5,1e1", Hint(1, 2, 0.5, 10.0)),
    ],
)
def test_hints_are_parsed(text, hint):
    assert Hint.parse(text) == hint
    with pytest.raises(FrozenInstanceError):
        hint.x = 3


def test_a_hex_colour_is_its_own_a_and_b():
    hint = Hint.parse("3,4,#7A2e1f")
    expected = judge.rgb2lab(np.array([[[0x7A, 0x2E, 0x1F]]]) / 255)[0, 0]
    assert (hint.a, hint.b) == pytest.approx(tuple(expected[1:]), abs=0.01)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,2",
        "1,2,3",
        "1,2,3,4,5",
        "a,2,3,4",
        "1.5,2,3,4",
        "1,2,#12345",
        "1,2,#gggggg",
        "1,2,red",
    ],
)
def test_bad_hints_are_one_sentence(text):
    with pytest.raises(UsageError, match=r"X,Y,A,B or X,Y,#RRGGBB"):
        Hint.parse(text)


@pytest.mark.parametrize("text", ["1,2,111,0", "1,2,0,-111", "1,2,nan,0", "1,2,inf,0"])
def test_hints_of_no_colour(text):
    with pytest.raises(UsageError, match="from -110 to 110"):
        Hint.parse(text)


# From file to file.


@pytest.fixture
def order(tmp_path):
    source = tmp_path / "photo.png"
    Image.fromarray(photo()).save(source)
    return StillOrder(source=source, output=tmp_path / "photo.color.png", settings=SETTINGS)


def make(order, engine, **changes):
    said: list[str] = []
    outcome = colorize_photo(
        replace(order, **changes), open_engine=lambda settings: engine, warn=said.append
    )
    return outcome, said


def test_a_file_becomes_a_file(order, engine):
    outcome, said = make(order, engine)
    assert (outcome.made, outcome.size, outcome.bits) == (True, (150, 110), 8)
    assert (outcome.model, said) == ("standin", [])
    with Image.open(order.output) as image:
        np.testing.assert_array_equal(np.asarray(image), colorize_still(photo(), engine))
    assert sorted(p.name for p in order.source.parent.iterdir()) == ["photo.color.png", "photo.png"]


def test_an_output_that_is_there_is_left_alone(order, engine):
    make(order, engine)
    before = order.output.read_bytes()

    def refuse(settings):
        raise AssertionError("no network is needed")

    assert not colorize_photo(order, open_engine=refuse).made
    assert order.output.read_bytes() == before
    assert make(order, engine, overwrite=True)[0].made
    order.output.write_text("precious")
    with pytest.raises(OutputError, match=r"isn't a picture.*--overwrite"):
        make(order, engine)
    assert order.output.read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("photo.png", UsageError, "the source itself"),
        ("photo.xyz", UsageError, "the suffix .xyz; expected one of .png"),
        ("photo", UsageError, "no suffix"),
        ("nowhere/photo.png", OutputError, "isn't a folder; make it first"),
        ("folder.png", OutputError, "is a folder"),
    ],
)
def test_outputs_that_cant_be(order, tmp_path, name, error, words):
    def refuse(settings):
        raise AssertionError("no network is needed")

    (tmp_path / "folder.png").mkdir()
    with pytest.raises(error, match=words) as caught:
        colorize_photo(replace(order, output=tmp_path / name), open_engine=refuse)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("quality", [0, 101])
def test_qualities_that_cant_be(order, engine, quality):
    with pytest.raises(UsageError, match="1 to 100"):
        make(order, engine, quality=quality)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_nothing_half_written_is_left(order, engine, monkeypatch, error):
    order.output.write_bytes(order.source.read_bytes())
    before = order.output.read_bytes()

    def fail(path, *args, **options):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr("vidcolor.stills.write_photo", fail)
    expected = KeyboardInterrupt if error is KeyboardInterrupt else OutputError
    with pytest.raises(expected) as caught:
        make(order, engine, overwrite=True)
    if expected is OutputError:
        assert "the disk is full" in str(caught.value)
    assert order.output.read_bytes() == before
    assert len(list(order.source.parent.iterdir())) == 2


def test_a_source_that_may_not_be_read(order, engine, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    # Whoever runs this may be allowed to read everything.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SourceError, match=r"photo\.png can't be read: Permission denied"):
        make(order, engine)


def test_a_refused_source_opens_no_network(order):
    Image.fromarray((colours(60, 40) >> 8).astype(np.uint8)).save(order.source)

    def refuse(settings):
        raise AssertionError("no network is needed")

    with pytest.raises(ColorSourceError, match=r"photo\.png already has colour"):
        colorize_photo(order, open_engine=refuse)


def test_what_is_lost_is_said(order, engine, tmp_path):
    deep = tmp_path / "deep.png"
    cv2.imwrite(str(deep), photo(bits=16))
    outcome, said = make(order, engine, source=deep, output=tmp_path / "deep.jpg")
    assert outcome.bits == 16
    assert len(said) == 1
    assert "JPEG keeps 8" in said[0]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize("columns", [ADOBE, P3], ids=["adobe", "p3"])
def test_lightness_stays_in_the_pictures_own_colours(order, engine, tmp_path, suffix, columns):
    icc = rgb_profile(columns, gamma=2.19921875 if columns is ADOBE else None)
    source, output = tmp_path / "a.png", tmp_path / f"b{suffix}"
    pixels = photo(channels=3)
    Image.fromarray(pixels).save(source, icc_profile=icc)
    make(order, engine, source=source, output=output, quality=100)
    with Image.open(output) as image:
        assert image.info["icc_profile"] == icc
        made = np.asarray(image)
    before, after = lab_by_lcms(pixels, icc), lab_by_lcms(made, icc)
    error = np.abs(after - before)[..., 0]
    assert error.max() < tolerances.STILL_LIGHTNESS[8] + 2 * tolerances.LITTLE_CMS_L
    assert error.mean() < tolerances.STILL_LIGHTNESS_MEAN[8]
    # The same colours as without a profile, seen through it.
    plain = SRGB.lab(colorize_still(pixels, engine))
    assert np.hypot(*(after - plain)[..., 1:].transpose(2, 0, 1)).mean() < 6


@pytest.mark.parametrize("bits", [8, 16])
def test_a_gray_profile_gives_way_to_srgbs_and_lightness_stays(order, engine, tmp_path, bits):
    icc = gray_profile(gamma_tag(1.4))
    source, output = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(photo(bits=bits)).save(source, icc_profile=icc)
    make(order, engine, source=source, output=output)
    with Image.open(output) as image:
        assert image.info["icc_profile"] == srgb_profile()
        made = np.asarray(image)
    before = lab_by_lcms(photo(bits=8), icc)[..., 0]
    error = np.abs(lab_by_lcms(made, srgb_profile())[..., 0] - before)
    assert error.max() < tolerances.STILL_LIGHTNESS[8] + 2 * tolerances.LITTLE_CMS_L
    assert error.mean() < tolerances.STILL_LIGHTNESS_MEAN[8]
    # Read as sRGB, the source would be another picture.
    assert np.abs(lightness_by_judge(photo(bits=8)) - before).mean() > 5


def test_orientation_stays_a_tag(order, engine, tmp_path):
    source, output = tmp_path / "a.jpg", tmp_path / "a.color.jpg"
    block = exif_block(orientation=6, thumbnail=True)
    Image.fromarray(photo(160, 90)).save(source, exif=b"Exif\0\0" + block)
    outcome, _ = make(order, engine, source=source, output=output)
    assert outcome.size == (90, 160)
    with Image.open(output) as image:
        assert image.size == (160, 90)
        assert image.getexif()[274] == 6
        assert image.getexif()[271] == "Kamera"


def test_lossless_webp_stays_lossless(order, engine, tmp_path):
    source, output = tmp_path / "a.webp", tmp_path / "b.webp"
    Image.fromarray(photo(channels=3)).save(source, lossless=True)
    make(order, engine, source=source, output=output)
    with Image.open(output) as image:
        np.testing.assert_array_equal(np.asarray(image), colorize_still(photo(channels=3), engine))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the real photographs aren't beside the checkout")
def test_real_photographs_keep_their_lightness(tmp_path):
    engine = open_engine(Settings(model="compact", device="cpu", threads=2))
    for name in ("1864UnionSoldier.jpg", "1920sFamilyPhoto.jpg", "msold_scratch_b.png"):
        order = StillOrder(source=PHOTOS / name, output=tmp_path / f"{name}.png")
        make(order, engine)
        with Image.open(order.source) as image:
            icc = image.info.get("icc_profile") or srgb_profile()
            before = lab_by_lcms(np.asarray(image.convert("RGB")), icc)[..., 0]
        with Image.open(order.output) as image:
            after = lab_by_lcms(np.asarray(image), icc)
        error = np.abs(after[..., 0] - before)
        # The last step of Little CMS's L is 0.4 wide.
        assert error.mean() < tolerances.STILL_LIGHTNESS_MEAN[8] + 0.1, name
        assert np.percentile(error, 99.9) < tolerances.STILL_LIGHTNESS[8], name
        assert 2 < np.hypot(after[..., 1], after[..., 2]).mean() < 30, name
