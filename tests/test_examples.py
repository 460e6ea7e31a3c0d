"""The examples do what they say, on a sample film of seconds instead of a quarter of a minute."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import AttachmentStream

from examples import make_pictures, make_sample

SHOT_FRAMES, DISSOLVE_FRAMES = 20, 8
STARTS = [0, 20, 32, 52]
"""Of the four shots; the third dissolves in, the others are cut to."""

FRAMES = 72


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    film = tmp_path_factory.mktemp("sample") / "new" / "sample.mkv"
    count = make_sample.make_sample(film, shot_frames=SHOT_FRAMES, dissolve_frames=DISSOLVE_FRAMES)
    assert count == FRAMES
    return film


@pytest.fixture(scope="module")
def frames(sample):
    with av.open(str(sample)) as container:
        return list(container.decode(video=0))


def plane(frame, n):
    lines = np.frombuffer(frame.planes[n], np.uint8).reshape(-1, frame.planes[n].line_size)
    return lines[: frame.planes[n].height, : frame.planes[n].width].astype(np.float32)


def test_the_film_has_its_frames_at_their_times(frames):
    assert [round(frame.time * 24, 1) for frame in frames] == list(range(FRAMES))
    assert {(frame.width, frame.height) for frame in frames} == {(640, 360)}


def test_the_film_is_gray_and_within_range(frames):
    for frame in frames:
        assert frame.format.name == "yuv420p"
        luma = plane(frame, 0)
        assert luma.std() > 10
        # The encoder may swing past the range it was given, in a pixel here and there.
        assert ((luma >= 15) & (luma <= 236)).mean() > 0.99
        for n in (1, 2):
            assert (plane(frame, n) == 128).all()


def test_two_cuts_are_hard_and_the_dissolve_is_soft(frames):
    steps = [
        float(np.abs(plane(after, 0) - plane(before, 0)).mean())
        for before, after in itertools.pairwise(frames)
    ]
    cuts = {STARTS[1], STARTS[3]}
    within = [step for n, step in enumerate(steps, start=1) if n not in cuts]
    assert min(steps[n - 1] for n in cuts) > 2 * max(within), [round(step, 1) for step in steps]


def test_the_film_carries_what_a_colorizer_must_keep(sample):
    with av.open(str(sample)) as container:
        assert [stream.type for stream in container.streams] == [
            *("video", "audio", "subtitle", "attachment")
        ]
        picture, sound, captions, credits_ = container.streams
        assert (sound.language, captions.language) == ("eng", "eng")
        assert all(stream.metadata["title"] for stream in (picture, sound, captions))
        assert isinstance(credits_, AttachmentStream)
        assert "public domain" in credits_.data.decode()
        assert container.metadata["title"]
        chapters = container.chapters()
        assert [chapter["metadata"]["title"] for chapter in chapters] == [
            shot.title for shot in make_sample.SHOTS
        ]
        seconds = [c["start"] * (c["time_base"] or 1) for c in chapters]
        assert [round(start * 24) for start in seconds] == STARTS
        texts = [bytes(packet).decode() for packet in container.demux(captions) if packet.size]
        assert texts == [shot.caption for shot in make_sample.SHOTS]


def test_the_tune_is_heard_and_never_clips():
    sound = make_sample.tune(17)
    assert len(sound) == 17 * make_sample.SAMPLES_PER_SECOND
    assert 0.2 < np.abs(sound).max() <= 1
    seconds = np.abs(sound.reshape(17, -1))
    assert seconds.mean(axis=1).min() > 0.005


def test_the_same_call_makes_the_same_film(tmp_path):
    once, again = tmp_path / "once.mkv", tmp_path / "again.mkv"
    for film in (once, again):
        make_sample.make_sample(film, shot_frames=6, dissolve_frames=2)
    assert once.read_bytes() == again.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"once.mkv", "again.mkv"}


@pytest.mark.parametrize("shot", make_sample.SHOTS, ids=lambda shot: shot.photograph)
def test_the_camera_glides(shot):
    """Aligned with its successor, a frame lies where the move says, to a fiftieth of a pixel."""
    photograph = make_sample.load_photograph(shot.photograph)
    rows, columns = photograph.shape
    size = np.array([make_sample.WIDTH, make_sample.HEIGHT])
    for way in (0.3, 0.5):
        views = [make_sample.view_between(shot.start, shot.end, w) for w in (way, way + 1 / 104)]
        first, second = (make_sample.look(photograph, view) for view in views)
        scales = [view.width * columns / size[0] for view in views]
        zoom = scales[0] / scales[1]
        centre = np.array([(views[0].x - views[1].x) * columns, (views[0].y - views[1].y) * rows])
        shift = centre / scales[1] + (1 - zoom) * (size - 1) / 2
        matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
        expected = cv2.warpAffine(first, matrix, size.tolist(), flags=cv2.INTER_CUBIC)
        inside = (slice(20, -20), slice(20, -20))
        still = np.eye(2, 3, dtype=np.float32)
        ending = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-7)
        _, found = cv2.findTransformECC(
            expected[inside], second[inside], still, cv2.MOTION_TRANSLATION, ending
        )
        assert np.hypot(*found[:, 2]) < 0.02, (way, found[:, 2])


def test_a_view_past_the_edge_is_refused():
    photograph = make_sample.load_photograph("coffee")
    with pytest.raises(ValueError, match="past the photograph's edge"):
        make_sample.look(photograph, make_sample.View(0.9, 0.5, 0.5))


@pytest.mark.parametrize("script", ["make_sample.py", "make_pictures.py"])
def test_scripts_explain_themselves(script):
    path = Path(make_sample.__file__).with_name(script)
    done = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, check=True
    )
    assert "usage:" in done.stdout


@pytest.mark.long
def test_the_pictures_of_the_pages_can_be_made_again(tmp_path):
    script = Path(make_pictures.__file__)
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    pages = Path(make_sample.__file__).parent.parent / "docs" / "pictures"
    for name in ("preview.jpg", "presets.jpg", "stills.jpg"):
        made, shown = (cv2.imread(str(folder / name)) for folder in (tmp_path, pages))
        assert made is not None
        assert shown is not None
        # Another network or layout would show; another processor's rounding doesn't.
        assert made.shape == shown.shape, f"make pictures: {name} has changed"
        assert np.abs(made.astype(int) - shown).mean() < 4, f"make pictures: {name} has changed"
