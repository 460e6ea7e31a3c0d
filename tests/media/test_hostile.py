"""Files that mean harm: lists of other files, headers that promise the impossible, odd files.

The long run over mutated files is tests/torture/test_hostile.py.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.clips import make_clip
from tests.fuzzing import FILMS, NAMES, Fuzzer
from tests.mutations import parts_of
from vidcolor.errors import OutputError, SourceError
from vidcolor.media import photos
from vidcolor.media.ffmpeg import open_file, reading_options
from vidcolor.media.muxers import muxer_of
from vidcolor.media.photos import is_photo, read_photo
from vidcolor.media.probe import _refuse_size, open_source, probe
from vidcolor.media.read import read_frames
from vidcolor.media.sound import without_gaps
from vidcolor.media.subtitles import ConversionError, converted, converted_line


class Heard(BaseHTTPRequestHandler):
    """Notes every request."""

    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        self.send_error(404)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def server() -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine: its address, and what it was asked for."""
    heard: list[str] = []
    handler = type("Handler", (Heard,), {"requests": heard})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}", heard
        finally:
            listening.shutdown()
            thread.join()


LISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{0}\n#EXT-X-ENDLIST\n",
    "m3u": "#EXTM3U\n#EXTINF:5,x\n{0}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{0}'\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    '<Period><AdaptationSet><Representation id="0"><BaseURL>{0}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:{0}\r\n",
    "pls": "[playlist]\nFile1={0}\nNumberOfEntries=1\n",
    "vobsub": "# VobSub index file, v7 (do not modify this line!)\nsize: 720x576\n"
    "id: en, index: 0\ntimestamp: 00:00:01:000, filepos: 000000000\n# {0}\n",
}
SUFFIXES = (".m3u8", ".mp4", ".mkv", ".avi", ".ts", ".idx", ".sdp", "")


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    """A film that nobody asked for, which a list names."""
    return make_clip(tmp_path_factory.mktemp("secret") / "secret.ts", frames=6)


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_of_other_files_is_refused_whatever_its_name(tmp_path, secret, kind):
    with server() as (address, heard):
        for suffix in SUFFIXES:
            for other in (f"{address}/film.ts", str(secret), "/etc/passwd", f"concat:{secret}"):
                path = tmp_path / f"film{suffix}"
                path.write_text(LISTS[kind].format(other))
                with pytest.raises(SourceError, match="only names other files") as told:
                    probe(path)
                assert str(path) in str(told.value)
    assert heard == []


def test_without_protection_such_lists_would_be_opened(tmp_path, secret):
    """The tests around this one could fail."""
    listed = tmp_path / "film.mkv"
    listed.write_text(LISTS["ffconcat"].format(secret.name))
    (tmp_path / secret.name).write_bytes(secret.read_bytes())
    with av.open(str(listed)) as container:
        assert container.format.name == "concat"
    numbered = tmp_path / "a%d.png"
    numbered.write_bytes(picture("PNG"))
    (tmp_path / "a1.png").write_bytes(picture("PNG"))
    with av.open(str(numbered)) as container:
        assert container.format.name == "image2"


def test_the_ffmpeg_program_opens_nothing_else_either(tmp_path, secret):
    with server() as (address, heard):
        for kind in LISTS:
            path = tmp_path / ("film.m3u8" if kind in ("hls", "m3u") else "film.mkv")
            for other in (f"{address}/film.ts", str(secret)):
                path.write_text(LISTS[kind].format(other))
                with (
                    pytest.raises(ConversionError),
                    converted(path, [0], "srt", tmp_path / "out.mkv"),
                ):
                    pass
        # It runs as it should on what it may open.
        with converted_line(path, [3, 5], "mov_text", tmp_path / "out.mp4") as found:
            assert set(found) == {3, 5}
    assert heard == []


def test_only_one_protocol_and_no_kind_that_opens_by_itself_is_allowed():
    options = reading_options()
    assert options["protocol_whitelist"] == "file"
    allowed = options["format_whitelist"].split(",")
    assert {"matroska", "mov", "avi", "mpegts", "mpeg", "ogg", "gif", "asf", "mxf"} <= set(allowed)
    refused = {"hls", "concat", "sdp", "rtsp", "rtp", "image2", "lavfi", "vobsub", "x11grab"}
    assert refused.isdisjoint(allowed)


@pytest.mark.parametrize("name", ["http://127.0.0.1:1/a.mp4", "concat:a.ts", "subfile,,end,9,,:a"])
def test_an_address_in_place_of_a_name_is_only_a_name(tmp_path, monkeypatch, name, secret):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ts").write_bytes(secret.read_bytes())
    with pytest.raises(SourceError, match="there is no file"):
        probe(Path(name))


