"""Closed captions inside pictures: out as they went in, frame by frame, all else as it was."""

from __future__ import annotations

import av
import pytest
from av.codec import Codec

from tests.clips import make_clip
from tests.media.films import choice_for
from vidcolor.frames import Picture
from vidcolor.jobs.folder import folder_path
from vidcolor.jobs.local import Order, run_film
from vidcolor.jobs.plan import Moment
from vidcolor.media.captions import captions_of, with_captions
from vidcolor.media.choice import picture_format
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.tracks import lost_in_picture
from vidcolor.media.write import SegmentWriter, gray_picture
from vidcolor.settings import Settings

STANDIN = Settings(
    model="standin", device="cpu", threads=2, segment_seconds=0.5, encoder_preset="veryfast"
)
FIRST_SLICE, USER_DATA = b"\0\0\1\1", b"\0\0\1\xb2"
FRAMES = 40


def captions(number):
    """Other ones for each picture, of other lengths, and none for every fourth."""
    pieces = (2, 20, 0, 31)[number % 4]
    return b"".join(bytes((0xFC + place % 2, 0x20 + number, place)) for place in range(pieces))


def captioned_film(path, **clip):
    """An MPEG-2 film with B pictures, its pictures captioned in coding order as broadcasts do."""
    plain = make_clip(
        path.with_name("plain.mkv"),
        frames=FRAMES,
        codec="mpeg2video",
        options={"bf": "2", "b": "2M", "threads": "1"},
        **clip,
    )
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        packets = (packet for packet in source.demux(video=0) if packet.size)
        for number, packet in enumerate(packets):
            held = captions(number)
            head = USER_DATA + b"GA94\x03" + bytes((0x40 | len(held) // 3, 0xFF))
            marked = bytes(packet).replace(
                FIRST_SLICE, head + held + b"\xff" + FIRST_SLICE if held else FIRST_SLICE
            )
            new = av.Packet(marked)
            new.pts, new.dts, new.time_base = packet.pts, packet.dts, packet.time_base
            new.is_keyframe, new.stream = packet.is_keyframe, video
            out.mux(new)
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = captioned_film(tmp_path_factory.mktemp("captions") / "film.mkv")
    held = captions_in(path)
    assert sorted(held) == sorted(captions(n) for n in range(FRAMES))
    assert held != [captions(n) for n in range(FRAMES)]  # the B pictures moved theirs along
    return path


def captions_in(path):
    """Of each frame in the order of display, as FFmpeg's own decoders find them."""
    with av.open(str(path)) as container:
        return [captions_of(frame) for frame in container.decode(video=0)]


def looks_of(path):
    """How each frame was encoded, and its samples."""
    with av.open(str(path)) as container:
        return [(f.pict_type, f.key_frame, f.to_ndarray().tobytes()) for f in container.decode()]


def colorize(source, output, settings=STANDIN, **cut):
    said = []
    order = Order(source=source, output=output, settings=settings, **cut)
    run_film(order, report=lambda event: said.append(getattr(event, "text", "")))
    return output, [text for text in said if "caption" in text]


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        *((codec, suffix) for codec in ("libx264", "libx265") for suffix in (".mkv", ".mp4")),
        ("libx264", ".mov"),
        ("libx265", ".mov"),
        ("libsvtav1", ".mkv"),
        ("libsvtav1", ".mp4"),
    ],
)
def test_every_frame_keeps_its_captions_and_its_bits(film, tmp_path, codec, suffix):
    preset = "12" if codec == "libsvtav1" else "veryfast"
    settings = Settings(
        model="standin",
        device="cpu",
        threads=2,
        segment_seconds=0.5,
        codec=codec,
        encoder_preset=preset,
    )
    output, said = colorize(film, tmp_path / f"out{suffix}", settings)
    assert captions_in(output) == captions_in(film)
    assert said == []
    plain, _ = colorize(film.with_name("plain.mkv"), tmp_path / f"plain{suffix}", settings)
    assert not any(captions_in(plain))
    assert looks_of(output) == looks_of(plain)
    kinds = {kind for kind, _, _ in looks_of(output)}
    assert len(kinds) == (2 if codec == "libsvtav1" else 3)  # reordered, so worth the asking


