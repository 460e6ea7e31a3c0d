"""One address of a weights file: opening it, and in words why it gave nothing.

    address = Address.parse("https://mirror.example/siggraph17-df00044c.pth")
    with open_address(address, start=0, timeout_seconds=30) as answer: ...

Requests go by the proxies that the environment names (https_proxy, http_proxy, no_proxy). No
password of an address or a proxy reaches a sentence.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from vidcolor.errors import UsageError
from vidcolor.models.weights import looks_like_page, looks_like_text

SHOWN_CHARACTERS = 80
"""How much of a server's own words a sentence quotes."""

Answer = Any
"""What urllib opened: an HTTPResponse, or its like for a file."""


class AddressError(Exception):
    """Why one address gave no weights."""


class UnreachableError(AddressError):
    """No server answered at all."""


class BrokeOffError(AddressError):
    """The file began to come, and stopped."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a file is, ready to be asked for."""

    url: str
    """http, https or file; without user and password."""

    authorization: str | None = None
    """The header that carries user and password."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """An address as a person writes it: a URL, or the path of a file that is there.

        Raises UsageError on anything else.
        """
        if "://" not in text:
            if text and Path(text).is_file():
                return cls(url=Path(text).absolute().as_uri())
            raise UsageError(
                f"{text!r} is neither an address nor a file that is there; expected something like "
                "https://mirror.example/weights.pth."
            )
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
            known = parts.scheme == "file" or (parts.scheme in ("http", "https") and host)
        except ValueError:
            known = False
        if not known:
            # Python's own words may hold the password.
            raise UsageError(
                f"the address {hidden(text)!r} isn't understood; expected something like "
                "https://mirror.example/weights.pth."
            )
        named = f"[{host}]" if host and ":" in host else host or ""
        path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
        query = quote(parts.query, safe="/?%:@!$&'()*+,;=~")
        place = f"{named}:{port}" if port else named
        return cls(
            url=urlunsplit((parts.scheme, place, path, query, "")),
            authorization=basic(parts.username, parts.password),
        )

    @property
    def shown(self) -> str:
        """What a sentence calls it: its host, or its path for a file."""
        return shown(self.url)


def hidden(text: str) -> str:
    """An address or a proxy without user and password."""
    scheme, rest = apart(text)
    return f"{scheme}://{rest}" if scheme else rest


def apart(text: str) -> tuple[str, str]:
    """The scheme, empty where there is none, and what follows it without user and password."""
    scheme, slashes, rest = text.partition("://")
    # A password may hold anything, this sign too.
    return (scheme, rest.rpartition("@")[2]) if slashes else ("", text.rpartition("@")[2])


def shown(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or unquote(parts.path)


def basic(user: str | None, password: str | None) -> str | None:
    """The Authorization header for a user's name and password, percent-encoded; None for none."""
    if not user:
        return None
    both = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(both.encode()).decode("ascii")


