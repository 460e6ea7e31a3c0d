"""What could fail at the end of a run is told at its beginning, before anything is coloured."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import namedtuple
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.jobs.helpers import decoded
from vidcolor.errors import JobError, OutputError, SourceError
from vidcolor.jobs import beforehand
from vidcolor.jobs.estimate import plan_film
from vidcolor.jobs.events import Started, Warned
from vidcolor.jobs.folder import JobFolder, folder_path
from vidcolor.jobs.local import Order, run_film
from vidcolor.media.join import _Join, check_output_container
from vidcolor.media.probe import probe
from vidcolor.settings import Settings

FAST = Settings(model="standin", segment_seconds=0.5, codec="ffv1", threads=1)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    return make_clip(folder / "film.mkv", frames=36, audio=True, subtitle=True)


@pytest.fixture
def order(made, tmp_path):
    source = Path(shutil.copy2(made, tmp_path / "film.mkv"))
    return Order(source=source, output=tmp_path / "out.mkv", settings=FAST)


def with_output(order, output):
    return Order(source=order.source, output=output, settings=order.settings, overwrite=True)


def refused(order, kind=OutputError):
    """The sentence a run and a dry run refuse an order with, both before they colour anything."""
    begun: list[object] = []
    with pytest.raises(kind) as told:
        run_film(order, report=lambda event: begun.append(event))
    assert not any(isinstance(event, Started) for event in begun)
    with pytest.raises(kind) as planned:
        plan_film(order)
    assert str(told.value) == str(planned.value)
    return str(told.value)


def test_a_name_too_long_for_the_jobs_folder(order, tmp_path):
    most = os.pathconf(tmp_path, "PC_NAME_MAX")
    fits = tmp_path / f"{'x' * (most - 9)}.mkv"
    run_film(with_output(order, fits))
    assert fits.exists()
    said = refused(with_output(order, tmp_path / f"{'x' * (most - 8)}.mkv"))
    assert f"has {most + 1} bytes, and {most} are possible" in said
    # Bytes are counted, not letters.
    assert "too long" in refused(with_output(order, tmp_path / f"{'ж' * 125}.mkv"))


def test_a_folder_that_lies_too_deep(order, tmp_path):
    deep = tmp_path
    while len(str(deep)) < 4065:
        deep = deep / ("d" * min(200, 4069 - len(str(deep))))
    deep.mkdir(parents=True)
    assert "lies too deep" in refused(with_output(order, deep / "film.mkv"))


@pytest.mark.parametrize("there", [True, False])
def test_an_output_that_is_a_link_is_refused_and_what_it_leads_to_stays(order, tmp_path, there):
    other = tmp_path / "other.mkv"
    if there:
        other.write_bytes(b"precious")
    link = tmp_path / "link.mkv"
    link.symlink_to(other)
    assert "is a link to" in refused(with_output(order, link))
    assert link.is_symlink()
    assert (other.read_bytes() if there else not other.exists()) in (b"precious", True)


def test_a_protected_output_is_not_replaced(order, tmp_path):
    output = tmp_path / "out.mkv"
    output.write_bytes(b"precious")
    output.chmod(0o444)
    assert "protected against writing" in refused(with_output(order, output))
    assert output.read_bytes() == b"precious"


@pytest.mark.parametrize("inside", ["", "segments", "lock", "job.json"])
def test_a_jobs_folder_that_leads_elsewhere_is_refused(order, tmp_path, inside):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").write_text("precious")
    folder = folder_path(order.output)
    if inside:
        folder.mkdir()
        (folder / "segments").mkdir()
        target = folder / inside
        if target.exists():
            target.rmdir()
        target.symlink_to(elsewhere if inside == "segments" else elsewhere / "lock")
    else:
        folder.symlink_to(elsewhere)
    said = refused(order, JobError)
    assert "must stay in its folder" in said
    assert (elsewhere / "lock").read_text() == "precious"
    assert [path.name for path in elsewhere.iterdir()] == ["lock"]


def test_a_folder_for_temporary_files_that_is_full_or_gone(order, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert "TMPDIR" in refused(order)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    # The usual places take its part.
    beforehand.try_temporary_folder()
    full = Path("/dev/full")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: full.open("wb"))
    assert "No space left" in refused(order)


def test_a_rename_that_would_fail_at_the_end_fails_at_the_beginning(order, monkeypatch):
    real = Path.replace

    def replace(self, target):
        if ".job" in str(self) and Path(target).parent == order.output.parent:
            raise OSError(18, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OutputError, match="cross-device"):
        run_film(order)
    assert not folder_path(order.output).exists()


def test_the_trial_of_the_final_name_leaves_nothing_and_takes_nobodys_file(order, tmp_path):
    there = tmp_path / "out.mkv.part"
    there.write_text("somebody's")
    run_film(order)
    assert there.read_text() == "somebody's"
    there.write_bytes(b"")  # what a trial leaves that was killed
    with JobFolder.hold(order.output) as folder:
        beforehand.try_final_name(folder, order.output)
    assert not there.exists()


# Room


def free(monkeypatch, count):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**12, 0, count))


def test_a_disk_far_too_small_is_an_error_that_names_need_room_and_folder(order, monkeypatch):
    free(monkeypatch, 20_000)
    begun: list[object] = []
    with pytest.raises(OutputError) as told:
        run_film(order, report=begun.append)
    said = str(told.value)
    assert "the disk is too small" in said
    assert str(order.output.parent) in said
    assert "20 kB are free" in said
    assert "make room" in said
    assert not any(isinstance(event, Started) for event in begun)


def test_a_disk_that_may_be_too_small_is_a_warning(order, monkeypatch):
    run_film(order)
    order.output.rename(order.output.with_name("made.mkv"))
    made = order.output.with_name("made.mkv").stat().st_size
    free(monkeypatch, round(made * 1.5))
    said: list[object] = []
    run_film(order, report=said.append)
    warned = [event.text for event in said if isinstance(event, Warned)]
    assert any("may be too small" in text for text in warned), warned
    assert len(decoded(order.output)) == 36


def test_where_there_is_room_nothing_is_encoded_to_find_out(order, monkeypatch):
    monkeypatch.setattr(beforehand, "_tried_packets", None)
    run_film(order)


def test_only_what_is_still_to_be_made_counts(order, monkeypatch):
    run_film(replace(order, keep_job=True))
    (folder_path(order.output) / "segments" / "00001.json").unlink()
    asked = []
    real = beforehand._tried_packets

    def tried(*given):
        asked.append(len(given[3]))
        return real(*given)

    monkeypatch.setattr(beforehand, "_tried_packets", tried)
    monkeypatch.setattr(beforehand, "_most_bytes", lambda *given: 10**9)
    size = order.output.stat().st_size
    # Too little for all segments and the film, enough for one of three.
    free(monkeypatch, round(1.7 * size))
    said: list[object] = []
    run_film(replace(order, overwrite=True), report=said.append)
    assert asked == [1]
    assert not any(isinstance(event, Warned) for event in said)
    order.output.unlink()
    free(monkeypatch, round(0.4 * size))
    with pytest.raises(OutputError, match="too small"):
        run_film(order)


def test_the_estimate_is_near_what_comes(order, monkeypatch):
    run_film(order)
    size = order.output.stat().st_size
    order.output.unlink()
    free(monkeypatch, 0)
    with pytest.raises(OutputError) as told:
        run_film(order)
    words = str(told.value).partition("about ")[2].partition(" kB")[0]
    assert 0.6 < float(words) * 1000 / (2 * size) < 1.6, told.value


# The container


def test_all_tracks_are_joined_on_trial(made, tmp_path):
    """One packet of each kind goes into the container before the work starts."""
    info = probe(made)
    from vidcolor.media.choice import choose_encoder

    choice = choose_encoder(info, Settings(threads=1, encoder_preset="ultrafast"))
    for suffix in (".mkv", ".mp4", ".mov"):
        assert check_output_container(info, tmp_path / f"out{suffix}", choice) == []
    assert list(tmp_path.iterdir()) == []


def test_what_only_the_whole_mux_refuses_is_told_at_the_beginning(made, order, monkeypatch):
    def refuse(self, out, *more):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(_Join, "_mux_all", refuse)
    said = refused(order)
    assert "can't be put together as .mkv" in said
    assert "Invalid argument" in said


# As somebody who may not


@contextmanager
def nobody():
    """Root may do everything, so the rest is done as somebody else."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


def test_a_source_or_a_folder_without_permission_is_one_sentence(made):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        source = Path(shutil.copy2(made, folder / "film.mkv"))
        source.chmod(0)
        order = Order(source=source, output=folder / "out.mkv", settings=FAST)
        with nobody(), pytest.raises(SourceError, match="permission"):
            run_film(order)
        source.chmod(0o444)
        folder.chmod(0o555)
        with nobody(), pytest.raises(OutputError, match="may not be written to"):
            run_film(order)
        assert [path.name for path in folder.iterdir()] == ["film.mkv"]
        folder.chmod(0o755)
