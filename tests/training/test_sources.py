"""Where photographs come from: every kind gives the pictures that went in, by names that stay."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from tests.clips import make_clip
from tests.media.films import shared_clip
from tests.training.photographs import encoded, photograph, python2_batch, write_tar
from vidcolor.errors import TrainingError
from vidcolor.training import films
from vidcolor.training.pictures import Tar
from vidcolor.training.sources import BadImageError, open_source

JPEG_LEVELS = 12
"""Of a soft photograph at quality 95."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))


def keys_of(source):
    return [source.key(i) for i in range(len(source))]


# Folders and tars


def test_a_folder_gives_all_pictures_below_it(tmp_path):
    for number, name in enumerate(["b.png", "a/c.png", "a/d.PNG", ".hidden.png", ".git/e.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(photograph(number)))
    (tmp_path / "notes.txt").write_text("no picture")
    source = open_source(tmp_path)
    assert keys_of(source) == ["a/c.png", "a/d.PNG", "b.png"]
    assert source.name == tmp_path.name
    for index, seed in enumerate((1, 2, 0)):
        np.testing.assert_array_equal(source.read(index), photograph(seed))


def test_a_tar_is_read_where_its_members_lie(tmp_path):
    files = {f"train/{n}.png": encoded(photograph(n)) for n in (2, 0, 1)}
    tar = write_tar(tmp_path / "t.tar", files | {"train/._0.png": b"", "readme.md": b"text"})
    for source in (open_source(tar), pickle.loads(pickle.dumps(open_source(str(tar))))):
        assert keys_of(source) == [f"t.tar:train/{n}.png" for n in range(3)]
        for n in range(3):
            np.testing.assert_array_equal(source.read(n), photograph(n))


def test_a_tar_of_many_pictures_is_never_in_memory(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    files = {f"{n:03d}.png": encoded(np.roll(noise, n, 0)) for n in range(200)}
    tar = write_tar(tmp_path / "t.tar", files)
    total = sum(map(len, files.values()))
    tracemalloc.start()
    source = open_source(tar)
    for n in range(200):
        source.read(n)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 2_000_000
    assert peak < total / 4, f"{peak} bytes at most, of a tar of {total}"
    assert len(pickle.dumps(source)) < total / 50


def test_pictures_come_upright_and_as_rgb(tmp_path):
    turned = Image.fromarray(photograph(0))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(photograph(1)).convert("L").save(tmp_path / "gray.png")
    Image.fromarray(photograph(2)).convert("RGBA").save(tmp_path / "alpha.png")
    deep = np.array([[0, 0x8000], [0xFFFF, 0x1234]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    read = {key: open_source(tmp_path / key).read(0) for key in os.listdir(tmp_path)}  # noqa: PTH208
    np.testing.assert_array_equal(read["turned.png"], np.rot90(photograph(0), -1))
    assert read["gray.png"].shape == (36, 48, 3)
    np.testing.assert_array_equal(read["alpha.png"], photograph(2))
    np.testing.assert_array_equal(read["deep.png"][..., 1], deep >> 8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".ppm"])
def test_kinds_of_pictures(tmp_path, suffix):
    how: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(photograph(3)).save(tmp_path / f"a{suffix}", **how)
    np.testing.assert_array_equal(open_source(tmp_path).read(0), photograph(3))


def test_large_photographs_may_come_smaller(tmp_path):
    large = photograph(0, width=640, height=480)
    (tmp_path / "large.jpg").write_bytes(encoded(large, ".jpg"))
    source = open_source(tmp_path)
    assert source.read(0).shape == (480, 640, 3)
    assert source.read(0, at_least=240).shape == (240, 320, 3)
    assert source.read(0, at_least=241).shape == (480, 640, 3)
    small = cv2.resize(large, (320, 240), interpolation=cv2.INTER_AREA)
    assert np.abs(source.read(0, at_least=240).astype(int) - small).max() < JPEG_LEVELS


def test_what_cannot_be_read_is_named(tmp_path):
    whole, noisy = photograph(0), encoded(photograph(1, width=300, height=300), ".jpg")
    files = {
        "cut.jpg": noisy[: len(noisy) // 2],
        "cut.png": encoded(whole)[:-40],
        "cut.webp": encoded(whole, ".webp")[:60],
        "empty.png": b"",
        "page.jpg": b"<html>not found</html>",
        "whole.png": encoded(whole),
    }
    for source in (
        open_source(write_tar(tmp_path / "t.tar", files)),
        open_source(write_folder(tmp_path / "folder", files)),
    ):
        for index in range(5):
            with pytest.raises(BadImageError) as caught:
                source.read(index)
            assert caught.value.key == source.key(index)
            assert source.key(index) in str(caught.value)
            assert "0x" not in str(caught.value)
            again = pickle.loads(pickle.dumps(caught.value))
            assert (again.key, again.why) == (caught.value.key, caught.value.why)
        np.testing.assert_array_equal(source.read(5), whole)


def write_folder(folder, files):
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_a_picture_that_went_away_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(photograph(0)))
    source = open_source(tmp_path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(BadImageError, match=r"a\.png can't be read as a picture: No such file"):
        source.read(0)


def test_a_pattern_joins_what_it_matches(tmp_path):
    for n in range(3):
        write_tar(tmp_path / f"train-{n}.tar", {f"{k}.png": encoded(photograph(k)) for k in (0, n)})
    write_tar(tmp_path / "val.tar", {"9.png": encoded(photograph(9))})
    source = open_source(tmp_path / "train-*.tar")
    assert source.name == "train-*.tar"
    assert keys_of(source) == [
        *("train-0.tar:0.png", "train-1.tar:0.png", "train-1.tar:1.png"),
        *("train-2.tar:0.png", "train-2.tar:2.png"),
    ]
    np.testing.assert_array_equal(source.read(4), photograph(2))
    assert len(open_source(tmp_path)) == 6


def test_a_pattern_of_pictures_keeps_their_paths(tmp_path):
    for name in ("one/a.png", "two/a.png", "two/b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(photograph(0)))
    assert keys_of(open_source(f"{tmp_path}/*/a.*")) == ["one/a.png", "two/a.png"]
    assert keys_of(open_source(f"{tmp_path}/**/*.png")) == ["one/a.png", "two/a.png"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none", None, "there is nothing at"),
        ("none-*.tar", None, r"nothing matches .*none-\*\.tar"),
        ("empty", {}, "holds no pictures; expected a folder of pictures"),
        ("packed", {"a.zip": b"PK"}, "It holds a.zip: unpack that first"),
        ("text.txt", b"text", "is no source of pictures"),
        ("photos.tar.gz", b"\x1f\x8b", "is packed"),
        ("half.npy", b"", "is half of a pair"),
        ("text.tar", b"text", "can't be read as a tar of pictures"),
        ("film.mp4", b"text", "is not a video FFmpeg can read"),
        ("data_batch_1", b"text", "can't be read as a batch of CIFAR-10"),
    ],
)
def test_what_holds_no_picture_gets_one_sentence(tmp_path, name, content, sentence):
    if isinstance(content, dict):
        write_folder(tmp_path / name, content)
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=sentence) as caught:
        open_source(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_tar_without_pictures_gets_one_sentence(tmp_path):
    tar = write_tar(tmp_path / "t.tar", {"notes.txt": b"text"})
    with pytest.raises(TrainingError, match="holds no picture"):
        open_source(tar)


# Arrays


def lab8(rgb):
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)


def write_kaggle(root: Path, photographs, cuts, *, extra=0) -> Path:
    """The layout of "Image Colorization": one file of L, some of ab."""
    lab = np.stack([lab8(rgb) for rgb in photographs])
    (root / "l").mkdir(parents=True)
    (root / "ab" / "ab").mkdir(parents=True)
    rest = np.zeros((extra, *lab.shape[1:3]), np.uint8)
    np.save(root / "l" / "gray_scale.npy", np.concatenate([lab[..., 0], rest]))
    for number, part in enumerate(np.split(lab[..., 1:], cuts), 1):
        np.save(root / "ab" / "ab" / f"ab{number}.npy", part)
    return root


def test_arrays_of_l_and_ab_are_pictures(tmp_path):
    photographs = [photograph(n) // 2 + 64 for n in range(12)]
    # Eleven files: the tenth and eleventh stand behind the ninth, not behind the first.
    root = write_kaggle(tmp_path / "color", photographs, range(1, 11), extra=3)
    for source in (open_source(root), pickle.loads(pickle.dumps(open_source(root)))):
        assert len(source) == 12
        assert source.key(11) == "color:11"
        for n, rgb in enumerate(photographs):
            error = np.abs(source.read(n).astype(int) - rgb)
            assert error.mean() < 1.5, n
            np.testing.assert_array_equal(
                source.read(n), cv2.cvtColor(lab8(rgb), cv2.COLOR_LAB2RGB)
            )


def test_arrays_stay_on_the_disk(tmp_path):
    root = write_kaggle(tmp_path / "color", [photograph(0, width=128, height=128)] * 60, [40])
    tracemalloc.start()
    source = open_source(root)
    for n in range(60):
        source.read(n)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60 * 128 * 128 * 3 / 4
    assert len(pickle.dumps(source)) < 5000


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"l.npy": (3, 8, 8)}, "has no array of ab; expected 8-bit arrays in OpenCV's Lab"),
        ({"ab.npy": (3, 8, 8, 2)}, "has no array of L"),
        ({"l.npy": (3, 8, 8), "ab.npy": (4, 8, 8, 2)}, "3 pictures of L and 4 of ab"),
        ({"l.npy": (3, 8, 8), "ab.npy": (3, 6, 8, 2)}, "of 8 x 6 and 8 x 8; expected one size"),
        ({"l.npy": (3, 8, 8), "ab.npy": (3, 8, 8, 3)}, r"of the shape \(3, 8, 8, 3\); expected"),
        ({"l.npy": (3, 8, 8), "ab.npy": np.zeros((3, 8, 8, 2))}, "an array of float64"),
        ({"l.npy": np.array([{}], object)}, "can't be read"),
    ],
)
def test_arrays_that_do_not_fit_get_one_sentence(tmp_path, arrays, sentence):
    for name, given in arrays.items():
        array = np.zeros(given, np.uint8) if isinstance(given, tuple) else given
        np.save(tmp_path / name, array)
    with pytest.raises(TrainingError, match=sentence):
        open_source(tmp_path)


# CIFAR-10


def cifar_planes(count):
    pictures = [photograph(n, width=32, height=32) for n in range(count)]
    return np.stack([picture.transpose(2, 0, 1).reshape(-1) for picture in pictures]), pictures


@pytest.mark.parametrize("written_by", ["python 2", 2, 3, 4, 5])
def test_a_batch_of_cifar_is_pictures(tmp_path, written_by):
    planes, pictures = cifar_planes(7)
    path = tmp_path / "data_batch_3"
    if written_by == "python 2":
        path.write_bytes(python2_batch(planes))
    else:
        path.write_bytes(pickle.dumps({b"data": planes, b"labels": [0] * 7}, written_by))
    source = open_source(path)
    for each in (source, pickle.loads(pickle.dumps(source))):
        assert keys_of(each) == [f"data_batch_3:{n}" for n in range(7)]
        for n in range(7):
            np.testing.assert_array_equal(each.read(n), pictures[n])
    assert len(pickle.dumps(source)) < planes.nbytes / 10


def test_a_folder_of_batches_is_one_source(tmp_path):
    planes, pictures = cifar_planes(3)
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        (tmp_path / name).write_bytes(python2_batch(planes))
    (tmp_path / "batches.meta").write_bytes(b"\x80\x02}.")
    source = open_source(tmp_path)
    assert [keys_of(source)[n] for n in (0, 3, 8)] == [
        *("data_batch_1:0", "data_batch_2:0", "test_batch:2"),
    ]
    np.testing.assert_array_equal(source.read(8), pictures[2])


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    harmed = tmp_path / "harmed"
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": Harmful(harmed)}))
    with pytest.raises(TrainingError, match="wants to call pathlib"):
        open_source(tmp_path / "data_batch_1")
    assert not harmed.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (pickle.dumps([1, 2]), "it holds a list"),
        (pickle.dumps({b"labels": [1]}), "its `data` isn't an array of 8-bit samples"),
        (pickle.dumps({b"data": np.zeros((2, 3072))}), "its `data` isn't an array"),
        (pickle.dumps({b"data": np.zeros((2, 100), np.uint8)}), "its `data` isn't an array"),
        (python2_batch(np.zeros((2, 3072), np.uint8))[:-3000], "can't be read as a batch"),
    ],
)
def test_pickles_of_something_else_get_one_sentence(tmp_path, content, sentence):
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(TrainingError, match=sentence):
        open_source(tmp_path / "data_batch_1")


