"""Films that few are like: rare files, films that change on the way, odd tracks and tags.

from rarities import RARE_FILES, RARE_TRACKS

[source.file for source in RARE_FILES][:2]     # ['rm.rm', 'apng.apng']
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from sources import Source, ffmpeg

if TYPE_CHECKING:
    from av.container.core import Chapter

H264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p"
MPEG2, FFV1 = "-c:v mpeg2video -q:v 3 -bf 2", "-c:v ffv1 -level 3"
AAC, MP2, AC3, PCM = "-c:a aac", "-c:a mp2", "-c:a ac3", "-c:a pcm_s16le"
RAW = "-c:v rawvideo -pix_fmt"
COPY = "-map 0 -c copy"
SEE_THROUGH = "format=yuva444p,geq=lum='lum(X,Y)':cb=128:cr=128:a='64+X'"
SECOND_BEGINS = 2
"""Seconds after the first recording's beginning; a gap lies between, so that no clock falls."""

RARE_FILES = (
    Source("rm.rm", "RealMedia", size="176x144", video="-c:v rv20", audio=AC3),
    Source(
        "apng.apng",
        "PNG animation, to be seen through",
        look=SEE_THROUGH,
        video="-plays 0 -pix_fmt rgba",
        maps="-map 0",
    ),
    Source(
        "gxf.gxf",
        "GXF of a studio's server",
        size="720x576",
        seconds=0.4,
        video="-c:v mpeg2video -q:v 3",
        audio=f"{PCM} -ac 1",
    ),
    Source("wtv.wtv", "Windows' television recorder", video=MPEG2, audio=MP2),
    Source(
        "mj2.mj2",
        "Motion JPEG 2000",
        video="-f mov -c:v jpeg2000 -pix_fmt yuv420p",
        maps="-map 0",
    ),
    Source("ivf.ivf", "IVF", video="-c:v libvpx", maps="-map 0"),
    Source(
        "mts.mts", "AVCHD of a camcorder", video=f"{H264} -f mpegts -mpegts_m2ts_mode 1", audio=AC3
    ),
    Source("m1v.m1v", "raw MPEG-1, no times", video="-c:v mpeg1video", maps="-map 0"),
    Source("3g2.3g2", "3GPP2", video="-c:v mpeg4", audio=AAC),
    Source(
        "amv.amv",
        "AMV of a pocket player, its lines bottom up",
        size="160x112",
        video="-strict -1 -block_size 882",
        audio="-c:a adpcm_ima_amv -ar 22050 -ac 1",
    ),
    Source("vp8.ogv", "VP8 in Ogg", video="-c:v libvpx -f ogg", audio="-c:a libvorbis"),
    Source("vc2.mkv", "VC-2", video="-c:v vc2"),
    Source("smc.mov", "QuickTime Graphics, a palette", look="format=gray", video="-c:v smc"),
    Source("tiff.mov", "TIFF pictures, with EXIF", video="-c:v tiff -pix_fmt gray"),
    Source("exr.mov", "OpenEXR, floating-point RGB", video="-c:v exr -pix_fmt gbrpf32le"),
    Source("monow.nut", "one bit a sample", video=f"{RAW} monow"),
    Source("nv12.nut", "chroma in one plane", video=f"{RAW} nv12"),
    Source("yuv14be.nut", "14 bits, 4:2:2, big-endian", video=f"{RAW} yuv422p14be"),
    Source("gray16be.nut", "gray, 16 bits, big-endian", video=f"{RAW} gray16be"),
    Source("xyz12.mxf", "digital cinema's X'Y'Z'", video="-c:v jpeg2000 -pix_fmt xyz12le"),
    Source(
        "fields.mkv",
        "HEVC whose frames are single fields",
        rate="50",
        look="tinterlace=mode=interleave_top,separatefields",
        video="-c:v libx265 -preset ultrafast -x265-params log-level=error:interlace=tff"
        " -pix_fmt yuv420p",
    ),
)


def followed(words: str, size: str = "160x120", look: str = "") -> Callable[[Path, Path], None]:
    """Makes a recording go on as another of a second, encoded by `words`."""

    def make(before: Path, after: Path) -> None:
        second = before.with_name(f"second{before.suffix}")
        picture = f"testsrc2=size={size}:rate=25:duration=1,format=yuv444p,hue=s=0{look}"
        inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=duration=1")
        more = (*words.split(), "-ar", "48000", "-output_ts_offset", str(SECOND_BEGINS))
        ffmpeg(*inputs, *more, str(second))
        after.write_bytes(before.read_bytes() + second.read_bytes())

    return make


