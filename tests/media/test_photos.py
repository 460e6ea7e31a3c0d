"""Photographs in and out of files, each judged by another reader than the one that wrote it."""

from __future__ import annotations

import contextlib
import random
import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageOps, IptcImagePlugin, JpegImagePlugin

from tests.pictures import P3, colours, exif_block, rgb_profile, soft_gray
from vidcolor.errors import OutputError, SourceError
from vidcolor.media.metadata import (
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    Directory,
    Metadata,
    orientation,
    stored,
    stored_place,
    upright,
    without_thumbnail,
)
from vidcolor.media.photos import (
    is_photo,
    losses,
    read_photo,
    to_8_bits,
    write_photo,
)

GRAY16 = soft_gray(31, 20)
GRAY8 = to_8_bits(GRAY16)
RGB16 = colours(31, 20)
RGB8 = to_8_bits(RGB16)
ALPHA16 = soft_gray(31, 20)[::-1].copy()
RGBA16 = np.dstack([RGB16, ALPHA16])
RGBA8 = to_8_bits(RGBA16)
ICC = rgb_profile(P3)
XMP = b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
IPTC = b"8BIM" + struct.pack(">H2sI", 0x0404, b"\0\0", 10) + b"\x1c\x02\x78\0\x05Hello"


def saved(path, image, **options):
    Image.fromarray(image).save(path, **options)
    return path


def png_chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def with_chunk(data, name, content):
    """A PNG's bytes with one more chunk behind its header."""
    return data[:33] + png_chunk(name, content) + data[33:]


def premultiplied(rgba):
    made = rgba.astype(np.uint32)
    made[..., :3] = (made[..., :3] * made[..., 3:] + 32767) // 65535
    return made.astype(np.uint16)


def opencv(path, image, *options):
    """A file written by OpenCV, from R'G'B' or gray."""
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image, options)
    return path


def palette_png(path, **options):
    image = Image.fromarray(GRAY8).convert("RGB").quantize(256)
    image.save(path, "PNG", **options)
    return path


def tiff(path, image, **options):
    tifffile.imwrite(path, image, metadata=None, **options)
    return path


# Each writes a file and gives the samples that are to be read from it.
KINDS = {
    "gray png": lambda p: (saved(p / "a.png", GRAY8), GRAY8),
    "one bit png": lambda p: (one_bit(p / "a.png"), np.where(GRAY8 > 127, 255, 0)),
    "one bit tiff": lambda p: (
        one_bit(p / "a.tif", compression="group4"),
        np.where(GRAY8 > 127, 255, 0),
    ),
    "gray and alpha png": lambda p: (
        saved(p / "a.png", np.dstack([GRAY8, GRAY8[::-1]])),
        np.dstack([GRAY8, GRAY8[::-1]]),
    ),
    "palette png": lambda p: (palette_png(p / "a.png"), np.dstack([GRAY8] * 3)),
    "rgba png": lambda p: (saved(p / "a.png", RGBA8), RGBA8),
    "gray png of 16 bits": lambda p: (opencv(p / "a.png", GRAY16), GRAY16),
    "rgb png of 16 bits": lambda p: (opencv(p / "a.png", RGB16), RGB16),
    "bmp": lambda p: (saved(p / "a.bmp", RGB8), RGB8),
    "gif": lambda p: (saved(p / "a.gif", GRAY8), GRAY8),
    "lossless webp": lambda p: (saved(p / "a.webp", RGBA8, lossless=True, exact=True), RGBA8),
    "gray tiff of 16 bits": lambda p: (tiff(p / "a.tif", GRAY16), GRAY16),
    "white is zero": lambda p: (
        tiff(p / "a.tif", GRAY16, photometric="miniswhite"),
        65535 - GRAY16,
    ),
    "white is zero, 8 bits": lambda p: (
        tiff(p / "a.tif", GRAY8, photometric="miniswhite"),
        255 - GRAY8,
    ),
    "big-endian": lambda p: (tiff(p / "a.tif", RGB16, byteorder=">", photometric="rgb"), RGB16),
    "big tiff": lambda p: (tiff(p / "a.tif", RGB16, bigtiff=True, photometric="rgb"), RGB16),
    "planes apart": lambda p: (
        tiff(p / "a.tif", np.moveaxis(RGB16, 2, 0), photometric="rgb", planarconfig="separate"),
        RGB16,
    ),
    "tiff with predictor": lambda p: (
        tiff(p / "a.tif", RGB16, photometric="rgb", compression="zlib", predictor=True),
        RGB16,
    ),
    "lzw": lambda p: (opencv(p / "a.tif", RGB16, cv2.IMWRITE_TIFF_COMPRESSION, 5), RGB16),
    "lzw, 8 bits": lambda p: (opencv(p / "a.tif", RGB8, cv2.IMWRITE_TIFF_COMPRESSION, 5), RGB8),
    "straight alpha": lambda p: (
        tiff(p / "a.tif", RGBA16, photometric="rgb", extrasamples=["unassalpha"]),
        RGBA16,
    ),
    "gray with alpha tiff of 16 bits": lambda p: (
        tiff(
            p / "a.tif",
            RGBA16[..., 2:],
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=["unassalpha"],
        ),
        RGBA16[..., 2:],
    ),
    "a channel that isn't alpha": lambda p: (
        tiff(p / "a.tif", RGBA16, photometric="rgb", extrasamples=["unspecified"]),
        RGB16,
    ),
}


