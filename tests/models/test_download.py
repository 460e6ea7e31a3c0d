"""Downloading published weights from servers that work, lie, refuse, and fall silent."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.models.published import BODY, OTHER, publish, put_in_cache
from tests.models.servers import Reply, Server, dead_url
from vidcolor import locks
from vidcolor.errors import OutputError, UsageError, WeightsError
from vidcolor.models import downloads
from vidcolor.models.catalogue import cached_path, find_cached, seal_path
from vidcolor.models.downloads import download, part_path

SUMS = r"sha256 [0-9a-f]{8}\.\.\., expected [0-9a-f]{8}\.\.\."
PAGE = b"\n<!DOCTYPE html><html><body>Please sign in to this network.</body></html>"


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short file stands for the published one, and no proxy in the way of this machine's."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    publish(monkeypatch, BODY)


def part() -> Path:
    return part_path(cached_path("eccv16"))


def begin_part(content: bytes) -> None:
    part().parent.mkdir(parents=True)
    part().write_bytes(content)


def test_a_good_file_gets_its_name() -> None:
    seen: list[tuple[int, int | None]] = []
    with Server({"/good": Reply(BODY)}) as server:
        path = download(
            "eccv16", progress=lambda *now: seen.append(now), urls=[server.url("/good")]
        )
    assert path == cached_path("eccv16")
    assert path.read_bytes() == BODY
    assert not part().exists()
    assert seen[-1] == (len(BODY), len(BODY))
    assert all(a[0] < b[0] for a, b in pairwise(seen))
    assert seal_path(path).exists()
    assert find_cached("eccv16") == path


def test_a_server_that_tells_no_length() -> None:
    seen: list[tuple[int, int | None]] = []
    with Server({"/good": Reply(BODY, says_length=False)}) as server:
        download("eccv16", progress=lambda *now: seen.append(now), urls=[server.url("/good")])
    assert seen[-1] == (len(BODY), None)


def test_what_is_here_is_not_fetched_again() -> None:
    with Server({"/good": Reply(BODY)}) as server:
        for _ in range(2):
            download("eccv16", urls=[server.url("/good")])
        assert len(server.requests) == 1


def test_a_wrong_file_in_the_cache_is_replaced() -> None:
    put_in_cache(OTHER)
    with pytest.raises(WeightsError, match="isn't the published file of eccv16"):
        find_cached("eccv16")
    with Server({"/good": Reply(BODY)}) as server:
        assert download("eccv16", urls=[server.url("/good")]).read_bytes() == BODY


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"<Error>AccessDenied</Error>", status=403), "refused with 403 Forbidden"),
        (Reply(b"no", status=404), "refused with 404 Not Found"),
        (Reply(b"no", status=500), "failed with 500 Internal Server Error"),
        (Reply(PAGE, content_type="text/html"), "sent a web page instead of weights"),
        (Reply(PAGE), "sent a web page instead of weights"),
        (
            Reply(b'{"message": "gone"}'),
            r"sent JSON \(.*gone.*\) instead of weights",
        ),
        (Reply(b""), "sent an empty file instead of weights"),
        (
            Reply(OTHER),
            rf"sent another file \({SUMS}\)",
        ),
        (Reply(BODY[:1000]), "sent another file"),
        (Reply(BODY, announces=9_000_000), r"has another file there \(9 MB\)"),
        (Reply(BODY + OTHER, says_length=False), r"sends another file \(more than 4 MB\)"),
        (Reply(status=302, location="/bad"), "without end"),
    ],
    ids=[
        *("403", "404", "500", "page", "page said to be bytes", "JSON", "empty", "another file"),
        *("too short", "too much announced", "too much", "circle"),
    ],
)
def test_a_bad_answer_is_explained_and_leaves_nothing(reply, words) -> None:
    with (
        Server({"/bad": reply}) as server,
        pytest.raises(WeightsError, match=words) as error,
    ):
        download("eccv16", urls=[server.url("/bad")])
    assert "offline" not in str(error.value)
    assert "--weights FILE" in str(error.value)
    assert str(cached_path("eccv16")) in str(error.value)
    assert list(part().parent.iterdir()) == []


@pytest.mark.parametrize(
    "first",
    [
        lambda server: dead_url(),
        lambda server: server.url("/403"),
        lambda server: server.url("/page"),
        lambda server: server.url("/other"),
        lambda server: server.url("/short"),
    ],
    ids=["dead", "403", "page", "another file", "short"],
)
def test_the_mirror_is_tried(first: Callable[[Server], str]) -> None:
    replies = {
        "/403": Reply(b"", status=403),
        "/page": Reply(PAGE),
        "/other": Reply(OTHER),
        "/short": Reply(BODY, breaks_after=1_000_000),
        "/good": Reply(BODY),
    }
    with Server(replies) as server:
        path = download("eccv16", urls=[first(server), server.url("/good")])
    assert path.read_bytes() == BODY


def test_offline_is_said_plainly() -> None:
    with pytest.raises(WeightsError, match="seems to be offline") as error:
        download("eccv16", urls=[dead_url(), dead_url()], timeout_seconds=5)
    # By hand it goes with the published addresses, whatever was asked here.
    for way in ("colorization_release_v2-9b330a0b.pth or https://", str(cached_path("eccv16"))):
        assert way in str(error.value)
    assert "--weights FILE" in str(error.value)
    assert list(part().parent.iterdir()) == []


def test_the_next_address_is_announced(caplog) -> None:
    with Server({"/403": Reply(status=403), "/good": Reply(BODY)}) as server:
        download("eccv16", urls=[server.url("/403"), server.url("/good")])
        place = f"127.0.0.1:{server.port}"
        assert caplog.messages == [f"{place} refused with 403 Forbidden; trying {place}"]


def test_what_two_addresses_say_alike_is_said_once() -> None:
    with Server({"/403": Reply(status=403)}) as server:
        with pytest.raises(WeightsError) as error:
            download("eccv16", urls=[server.url("/403"), server.url("/403")])
        assert len(server.requests) == 2
    # A port may hold these digits, too.
    assert str(error.value).count("403 Forbidden") == 1


def test_an_answer_from_elsewhere() -> None:
    with Server({"/good": Reply(BODY)}) as other:
        moved = Reply(status=302, location=other.url("/good"))
        with Server({"/moved": moved}) as server:
            assert download("eccv16", urls=[server.url("/moved")]).read_bytes() == BODY


def test_bytes_after_the_announced_ones_do_not_count() -> None:
    reply = Reply(BODY + OTHER, announces=len(BODY))
    with Server({"/long": reply}) as server:
        assert download("eccv16", urls=[server.url("/long")]).read_bytes() == BODY


@pytest.mark.parametrize("write", [str, Path.as_uri], ids=["path", "URL"])
def test_a_file_of_this_machine(tmp_path, write) -> None:
    path = tmp_path / "from a stick.pth"
    path.write_bytes(BODY)
    seen: list[tuple[int, int | None]] = []
    begin_part(BODY[:1000])
    made = download("eccv16", urls=[write(path)], progress=lambda *now: seen.append(now))
    assert made.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))


def test_force_brings_what_is_here_again() -> None:
    with Server({"/good": Reply(BODY), "/403": Reply(status=403)}) as server:
        download("eccv16", urls=[server.url("/good")])
        assert download("eccv16", urls=[server.url("/good")], force=True).read_bytes() == BODY
        assert len(server.requests) == 2
        # What is here stays until something is there to replace it.
        with pytest.raises(WeightsError, match="403"):
            download("eccv16", urls=[server.url("/403")], force=True)
    assert find_cached("eccv16") is not None


def test_no_address_makes_nothing(cache: Path) -> None:
    with pytest.raises(UsageError, match="neither an address nor a file"):
        download("eccv16", urls=[dead_url(), "nowhere"])
    assert not cache.exists()


def test_a_broken_download_goes_on_at_once() -> None:
    reply = Reply(BODY, breaks_after=2_000_000, ranges=True)
    with Server({"/short": reply}) as server:
        path = download("eccv16", urls=[server.url("/short")])
    assert path.read_bytes() == BODY
    assert server.requests == [("/short", None), ("/short", "bytes=2000000-")]


def test_a_broken_download_goes_on_next_time() -> None:
    with Server({"/short": Reply(BODY, breaks_after=1_000_000, ranges=True)}) as server:
        with pytest.raises(WeightsError, match="broke off after 2,000,000 of 3,000,000 bytes"):
            download("eccv16", urls=[server.url("/short")])
        assert part().stat().st_size == 2_000_000
        assert not cached_path("eccv16").exists()
        assert download("eccv16", urls=[server.url("/short")]).read_bytes() == BODY
        assert server.requests[-1] == ("/short", "bytes=2000000-")


def test_a_server_that_falls_silent_midway() -> None:
    reply = Reply(BODY, silent_after=1_000_000, ranges=True)
    with Server({"/silent": reply}) as server:
        with pytest.raises(WeightsError, match=r"broke off after 2,000,000 bytes \(timed out\)"):
            download("eccv16", urls=[server.url("/silent")], timeout_seconds=0.2)
        assert download("eccv16", urls=[server.url("/silent")], timeout_seconds=0.2).is_file()
        ranges = [header for _, header in server.requests]
    assert ranges == [None, "bytes=1000000-", "bytes=2000000-"]


def test_a_mirror_goes_on_where_the_first_broke_off() -> None:
    short = Reply(BODY, breaks_after=1_000_000, ranges=True)
    with Server({"/short": short, "/good": Reply(BODY, ranges=True)}) as server:
        download("eccv16", urls=[server.url("/short"), server.url("/good")])
        assert server.requests[-1] == ("/good", "bytes=2000000-")


def test_an_interruption_keeps_what_came() -> None:
    def interrupt(here: int, total: int | None) -> None:
        if here > 1_000_000:
            raise KeyboardInterrupt

    with Server({"/good": Reply(BODY, ranges=True)}) as server:
        with pytest.raises(KeyboardInterrupt):
            download("eccv16", progress=interrupt, urls=[server.url("/good")])
        kept = part().stat().st_size
        assert kept > 1_000_000
        download("eccv16", urls=[server.url("/good")])
        assert server.requests[-1] == ("/good", f"bytes={kept}-")


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize(
    "begun",
    [BODY[:1000], BODY, BODY + b"more", OTHER[:1000], OTHER + OTHER],
    ids=["begun", "whole", "too long", "another file's", "far too long"],
)
def test_whatever_was_begun_ends_well(begun, ranges) -> None:
    begin_part(begun)
    with Server({"/good": Reply(BODY, ranges=ranges)}) as server:
        assert download("eccv16", urls=[server.url("/good")]).read_bytes() == BODY


def test_a_page_does_not_cost_what_was_begun() -> None:
    begin_part(BODY[:1000])
    with Server({"/page": Reply(PAGE)}) as server, pytest.raises(WeightsError, match="web page"):
        download("eccv16", urls=[server.url("/page")])
    assert part().read_bytes() == BODY[:1000]


@pytest.mark.skipif(sys.platform == "win32", reason="no flock there")
def test_a_second_download_stays_away() -> None:
    import fcntl

    begin_part(b"")
    with part().open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(WeightsError, match="another process is downloading"):
            download("eccv16", urls=[dead_url()])


@pytest.mark.skipif(sys.platform == "win32", reason="no flock there")
def test_a_download_that_another_process_ended_meanwhile(monkeypatch) -> None:
    """The other one gives its part its name between our opening it and our lock on it."""
    begin_part(BODY)
    held: list[str] = []

    def end_the_other(file):
        if not held:
            part().rename(cached_path("eccv16"))
        held.append(file.name)
        return locks.hold(file)

    monkeypatch.setattr(downloads, "hold", end_the_other)
    assert download("eccv16", urls=[dead_url()]) == cached_path("eccv16")
    assert len(held) == 2
    assert cached_path("eccv16").read_bytes() == BODY
    assert not part().exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no flock there")
def test_a_file_system_without_locks(monkeypatch) -> None:
    import fcntl

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with Server({"/good": Reply(BODY)}) as server:
        assert download("eccv16", urls=[server.url("/good")]).read_bytes() == BODY


def test_a_cache_that_cannot_be_written(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"File exists; set VIDCOLOR_CACHE to a folder"):
        download("eccv16", urls=[dead_url()])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_may_not_be_written(cache: Path) -> None:
    cache.mkdir(mode=0o500)
    with pytest.raises(OutputError, match=r"Permission denied; set VIDCOLOR_CACHE to a folder"):
        download("eccv16", urls=[dead_url()])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk() -> None:
    part().parent.mkdir(parents=True)
    part().symlink_to("/dev/full")
    with (
        Server({"/good": Reply(BODY)}) as server,
        pytest.raises(
            OutputError, match=r"is full \([\d,]+ MB free, the weights are 3 MB\)"
        ) as error,
    ):
        download("eccv16", urls=[server.url("/good")])
    assert "VIDCOLOR_CACHE" in str(error.value)
    assert not cached_path("eccv16").exists()


def test_only_official_weights_can_be_pulled() -> None:
    with pytest.raises(WeightsError, match="there are for eccv16, siggraph17 and inception"):
        download("compact")
