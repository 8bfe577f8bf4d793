"""The one HTTP server of the tests: a real socket, of which every byte that it answers is written in the test."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Request:
    """What a client sent, and ways to answer it bit by bit."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    send: Callable[[bytes], None] = field(repr=False)
    pause: Callable[[float], None] = field(repr=False)
    """Ends early when the server stops."""

    @property
    def file(self) -> str:
        """The path without query and percent-encoding."""
        return unquote(self.path.partition("?")[0])


Script = Callable[[Request], bytes | None]
"""Gives the answer to one request. After it has sent one itself: None, or nothing (`b""`) to keep the connection."""


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A complete answer with a right Content-Length, unless the headers state another; `X_Y` is written `X-Y`.

    A client must not use its connection again, unless `Connection="keep-alive"` is stated.
    """
    fields = {
        "Content-Length": str(len(body)),
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in fields.items() if value != "")]
    return "\r\n".join([*lines, "", ""]).encode() + body


def json_answer(value: Any, status: int = 200, **headers: str) -> bytes:
    return answer(status, json.dumps(value).encode(), Content_Type="application/json", **headers)


def _keeps_connection(reply: bytes) -> bool:
    return b"\r\nConnection: keep-alive" in reply.partition(b"\r\n\r\n")[0]


class ScriptedServer:
    """Answers requests with the script of their path, or all of them with one; `failures` come first, one each."""

    def __init__(self, scripts: Mapping[str, Script | bytes] | Script) -> None:
        self.scripts: dict[str, Script | bytes] = {} if callable(scripts) else dict(scripts)
        self.other: Script | bytes = scripts if callable(scripts) else answer(404)
        self.failures: list[bytes] = []
        self.requests: list[Request] = []
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "", *, host: str = "127.0.0.1") -> str:
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
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as stream:
            while (request := self._read(connection, stream)) is not None:
                self.requests.append(request)
                script = self.failures.pop(0) if self.failures else self.scripts.get(request.file, self.other)
                reply = script if isinstance(script, bytes) else script(request)
                if reply is not None:
                    connection.sendall(reply)
                if reply is None or (reply and not _keeps_connection(reply)):
                    return

    def _read(self, connection: socket.socket, stream: Any) -> Request | None:
        first = stream.readline().decode().split(" ")
        if len(first) < 3:
            return None
        headers: dict[str, str] = {}
        while line := stream.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        return Request(first[0], first[1], headers, body, connection.sendall, self._pause)

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise OSError("the server stops")


@contextmanager
def scripted(scripts: Mapping[str, Script | bytes] | Script) -> Iterator[ScriptedServer]:
    server = ScriptedServer(scripts)
    try:
        yield server
    finally:
        server.stop()


def file_with_ranges(content: bytes, **headers: str) -> Script:
    """A well-behaved file, whose ETag is `"v1"` unless the headers state another."""
    headers = {"ETag": '"v1"', **headers}

    def script(request: Request) -> bytes:
        wanted = request.headers.get("range")
        condition = request.headers.get("if-range", headers["ETag"])
        if wanted is None or condition != headers["ETag"]:
            return answer(200, content, Accept_Ranges="bytes", **headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1 if last else len(content), len(content))
        if start >= len(content):
            return answer(416, Content_Range=f"bytes */{len(content)}")
        return answer(206, content[start:stop], Content_Range=f"bytes {start}-{stop - 1}/{len(content)}", **headers)

    return script


class FolderServer(ScriptedServer):
    """Files by path, for everybody or for those who send the key."""

    def __init__(self, files: Mapping[str, bytes], key: str | None) -> None:
        self.files = dict(files)
        self.key = key
        super().__init__(self._answer)

    @property
    def seen(self) -> list[tuple[str, str | None, str | None]]:
        """Path, key and `X-Team` of every request."""
        stated = [(request.path, request.headers) for request in self.requests]
        return [(path, headers.get("authorization"), headers.get("x-team")) for path, headers in stated]

    def _answer(self, request: Request) -> bytes | None:
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return answer(401, b"no key")
        if request.file not in self.files:
            return answer(404)
        content = self.files[request.file]
        return file_with_ranges(content, ETag=f'"{hashlib.sha256(content).hexdigest()[:12]}"')(request)


@contextmanager
def served_files(files: Mapping[str, bytes], key: str | None = None) -> Iterator[FolderServer]:
    server = FolderServer(files, key)
    try:
        yield server
    finally:
        server.stop()


def wait_until(condition: Callable[[], bool], *, seconds: float = 30.0) -> bool:
    """Whether `condition` comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