def resized(before: Path, after: Path) -> None:
    """Packets of two sizes in one track."""
    second = before.with_name(f"second{before.suffix}")
    picture = "testsrc2=size=320x240:rate=25:duration=1,format=yuv420p,hue=s=0"
    ffmpeg("-f", "lavfi", "-i", picture, "-c:v", "libvpx-vp9", str(second))
    with av.open(str(after), "w") as out:
        begin = Fraction(0)
        for part in (before, second):
            with av.open(str(part)) as source:
                stream = source.streams.video[0]
                if not out.streams:
                    video = out.add_stream_from_template(stream, opaque=True)
                for packet in source.demux(stream):
                    if packet.size and packet.pts is not None:
                        packet.pts = packet.dts = packet.pts + round(begin / packet.time_base)
                        packet.stream = video
                        out.mux(packet)
            begin += Fraction(8, 5)


CHANGES = (
    Source(
        "sizes.ts",
        "another size on the way",
        video=f"{H264} -g 10",
        audio=MP2,
        by_hand=followed(f"{H264} {MP2}", size="320x240"),
    ),
    Source(
        "small_first.ts",
        "begins with the end of something smaller",
        seconds=0.6,
        video=H264,
        audio=MP2,
        by_hand=followed(f"{H264} {MP2}", size="320x240"),
    ),
    Source(
        "sizes.webm",
        "another size on the way",
        video="-c:v libvpx-vp9",
        maps="-map 0",
        by_hand=resized,
    ),
    Source(
        "aspects.ts",
        "another aspect on the way",
        look="setdar=4/3",
        video=f"{MPEG2} -g 10",
        audio=MP2,
        by_hand=followed(f"{MPEG2} {MP2}", look=",setdar=16/9"),
    ),
    Source(
        "samples.ts",
        "4:2:2 on the way",
        video=f"{H264} -g 10",
        audio=MP2,
        by_hand=followed(f"-c:v libx264 -preset veryfast -pix_fmt yuv422p {MP2}"),
    ),
    Source(
        "depths.ts",
        "10 bits on the way",
        video=f"{H264} -g 10",
        audio=MP2,
        by_hand=followed(f"-c:v libx264 -preset veryfast -pix_fmt yuv420p10le {MP2}"),
    ),
    Source(
        "ranges.ts",
        "full range on the way",
        video=f"{H264} -g 10",
        audio=MP2,
        by_hand=followed(
            f"-c:v libx264 -preset veryfast -pix_fmt yuvj420p {MP2}", look=",scale=out_range=full"
        ),
    ),
    Source(
        "sound_changes.ts",
        "the sound goes on as AC-3",
        video=H264,
        audio=MP2,
        by_hand=followed(f"{H264} {AC3}"),
    ),
    Source(
        "sound_joins.ts",
        "a second sound, AC-3, begins on the way",
        video=H264,
        audio=MP2,
        by_hand=followed(f"-map 0 -map 1 -map 1 {H264} -c:a:0 mp2 -c:a:1 ac3"),
    ),
)


def pulled_down(before: Path, after: Path) -> None:
    """Film on a DVD: 24 frames a second, flagged to be shown for three fields and two in turn."""
    data = bytearray(before.read_bytes())
    for sequence in re.finditer(b"\0\0\1\xb3", bytes(data)):
        place = sequence.start() + 7
        data[place] = data[place] & 0xF0 | 4  # 30000/1001 a second
    pictures = 0
    for extension in re.finditer(b"\0\0\1\xb5", bytes(data)):
        place = extension.start() + 4
        if data[place] >> 4 == 1:
            data[place + 1] &= ~0x08  # not progressive as a sequence
        elif data[place] >> 4 == 8:
            top_first, repeat = ((1, 1), (0, 0), (0, 1), (1, 0))[pictures % 4]
            data[place + 3] = data[place + 3] & ~0x82 | top_first << 7 | repeat << 1
            data[place + 4] |= 0x80  # progressive as a frame
            pictures += 1
    marked = before.with_name("marked.m2v")
    marked.write_bytes(data)
    ffmpeg("-fflags", "+genpts", "-i", str(marked), "-c", "copy", str(after))