@pytest.mark.parametrize(
    "name", ["a%03d.mkv", "a*.mkv", "[1-9]?.mkv", "{a,b}.mkv", "concat:a.mkv", "-i.mkv", "a\nb.mkv"]
)
def test_a_name_that_looks_like_a_pattern_or_a_command_is_only_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    made = make_clip(tmp_path / "made.mkv", frames=3)
    made.rename(tmp_path / name)
    assert len(list(read_frames(probe(Path(name))))) == 3


@pytest.mark.parametrize("name", ["a%d.png", "a?.png", "a{1,2}.png"])
def test_an_animation_with_a_patterns_name_is_that_file(tmp_path, name):
    one, other = (Image.new("L", (16, 12), shade) for shade in (50, 90))
    one.save(tmp_path / name, save_all=True, append_images=[other, one])
    (tmp_path / "a1.png").write_bytes(picture("PNG"))
    assert len(list(read_frames(probe(tmp_path / name)))) == 3


@pytest.mark.parametrize("suffix", [".m3u8", ".mpd", ".png", ".jpg", ".chk"])
def test_an_output_of_many_files_is_refused(suffix):
    with pytest.raises(OutputError, match="no known video format"):
        muxer_of(Path(f"film{suffix}"))


# What lies under a name


@pytest.fixture
def odd_places(tmp_path):
    """Things that are no regular files, by what they are called."""
    os.mkfifo(tmp_path / "pipe.mp4")
    listening = socket.socket(socket.AF_UNIX)
    # Names of sockets are short.
    here = Path.cwd()
    os.chdir(tmp_path)
    listening.bind("socket.mp4")
    os.chdir(here)
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "device.mp4").symlink_to("/dev/zero")
    (tmp_path / "nowhere.mp4").symlink_to("gone.mp4")
    (tmp_path / "round.mp4").symlink_to("round.mp4")
    yield {
        "a pipe": tmp_path / "pipe.mp4",
        "a socket": tmp_path / "socket.mp4",
        "a folder": tmp_path / "folder.mp4",
        "a device": tmp_path / "device.mp4",
        "a link": tmp_path / "nowhere.mp4",
        "symbolic links": tmp_path / "round.mp4",
    }
    listening.close()


def test_what_is_no_file_is_told_at_once(odd_places):
    for words, path in odd_places.items():
        with pytest.raises(SourceError, match=words) as told:
            probe(path)
        assert str(path) in str(told.value)
        with pytest.raises(SourceError):
            read_photo(path)
        assert not is_photo(path)


# Sizes and numbers


def picture(kind: str, mode: str = "L") -> bytes:
    memory = BytesIO()
    Image.new(mode, (32, 24), 90 if mode == "L" else (90, 90, 90)).save(memory, kind)
    return memory.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    summed = name + content
    return struct.pack(">I", len(content)) + summed + struct.pack(">I", zlib.crc32(summed))


