"""Downloading official weights from servers that work, lie, refuse, and fall silent."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.models.servers import Reply, Server, dead_url
from vidcolor.errors import OutputError, WeightsError
from vidcolor.models.weights import OFFICIAL, cached_path, download, find_cached, seal_path

BODY = np.random.RandomState(0).bytes(3_000_000)
OTHER = np.random.RandomState(1).bytes(3_000_000)
PAGE = b"\n<!DOCTYPE html><html><body>Please sign in to this network.</body></html>"


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short file stands for the published one."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    entry = replace(
        OFFICIAL["eccv16"], sha256=hashlib.sha256(BODY).hexdigest(), approximate_bytes=len(BODY)
    )
    monkeypatch.setitem(OFFICIAL, "eccv16", entry)


def part() -> Path:
    path = cached_path("eccv16")
    return path.with_name(path.name + ".part")


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
    path = cached_path("eccv16")
    path.parent.mkdir(parents=True)
    path.write_bytes(OTHER)
    with pytest.raises(WeightsError, match="isn't the published file of eccv16"):
        find_cached("eccv16")
    with Server({"/good": Reply(BODY)}) as server:
        assert download("eccv16", urls=[server.url("/good")]).read_bytes() == BODY


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"<Error>AccessDenied</Error>", status=403), "refused with 403 Forbidden"),
        (Reply(PAGE, content_type="text/html"), "sent a web page instead of weights"),
        (Reply(PAGE), "sent a web page instead of weights"),
        (Reply(OTHER), "sent another file \\(sha256 [0-9a-f]{8}..., expected [0-9a-f]{8}"),
    ],
    ids=["403", "page", "page said to be bytes", "another file"],
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
    assert "--weights FILE" in str(error.value)
    assert list(part().parent.iterdir()) == []


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


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize(
    "begun",
    [BODY[:1000], BODY, BODY + b"more", OTHER[:1000]],
    ids=["begun", "whole", "too long", "another file's"],
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


def test_a_cache_that_cannot_be_written(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="VIDCOLOR_CACHE"):
        download("eccv16", urls=[dead_url()])


def test_only_official_weights_can_be_pulled() -> None:
    with pytest.raises(WeightsError, match="there are for eccv16 and siggraph17"):
        download("compact")