def cut_out(before: Path, after: Path) -> None:
    """An edit list of two parts for each track: what lies between isn't shown."""
    data = before.read_bytes()
    after.write_bytes(_edited(data, 0, len(data), _scale(data, b"mvhd"), 0))


SHOWN = ((0.0, 0.48), (0.8, 0.4))
"""Begin and length of each part, in seconds."""


def _edited(data: bytes, start: int, end: int, film_scale: int, scale: int) -> bytes:
    """MP4 boxes with another edit list; the film lies before it, so that no place changes."""
    out = b""
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        box = data[start : start + size]
        if kind in (b"moov", b"trak", b"edts"):
            scale = _scale(box, b"mdhd") if kind == b"trak" else scale
            box = _box(kind, _edited(data, start + 8, start + size, film_scale, scale))
        elif kind == b"elst":
            first = struct.unpack_from(">i", box, 20)[0]
            rows = b""
            for begin, length in SHOWN:
                times = round(length * film_scale), first + round(begin * scale)
                rows += struct.pack(">IiI", *times, 1 << 16)
            box = _box(kind, struct.pack(">II", 0, len(SHOWN)) + rows)
        out += box
        start += size
    return out


def _scale(data: bytes, header: bytes) -> int:
    """Ticks a second, as the first header of this kind says."""
    (ticks,) = struct.unpack_from(">I", data, data.index(header) + 16)
    return int(ticks)


def _box(kind: bytes, inner: bytes) -> bytes:
    return struct.pack(">I4s", len(inner) + 8, kind) + inner


RARE_TIMES = (
    *(
        Source(
            f"pulled_down{suffix}",
            "film on a DVD, fields to be repeated by flag",
            rate="24000/1001",
            video="-c:v mpeg2video -q:v 3 -bf 0",
            maps="-map 0",
            by_hand=pulled_down,
            between=".m2v",
        )
        for suffix in (".mpg", ".mkv")
    ),
    Source(
        "cut_out.mp4",
        "an edit list of two parts",
        video=f"{H264} -bf 0",
        audio=AAC,
        by_hand=cut_out,
    ),
    Source(
        "negative.mp4",
        "negative composition offsets",
        video=f"{H264} -bf 4 -movflags +negative_cts_offsets",
        audio=AAC,
    ),
    Source("thousand.mkv", "1000 a second", rate="1000", seconds=0.1, video=H264, audio=AAC),
    Source("rare.mp4", "one in ten seconds", rate="1/10", seconds=40, video=H264, audio=AAC),
    *(
        Source(
            f"sound_first{suffix}",
            "five seconds of sound before the picture",
            sound_seconds=7,
            video=f"{H264} -bf 0",
            audio=audio,
            again=("", f"{COPY} -bsf:v setts=ts=TS+5/TB"),
        )
        for suffix, audio in ((".mkv", AAC), (".ts", MP2))
    ),
)


def told(
    tags: dict[str, str] | None = None,
    *,
    chapters: Sequence[tuple[int, int, str]] = (),
    files: Sequence[tuple[str, str, bytes]] = (),
) -> Callable[[Path, Path], None]:
    """Gives a film tags, chapters (milliseconds) and attachments as no option of ffmpeg does."""

    def make(before: Path, after: Path) -> None:
        with av.open(str(before)) as source, av.open(str(after), "w") as out:
            copies = {
                stream.index: out.add_stream_from_template(stream, opaque=True)
                for stream in source.streams
            }
            for name, kind, data in files:
                out.add_attachment(name, kind, data)
            out.metadata.update(tags or {})
            out.set_chapters([_chapter(number, *each) for number, each in enumerate(chapters, 1)])
            for packet in source.demux():
                if packet.size:
                    packet.stream = copies[packet.stream_index]
                    out.mux(packet)

    return make


def _chapter(number: int, start: int, end: int, title: str) -> Chapter:
    named = {"title": title} if title else {}
    times = {"start": start, "end": end, "time_base": Fraction(1, 1000)}
    return {"id": number, **times, "metadata": named}  # type: ignore[typeddict-item]