def png_bomb(width: int, height: int, depth: int = 8) -> bytes:
    """A picture of that size, and how little it takes to promise it."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def patched(data: bytes, place: int, code: str, *values: int) -> bytes:
    piece = struct.pack(code, *values)
    return data[:place] + piece + data[place + len(piece) :]


def jpeg_bomb() -> bytes:
    data = picture("JPEG")
    return patched(data, data.index(b"\xff\xc0") + 5, ">HH", 65500, 65500)


def tiff_bomb(depth: int) -> bytes:
    import tifffile

    memory = BytesIO()
    tifffile.imwrite(memory, np.zeros((4, 4), np.uint8 if depth == 8 else np.uint16))
    data = bytearray(memory.getvalue())
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    for at in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, at)[0] in (256, 257, 278):
            struct.pack_into("<HI", data, at + 2, 4, 1)
            struct.pack_into("<I", data, at + 8, 2**20)
    return bytes(data)


BOMBS = {
    "a.png": lambda: png_bomb(60_000, 60_000),
    "deep.png": lambda: png_bomb(60_000, 60_000, 16),
    "limit.png": lambda: png_bomb(2**31 - 1, 2**31 - 1),
    "a.jpg": jpeg_bomb,
    "a.gif": lambda: patched(picture("GIF"), 6, "<HH", 65535, 65535),
    "a.bmp": lambda: patched(picture("BMP"), 18, "<ii", 2**30, 2**30),
    "a.tif": lambda: tiff_bomb(8),
    "deep.tif": lambda: tiff_bomb(16),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_still_that_promises_too_much_is_refused_by_its_header(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BOMBS[name]())
    assert path.stat().st_size < 10_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceError, match="million pixels are taken"):
        read_photo(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, f"{grown} KiB"


def test_large_scans_are_no_bombs():
    photos._refuse_size(19_200, 24_000)
    with pytest.raises(ValueError, match="million"):
        photos._refuse_size(48_000, 38_400)


def test_programs_that_pillow_would_start_are_never_started(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    monkeypatch.setattr("subprocess.Popen", None)
    with pytest.raises(SourceError, match="isn't a picture of a known kind"):
        read_photo(path)


def avi_of_size(path: Path, width: int, height: int) -> Path:
    """A film whose headers promise pictures of that size."""
    data = make_clip(path, frames=4, codec="mjpeg", pixel_format="yuvj420p").read_bytes()
    data = patched(data, data.index(b"avih") + 8 + 32, "<II", width, height)
    data = patched(data, data.index(b"strf") + 8 + 4, "<II", width, height)
    # The pictures' own headers, too.
    place = data.find(b"\xff\xc0")
    while place >= 0:
        data = patched(data, place + 5, ">HH", min(height, 65500), min(width, 65500))
        place = data.find(b"\xff\xc0", place + 5)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (60_000, 60_000), (16, 60_000)])
def test_a_film_that_promises_too_large_pictures_is_refused(tmp_path, size):
    path = avi_of_size(tmp_path / "film.avi", *size)
    with pytest.raises(SourceError, match=r"samples a side|no frame of it can be decoded"):
        probe(path)


def test_films_in_16k_are_no_bombs():
    _refuse_size(Path("film.mkv"), 15_360, 8_640)
    with pytest.raises(SourceError, match="a side"):
        _refuse_size(Path("film.mkv"), 15_360, 9_000)


def test_pictures_that_grow_in_the_middle_are_passed_over(tmp_path, monkeypatch):
    """The decoder is held to the limit, too."""
    path = make_clip(tmp_path / "film.mkv", frames=6, width=64, height=48)
    info = probe(path)
    monkeypatch.setattr("vidcolor.media.probe.MOST_PIXELS", 64 * 48 - 1)
    with open_source(path) as container, pytest.raises(av.FFmpegError):
        list(container.decode(video=0))
    assert info.width == 64


def test_hundreds_of_attached_files_pass_and_thousands_dont(tmp_path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "gray"
        for number in range(300):
            out.add_attachment(f"font{number}.ttf", "font/ttf", b"x" * 20)
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16), np.uint8), "gray")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert len(probe(path).streams) == 301
    data = path.read_bytes()
    parts = [p for p in parts_of(data) if data[p.start : p.inside].startswith(b"\x61\xa7")]
    (whole,) = (
        p for p in parts_of(data) if data[p.start : p.inside].startswith(b"\x19\x41\xa4\x69")
    )
    files = b"".join(data[p.start : p.end] for p in parts) * 4
    grown = b"\x19\x41\xa4\x69" + (len(files) | 1 << 56).to_bytes(8) + files
    segment = data.index(b"\x18\x53\x80\x67") + 4
    data = data[: whole.start] + grown + data[whole.end :]
    # The segment goes on to the end of the file.
    path.write_bytes(patched(data, segment, ">Q", (1 << 57) - 1))
    with pytest.raises(SourceError, match="tracks and attached files"):
        probe(path)


@pytest.mark.parametrize(("hours", "filled"), [(1, True), (100_000, False)])
def test_a_time_years_ahead_isnt_filled_with_silence(hours, filled):
    with av.open(BytesIO(), "w", format="mov") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        packets = []
        for seconds in (0, hours * 3600):
            packet = av.Packet(bytes(1600))
            packet.stream, packet.time_base = stream, Fraction(1, 8000)
            packet.pts = packet.dts = seconds * 8000
            packets.append((float(seconds), packet))
        silence: dict[int, Fraction] = {}
        assert len(list(islice(without_gaps(packets, silence), 10_000))) == (3602 if filled else 2)
        assert bool(silence) == filled
        out.start_encoding()


def test_segments_are_read_as_nothing_but_what_they_are(tmp_path, secret):
    listed = tmp_path / "00000.mkv"
    listed.write_text(LISTS["ffconcat"].format(secret))
    with pytest.raises(av.FFmpegError):
        open_file(listed, format="matroska")


# Everything at once


def test_mutated_files_are_read_or_refused(tmp_path):
    """One mutation of each film and two of all else; and some files as they were."""
    found = []
    with Fuzzer(tmp_path) as fuzzer:
        for name in NAMES:
            if name not in FILMS or name in ("film.mkv", "film.mp4"):
                assert (result := fuzzer.run(name, 0)).became == "read", result
            for number in (1,) if name in FILMS else (1, 2):
                result = fuzzer.run(name, number)
                found += [str(result)] if result.bad else []
    assert not found, "\n".join(found)
