"""One address at a time: how it is written, and what is said when it gives no weights."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.models.servers import CERTIFICATE, Reply, Server, dead_url
from vidcolor.errors import UsageError
from vidcolor.models.addresses import (
    Address,
    AddressError,
    UnreachableError,
    open_address,
    other_than_weights,
)

PAGE = b"\n<!DOCTYPE html><html><body>Please sign in to this network.</body></html>"
PASSWORD = "s3/cr@t"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies this machine goes by, a test has its own."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def ask(url: str, *, start: int = 0, timeout_seconds: float = 10) -> Any:
    return open_address(Address.parse(url), start=start, timeout_seconds=timeout_seconds)


def refused(url: str, **more: float) -> AddressError:
    """Why an address gives nothing."""
    with pytest.raises(AddressError) as error:
        ask(url, **more)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert PASSWORD not in str(error.value)
    return error.value


# How addresses are written


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://a.example/b.pth", "https://a.example/b.pth"),
        ("http://a.example:8080/b.pth?key=a%20b#top", "http://a.example:8080/b.pth?key=a%20b"),
        ("https://[::1]:8080/b.pth", "https://[::1]:8080/b.pth"),
        ("https://a.example/größe 2.pth", "https://a.example/gr%C3%B6%C3%9Fe%202.pth"),
        ("file:///a/b.pth", "file:///a/b.pth"),
    ],
)
def test_an_address_is_made_fit_to_be_sent(text: str, url: str) -> None:
    address = Address.parse(text)
    assert (address.url, address.authorization) == (url, None)


def test_user_and_password_leave_the_address() -> None:
    address = Address.parse("https://me:s3%2Fcr%40t@a.example:81/b.pth")
    assert address.url == "https://a.example:81/b.pth"
    assert address.shown == "a.example:81"
    # base64 of me:s3/cr@t
    assert address.authorization == "Basic bWU6czMvY3JAdA=="


def test_a_path_is_an_address(tmp_path: Path) -> None:
    path = tmp_path / "with space.pth"
    path.write_bytes(b"weights")
    assert Address.parse(str(path)).shown == str(path)
    with ask(str(path)) as answer:
        assert answer.read() == b"weights"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nowhere.pth",
        "a.example/b.pth",
        "ftp://me:s3/cr@t@a.example/b",
        "https://",
        "https:///b.pth",
        "https://me:s3/cr@t@[a.example/b",
        "https://me:s3cret@a.example:port/b",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="expected something like https://mirror") as error:
        Address.parse(text)
    assert "cr" not in str(error.value)


# Servers that answer


def test_the_whole_file_and_the_rest_of_one() -> None:
    with Server({"/good": Reply(b"weights", ranges=True)}) as server:
        with ask(server.url("/good")) as answer:
            assert (answer.status, answer.read()) == (200, b"weights")
        with ask(server.url("/good"), start=3) as answer:
            assert (answer.status, answer.read()) == (206, b"ghts")
        assert ask(server.url("/good"), start=7) is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "refused with 401 Unauthorized"),
        (403, "refused with 403 Forbidden"),
        (404, "refused with 404 Not Found"),
        (416, "refused with 416 Requested Range Not Satisfiable"),
        (500, "failed with 500 Internal Server Error"),
        (503, "failed with 503 Service Unavailable"),
        (302, "sends on to no address that can be followed"),
    ],
)
def test_a_status_in_words(status: int, words: str) -> None:
    with Server({"/bad": Reply(b"no", status=status)}) as server:
        assert str(refused(server.url("/bad"))) == f"127.0.0.1:{server.port} {words}"


def test_a_redirect_is_followed_without_the_password() -> None:
    with Server({"/good": Reply(b"weights")}) as other:
        moved = Reply(status=302, location=other.url("/good"))
        with Server({"/moved": moved}) as server:
            url = server.url("/moved").replace("//", "//me:s3cret@")
            with ask(url, start=0) as answer:
                assert answer.read() == b"weights"
            assert server.headers[0]["Authorization"].startswith("Basic ")
        assert other.headers[0]["Authorization"] is None


def test_a_redirect_in_a_circle() -> None:
    replies = {
        "/a": Reply(status=302, location="/b"),
        "/b": Reply(status=302, location="/a"),
    }
    with Server(replies) as server:
        assert "from one address to the next without end" in str(refused(server.url("/a")))
        assert len(server.requests) < 30


def test_a_redirect_to_a_file_of_this_machine(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with Server({"/moved": Reply(status=302, location=secret.as_uri())}) as server:
        assert "no address that can be followed" in str(refused(server.url("/moved")))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "an empty file"),
        (PAGE, "a web page"),
        (b"<html><head><title>\n Sign  in </title>", "a web page ('Sign in')"),
        (b"<HTML><TITLE>Sign in", "a web page ('Sign in')"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "XML ('AccessDenied')"),
        (b'{"error": "not found"}\n', 'JSON ({"error": "not found"})'),
        (b'[ {"a": 1}]', 'JSON ([ {"a": 1}])'),
        (b"[section]\na = 1", "a text ([section] a = 1)"),
        (b"Too many requests", "a text (Too many requests)"),
        ("Zugriff für Sie verweigert".encode(), "a text (Zugriff für Sie verweigert)"),
        (b"x" * 512, "a text (" + "x" * 77 + "...)"),
        # An escape that would colour a terminal makes it no text.
        (b"\x1b[31mred", None),
        (b"<html><title>\x1b[31mred\x07</title>", "a web page ('[31mred')"),
        (b"PK\x03\x04\x00\x00", None),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j", None),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{"dtype":"F32"', None),
    ],
)
def test_an_answer_that_is_no_weights(head: bytes, words: str | None) -> None:
    assert other_than_weights(head) == words


# Servers that don't


def test_nobody_listens() -> None:
    error = refused(dead_url())
    assert isinstance(error, UnreachableError)
    assert "can't be reached (Connection refused)" in str(error)


def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: unknown())
    error = refused("https://weights.example/a.pth")
    assert isinstance(error, UnreachableError)
    assert str(error) == "the name weights.example can't be found (Name or service not known)"


def test_a_name_that_cannot_be_one() -> None:
    assert "gave no answer that is understood" in str(refused(f"http://{'a' * 70}.example/a.pth"))


def test_a_silent_server() -> None:
    with Server({"/silent": Reply(silent=True)}) as server:
        error = refused(server.url("/silent"), timeout_seconds=0.1)
    assert isinstance(error, UnreachableError)
    assert "didn't answer within 0.1 seconds" in str(error)


@contextmanager
def speaker(words: bytes) -> Iterator[str]:
    """An address where somebody says `words` to whoever comes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            caller, _ = listener.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(words)

        thread = Thread(target=speak)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("words", [b"220 mail.example ready\r\n", b""], ids=["mail", "nothing"])