def in_latin_1(before: Path, after: Path) -> None:
    """As old programs wrote tags."""
    after.write_bytes(before.read_bytes().replace(b"Fr__h", "Früéh".encode("latin-1")))


def with_editions(before: Path, after: Path) -> None:
    """Two editions of chapters, one of them hidden, and a chapter within a chapter."""
    film = ffmpeg("-i", str(before), "-c", "copy", "-f", "matroska", "-", stdout=subprocess.PIPE)
    inner = _atom(12, 100, 300, "Im Haus")
    shown = _atom(11, 0, 700, "Ankunft", inner) + _atom(13, 700, 1600, "Abschied")
    hidden = _number("45BD", 1) + _atom(21, 0, 1600, "Alles")
    editions = _element("45B9", shown) + _element("45B9", hidden)
    place = film.index(bytes.fromhex("1F43B675"))  # the first cluster
    after.write_bytes(film[:place] + _element("1043A770", editions) + film[place:])


def _atom(number: int, start: int, end: int, title: str, inner: bytes = b"") -> bytes:
    times = _number("91", start * 10**6) + _number("92", end * 10**6)
    shown = _element("80", _element("85", title.encode()) + _element("437C", b"ger"))
    return _element("B6", _number("73C4", number) + times + shown + inner)


def _number(identifier: str, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8, "big"))


def _element(identifier: str, body: bytes) -> bytes:
    return bytes.fromhex(identifier) + (1 << 56 | len(body)).to_bytes(8, "big") + body


NOTHING = "noise=drop=1"
"""A filter that lets no packet through."""

RARE_TRACKS = (
    Source(
        "silent.mkv",
        "a sound track without a packet",
        video=H264,
        audio=AAC,
        again=("", f"{COPY} -bsf:a {NOTHING}"),
    ),
    Source(
        "wordless.mp4",
        "a subtitle track without a line",
        video=H264,
        more="-i {room}/lines.srt",
        maps="-map 0 -map 2",
        audio="-c:s mov_text",
        again=("", f"{COPY} -bsf:s {NOTHING}"),
    ),
    Source("click.mp4", "a single packet of sound", sound_seconds=0.02, video=H264, audio=AAC),
    Source(
        "many.mkv",
        "20 sounds, 40 subtitles",
        video=H264,
        more="-i {room}/lines.srt",
        maps="-map 0" + 20 * " -map 1" + 40 * " -map 2",
        audio="-c:a libopus -c:s srt",
    ),
    Source(
        "lyrics.mp4",
        "a tag of 100 KB",
        video=H264,
        by_hand=told({"lyrics": 20_000 * "la lä ", "title": "Lied"}),
    ),
    Source(
        "names.mkv",
        "tags of odd names",
        video=H264,
        by_hand=told({"a=b": "c", "zwei\nZeilen": "eins\nzwei", "Ü": "ja", 200 * "x": "lang"}),
    ),
    *(
        Source(
            f"latin_1{suffix}",
            "a tag that isn't UTF-8",
            video=f"{words} -metadata title=Fr__h",
            by_hand=in_latin_1,
        )
        for suffix, words in ((".avi", "-c:v mpeg4"), (".mkv", H264), (".mp4", H264))
    ),
    Source(
        "odd_chapters.mkv",
        "chapters that overlap, lack titles, have no length, lie behind the end",
        video=H264,
        by_hand=told(
            chapters=(
                *((0, 1600, "Alles"), (0, 700, ""), (300, 1000, "Mitte")),
                *((1600, 1600, "Ende"), (2000, 3000, "Danach")),
            )
        ),
    ),
    Source(
        "many_chapters.mp4",
        "500 chapters",
        video=H264,
        by_hand=told(chapters=[(3 * n, 3 * n + 3, f"Nr. {n}") for n in range(500)]),
    ),
    Source("editions.mkv", "editions of chapters, one hidden", video=H264, by_hand=with_editions),
    Source(
        "namesakes.mkv",
        "attachments of one name, of none, and of 2 MB",
        video=H264,
        by_hand=told(
            files=(
                *(("a.ttf", "font/ttf", 99 * b"1"), ("a.ttf", "font/ttf", 99 * b"2")),
                *(("", "", 99 * b"3"), ("big.bin", "application/octet-stream", 2**21 * b"4")),
            )
        ),
    ),
)