def one_bit(path, **options):
    Image.fromarray(np.where(GRAY8 > 127, 255, 0).astype(np.uint8)).convert(
        "1", dither=Image.Dither.NONE
    ).save(path, **options)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_read_as_stored(tmp_path, kind):
    path, expected = KINDS[kind](tmp_path)
    photo = read_photo(path)
    # A GIF's palette may be told as R'G'B'.
    pixels = photo.pixels if photo.pixels.ndim == expected.ndim else photo.pixels[..., 0]
    np.testing.assert_array_equal(pixels, expected)
    assert photo.bits == 8 * photo.pixels.itemsize
    assert photo.gray == (photo.pixels.ndim == 2 or photo.pixels.shape[2] == 2)


def test_premultiplied_alpha_is_divided_out(tmp_path):
    alpha = np.maximum(ALPHA16, 20000)
    rgba = np.dstack([RGB16, alpha])
    path = tiff(
        tmp_path / "a.tif", premultiplied(rgba), photometric="rgb", extrasamples=["assocalpha"]
    )
    read = read_photo(path).pixels
    np.testing.assert_array_equal(read[..., 3], alpha)
    assert np.abs(read.astype(int) - rgba)[..., :3].max() <= 2


def test_a_transparent_colour_becomes_alpha(tmp_path):
    path = tmp_path / "a.png"
    opencv(path, RGB16)
    clear = struct.pack(">3H", *(int(v) for v in RGB16[3, 4]))
    path.write_bytes(with_chunk(path.read_bytes(), b"tRNS", clear))
    read = read_photo(path).pixels
    assert read.shape == (20, 31, 4)
    assert read[3, 4, 3] == 0
    assert (read[..., 3] == 65535).mean() > 0.9


def test_cmyk_is_read_as_srgb(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.full((16, 16, 4), 0, np.uint8), "CMYK").save(path, quality=100)
    photo = read_photo(path)
    assert photo.pixels.shape == (16, 16, 3)
    assert photo.pixels.min() > 250


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("name", ["a.tif", "deep.tif", "lzw.tif", "a.png", "a.jpg", "a.webp"])
def test_samples_stay_as_stored_and_the_tag_says_how_they_are_shown(tmp_path, name, turned):
    path = tmp_path / name
    image = RGB16 if name in ("deep.tif", "lzw.tif") else RGB8
    if name == "lzw.tif":
        write_lzw(path, image, turned)
    elif path.suffix == ".tif":
        tiff(path, image, photometric="rgb", extratags=[(274, "H", 1, turned, True)])
    else:
        saved(path, image, exif=b"Exif\0\0" + exif_block(orientation=turned))
    photo = read_photo(path)
    assert photo.orientation == turned
    assert photo.upright_size == ((20, 31) if turned >= 5 else (31, 20))
    assert photo.pixels.shape == (20, 31, 3)
    if photo.lossless:
        np.testing.assert_array_equal(photo.pixels, image)
    # Pillow's own idea of upright, from an 8-bit PNG.
    shown = saved(tmp_path / "judge.png", RGB8, exif=b"Exif\0\0" + exif_block(orientation=turned))
    with Image.open(shown) as judge:
        expected = np.asarray(ImageOps.exif_transpose(judge))
    np.testing.assert_array_equal(upright(RGB8, turned), expected)
    np.testing.assert_array_equal(stored(expected, turned), RGB8)
    row, column = stored_place(2, 5, expected.shape[:2], turned)
    np.testing.assert_array_equal(RGB8[row, column], expected[2, 5])


