"""What a run would do, told beforehand: the plan, the trial, size and time; and nothing made."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from tests.clips import make_clip
from tests.jobs.helpers import SEGMENT_FRAMES
from vidcolor.errors import EncoderError, JobError, OutputError, VidcolorError
from vidcolor.frames import Segment
from vidcolor.jobs.estimate import estimate_of, heaviness, plan_film, try_film
from vidcolor.jobs.folder import JobFolder, folder_path
from vidcolor.jobs.local import Order, run_film
from vidcolor.jobs.plan import Moment
from vidcolor.jobs.trial import MOST_TRIALS, Trial, Trials, trial_places
from vidcolor.media.tracks import Load, Weights
from vidcolor.settings import Settings

SETTINGS = Settings(model="standin", codec="ffv1", segment_seconds=0.5, threads=1)
FRAMES = 4 * SEGMENT_FRAMES


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return make_clip(
        folder / "film.mkv",
        frames=FRAMES,
        audio=True,
        subtitle=True,
        chapters=[(0, 1, "one"), (1, 2, "two")],
        title="A film",
    )


@pytest.fixture
def order(made, tmp_path):
    film = Path(shutil.copy2(made, tmp_path / "film.mkv"))
    return Order(source=film, output=tmp_path / "film.color.mkv", settings=SETTINGS)


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path_factory, monkeypatch):
    """No thread, and no file where temporary ones go."""
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), thread
    assert list(scratch.iterdir()) == []


def work_of(order, **options):
    work = plan_film(order, **options).work
    assert work is not None
    return work


def contents(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def stop_after(order, segments):
    """Leave a job of which so many segments are finished."""
    run_film(replace(order, keep_job=True))
    order.output.unlink()
    for marker in sorted((folder_path(order.output) / "segments").glob("*.json"))[segments:]:
        marker.unlink()


def test_a_plan_tells_everything_and_leaves_no_trace(order, tmp_path):
    before = contents(tmp_path)
    plan = plan_film(order)
    work = plan.work
    assert (plan.source, plan.output, plan.job_beside) == (order.source, order.output, False)
    assert work is not None
    assert (len(work.segments), work.frames, work.segments_done) == (4, FRAMES, 0)
    assert (work.resumed, work.discarded, work.replaced) == (False, False, False)
    assert work.seconds == pytest.approx(2.0, abs=0.001)
    assert (work.chapters, work.warnings) == (2, ())
    assert (work.engine.model, work.engine.device, work.engine.batch) == ("standin", "cpu", 1)
    assert work.engine.why == ""
    assert (work.choice.codec, work.format.bit_depth) == ("ffv1", 8)
    assert len(work.todo) == FRAMES
    assert work.free_bytes > 0
    try_film(order, work, seconds=0.2)
    assert contents(tmp_path) == before


def test_streams_and_what_becomes_of_them(order):
    order = replace(order, output=order.output.with_suffix(".mp4"), settings=Settings())
    order = replace(order, settings=replace(SETTINGS, codec="libx264"))
    picture, sound, text = work_of(order).streams
    assert (picture.way, picture.codec, picture.becomes) == ("picture", "h264", "libx264")
    assert (sound.way, sound.becomes, sound.language, sound.title) == ("copy", "aac", "eng", "Sine")
    assert (text.way, text.codec, text.becomes) == ("convert", "subrip", "mov_text")


def test_what_is_left_out_says_why(order, monkeypatch):
    def none():
        raise OutputError("there is no ffmpeg on PATH; install it.")

    monkeypatch.setattr("vidcolor.media.subtitles.find_ffmpeg", none)
    settings = replace(SETTINGS, codec="libx264")
    work = work_of(replace(order, output=order.output.with_suffix(".mp4"), settings=settings))
    text = work.streams[2]
    assert (text.way, text.becomes) == ("leave", "")
    assert text.why == "there is no ffmpeg on PATH; install it"
    assert any("subtitles are left out" in warning for warning in work.warnings)


def test_attachments_count(tmp_path):
    film = tmp_path / "film.mkv"
    with av.open(str(film), "w") as out:
        video = out.add_stream("ffv1", rate=24)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        out.add_attachment("notes.txt", "text/plain", b"x" * 5000)
        frame = av.VideoFrame(64, 48, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts = 0
        out.mux(video.encode(frame))
        out.mux(video.encode(None))
    work = work_of(Order(source=film, output=tmp_path / "o.mkv", settings=SETTINGS))
    assert (work.streams[1].way, work.streams[1].bytes) == ("attach", 5000)
    assert work.copied == Load(packets=1, bytes=5000)
    trial = try_film(Order(source=film, output=tmp_path / "o.mkv", settings=SETTINGS), work)
    assert trial is not None
    assert trial.frames == 1
    assert estimate_of(work, trial).output_bytes > 5000


def test_what_is_copied_is_what_the_output_holds(order):
    work = work_of(order)
    run_film(order)
    with av.open(str(order.output)) as out:
        sizes = [packet.size for packet in out.demux(audio=0) if packet.size]
    assert work.streams[1].bytes == sum(sizes)
    assert work.copied.packets == len(sizes) + 2


def test_a_range(order):
    whole = work_of(order)
    cut = replace(order, start=Moment.parse("0.5"), end=Moment.parse("36f"))
    work = work_of(cut)
    assert (work.frames, len(work.segments)) == (24, 2)
    assert 0.4 < work.streams[1].bytes / whole.streams[1].bytes < 0.6
    trial = try_film(cut, work, seconds=5)
    assert trial is not None
    assert trial.frames <= 24
    run_film(cut)
    size = cut.output.stat().st_size
    assert estimate_of(work, trial).output_bytes == pytest.approx(size, rel=0.15)


def test_an_output_that_is_there_is_left_alone(order):
    run_film(replace(order, keep_job=True))
    plan = plan_film(order)
    assert plan.work is None
    assert plan.job_beside
    work = work_of(replace(order, overwrite=True))
    assert work.replaced
    assert (work.segments_done, work.todo) == (4, ())
    assert try_film(order, work) is None
    estimate = estimate_of(work, None)
    assert estimate.coming_bytes == 0
    assert estimate.output_bytes == pytest.approx(order.output.stat().st_size, rel=0.15)


def test_a_resume_leaves_out_what_is_finished(order, tmp_path):
    whole = work_of(order)
    stop_after(order, 2)
    before = contents(tmp_path)
    work = work_of(order)
    assert work.resumed
    assert (work.segments_done, work.frames_done) == (2, 2 * SEGMENT_FRAMES)
    assert len(work.todo) == FRAMES - work.frames_done
    trial = try_film(order, work, seconds=0.5)
    assert contents(tmp_path) == before
    alone, rest = estimate_of(whole, trial), estimate_of(work, trial)
    assert rest.coming_bytes < 0.6 * alone.coming_bytes
    assert rest.output_bytes == pytest.approx(alone.output_bytes, rel=0.2)


def test_a_restart_would_throw_it_away(order):
    stop_after(order, 2)
    work = work_of(replace(order, restart=True))
    assert (work.discarded, work.resumed, work.segments_done) == (True, False, 0)
    assert len(list((folder_path(order.output) / "segments").glob("*.json"))) == 2


def test_a_job_of_other_settings_is_refused(order):
    stop_after(order, 1)
    other = replace(order, settings=replace(SETTINGS, saturation=0.5))
    with pytest.raises(JobError, match="saturation"):
        plan_film(other)
    assert plan_film(replace(other, restart=True)).work is not None


def test_a_job_that_another_process_works_on(order):
    with JobFolder.hold(order.output), pytest.raises(JobError, match="another process"):
        plan_film(order)


def wrong_orders(order, color):
    folder = order.source.parent
    empty, text, plain = folder / "empty.mkv", folder / "text.mkv", folder / "file"
    empty.touch()
    text.write_text("no film")
    plain.touch()
    stranger = folder / "stranger.mkv.job"
    stranger.mkdir()
    (stranger / "precious").touch()
    settings = order.settings
    return {
        "missing": replace(order, source=folder / "nowhere.mkv"),
        "empty": replace(order, source=empty),
        "no film": replace(order, source=text),
        "colour": replace(order, source=color),
        "codec": replace(order, settings=replace(settings, codec="libx246")),
        "option": replace(order, settings=replace(settings, encoder_options=(("crv", "1"),))),
        "crf": replace(order, settings=replace(settings, codec="libx264", crf=60)),
        "suffix": replace(order, output=folder / "film.txt"),
        "container": replace(order, output=folder / "film.webm"),
        "own source": replace(order, output=order.source, overwrite=True),
        "no folder": replace(order, output=folder / "nowhere" / "film.mkv"),
        "folder is a file": replace(order, output=plain / "film.mkv"),
        "strangers": replace(order, output=folder / "stranger.mkv"),
        "not a film": replace(order, output=text),
        "range": replace(order, start=Moment.parse("20")),
        "empty range": replace(order, start=Moment.parse("1"), end=Moment.parse("24f")),
        "model": replace(order, settings=replace(settings, model="siggraf17")),
        "device": replace(order, settings=replace(settings, device="cuda:77")),
    }


def test_what_a_run_refuses_is_refused_in_the_same_words(order, tmp_path):
    color = make_clip(tmp_path / "color.mkv", frames=12, color=True)
    for name, wrong in wrong_orders(order, color).items():
        with pytest.raises(VidcolorError) as planned:
            plan_film(wrong)
        with pytest.raises(VidcolorError) as ran:
            run_film(wrong)
        assert str(planned.value) == str(ran.value), name
        assert planned.type is ran.type


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
def test_a_folder_that_may_not_be_written_to(order, monkeypatch):
    # A test may run as root, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match=r"may not be written to \(Permission denied\)"):
        plan_film(order)


def test_a_folder_that_a_run_would_make(order, tmp_path):
    order = replace(order, output=tmp_path / "new" / "er" / "film.color.mkv")
    assert work_of(order, folder_to_be_made=True).free_bytes > 0
    assert not (tmp_path / "new").exists()
    (tmp_path / "new").touch()
    with pytest.raises(OutputError, match="can't be made"):
        plan_film(order, folder_to_be_made=True)


def test_a_trial_takes_about_its_time(order):
    work = work_of(order)
    short = try_film(order, work, seconds=0)
    assert short is not None
    assert (short.frames, short.places) == (1, 1)
    long = try_film(order, work, seconds=60)
    assert long is not None
    # From a sixth of the film on, all of it.
    assert (long.frames, long.places) == (FRAMES - FRAMES // 6, 3)
    assert long.fps > 0
    assert long.bytes_per_frame == pytest.approx(
        (3 * long.first_bytes + (long.frames - 3) * long.other_bytes) / long.frames
    )


def test_a_slow_start_keeps_the_trial_in_one_place(order, monkeypatch):
    monkeypatch.setattr("vidcolor.jobs.trial.SLOW_START_SECONDS", 0.0)
    trial = try_film(order, work_of(order), seconds=0.001)
    assert trial is not None
    assert trial.places == 1


def test_an_estimate_is_near_the_truth(order):
    settings = replace(SETTINGS, codec="libx264", segment_seconds=1.0)
    order = replace(order, settings=settings)
    work = work_of(order)
    trial = try_film(order, work)
    estimate = estimate_of(work, trial)
    run_film(order)
    assert estimate.output_bytes == pytest.approx(order.output.stat().st_size, rel=0.15)
    assert estimate.room_bytes > estimate.output_bytes
    assert estimate.output_bytes > estimate.picture_bytes + work.copied.bytes


def test_time_left_follows_the_trials_speed(order):
    work = work_of(order)
    trial = try_film(order, work, seconds=0.2)
    assert trial is not None
    slow = replace(trial, seconds=trial.seconds + 1000)
    longer = estimate_of(work, slow).seconds - estimate_of(work, trial).seconds
    assert longer == pytest.approx(1000 * FRAMES / (trial.frames - trial.places), rel=0.01)


def test_an_encoder_that_fails_in_a_trial(order, monkeypatch):
    from vidcolor.media.write import SegmentWriter

    def write(self, picture):
        raise EncoderError("the encoder fell over.")

    work = work_of(order)
    monkeypatch.setattr(SegmentWriter, "write", write)
    with pytest.raises(EncoderError, match="fell over"):
        try_film(order, work)


def test_a_damaged_source_is_noticed(tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=48, gop=4)
    raw = bytearray(film.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 600] = bytes(600)
    film.write_bytes(raw)
    order = Order(source=film, output=tmp_path / "o.mkv", settings=SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidcolor.media.reader.log.disabled", True)
        trial = try_film(order, work_of(order), seconds=10)
    assert trial is not None
    assert trial.damaged > 0


def places_of(todo, seekable=True, start_pts=0):
    info = SimpleNamespace(seekable=seekable, start_pts=start_pts, time_base=0.01)
    return trial_places(SimpleNamespace(todo=tuple(todo), info=info))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("todo", "places"),
    [
        ((), []),
        ((7,), [(7, 8)]),
        ((7, 9), [(9, 10), (7, 8)]),
        ((7, 9, 11), [(9, 10), (7, 8), (11, 12)]),
        (range(0, 120, 10), [(60, 91), (20, 51), (100, 111)]),
    ],
)
def test_places(todo, places):
    assert places_of(todo) == places


def test_a_film_that_cant_be_sought_is_tried_near_its_beginning():
    # A hundredth of a second a tick: 6000 is a minute.
    assert places_of(range(0, 100_000, 10), seekable=False) == [(6000, 99_991)]
    assert places_of(range(0, 1000, 10), seekable=False) == [(160, 991)]


TRIAL = Trial(
    source=Path("a.mp4"),
    frames=100,
    seconds=10.0,
    starting_seconds=1.0,
    spans=((0, 32), (40, 72), (80, 113)),
    first_bytes=9000.0,
    other_bytes=1000.0,
    damaged=0,
    pixels=640 * 360,
)


def film(name, width=640, height=360, codec="h264") -> tuple[Any, Any]:
    """An order and its work, as far as Trials looks at them."""
    info = SimpleNamespace(width=width, height=height, codec=codec, pixel_format="yuv420p")
    return SimpleNamespace(source=Path(name)), SimpleNamespace(info=info, todo=(1, 2))


@pytest.fixture
def tried(monkeypatch):
    """Names of the films that were tried."""
    names: list[str] = []

    def try_film(order, work, *, open_engine=None):
        names.append(order.source.name)
        return replace(TRIAL, source=order.source, pixels=work.info.width * work.info.height)

    monkeypatch.setattr("vidcolor.jobs.trial.try_film", try_film)
    return names


def test_a_few_films_are_each_tried(tried):
    trials = Trials(MOST_TRIALS)
    names = [f"{n}.mp4" for n in range(MOST_TRIALS)]
    for name in names:
        trial = trials.trial_for(*film(name))
        assert trial is not None
        assert trial.source.name == name
    assert tried == names


def test_of_many_films_the_first_of_each_kind_is_tried(tried):
    trials = Trials(200)
    sources = []
    for number in range(200):
        kind = (640, 360, "h264") if number % 2 else (720, 576, "mpeg2video")
        trial = trials.trial_for(*film(f"{number}.mp4", *kind))
        assert trial is not None
        sources.append(trial.source.name)
        assert not trial.scaled
    assert tried == ["0.mp4", "1.mp4"]
    assert set(sources[2::2]) == {"0.mp4"}
    assert set(sources[3::2]) == {"1.mp4"}


def test_of_many_kinds_the_rest_is_scaled_from_the_nearest(tried):
    trials = Trials(200)
    for number in range(MOST_TRIALS):
        trials.trial_for(*film(f"{number}.mp4", 640 * (number + 1), 360))
    trial = trials.trial_for(*film("last.mp4", 640 * 3, 720))
    assert len(tried) == MOST_TRIALS
    assert trial is not None
    assert (trial.source.name, trial.scaled) == ("5.mp4", True)
    assert trial.seconds == TRIAL.seconds
    far = trials.trial_for(*film("huge.mp4", 640 * 12, 360))
    assert far is not None
    assert far.source.name == "5.mp4"
    assert far.fps == pytest.approx(TRIAL.fps / 2)
    assert far.bytes_per_frame == pytest.approx(2 * TRIAL.bytes_per_frame)


def test_a_film_with_nothing_to_do_is_not_tried(tried):
    order, work = film("done.mp4")
    work.todo = ()
    assert Trials(1).trial_for(order, work) is None
    assert tried == []


def test_segments_begin_with_large_packets():
    work = SimpleNamespace(
        frames=1000,
        frames_done=0,
        bytes_done=0,
        segments=tuple(Segment(n, n, n + 1) for n in range(10)),
        segments_done=0,
        copied=Load(packets=0, bytes=0),
        reading_seconds=0.0,
        opening_seconds=0.0,
        todo=tuple(range(1000)),
        info=SimpleNamespace(path=TRIAL.source),
        weights=weights([100] * 1000),
    )
    estimate = estimate_of(work, TRIAL)  # type: ignore[arg-type]
    assert estimate.coming_bytes == pytest.approx(10 * 9000 + 990 * 1000, rel=0.02)


def weights(sizes):
    return Weights(
        loads={}, times=np.arange(len(sizes), dtype=np.int64), sizes=np.array(sizes, np.int64)
    )


def heavy_work(sizes, todo, path=TRIAL.source) -> Any:
    info = SimpleNamespace(path=path)
    return SimpleNamespace(info=info, todo=tuple(todo), weights=weights(sizes))


def test_scenes_that_are_heavier_in_the_source_are_heavier_here():
    # Tried were frames 0..32, 40..72 and 80..113, of 100 bytes each; the rest has 300.
    sizes = [100] * 114 + [300] * 86
    mean = (114 * 100 + 86 * 300) / 200
    assert heaviness(heavy_work(sizes, range(200)), TRIAL) == pytest.approx(mean / 100)
    # Of what is to be made alone, where some is finished.
    assert heaviness(heavy_work(sizes, range(114, 200)), TRIAL) == pytest.approx(3)


def test_packets_that_say_nothing_change_nothing():
    sizes = [100] * 100 + [900] * 100
    assert heaviness(heavy_work(sizes, range(200), path=Path("b.mp4")), TRIAL) == 1
    assert heaviness(heavy_work(sizes, ()), TRIAL) == 1
    few = replace(TRIAL, spans=((0, 6),))
    assert heaviness(heavy_work(sizes, range(200)), few) == 1


def test_the_picture_is_weighed_between_its_keyframes(order):
    with av.open(str(order.source)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    between = sorted((p.pts, p.size) for p in packets if not p.is_keyframe and p.pts is not None)
    assert 0 < len(between) < len(packets)
    held = work_of(order).weights
    assert list(zip(held.times.tolist(), held.sizes.tolist(), strict=True)) == between


def test_a_picture_of_keyframes_alone_is_weighed_by_them(tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=12, codec="ffv1", options={"g": "1"})
    work = work_of(Order(source=film, output=tmp_path / "o.mkv", settings=SETTINGS))
    assert len(work.weights.times) == 12
