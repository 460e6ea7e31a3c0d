"""The speed benchmarks print what they measured into the page, and fail when it is too slow."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import growth
import like_a_long_film
import limit
import memory
import naive
import numpy as np
import overheads
import pages
import performance
import plain_loop
import pytest
import speed
import speed_ways
import stage_times
import timing

from tests.clips import make_clip
from vidcolor.media import sample
from vidcolor.media.probe import probe
from vidcolor.media.reader import index_packets
from vidcolor.media.sample import sample_frames

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
MIB = 2**20


def lumas(film):
    """Every frame's luma (n, h, w), and its chroma."""
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
        height = container.streams.video[0].height
    stack = np.stack(frames)
    return stack[:, :height], stack[:, height:]


def cost(wall, cpu=None, peak=100 * MIB, said=""):
    return timing.Cost(wall, wall if cpu is None else cpu, peak, said)


def frames_of(words):
    """How many frames a timed command was to make, by its film's name."""
    if "--frames" in words:
        return int(words[words.index("--frames") + 1])
    if "-frames:v" in words:
        return int(words[words.index("-frames:v") + 1])
    film = next(word for word in words if re.search(r"-\d+\.mp4$", word))
    return int(film.removesuffix(".mp4").rsplit("-", 1)[1])


PACES = {"naive.py": 1.0, "eccv16": 0.1, "fast": 0.055, "balanced": 0.06, "plain_loop.py": 0.05}


def made_up(words, **options):
    """A cost that follows from a command's words: a start and a pace for each way."""
    text = " ".join(words)
    ours = "vidcolor" in words or "like_a_long_film.py" in text or "naive.py" in text
    pace = next((each for name, each in PACES.items() if name in text), 0.05)
    return cost(2.0 * ours + pace * frames_of(words), peak=(900 if ours else 500) * MIB)


@pytest.fixture
def page(tmp_path):
    """A copy of the page whose tables are printed, with a folder for its pictures."""
    (tmp_path / "pictures").mkdir()
    return Path(shutil.copy(PAGE, tmp_path))


@pytest.fixture
def quick(monkeypatch):
    """No film is made, no command run."""
    monkeypatch.setattr(timing, "cost_of", made_up)
    monkeypatch.setattr(speed_ways, "make_film", lambda path, *size, **more: path)
    monkeypatch.setattr(speed_ways, "opening", lambda film, path, frames: path)
    monkeypatch.setattr(speed, "random_weights", lambda path: path)


def called(monkeypatch, script, *words):
    monkeypatch.setattr(sys, "argv", ["script", *words])
    return script.main()


class TestSpeed:
    def test_its_tables_and_its_plot_go_into_the_page(self, quick, monkeypatch, page, capsys):
        assert called(monkeypatch, speed, "--into", str(page)) == 0
        text = page.read_text(encoding="utf-8")
        assert "| vidcolor balanced | 60.0 ± 0.0 | 1.20 ± 0.00 |" in text
        assert (
            "| 1080p: vidcolor balanced, of ffmpeg's time | 1.20 ± 0.00 | ≤ 1.25 | kept |" in text
        )
        assert "times faster than the naive loop | 10.0 ± 0.0 | ≥ 7 | kept |" in text
        assert (page.parent / "pictures" / "performance-speed.png").stat().st_size > 1000
        assert "| ffmpeg | 50.0 ± 0.0 | 1.00 ± 0.00 |" in capsys.readouterr().out

    def test_the_plot_shows_what_was_measured_before_too(self, quick, monkeypatch, page):
        pages.put_table(page, "speed-2160p", ["Not measured yet."])
        drawn = {}
        monkeypatch.setattr(speed, "draw_panels", lambda path, panels, mark: drawn.update(panels))
        assert called(monkeypatch, speed, "--case", "1080p", "--into", str(page)) == 0
        words = "time a frame, of ffmpeg's"
        assert list(drawn) == [f"1080p, {words}", f"eccv16, {words}"]
        assert drawn[f"1080p, {words}"]["vidcolor fast"].cell() == "1.10 ± 0.00"
        before = pages.table_in(PAGE, "speed-eccv16")
        kept = drawn[f"eccv16, {words}"]
        assert {name: kept[name].cell() for name in kept} == {
            row[0]: row[2] for row in before if "naive" not in row[0]
        }

    def test_a_slow_way_fails(self, quick, monkeypatch, capsys):
        monkeypatch.setitem(PACES, "balanced", 0.1)
        assert called(monkeypatch, speed, "--case", "1080p", "--short") == 1
        said = capsys.readouterr().err
        assert "missed: 1080p: vidcolor balanced" in said
        assert "missed: 1080p: vidcolor fast" not in said

    def test_the_short_set_times_what_has_a_limit(self, quick, monkeypatch, capsys):
        assert called(monkeypatch, speed, "--case", "eccv16", "--short") == 0
        out = capsys.readouterr().out
        assert "| vidcolor balanced, eccv16 |" in out
        assert "naive" not in out