def test_a_server_of_another_kind(words: bytes) -> None:
    with speaker(words) as place:
        assert "no answer that is understood" in str(refused(f"http://{place}/a.pth"))


def test_a_file_that_went_away(tmp_path: Path) -> None:
    url = (tmp_path / "gone.pth").as_uri()
    assert str(refused(url)) == f"{tmp_path / 'gone.pth'} can't be read (No such file or directory)"


# Certificates


def test_a_certificate_nobody_vouches_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server({"/good": Reply(b"weights")}, certificate=CERTIFICATE) as server:
        error = str(refused(server.url("/good")))
        assert f"certificate of 127.0.0.1:{server.port} can't be trusted (self-signed" in error
        assert "SSL_CERT_FILE" in error
        # What the sentence advises helps.
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        with ask(server.url("/good")) as answer:
            assert answer.read() == b"weights"


def test_a_server_that_speaks_no_tls() -> None:
    with speaker(b"HTTP/1.0 400 Bad Request\r\n\r\n") as place:
        assert "doesn't speak TLS as expected (" in str(refused(f"https://{place}/a.pth"))


# Proxies


def through(monkeypatch: pytest.MonkeyPatch, variable: str, place: str) -> None:
    monkeypatch.setenv(variable, f"http://me:{PASSWORD}@{place}/")


