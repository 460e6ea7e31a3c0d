"""A web server on 127.0.0.1 that misbehaves on request, and serves as a proxy too.

with Server({"/good": Reply(body)}) as server:
    urllib.request.urlopen(server.url("/good"))
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

CERTIFICATE = Path(__file__).parent / "data" / "self_signed.pem"
"""For 127.0.0.1, signed by nobody else, with its key."""


@dataclass(frozen=True)
class Reply:
    """What a path answers."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/octet-stream"
    breaks_after: int | None = None
    """Bytes after which the connection ends, though more were announced."""
    silent_after: int | None = None
    """Bytes after which nothing comes any more, until the server ends."""
    silent: bool = False
    """Not even a status line comes, until the server ends."""
    ranges: bool = False
    """Whether `Range: bytes=N-` is honoured."""
    says_length: bool = True
    announces: int | None = None
    """The length it says, where that isn't the true one."""
    location: str | None = None
    """Where a redirect points."""


class Listener(ThreadingHTTPServer):
    """Waits for its handlers, and takes a client that hangs up early for no error."""

    daemon_threads = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Server:
    """Serves `replies` by path until the block ends; `requests` lists (path, Range header).

    As a proxy it is asked for whole addresses, and for HOST:PORT before what is encrypted.
    """

    def __init__(self, replies: dict[str, Reply], certificate: Path | None = None) -> None:
        self.replies = replies
        self.certificate = certificate
        self.requests: list[tuple[str, str | None]] = []
        self.headers: list[Message] = []
        """Of every request."""
        self.over = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def url(self, path: str) -> str:
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Server:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers["Range"]))
                outer.headers.append(self.headers)
                answer(self, outer.replies[self.path], outer.over)

            do_CONNECT = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = Listener(("127.0.0.1", 0), Handler)
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            # Hands are shaken in the handler's thread, where one that fails is one client's.
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def answer(handler: BaseHTTPRequestHandler, reply: Reply, over: threading.Event) -> None:
    if reply.silent:
        over.wait()
        return
    start, status = 0, reply.status
    if reply.ranges and handler.headers["Range"]:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        status = 206 if start < len(reply.body) else 416
    body = reply.body[start:]
    handler.send_response(status)
    handler.send_header("Content-Type", reply.content_type)
    if reply.says_length:
        handler.send_header("Content-Length", str(reply.announces or len(body)))
    if reply.location is not None:
        handler.send_header("Location", reply.location)
    if status == 206:
        handler.send_header(
            "Content-Range", f"bytes {start}-{len(reply.body) - 1}/{len(reply.body)}"
        )
    handler.end_headers()
    handler.wfile.write(body[: reply.silent_after][: reply.breaks_after])
    if reply.silent_after is not None:
        over.wait()


def dead_url() -> str:
    """An address on this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/weights.pth"