def write_lzw(path, image, turned):
    """A TIFF of OpenCV's, its directory written again with an orientation."""
    opencv(path, image, cv2.IMWRITE_TIFF_COMPRESSION, 5)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(BytesIO(bytes(data))) as file:
        old = file.pages[0].offset
    count = struct.unpack_from("<H", data, old)[0]
    entries = [bytes(data[old + 2 + 12 * i : old + 14 + 12 * i]) for i in range(count)]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, turned, 0))
    entries = sorted((e for e in {e[:2]: e for e in entries}.values()), key=lambda e: e[:2][::-1])
    data += bytes(len(data) % 2)
    data[4:8] = struct.pack("<I", len(data))
    path.write_bytes(bytes(data) + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4))


WRITTEN = Metadata(
    icc=ICC,
    exif=exif_block(orientation=6),
    xmp=XMP,
    iptc=IPTC,
    dpi=(300.0, 300.0),
    comment=b"hello",
)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("depth", [8, 16])
def test_another_reader_finds_samples_and_metadata(tmp_path, suffix, depth):
    path = tmp_path / f"a{suffix}"
    pixels = RGB8 if depth == 8 else RGB16
    write_photo(path, pixels, WRITTEN, suffix=suffix, lossless=True, quality=100)
    with Image.open(path) as image:
        info = image.info
        exif = image.getexif()
        assert info["icc_profile"] == ICC
        assert (exif[274], exif[271], exif[315]) == (6, "Kamera", "A. Author")
        assert exif.get_ifd(EXIF_DIRECTORY)[0x9003] == "1931:07:04 10:20:30"
        assert float(exif.get_ifd(EXIF_DIRECTORY)[0x829A]) == pytest.approx(0.0025)
        assert exif.get_ifd(GPS_DIRECTORY)[2] == (48.0, 51.0, 30.0)
        if suffix != ".webp":
            assert info["dpi"] == pytest.approx((300, 300), rel=1e-3)
        if suffix != ".png":
            assert info["xmp"].rstrip(b"\0") == XMP
        else:
            assert info["xmp"] == XMP
        if suffix == ".tif":
            assert image.getexif()[34377] == IPTC
        if suffix == ".jpg":
            assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"Hello"}
        if suffix == ".jpg":
            assert info["comment"] == b"hello"
    assert_samples(path, pixels, suffix)


def assert_samples(path, pixels, suffix):
    """Samples by a reader that didn't write them."""
    if suffix == ".png":
        with Image.open(path) as image:
            assert (
                np.abs(np.asarray(image).astype(int) - (pixels >> (8 * pixels.itemsize - 8))).max()
                == 0
            )
        np.testing.assert_array_equal(by_opencv(path), pixels)
    elif suffix == ".tif":
        np.testing.assert_array_equal(stored(by_opencv(path), 6), pixels)
    else:
        error = np.abs(by_opencv(path).astype(int) - to_8_bits(pixels))
        assert error.max() <= (0 if suffix == ".webp" else 6), error.max()


def by_opencv(path):
    """R'G'B' as stored, but of a TIFF upright."""
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    # Its imread fails on a TIFF that lies on its side.
    read = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flags)
    assert read is not None
    return read[..., ::-1]