# Films


def test_frames_of_a_film_are_taken_in_time(tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=40, cuts=(10, 20, 30), color=True)
    source = open_source(film, every_seconds=0.25)
    ticks = [round(n * 1000 * Fraction(6, 24)) for n in range(7)]
    taken = [int(key.removeprefix("film.mkv@")) for key in keys_of(source)]
    assert set(taken) <= set(ticks)
    # At least one of each of the four shots.
    assert {sum(pts >= cut for cut in (417, 833, 1250)) for pts in taken} == {0, 1, 2, 3}
    assert source.group(0) == "film.mkv, minute 0"
    judge = rgb_by_ffmpeg(film)
    for n, pts in enumerate(taken):
        error = np.abs(source.read(n).astype(int) - judge[pts])
        assert error.mean() < 3, f"mean error {error.mean():.1f} at {pts}"


def rgb_by_ffmpeg(film):
    with av.open(str(film)) as container:
        return {f.pts: f.to_ndarray(format="rgb24") for f in container.decode(video=0)}


def test_frames_that_show_nothing_new_are_dropped(tmp_path):
    one, other, third = (photograph(n, width=64) for n in range(3))
    # Dialogue: what was seen some frames ago counts as well.
    film = write_film(tmp_path / "film.mkv", [one, one, other, one, other, other, third, one])
    source = open_source(film, every_seconds=0.001)
    assert keys_of(source) == ["film.mkv@0", "film.mkv@83", "film.mkv@250"]