def test_all_ways_encode_with_the_same_words(tmp_path):
    reel = speed_ways.Reel(tmp_path, 64, 48, 48)
    weights = tmp_path / "w.safetensors"
    ways = (
        speed_ways.ffmpeg(3),
        speed_ways.vidcolor("fast", 3),
        speed_ways.naive(weights, 3, reel),
        limit.reader_and_writer(3),
        limit.encoder("raw", tmp_path / "gray.yuv", 3),
    )
    monkey = tmp_path / "64x48-8-48.mp4"
    reel._made[48] = monkey
    for way in ways:
        words = [word.lstrip("-") for word in way.command(monkey, tmp_path / "out.mp4", 48)]
        for key, value in (("crf", "18"), ("threads", "3")):
            places = [n for n, word in enumerate(words) if word == key]
            assert places, way.name
            assert {words[n + 1] for n in places} == {value}, way.name
        assert "medium" in words, way.name


class TestNaive:
    def test_the_loop_keeps_lightness_and_takes_the_networks_colours(self):
        import torch
        from skimage.color import rgb2lab

        def network(small):
            assert small.shape == (1, 1, naive.SIDE, naive.SIDE)
            return torch.tensor([20.0, -10.0])[None, :, None, None].expand(1, 2, 4, 4)

        gray = np.linspace(60, 190, 40, dtype=np.uint8)[:, None, None]
        rgb = np.broadcast_to(gray, (40, 30, 3))
        lab = rgb2lab(naive.colorized(network, rgb))
        assert np.abs(lab[..., 0] - rgb2lab(rgb)[..., 0]).max() < 0.5
        assert np.abs(lab[..., 1:] - (20, -10)).max() < 1.5

    def test_random_weights_are_of_the_official_layout(self, tmp_path, monkeypatch):
        from vidcolor.models.registry import network_of

        kept = []
        monkeypatch.setattr("safetensors.torch.save_file", lambda state, path: kept.append(state))
        naive.random_weights(tmp_path / "one")
        naive.random_weights(tmp_path / "two")
        assert network_of(kept[0]) == "eccv16"
        assert all((kept[0][name] == kept[1][name]).all() for name in kept[0])


class TestMemory:
    def test_its_tables_go_into_the_page(self, quick, monkeypatch, page):
        monkeypatch.setattr(memory, "make_film", lambda path, *size, **more: path)
        monkeypatch.setattr(memory, "repeated", lambda clip, film, seconds: film)
        monkeypatch.setattr(memory, "probe", lambda film: film)
        choice = SimpleNamespace(codec="libx264")
        monkeypatch.setattr(memory, "choose_encoder", lambda *_: choice)
        monkeypatch.setattr(memory, "cost_of", lambda words: cost(1))
        assert called(monkeypatch, memory, "--rounds", "2", "--into", str(page)) == 0
        text = page.read_text(encoding="utf-8")
        assert "| 1080p | 0.52 ± 0.00 | 0.94 ± 0.00 | 0.42 ± 0.00 |" in text
        assert "| 120 s | 100 | 1.000 |" in text

    def test_growth_fails(self, monkeypatch, capsys):
        monkeypatch.setattr(memory, "make_film", lambda path, *size, **more: path)
        monkeypatch.setattr(memory, "repeated", lambda clip, film, seconds: film)
        peaks = iter([100 * MIB, 106 * MIB])
        monkeypatch.setattr(memory, "cost_of", lambda words: cost(1, peak=next(peaks)))
        assert called(monkeypatch, memory, "--case", "length") == 1
        assert "120 s: peak memory, of a film's of 10 s: 1.06" in capsys.readouterr().err