@pytest.mark.parametrize("source", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("target", [".png", ".tif", ".jpg", ".webp"])
def test_metadata_goes_from_any_format_to_any(tmp_path, source, target):
    first, second = tmp_path / f"a{source}", tmp_path / f"b{target}"
    write_photo(first, RGB8, WRITTEN, suffix=source)
    write_photo(second, RGB8, read_photo(first).metadata, suffix=target)
    found = read_photo(second).metadata
    assert (found.icc, (found.xmp or b"").rstrip(b"\0")) == (ICC, XMP)
    assert found.exif is not None
    block = Directory.read(found.exif)
    assert block.number(274) == 6
    assert set(block.below) == {EXIF_DIRECTORY, GPS_DIRECTORY}
    assert block.below == Directory.read(exif_block(orientation=6)).below
    if ".webp" not in (source, target):
        assert found.dpi == pytest.approx((300, 300), rel=1e-3)
    if {source, target} <= {".tif", ".jpg"}:
        assert found.iptc == IPTC


def test_texts_of_a_png_stay(tmp_path):
    path, copy = tmp_path / "a.png", tmp_path / "b.png"
    saved(path, RGB8)
    data = with_chunk(path.read_bytes(), b"tEXt", b"Title\0Summer")
    data = with_chunk(data, b"gAMA", struct.pack(">I", 45455))
    path.write_bytes(data)
    metadata = read_photo(path).metadata
    write_photo(copy, RGB16, metadata, suffix=".png")
    with Image.open(copy) as image:
        image.load()
        assert image.info["Title"] == "Summer"
        assert image.info["gamma"] == pytest.approx(0.45455)
    assert set(dict(metadata.chunks)) == {b"tEXt", b"gAMA"}


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_stale_thumbnail_goes_and_nothing_else(tmp_path, order):
    block = exif_block(orientation=3, thumbnail=True, order=order)
    exif = Image.Exif()
    exif.load(block)
    assert exif.get_ifd(ExifTags.IFD.IFD1) != {}, "the made block has no thumbnail"
    kept = without_thumbnail(block)
    exif.load(kept)
    assert exif.get_ifd(ExifTags.IFD.IFD1) == {}
    assert len(kept) == len(block)
    assert sum(a != b for a, b in zip(kept, block, strict=True)) <= 4
    assert Directory.read(kept) == Directory.read(block)
    path = saved(tmp_path / "a.jpg", RGB8, exif=b"Exif\0\0" + block)
    assert read_photo(path).metadata.exif == kept


def test_nonsense_is_no_orientation():
    assert orientation(None) == 1
    assert orientation(b"II*\0") == 1
    assert orientation(exif_block(orientation=9)) == 1
    assert without_thumbnail(b"nonsense") == b"nonsense"
    for bad in (b"", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\xff", b"XX*\0\x08\0\0\0"):
        with pytest.raises(ValueError, match=r".+"):
            Directory.read(bad)


def test_alpha_is_written_straight(tmp_path):
    for suffix in (".png", ".tif", ".webp"):
        path = tmp_path / f"a{suffix}"
        write_photo(path, RGBA8, Metadata(), suffix=suffix, lossless=True)
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), RGBA8)
    write_photo(tmp_path / "a.jpg", RGBA8, Metadata(), suffix=".jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == "RGB"


def test_jpeg_keeps_all_of_the_chroma(tmp_path):
    path = tmp_path / "a.jpg"
    write_photo(path, RGB8, Metadata(), suffix=".jpg")
    with Image.open(path) as image:
        assert JpegImagePlugin.get_sampling(image) == 0


def test_what_an_output_cant_hold_is_said(tmp_path):
    deep = read_photo(tiff(tmp_path / "deep.tif", RGBA16, photometric="rgb", extrasamples=[2]))
    assert losses(deep, ".tif") == losses(deep, ".PNG") == []
    (bits,) = losses(deep, ".webp")
    assert "16 bits" in bits
    assert "WebP keeps 8" in bits
    assert len(losses(deep, ".jpg")) == 2
    pages = tmp_path / "pages.tif"
    tifffile.imwrite(pages, np.stack([RGB8, RGB8]), photometric="rgb", metadata=None)
    (several,) = losses(read_photo(pages), ".tif")
    assert "2 pictures; only the first" in several


def test_more_than_jpeg_can_hold_is_left_out(tmp_path):
    path = saved(tmp_path / "a.png", RGB8, exif=b"Exif\0\0" + exif_block())
    photo = read_photo(path)
    block = Directory.read(photo.metadata.exif or b"")
    entry = block.entries[271]
    block.entries[271] = type(entry)(2, 70000, bytes(70000))
    large = Metadata(exif=block.block(), dpi=(72.0, 72.0))
    write_photo(tmp_path / "a.jpg", RGB8, large, suffix=".jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert "exif" not in image.info
    write_photo(tmp_path / "b.png", RGB8, large, suffix=".png")
    (said,) = losses(read_photo(tmp_path / "b.png"), ".jpg")
    assert "EXIF" in said


def test_a_picture_too_long_for_its_format(tmp_path):
    photo = read_photo(saved(tmp_path / "a.png", np.zeros((2, 17000), np.uint8)))
    with pytest.raises(OutputError, match=r"17000 x 2, and WebP holds up to 16383 a side"):
        losses(photo, ".webp")
    assert losses(photo, ".jpg") == []


def assert_refused(path, *words):
    with pytest.raises(SourceError) as caught:
        read_photo(path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(str(path))
    for word in words:
        assert word in said, said


def test_files_that_are_no_pictures(tmp_path):
    text = tmp_path / "a.jpg"
    assert_refused(text, "doesn't exist")
    text.write_text("hello")
    assert_refused(text, "isn't a picture of a known kind", "vidcolor run")
    assert not is_photo(text)
    text.write_bytes(b"")
    assert_refused(text, "empty (0 bytes)")
    assert_refused(tmp_path, "folder")
    assert not is_photo(tmp_path / "nowhere.png")
    assert is_photo(saved(tmp_path / "b.png", GRAY8))


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_an_animation_is_refused(tmp_path, name):
    frames = [Image.fromarray(image) for image in (RGB8, RGB8[::-1], RGB8[:, ::-1])]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)
    assert_refused(tmp_path / name, "animation of 3 frames", "vidcolor run")


@pytest.mark.parametrize("kind", ["float32", "uint32", "int16"])
def test_samples_of_another_kind_are_refused(tmp_path, kind):
    tifffile.imwrite(tmp_path / "a.tif", GRAY16.astype(kind))
    assert_refused(tmp_path / "a.tif", "not of 8 or 16")


def whole_files(folder):
    """A file of every format, with all its metadata."""
    for suffix, pixels in (
        (".png", RGB16),
        (".png", RGBA8),
        (".tif", RGB16),
        (".tif", RGB8),
        (".jpg", RGB8),
        (".webp", RGB8),
    ):
        path = folder / f"{pixels.itemsize}{pixels.shape[2]}{suffix}"
        write_photo(path, pixels, WRITTEN, suffix=suffix)
        yield path
    yield opencv(folder / "lzw.tif", RGB16, cv2.IMWRITE_TIFF_COMPRESSION, 5)


def test_files_cut_short_are_refused_in_a_sentence(tmp_path, capfd):
    for path in whole_files(tmp_path):
        data = path.read_bytes()
        for share in (0.3, 0.6, 0.9):
            path.write_bytes(data[: int(len(data) * share)])
            # A TIFF's directory, or its texts, may stand behind the samples.
            if path.suffix == ".tif" and share == 0.9:
                continue
            assert_refused(path)
    assert capfd.readouterr() == ("", "")


def test_damaged_files_are_read_or_refused_but_nothing_else(tmp_path):
    dice = random.Random(0)
    for path in whole_files(tmp_path):
        data = path.read_bytes()
        for _ in range(12):
            damaged = bytearray(data)
            for _ in range(dice.randint(1, 6)):
                damaged[dice.randrange(min(len(data), 2000))] = dice.randrange(256)
            path.write_bytes(damaged)
            with contextlib.suppress(SourceError):
                photo = read_photo(path)
                assert photo.pixels.ndim in (2, 3)
                assert photo.orientation in range(1, 9)
                for suffix in (".tif", ".jpg"):
                    write_photo(tmp_path / f"made{suffix}", RGB8, photo.metadata, suffix=suffix)