def write_film(path, pictures):
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for rgb in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        out.mux(stream.encode(None))
    return path


def test_frames_are_taken_once_and_found_again(tmp_path, monkeypatch):
    film = make_clip(tmp_path / "film.mkv", frames=20, cuts=(10,), color=True)
    first = keys_of(open_source(film, every_seconds=0.1))
    with monkeypatch.context() as patch:
        patch.setattr(films, "read_frames", None)
        assert keys_of(open_source(film, every_seconds=0.1)) == first
        with pytest.raises(TypeError):
            open_source(film, every_seconds=0.2)
    assert [path.suffix for path in (tmp_path / "cache" / "frames").iterdir()] == [".tar"]
    make_clip(film, frames=30, cuts=(10, 20), color=True, seed=1)
    assert len(open_source(film, every_seconds=0.1)) > 0
    assert len(list((tmp_path / "cache" / "frames").iterdir())) == 2


def test_frames_are_upright_square_and_without_bars(tmp_path):
    tall = make_clip(
        tmp_path / "tall.mp4", frames=4, color=True, rotation=90, sample_aspect=Fraction(2)
    )
    assert open_source(tall).read(0).shape == (128, 48, 3)
    barred = open_source(shared_clip("colour/arm_wrestling_sar.mp4"), every_seconds=4)
    assert barred.read(0).shape[:2] == (256, 427)


