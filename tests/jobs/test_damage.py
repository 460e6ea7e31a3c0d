"""A damaged source: what is said of it, and what `--strict` makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.broken_films import spoilt
from tests.clips import make_clip
from tests.jobs.helpers import FAST, decoded, segment_stamps
from vidcolor.cli import run_arguments
from vidcolor.errors import SourceError
from vidcolor.jobs.damage import Damage, damage_of, damage_words, moment_words
from vidcolor.jobs.folder import Finished, folder_path
from vidcolor.jobs.local import Order, run_film
from vidcolor.media.probe import probe
from vidcolor.settings import Settings

SETTINGS = Settings(model="standin", codec="ffv1", segment_seconds=0.5, threads=1)


@pytest.fixture
def order(tmp_path):
    whole = make_clip(tmp_path / "whole.mkv", frames=48, codec="ffv1", gop=1)
    film = spoilt(whole, tmp_path / "film.mkv", {20, 21, 40})
    return Order(source=film, output=tmp_path / "film.color.mkv", settings=SETTINGS)


def test_lost_frames_are_counted_and_placed(order):
    outcome = run_film(order)
    assert (outcome.frames, outcome.damaged, outcome.repeated, outcome.missing) == (48, 0, 3, 0)
    assert outcome.source_damaged
    assert outcome.damage == (Damage(start=0.833, end=1.667, damaged=0, repeated=3),)
    pictures = decoded(order.output)
    assert [time for time, _ in pictures] == [
        time for time, _ in decoded(order.source.with_name("whole.mkv"))
    ]
    assert pictures[19][1] == pictures[20][1] == pictures[21][1] != pictures[22][1]


def test_strict_stops_and_the_same_without_goes_on(order):
    with pytest.raises(SourceError, match=r"2 frames are damaged, 2 of them lost, at 0:00\.8\."):
        run_film(replace(order, strict=True))
    assert not order.output.exists()
    kept = segment_stamps(order.output)
    assert len(kept) >= 2
    with pytest.raises(SourceError, match="without --strict"):
        run_film(replace(order, strict=True))
    outcome = run_film(order)
    assert outcome.frames_resumed >= 24
    assert outcome.repeated == 3
    alone = replace(order, output=order.output.with_name("alone.mkv"))
    run_film(alone)
    assert decoded(order.output) == decoded(alone.output)


def test_strict_takes_a_whole_film(order):
    whole = replace(order, source=order.source.with_name("whole.mkv"), strict=True)
    outcome = run_film(whole)
    assert (outcome.frames, outcome.source_damaged, outcome.damage) == (48, False, ())


def test_a_file_cut_short(order):
    film = order.source.with_name("whole.mkv")
    data = film.read_bytes()
    film.write_bytes(data[: len(data) * 3 // 4])
    cut = replace(order, source=film)
    with pytest.raises(SourceError, match=r"cut short: [\d,]+ bytes are missing at its end"):
        run_film(replace(cut, strict=True))
    assert segment_stamps(order.output) == {}
    outcome = run_film(cut)
    assert outcome.bytes_missing == len(data) - len(data) * 3 // 4
    assert 30 < outcome.frames < 40


def test_the_command_line(order, capsys):
    film, output = order.source, order.output
    words = ["run", str(film), "-o", str(output), *FAST]
    assert run_arguments([*words, "--strict"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        f"error: {film} is damaged: 2 frames are damaged, 2 of them lost, at 0:00.8. "
    )
    assert not output.exists()
    assert folder_path(output).is_dir()
    assert run_arguments([*words, "--json"]) == 3
    told = capsys.readouterr()
    finished = json.loads(told.out.splitlines()[-1])
    assert finished["event"] == "finished"
    assert (finished["repeated"], len(finished["damage"])) == (3, 1)
    assert finished["damage"][0]["repeated"] == 3
    assert (
        "the source is damaged: 3 frames couldn't be decoded and repeat the one before (from "
        "0:00.8 to 0:01.6)." in told.err
    )


def part(damaged=(), repeated=()):
    return Finished(Path(), 1, (0,), (1,), "", "", damaged, repeated)


def test_places_that_are_near_are_one(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=5))
    parts = [part((0, 900), (950,)), part((), (2000, 2040)), part((60_000,))]
    places = damage_of(parts, info)
    assert [(p.start, p.end, p.damaged, p.repeated) for p in places] == [
        (0.0, 0.95, 2, 1),
        (2.0, 2.04, 0, 2),
        (60.0, 60.0, 1, 0),
    ]
    assert damage_words(places) == ("from 0:00.0 to 0:00.9, at 0:02.0 and at 1:00.0")
    many = [replace(places[2], start=n * 60.0, end=n * 60.0) for n in range(9)]
    assert damage_words(many).endswith(", at 4:00.0 and 4 more places")
    assert damage_words(many[:1]) == "at 0:00.0"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0:00.0"), (12.3, "0:12.3"), (62.59, "1:02.5"), (3723.04, "1:02:03.0")],
)
def test_moments_in_words(seconds, words):
    assert moment_words(seconds) == words