class TestGrowth:
    def test_its_tables_go_into_the_page(self, quick, monkeypatch, page):
        for name in ("make_film", "repeated"):
            monkeypatch.setattr(growth, name, lambda path, *size, **more: path)
        monkeypatch.setattr(
            growth,
            "interleaved",
            lambda commands, rounds: {name: [cost(5.0)] * rounds for name in commands},
        )
        assert called(monkeypatch, growth, "--into", str(page)) == 0
        text = page.read_text(encoding="utf-8")
        row = "50.0 ± 0.0 | 60.0 ± 0.0 | 10.0 ± 0.0 | 1.20 ± 0.00 | 1.20 ± 0.00 | 500 | 900 |"
        for name in ("640x360", "3840x2160", "0", "1.7", "4", "1", "2"):
            assert f"| {name} | {row}" in text
        assert "| 1,000 s | 5.0 ± 0.0 | 5.0 ± 0.0 | 0.2 ± 0.0 | 100 ± 0 |" in text
        for name in ("size", "length", "growth"):
            assert (page.parent / "pictures" / f"performance-{name}.png").is_file()

    def test_ratios_are_drawn_of_what_is_measured(self, quick, monkeypatch, page):
        pages.put_table(page, "growth-grain", ["Not measured yet."])
        drawn = {}
        monkeypatch.setattr(growth, "draw_panels", lambda path, panels, mark: drawn.update(panels))
        assert called(monkeypatch, growth, "--what", "threads", "--into", str(page)) == 0
        assert list(drawn) == ["time a frame, of ffmpeg's, by threads"]
        (bars,) = drawn.values()
        assert {name: bar.cell() for name, bar in bars.items()} == {
            "1": "1.20 ± 0.00",
            "2": "1.20 ± 0.00",
        }


class TestLimit:
    def test_its_table_goes_into_the_page(self, quick, monkeypatch, page):
        raw = limit.Raw(page.parent / "gray.yuv", page.parent / "coloured.yuv")
        monkeypatch.setattr(limit, "raw_pictures", lambda reel, threads: raw)
        assert called(monkeypatch, limit, "--into", str(page)) == 0
        text = page.read_text(encoding="utf-8")
        for name in ("gray", "in vidcolor's colours"):
            assert f"| ffmpeg, encoding alone, {name} | 50.0 ± 0.0 | 1.00 ± 0.00 |" in text
        assert "| vidcolor's reader and writer, no colour | 50.0 ± 0.0 |" in text
        assert (page.parent / "pictures" / "performance-limit.png").is_file()

    def test_raw_pictures_differ_in_chroma_alone(self, tmp_path, monkeypatch):
        reel = speed_ways.Reel(tmp_path, 64, 48, 48)
        monkeypatch.setattr(reel, "frames", 5)
        raw = limit.raw_pictures(reel, 1)
        gray, coloured = (
            np.fromfile(path, np.uint8).reshape(5, 72, 64) for path in (raw.gray, raw.coloured)
        )
        assert (gray[:, :48] == coloured[:, :48]).all()
        assert (gray[:, 48:] == 128).all()
        assert coloured[:, 48:].std() > 0

    def test_the_reader_and_writer_leave_luma_alone(self, tmp_path, monkeypatch):
        film = make_clip(tmp_path / "film.mp4", frames=5)
        out = tmp_path / "gray.mkv"
        words = ["--crf", "0", "--threads", "1", "--preset", "ultrafast"]
        called(monkeypatch, plain_loop, str(film), str(out), *words)
        one, (luma, chroma) = lumas(film)[0], lumas(out)
        assert (one == luma).all()
        assert (chroma == 128).all()


RESULT = {
    "seconds": 10.0,
    "cpu": 18.0,
    "stages": [
        ["MainThread", "render", 2.0, 1.5],
        ["MainThread", "wait for another thread", 3.0, 0.1],
        ["MainThread", "facts of the film", 1.0, 1.0],
        ["MainThread", "bookkeeping: join", 0.05, 0.04],
        ["encoder", "encode", 8.0, 0.5],
        ["encoder", "bookkeeping: fsync", 0.03, 0.01],
    ],
    "helpers": {"encoder": 12.0, "decode": 2.0, "strange": 0.4},
}


class TestStageTimes:
    def test_its_tables_go_into_the_page(self, monkeypatch, page):
        times = stage_times.times_of(RESULT, 100)
        monkeypatch.setattr(stage_times, "measured", lambda *_: [times, times])
        assert called(monkeypatch, stage_times, "--into", str(page)) == 0
        text = page.read_text(encoding="utf-8")
        for row in (
            "| render | 20.00 ± 0.00 | 15.00 ± 0.00 | 8.3 % |",
            "| encode: x264's own threads |  | 120.00 ± 0.00 | 66.7 % |",
            "| other threads |  | 4.00 ± 0.00 | 2.2 % |",
            "| MainThread | 20.50 ± 0.00 | 30.00 ± 0.00 |",
            "| encoder | 80.30 ± 0.00 | 0.00 ± 0.00 |",
        ):
            assert text.count(row) == 2, row
        assert "| wait for another thread" not in text

    def test_a_stack_is_the_whole(self):
        stack = stage_times.stack_of([stage_times.times_of(RESULT, 100)])
        assert sum(stack.values()) == pytest.approx(100)
        assert stack["bookkeeping"] == pytest.approx(100 * 0.05 / 16.45, rel=0.01)