def test_bars_are_cut_off(tmp_path):
    pictures = [np.zeros((48, 64, 3), np.uint8) for _ in range(4)]
    for n, picture in enumerate(pictures):
        picture[8:40] = photograph(n, width=64, height=32)
    read = open_source(write_film(tmp_path / "barred.mkv", pictures)).read(0)
    assert read.shape == (32, 64, 3)
    assert np.abs(read.astype(int) - photograph(0, width=64, height=32)).mean() < 6


def test_a_film_without_video_gets_one_sentence(tmp_path):
    film = make_clip(tmp_path / "film.mkv", audio=True)
    sound = tmp_path / "sound.mkv"
    with av.open(str(film)) as source, av.open(str(sound), "w") as out:
        copy = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    with pytest.raises(TrainingError, match="holds no film, only audio"):
        open_source(sound)
    assert not list((tmp_path / "cache" / "frames").iterdir())


def test_a_cache_that_cannot_be_written_gets_one_sentence(tmp_path, monkeypatch):
    film = make_clip(tmp_path / "film.mkv", frames=4, color=True)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "file"))
    with pytest.raises(TrainingError, match=r"can't be kept in .* VIDCOLOR_CACHE"):
        open_source(film)


def test_a_folder_may_hold_several_kinds(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(photograph(0)))
    write_tar(tmp_path / "b.tar", {"0.png": encoded(photograph(1))})
    make_clip(tmp_path / "c.mkv", frames=4, color=True)
    assert keys_of(open_source(tmp_path)) == ["a.png", "b.tar:0.png", "c.mkv@0"]
    assert isinstance(open_source(tmp_path / "b.tar"), Tar)
