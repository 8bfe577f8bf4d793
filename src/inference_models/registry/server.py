"""The HTTP server of a registry."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote

from inference_models.errors import ModelNotFoundError
from inference_models.providers._wire import METADATA_TYPE, RESERVED_HANDLES
from inference_models.providers.roboflow import PATH
from inference_models.registry.access import Access
from inference_models.registry.http_parts import requested_slice
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inference_models.registry.library import PackageLibrary, PublishedModel, PublishedPackage

FILES = "/files/"
PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_log = logging.getLogger("inference-models")


class RequestRefusedError(Exception):
    """A request that is answered with an error status. Never leaves this module."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)


class RegistryServer(ThreadingMixIn, TCPServer):
    """Serves one library until `stop`. Use `serve_forever` in the thread of your choice."""

    daemon_threads = True
    allow_reuse_address = os.name == "posix"
    request_queue_size = 128

    def __init__(
        self,
        library: PackageLibrary,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        access: Access | None = None,
        public_url: str | None = None,
    ) -> None:
        self.library = library
        self.access = access or Access()
        self.public_url = public_url.rstrip("/") if public_url else None
        self._busy = 0
        self._idle = threading.Condition()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Address of this server, as this machine sees it."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, (bytes, bytearray)) else str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def stop(self, *, grace: float = 10.0) -> None:
        """Take no more requests, let those that run end, for `grace` seconds at most."""
        self.shutdown()
        deadline = time.monotonic() + grace
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0, timeout=max(0.0, deadline - time.monotonic()))
        self.server_close()

    @contextmanager
    def working(self) -> Iterator[None]:
        """A request runs within this block."""
        with self._idle:
            self._busy += 1
        try:
            yield
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the interface of the base
        """A client that went away is no news; anything else is a mistake of ours."""
        if isinstance(sys.exc_info()[1], OSError):
            _log.debug("a client went away")
        else:
            _log.exception("a request failed")


class _Handler(BaseHTTPRequestHandler):
    server: RegistryServer
    protocol_version = "HTTP/1.1"
    server_version = f"inference-models-registry/{__version__}"
    sys_version = ""
    timeout = 60
    """Seconds a client may be silent within a request, or keep an idle connection."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the interface of the base
        _log.debug("registry: " + format, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - the interface
        # The query is left out: it holds the signature of a file address. A line that is too long was not even split.
        path = getattr(self, "path", "").partition("?")[0]
        _log.info("%s %s %s %s", self.client_address[0], self.command, ascii(path), code)

    def _answer(self) -> None:
        with self.server.working():
            try:
                self._route()
            except RequestRefusedError as exc:
                self._send_json(exc.status, {"message": exc.message})
            except OSError:
                self.close_connection = True
                raise

    def _route(self) -> None:
        if self.headers.get("Content-Length", "0").strip() != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise RequestRefusedError(400, "a request here has no body")
        path, _, query = self.path.partition("?")
        if path == PATH:
            self._describe(query)
        elif path.startswith(FILES):
            self._send_file(path, query)
        elif path == "/":
            self._send_json(200, {"status": "ok"})
        else:
            raise RequestRefusedError(404, f"there is nothing here; ask {PATH}?modelId=...")

    def _describe(self, query: str) -> None:
        self._check_key()
        values = _parameters(query)
        model_id = values.get("modelId", "")
        if not 1 <= len(model_id) <= 512:
            raise RequestRefusedError(400, "modelId is missing")
        try:
            model = self.server.library.find(model_id)
        except ModelNotFoundError as exc:
            raise RequestRefusedError(404, exc.summary) from None
        packages, following = _page(model, values)
        self._send_json(200, {"modelMetadata": self._metadata(model, packages, following)})

    def _metadata(
        self, model: PublishedModel, packages: list[PublishedPackage], following: str | None
    ) -> dict[str, Any]:
        base = self.server.public_url or self._base_url()
        return {
            "type": METADATA_TYPE,
            "modelId": model.model_id,
            **model.facts,
            "modelPackages": [self._package(package, base) for package in packages],
            "nextPage": following,
        }

    def _package(self, package: PublishedPackage, base: str) -> dict[str, Any]:
        files = [
            {
                "fileHandle": file.handle,
                "downloadUrl": base + self.server.access.signed(FILES + quote(f"{package.folder}/{file.handle}")),
                "md5Hash": file.md5,
                "sha256Hash": file.sha256,
                "sizeBytes": file.size,
            }
            for file in package.files
            # What these say, the rest of the answer says, and clients write such files themselves.
            if file.handle.partition("/")[0].lower() not in RESERVED_HANDLES
        ]
        return {"packageId": package.package_id, **package.entry, "packageFiles": files}

    def _send_file(self, path: str, query: str) -> None:
        access = self.server.access
        if not access.allows(path, query) and not access.knows(self.headers.get("Authorization")):
            raise RequestRefusedError(403, "this address has expired, or was not made by this server")
        found = self.server.library.file(unquote(path.removeprefix(FILES)))
        if found is None:
            raise RequestRefusedError(404, "there is no such file")
        self._send_content(found)

    def _send_content(self, path: Path) -> None:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            etag = f'"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"'
            if etag in self.headers.get("If-None-Match", ""):
                self._start(304, {"ETag": etag})
                return
            part = requested_slice(self.headers, status.st_size, etag)
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(part.length),
                "Accept-Ranges": "bytes",
                "ETag": etag,
                "Last-Modified": self.date_time_string(int(status.st_mtime)),
            }
            if part.status == 206:
                headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{status.st_size}"
            if part.status == 416:
                headers["Content-Range"] = f"bytes */{status.st_size}"
            self._start(part.status, headers)
            if self.command == "GET" and part.length:
                sent = self.connection.sendfile(stream, part.start, part.length)
                # A file that shrank meanwhile: the client must see a broken answer, not a short one.
                self.close_connection |= sent != part.length

    def _check_key(self) -> None:
        authorization = self.headers.get("Authorization")
        if self.server.access.keys and not self.server.access.knows(authorization):
            stated = "this API key is not known here" if authorization else "an API key is needed"
            raise RequestRefusedError(401, stated)

    def _base_url(self) -> str:
        host = self.headers.get("Host", "").strip()
        if not host:
            return self.server.url
        if not _HOST.fullmatch(host):
            raise RequestRefusedError(400, "the Host header is no host")
        return f"http://{host}"

    def _send_json(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value, allow_nan=False).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            **({"WWW-Authenticate": "Bearer"} if status == 401 else {}),
        }
        self._start(status, headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def _page(model: PublishedModel, values: dict[str, str]) -> tuple[list[PublishedPackage], str | None]:
    text = values.get("pageSize", str(PAGE_SIZE))
    if not (text.isascii() and text.isdecimal() and 1 <= len(text) <= 6 and int(text) >= 1):
        raise RequestRefusedError(400, "pageSize is no number of packages")
    after = values.get("startAfter", "")
    rest = [package for package in model.packages if package.package_id > after]
    page = rest[: min(int(text), MAX_PAGE_SIZE)]
    return page, page[-1].package_id if len(rest) > len(page) else None


def _parameters(query: str) -> dict[str, str]:
    try:
        values = parse_qs(query, max_num_fields=32, errors="strict")
    except ValueError:
        raise RequestRefusedError(400, "the query cannot be read") from None
    return {name: found[0] for name, found in values.items()}