@pytest.mark.parametrize("codec", ["ffv1", "libvpx-vp9", "prores_ks"])
def test_other_codecs_say_that_they_lose_them(tmp_path, codec):
    source = captioned_film(tmp_path / "film.mkv", pixel_format="yuv420p")
    settings = Settings(model="standin", device="cpu", threads=2, codec=codec)
    if codec == "prores_ks":
        # It takes no 8 bits, so it is only asked what it would say.
        said = list(lost_in_picture(probe(source), Codec(codec, "w").canonical_name))
    else:
        output, said = colorize(source, tmp_path / "out.mkv", settings)
        assert not any(captions_in(output))
    assert len(said) == 1
    assert "use libx264, libx265 or libsvtav1" in said[0]


def test_a_range_and_a_run_gone_on_with_have_theirs(film, tmp_path):
    cut = {"start": Moment.parse("9f"), "end": Moment.parse("33f")}
    output, _ = colorize(film, tmp_path / "part.mkv", **cut)
    assert captions_in(output) == captions_in(film)[9:33]

    whole = tmp_path / "whole.mkv"
    run_film(Order(source=film, output=whole, settings=STANDIN, keep_job=True))
    folder = folder_path(whole)
    assert len(list(folder.glob("segments/*.json"))) == 3
    whole.unlink()
    (folder / "segments" / "00001.json").unlink()
    outcome = run_film(Order(source=film, output=whole, settings=STANDIN))
    assert 0 < outcome.frames_resumed < FRAMES
    assert captions_in(whole) == captions_in(film)


def test_a_deinterlaced_film_keeps_them(tmp_path):
    film = captioned_film(tmp_path / "film.mkv", interlaced="top", width=128, height=96)
    output, _ = colorize(film, tmp_path / "out.mp4")
    assert captions_in(output) == captions_in(film)


def test_frames_carry_them_wherever_reading_begins(film):
    frames = list(read_frames(probe(film)))
    assert [frame.captions for frame in frames] == captions_in(film)
    later = list(read_frames(probe(film), frames[21].pts, frames[30].pts))
    assert [frame.captions for frame in later] == captions_in(film)[21:30]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
@pytest.mark.parametrize(
    "held",
    [
        pytest.param(bytes(range(3)) * 40, id="more than one message holds"),
        pytest.param(b"\0" * 90, id="what looks like start codes"),
        pytest.param(b"\0\0\1\0\0\2\0\0\3\0\0\0", id="and what looks like escapes"),
        pytest.param(bytes(31 * [0xFC, 1, 0]), id="as much as one holds"),
        pytest.param(b"\xfc\0\0\xff", id="a broken piece at the end"),
    ],
)
def test_any_bytes_come_through(tmp_path, codec, held):
    info = probe(make_clip(tmp_path / "film.mkv", frames=2))
    preset = "12" if codec == "libsvtav1" else "veryfast"
    choice = choice_for(info, Settings(codec=codec, encoder_preset=preset, threads=1))
    layout = picture_format(info, choice)
    path = tmp_path / "segment.mkv"
    with SegmentWriter(path, info, layout, choice) as writer:
        for number in range(4):
            gray = gray_picture(layout, number)
            caption = held if number % 2 else b""
            writer.write(Picture(number, 1, gray.y, gray.u, gray.v, caption))
    whole = held[: len(held) // 3 * 3]
    if codec == "libsvtav1":
        # Of several messages in a picture of AV1, FFmpeg's reader gives the last.
        whole = whole[(len(whole) - 1) // 93 * 93 :]
    assert captions_in(path) == [b"", whole, b"", whole]


def test_a_packet_without_a_picture_is_refused():
    for codec in ("h264", "hevc", "av1"):
        for data in (b"", b"\0\0\0\1", b"\0\0\1\x46\1", b"\x12\x00"):
            with pytest.raises(ValueError, match="in the packet"):
                with_captions(data, captions(0), codec)
