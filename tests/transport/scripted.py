"""A real HTTP server of which every byte is written in the test."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    path: str
    headers: Mapping[str, str]
    send: Callable[[bytes], None] = field(repr=False)
    pause: Callable[[float], None] = field(repr=False)
    """Ends early when the server stops."""


Script = Callable[[Request], bytes | None]


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A complete answer with a right Content-Length, unless the headers state another."""
    # One request per connection: a client must not try to use it again.
    fields = {
        "Content-Length": str(len(body)),
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in fields.items() if value != "")]
    return "\r\n".join([*lines, "", ""]).encode() + body


class ScriptedServer:
    """Answers each connection's one request with the script of its path."""

    def __init__(self, scripts: Mapping[str, Script | bytes]) -> None:
        self.scripts = dict(scripts)
        self.requests: list[Request] = []
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def stop(self) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65_536)
                if not piece:
                    return
                head += piece
            first, *lines = head.partition(b"\r\n\r\n")[0].decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            request = Request(first.split(" ")[1], headers, connection.sendall, self._pause)
            self.requests.append(request)
            script = self.scripts.get(request.path.partition("?")[0], answer(404))
            reply = script if isinstance(script, bytes) else script(request)
            if reply is not None:
                connection.sendall(reply)

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise OSError("the server stops")


@contextmanager
def scripted(scripts: Mapping[str, Script | bytes]) -> Iterator[ScriptedServer]:
    server = ScriptedServer(scripts)
    try:
        yield server
    finally:
        server.stop()


def file_with_ranges(content: bytes, *, etag: str = '"v1"') -> Script:
    """A well-behaved file."""

    def script(request: Request) -> bytes:
        wanted = request.headers.get("range")
        condition = request.headers.get("if-range", etag)
        if wanted is None or condition != etag:
            return answer(200, content, ETag=etag, Accept_Ranges="bytes")
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1 if last else len(content), len(content))
        if start >= len(content):
            return answer(416, Content_Range=f"bytes */{len(content)}")
        stated = f"bytes {start}-{stop - 1}/{len(content)}"
        return answer(206, content[start:stop], ETag=etag, Content_Range=stated)

    return script


def wait_until(condition: Callable[[], bool], *, seconds: float = 3.0) -> bool:
    """Whether `condition` comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
