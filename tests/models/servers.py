"""A web server on 127.0.0.1 that misbehaves on request.

with Server({"/good": Reply(body)}) as server:
    urllib.request.urlopen(server.url("/good"))
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass(frozen=True)
class Reply:
    """What a path answers."""

    body: bytes
    status: int = 200
    content_type: str = "application/octet-stream"
    breaks_after: int | None = None
    """Bytes after which the connection ends, though more were announced."""
    ranges: bool = False
    """Whether `Range: bytes=N-` is honoured."""
    says_length: bool = True


class Server:
    """Serves `replies` by path until the block ends; `requests` lists (path, Range header)."""

    def __init__(self, replies: dict[str, Reply]) -> None:
        self.replies = replies
        self.requests: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def __enter__(self) -> Server:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers["Range"]))
                answer(self, outer.replies[self.path])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def answer(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    start, status = 0, reply.status
    if reply.ranges and handler.headers["Range"]:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        status = 206 if start < len(reply.body) else 416
    body = reply.body[start:]
    handler.send_response(status)
    handler.send_header("Content-Type", reply.content_type)
    if reply.says_length:
        handler.send_header("Content-Length", str(len(body)))
    if status == 206:
        handler.send_header(
            "Content-Range", f"bytes {start}-{len(reply.body) - 1}/{len(reply.body)}"
        )
    handler.end_headers()
    handler.wfile.write(body[: reply.breaks_after])


def dead_url() -> str:
    """An address on this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/weights.pth"