class TestOverheads:
    def test_bookkeeping_is_a_share_of_the_run(self):
        floor = overheads.bookkeeping_floor("tiny", [RESULT, RESULT])
        assert floor.figure.median == pytest.approx(0.8)
        assert not floor.missed
        rows = list(overheads.table_of_bookkeeping([RESULT]))
        assert "| join | 0.050 ± 0.000 | 0.50 ± 0.00 % |" in rows
        assert "| facts of the film | 1.000 ± 0.000 | 10.00 ± 0.00 % |" in rows

    def test_a_kill_is_where_it_was_wanted(self):
        program = (
            "import json, time\n"
            "for done in range(0, 1000, 10):\n"
            "    print(json.dumps({'phase': 'colorizing', 'done': done}), flush=True)\n"
            "time.sleep(60)\n"
        )
        assert overheads.killed([sys.executable, "-c", program], 205) == 210

    def test_a_run_that_ends_too_soon_is_told(self):
        with pytest.raises(SystemExit, match="ended before"):
            overheads.killed([sys.executable, "-c", "print('{}')"], 5)

    def test_what_is_found_made_is_not_made_again(self, monkeypatch):
        said = '{"phase": "reading", "done": 1}\n' + '{"phase": "colorizing", "resumed": 240}\n' * 2
        monkeypatch.setattr(overheads, "cost_of", lambda words: cost(1, said=said))
        assert overheads.resumed(["vidcolor"]) == 240

    def test_its_tables_go_into_the_page(self, monkeypatch, page):
        monkeypatch.setattr(overheads, "cost_of", lambda words: cost(0.2))
        monkeypatch.setattr(overheads, "bookkeeping", lambda *_: [RESULT])
        monkeypatch.setattr(overheads, "preview_floors", lambda rounds: [])
        monkeypatch.setattr(overheads, "killed", lambda command, frames: frames)
        monkeypatch.setattr(overheads, "resumed", lambda command: 240)
        monkeypatch.setattr(speed_ways, "make_film", lambda path, *size, **more: path)
        assert called(monkeypatch, overheads, "--into", str(page)) == 0
        text = page.read_text(encoding="utf-8")
        assert "| `vidcolor --help` | 0.20 ± 0.00 s | ≤ 0.4 s | kept |" in text
        assert re.search(
            r"\| frames made twice after a kill .* \| 192 ± 0 \| ≤ 256 \| kept \|", text
        )
        assert (page.parent / "pictures" / "performance-overheads.png").is_file()


COMMON = ("--threads", "1", "--rounds", "2", "--into", "page.md")
"""What every script is given."""


class TestAll:
    @pytest.mark.parametrize("scripts", [performance.SHORT, performance.ALL], ids=["short", "all"])
    def test_each_script_takes_its_words(self, scripts, monkeypatch, capsys):
        for script, *words in scripts:
            name = script.removesuffix(".py")
            assert (performance.HERE / script).is_file()
            module = __import__(name)
            with pytest.raises(SystemExit) as ended:
                called(monkeypatch, module, *words, *COMMON, "--help")
            assert ended.value.code == 0

    def test_a_missed_floor_fails_the_whole(self, monkeypatch, capsys):
        codes = iter([0, 1, 0, 0])
        asked = []

        def run(words):
            asked.append(words)
            return SimpleNamespace(returncode=next(codes))

        monkeypatch.setattr("subprocess.run", run)
        assert called(monkeypatch, performance, "--short", "--threads", "4", "--rounds", "5") == 1
        assert "memory.py ended with 1" in capsys.readouterr().err
        assert all(words[-4:] == ["--threads", "4", "--rounds", "5"] for words in asked)

    def test_a_table_without_its_marks_is_told(self, tmp_path, capsys):
        page = tmp_path / "page.md"
        page.write_text("no marks")
        with pytest.raises(pages.MarkError, match="table: floors"):
            pages.show("floors", ["| |"], page)


def test_short_films_are_looked_at_as_long_ones_are(tmp_path, monkeypatch):
    """By their keyframes, at a cost that doesn't grow with their length."""
    monkeypatch.setattr(sample, "SAMPLED_FRAMES", sample.SAMPLED_FRAMES)
    monkeypatch.setattr(sample, "ENOUGH_KEYFRAMES", sample.ENOUGH_KEYFRAMES)
    info = probe(make_clip(tmp_path / "film.mkv", frames=60, gop=20))
    keyframes = set(index_packets(info).keyframes)
    assert not {frame.pts for frame in sample_frames(info)} <= keyframes
    like_a_long_film.look_as_at_long_films()
    assert {frame.pts for frame in sample_frames(info)} == keyframes
    assert len(keyframes) == 3
