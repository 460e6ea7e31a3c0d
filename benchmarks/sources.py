"""Films of every kind of file, made in code: containers, codecs, samples, times, streams.

    for source in SOURCES:              # of matrix.py
        make(source, Path("films"))     # films/mp4/hevc.mp4 and so on

Every film is a gray moving test picture of 160x120 and 1.6 s, with a sine beside it where sound is
its point, unless its kind asks for something else. The ffmpeg program that comes with
imageio-ffmpeg makes them; what it can't make is in `handmade`.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import handmade
import imageio_ffmpeg


class MakingError(Exception):
    """A source can't be made with the ffmpeg at hand; its words say why."""


@dataclass(frozen=True)
class Source:
    """One film of the matrix and how it is made: words for ffmpeg, in which {room} is a folder of
    subtitles, covers and the like."""

    file: str
    """Its name, which is also its row's and nobody else's."""

    what: str
    """What is special about it, in a few words."""

    video: str
    """Encodes the picture."""

    audio: str = "-an"
    """Encodes the sound and whatever else comes along, or leaves the sound out."""

    size: str = "160x120"
    rate: str = "25"
    seconds: float = 1.6
    sound_seconds: float | None = None
    """The picture's, unless given."""

    look: str = ""
    """Filters after the picture was made gray."""

    more: str = ""
    """Further inputs, from number 2 on: 0 is the picture, 1 the sine."""

    maps: str = "-map 0 -map 1"
    again: tuple[str, str] | None = None
    """Words before and after the input of a second pass."""

    by_hand: Callable[[Path, Path], None] | None = None
    """Makes the source of the file that ffmpeg made, where ffmpeg can't."""

    between: str = ""
    """Suffix of the file in between; the source's own if empty."""

    colored: bool = False
    """Whether the picture keeps its colours."""

    given: str = ""
    """Words for the program, without which it would refuse the film or make another of it."""


def make(source: Source, folder: Path) -> Path:
    """Make one source in `folder`, below a folder for its kind of container, unless it is there.

    Raises MakingError.
    """
    path = place_of(source, folder)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent) as scratch:
        room = Path(scratch)
        furnish(room)
        done = room / f"done{path.suffix}"
        step = room / f"step{source.between or path.suffix}"
        alone = source.again is None and source.by_hand is None
        encode(source, done if alone else step, room)
        if source.again is not None:
            before, behind = (words_of(text, room) for text in source.again)
            ffmpeg(*before, "-i", str(step), *behind, str(done))
        elif source.by_hand is not None:
            source.by_hand(step, done)
        done.replace(path)
    return path


def place_of(source: Source, folder: Path) -> Path:
    return folder / Path(source.file).suffix[1:] / source.file


def encode(source: Source, path: Path, room: Path) -> None:
    """The first pass: picture, sound and whatever else comes in."""
    filters = ("format=yuv444p", "" if source.colored else "hue=s=0", source.look)
    look = ",".join(each for each in filters if each)
    picture = f"testsrc2=size={source.size}:rate={source.rate}:duration={source.seconds},{look}"
    sound = (
        f"sine=frequency=440:sample_rate=48000:duration={source.sound_seconds or source.seconds}"
    )
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound)
    texts = (source.more, source.maps, source.video, source.audio)
    ffmpeg(*inputs, *(word for text in texts for word in words_of(text, room)), str(path))


def words_of(text: str, room: Path) -> list[str]:
    return [word.replace("{room}", str(room)) for word in shlex.split(text)]


def ffmpeg(*words: str, stdout: int = subprocess.DEVNULL) -> bytes:
    """Run the program; returns its output if that was a pipe. Raises MakingError."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *words]
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise MakingError(" ".join(said[:3]) or f"ffmpeg ended with {done.returncode}")
    return done.stdout or b""


# Made by hand


def piped(before: Path, after: Path) -> None:
    """Written to a pipe, so that nothing could be filled in afterwards."""
    words = ("-i", str(before), "-map", "0", "-c", "copy", "-f", "matroska", "pipe:1")
    after.write_bytes(ffmpeg(*words, stdout=subprocess.PIPE))


def played_twice(before: Path, after: Path) -> None:
    """The same bytes again, as two recordings joined by hand: the clock jumps back."""
    after.write_bytes(2 * before.read_bytes())


def an_hour_later(before: Path, after: Path) -> None:
    """Joined by hand with a recording of an hour later: the clock jumps ahead."""
    _followed(before, after, "-output_ts_offset 3600")


def three_recordings(before: Path, after: Path) -> None:
    """Joined by hand with a short recording of two hours later and one of the time before."""
    _followed(before, after, "-t 0.4 -output_ts_offset 7200", "-output_ts_offset 50")


def _followed(before: Path, after: Path, *parts: str) -> None:
    """The file's bytes and behind them those of copies made of it, each with words for ffmpeg."""
    data = before.read_bytes()
    for words in parts:
        part = before.with_name(f"part{before.suffix}")
        ffmpeg("-i", str(before), "-map", "0", "-c", "copy", *words.split(), str(part))
        data += part.read_bytes()
    after.write_bytes(data)


def cut_in_mid_air(before: Path, after: Path) -> None:
    """A recording that was switched on between two keyframes."""
    data = before.read_bytes()
    after.write_bytes(data[len(data) // 3 // 188 * 188 :])


def captioned(before: Path, after: Path) -> None:
    """With closed captions in the pictures."""
    marked = before.with_name("marked.m2v")
    marked.write_bytes(handmade.with_captions(before.read_bytes()))
    ffmpeg("-fflags", "+genpts", "-r", "25", "-i", str(marked), "-c", "copy", str(after))


def packed(before: Path, after: Path) -> None:
    """With B pictures in the packets of those shown after them."""
    handmade.write_packed(before, after)


def furnish(room: Path) -> None:
    """What the words of sources speak of."""
    (room / "lines.srt").write_text(
        "1\n00:00:00,200 --> 00:00:00,700\nGuten Tag.\n\n"
        "2\n00:00:00,900 --> 00:00:01,400\nAuf Wiedersehen!\n\n",
        encoding="utf-8",
    )
    (room / "lines.ass").write_text(
        "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n"
        "Format: Name, Fontname, Fontsize, PrimaryColour, Bold\n"
        "Style: Default,Arial,16,&H00ffff,1\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:00.20,0:00:00.70,Default,,0,0,0,,{\\i1}Guten Tag.\n"
        "Dialogue: 0,0:00:00.60,0:00:01.40,Default,,0,0,0,,Auf Wiedersehen!\n",
        encoding="utf-8",
    )
    (room / "lines.scc").write_text(
        "Scenarist_SCC V1.0\n\n"
        "00:00:00:05\t9420 9420 94ae 94ae 9452 9452 97a2 97a2 c8e5 ecec efae 942f 942f\n\n"
        "00:00:01:05\t942c 942c\n\n",
        encoding="utf-8",
    )
    (room / "pictures.sup").write_bytes(handmade.picture_subtitles(((0.2, 0.6), (0.9, 1.3))))
    (room / "chapters.txt").write_text(
        ";FFMETADATA1\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=700\ntitle=Ankunft\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=700\nEND=1600\ntitle=Abschied, spät\n",
        encoding="utf-8",
    )
    (room / "font.ttf").write_bytes(bytes(range(256)) * 4)
    (room / "notes.bin").write_bytes(b"0123456789abcdef" * 4)
    for name in ("cover.png", "cover.jpg"):
        gray = ("-f", "lavfi", "-i", "color=gray:size=64x48", "-frames:v", "1")
        ffmpeg(*gray, str(room / name))