def open_address(address: Address, *, start: int, timeout_seconds: float) -> Answer | None:
    """Ask for what an address has from byte `start` on; None where that is behind its end.

    A server that can't begin in the middle answers from the beginning, with a status other than
    206. Raises AddressError when nothing comes, saying why.
    """
    headers = {"User-Agent": "vidcolor"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(address.url, headers=headers)
    if address.authorization:
        # Where the server sends us on to somebody else, the password doesn't go along.
        request.add_unredirected_header("Authorization", address.authorization)
    try:
        # An opener of its own: urllib's shared one keeps the proxies it saw first.
        return urllib.request.build_opener().open(request, timeout=timeout_seconds)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return None
        raise refusal(address, error) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise silence(address, error, timeout_seconds) from error


# What a server that answers may say instead


def refusal(address: Address, error: urllib.error.HTTPError) -> AddressError:
    """Why an answer that is no success is none."""
    proxy = Proxy.of(address.url)
    if proxy and error.code == http.client.PROXY_AUTHENTICATION_REQUIRED:
        return proxy.refusal(address, error.code, error.msg)
    if str(error.msg).startswith(urllib.request.HTTPRedirectHandler.inf_msg):
        return AddressError(f"{address.shown} sends from one address to the next without end")
    if error.code < http.client.BAD_REQUEST:
        return AddressError(f"{address.shown} sends on to no address that can be followed")
    host = shown(error.url or address.url)
    verb = "failed" if error.code >= http.client.INTERNAL_SERVER_ERROR else "refused"
    way = f", asked by way of {proxy}" if proxy and proxy.reads_along else ""
    return AddressError(f"{host} {verb} with {status(error.code, error.msg)}{way}")


def status(code: int, phrase: object) -> str:
    return f"{code} {plain(str(phrase))}".rstrip()


def other_than_weights(head: bytes) -> str | None:
    """What an answer is whose first bytes are no weights, in words; None where they may be."""
    if not head:
        return "an empty file"
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff").strip()
    if looks_like_page(head):
        title = re.search(r"<(?:title|message|code)[^>]*>([^<]+)", text, re.IGNORECASE)
        kind = "a web page" if re.search("<(?:!doctype )?html", text, re.IGNORECASE) else "XML"
        return kind + (f" ({plain(title[1])!r})" if title else "")
    if looks_like_text(head):
        kind = "JSON" if re.match(r"[{\[]\s*[\"{\[\]}]", text) else "a text"
        return f"{kind} ({plain(text)})"
    return None


def plain(text: str) -> str:
    """A server's words on one line, short, without anything that moves a terminal's cursor."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= SHOWN_CHARACTERS else words[: SHOWN_CHARACTERS - 3] + "..."


# Why no answer came


def silence(address: Address, error: Exception, timeout_seconds: float) -> AddressError:
    """Why a request brought no answer."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    host, proxy = address.shown, Proxy.of(address.url)
    if address.url.startswith("file:"):
        return AddressError(f"{host} can't be read ({getattr(reason, 'strerror', reason)})")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return AddressError(
            f"the certificate of {host} can't be trusted ({reason.verify_message}; if a proxy or "
            "firewall here opens what is encrypted, let SSL_CERT_FILE name the file of its "
            "certificate, else see that this machine's date is right)"
        )
    if isinstance(reason, ssl.SSLError):
        return AddressError(f"{host} doesn't speak TLS as expected ({reason.reason})")
    if proxy:
        return proxy.trouble(address, reason)
    if isinstance(reason, TimeoutError):
        return UnreachableError(f"{host} didn't answer within {timeout_seconds:g} seconds")
    if isinstance(reason, socket.gaierror):
        return UnreachableError(f"the name {host} can't be found ({reason.strerror})")
    if isinstance(error, http.client.HTTPException | ValueError):
        return AddressError(f"{host} gave no answer that is understood ({words_of(reason)})")
    return UnreachableError(f"{host} can't be reached ({words_of(reason)})")


def words_of(reason: object) -> str:
    """An error of the system's or of urllib's in its own words."""
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return plain(str(reason)) or type(reason).__name__


@dataclass(frozen=True)
class Proxy:
    """A proxy that requests go by."""

    place: str
    """Host and port, without user and password."""

    variable: str
    """What of the environment names it."""

    scheme: str
    """How it is spoken to, empty where it isn't said."""

    reads_along: bool
    """Whether it sees the request itself, and so may be the one that refuses it."""

    @classmethod
    def of(cls, url: str) -> Proxy | None:
        """The proxy that urllib takes for `url`, or None."""
        parts = urlsplit(url)
        given = urllib.request.getproxies().get(parts.scheme)
        if not given or not parts.netloc or urllib.request.proxy_bypass(parts.netloc):
            return None
        name = f"{parts.scheme}_proxy"
        # Lower case first, as urllib has it. Without either it is the system's own setting.
        found = [each for each in os.environ if each.lower() == name and os.environ[each] == given]
        scheme, place = apart(given)
        return cls(
            place=place.rstrip("/"),
            variable=min(found, key=lambda each: each != name, default="the system's settings"),
            scheme=scheme.lower(),
            reads_along=parts.scheme == "http",
        )

    def __str__(self) -> str:
        return f"the proxy {self.place} of {self.variable}"

    def trouble(self, address: Address, reason: object) -> AddressError:
        """Why a request by this proxy brought no answer."""
        if self.scheme not in ("", "http", "https"):
            return AddressError(
                f"{self} is a {self.scheme} proxy, and only http proxies are understood; give "
                f"{self.variable} as http://HOST:PORT or unset it"
            )
        refused = re.search(r"Tunnel connection failed: (\d{3}) ?(.*)", str(reason), re.DOTALL)
        if refused:
            return self.refusal(address, int(refused[1]), refused[2])
        if isinstance(reason, ValueError):
            return AddressError(
                f"{self.variable} doesn't hold a proxy that is understood; give it as "
                "http://HOST:PORT or unset it"
            )
        late = "it didn't answer in time" if isinstance(reason, TimeoutError) else words_of(reason)
        return AddressError(
            f"{self} can't be reached ({late}); correct {self.variable}, or unset it where there "
            "is a way without a proxy"
        )

    def refusal(self, address: Address, code: int, phrase: object) -> AddressError:
        """What this proxy's own refusal means."""
        said = f"{self} refused with {status(code, phrase)}"
        if code == http.client.PROXY_AUTHENTICATION_REQUIRED:
            return AddressError(
                f"{said}; put the user and password it asks for into {self.variable} as "
                f"http://USER:PASSWORD@{self.place}"
            )
        host = urlsplit(address.url).hostname
        return AddressError(
            f"{said}; ask whoever runs it to let {host} through, or name {host} in no_proxy where "
            "there is a way without a proxy"
        )