def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server({"http://weights.example/a.pth": Reply(b"weights")}) as proxy:
        through(monkeypatch, "http_proxy", f"127.0.0.1:{proxy.port}")
        with ask("http://weights.example/a.pth") as answer:
            assert answer.read() == b"weights"
    assert proxy.headers[0]["Proxy-Authorization"] == "Basic bWU6czMvY3JAdA=="


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (407, "put the user and password it asks for into {0} as http://USER:PASSWORD@{1}"),
        (403, "ask whoever runs it to let weights.example through, or name weights.example in "),
        (502, "refused with 502 Bad Gateway"),
    ],
)
def test_a_proxy_that_refuses_a_tunnel(
    monkeypatch: pytest.MonkeyPatch, variable: str, status: int, words: str
) -> None:
    with Server({"weights.example:443": Reply(b"no", status=status)}) as proxy:
        place = f"127.0.0.1:{proxy.port}"
        through(monkeypatch, variable, place)
        error = str(refused("https://weights.example/a.pth"))
    assert error.startswith(f"the proxy {place} of {variable} refused with {status} ")
    assert words.format(variable, place) in error


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (407, "into http_proxy as http://USER:PASSWORD@127.0.0.1:"),
        # Whether the proxy or the server refuses, nobody can tell.
        (403, "weights.example refused with 403 Forbidden, asked by way of the proxy 127.0.0.1:"),
    ],
)
def test_a_proxy_that_refuses_a_request(
    monkeypatch: pytest.MonkeyPatch, status: int, words: str
) -> None:
    with Server({"http://weights.example/a.pth": Reply(b"no", status=status)}) as proxy:
        through(monkeypatch, "http_proxy", f"127.0.0.1:{proxy.port}")
        assert words in str(refused("http://weights.example/a.pth"))


@pytest.mark.parametrize("url", ["http://weights.example/a.pth", "https://weights.example/a.pth"])
def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    place = dead_url().split("/")[2]
    variable = url.split(":")[0].upper() + "_PROXY"
    through(monkeypatch, variable, place)
    error = refused(url)
    # The machine itself may well be online.
    assert not isinstance(error, UnreachableError)
    assert f"the proxy {place} of {variable} can't be reached (Connection refused)" in str(error)
    assert f"correct {variable}, or unset it" in str(error)


def test_a_proxy_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server({"weights.example:443": Reply(silent=True)}) as proxy:
        through(monkeypatch, "https_proxy", f"127.0.0.1:{proxy.port}")
        error = refused("https://weights.example/a.pth", timeout_seconds=0.1)
    assert "can't be reached (it didn't answer in time)" in str(error)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks5://me:s3/cr@t@127.0.0.1:1", "is a socks5 proxy, and only http proxies"),
        ("http:/me:s3/cr@t@127.0.0.1:1", "https_proxy doesn't hold a proxy that is understood"),
        ("http://me:s3/cr@t@127.0.0.1:one", "correct https_proxy"),
        ("me:s3/cr@t@127.0.0.1:1", "https_proxy"),
    ],
)
def test_a_proxy_that_is_written_wrongly(
    monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    monkeypatch.setenv("https_proxy", value)
    assert words in str(refused("https://weights.example/a.pth"))


def test_no_proxy_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    through(monkeypatch, "http_proxy", dead_url().split("/")[2])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with (
        Server({"/good": Reply(b"weights"), "/bad": Reply(b"", status=403)}) as server,
        ask(server.url("/good")) as answer,
    ):
        assert answer.read() == b"weights"
        assert "proxy" not in str(refused(server.url("/bad")))
