"""The HTTP server of a registry: the contract of the hosted API over a folder of packages."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from inference_models.errors import ModelNotFoundError
from inference_models.providers._wire import METADATA_TYPE, PACKAGE_TYPE, RESERVED_HANDLES
from inference_models.providers.roboflow import PATH
from inference_models.registry.access import Access
from inference_models.registry.wire import model_facts, wire_names
from inference_models.version import __version__

if TYPE_CHECKING:
    import asyncio

    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

    from inference_models.registry.library import PackageLibrary, PublishedModel, PublishedPackage

FILES = "/files/"
PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
SILENCE = 60
"""Seconds a client may send nothing of a request it has begun, or take nothing of an answer."""
GRACE = 10
"""Seconds that running requests get to end when the server is stopped."""
_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_RANGE = re.compile(rb"bytes=\s*(?:(\d{1,18})-(\d{0,18})|-\d{1,18})\s*")
_log = logging.getLogger("inference-models")


class RegistryServer:
    """Serves one library on a port that is taken at once."""

    def __init__(
        self,
        library: PackageLibrary,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        access: Access | None = None,
        public_url: str | None = None,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=128)
        name, self.port = self._socket.getsockname()[:2]
        self.url = f"http://[{name}]:{self.port}" if ":" in name else f"http://{name}:{self.port}"
        """Address of this server, as this machine sees it."""
        self.answers = RegistryAnswers(library, access or Access(), public_url, self.url)
        settings = uvicorn.Config(
            self.answers,
            http=_ClientTimeoutProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            headers=[("Server", f"inference-models-registry/{__version__}")],
            timeout_keep_alive=SILENCE,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = uvicorn.Server(settings)

    def run(self) -> None:
        """Serve until `stop` is called."""
        self._server.run(sockets=[self._socket])

    def run_until_signal(self) -> None:
        """Serve until SIGTERM or Ctrl-C. Call it in the main thread."""
        # uvicorn raises the signal once more when it has stopped; it then finds these handlers.
        previous = {number: signal.signal(number, lambda *_: self.stop()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.run()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Take no more requests; those that run may end. Any thread may call it."""
        self._server.should_exit = True


class _ClientTimeoutProtocol(H11Protocol):
    """Closes the connection of a client that sends half a request, or does not read its answer."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the base
        super().connection_made(transport)
        self._wait_for_client()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait_for_client()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_client()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for_client(again=False)
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        # To close would wait for what the client has not taken yet.
        self.transport.abort()

    def _wait_for_client(self, *, again: bool = True) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(SILENCE, self._hang_up) if again else None

    def _hang_up(self) -> None:
        is_at_work = self.cycle is not None and not self.cycle.response_complete
        if not is_at_work or self.flow.write_paused:
            self.transport.abort()


class RegistryAnswers:
    """The application: what is answered to a request."""

    def __init__(self, library: PackageLibrary, access: Access, public_url: str | None, own_url: str) -> None:
        self._library = library
        self._access = access
        self.public_url = public_url
        """Address clients use, when a proxy stands in front."""
        self._own_url = own_url
        routes = [
            Route("/", lambda _: _json({"status": "ok"})),
            Route(PATH, self._describe),
            Route(FILES + "{name:path}", self._file),
            Route("/{rest:path}", _nothing),
        ]
        self._app = Starlette(routes=routes, exception_handlers={HTTPException: _refusal})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and write a line to the log."""

        async def logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Without the query, which holds the signature of a file address.
                client, path = (scope["client"] or ["-"])[0], ascii(scope["path"])
                _log.info("%s %s %s %s", client, scope["method"], path, message["status"])
            await send(message)

        headers = Headers(scope=scope)
        if headers.get("content-length", "0").strip() != "0" or "transfer-encoding" in headers:
            refusal = _json({"message": "a request here has no body"}, 400, Connection="close")
            await refusal(scope, receive, logged)
        else:
            await self._app(scope, receive, logged)

    def _describe(self, request: Request) -> Response:
        self._check_key(request)
        values = _parameters(request)
        model_id = values.get("modelId", "")
        if not 1 <= len(model_id) <= 512:
            raise HTTPException(400, "modelId is missing")
        try:
            model = self._library.find(model_id)
        except ModelNotFoundError as exc:
            raise HTTPException(404, exc.summary) from None
        packages, following = _page(model, values)
        base = (self.public_url or self._base_url(request)).rstrip("/")
        metadata = {
            "type": METADATA_TYPE,
            "modelId": model.model_id,
            **model_facts(model.packages[0].described.metadata),
            "modelPackages": [self._package(package, base) for package in packages],
            "nextPage": following,
        }
        return _json({"modelMetadata": metadata})

    def _package(self, published: PublishedPackage, base: str) -> dict[str, Any]:
        folder, package = published.described.folder, published.described.metadata.model_packages[0]
        recommended = package.recommended_parameters
        files = [
            {
                "fileHandle": file.handle,
                "downloadUrl": base + self._access.signed(FILES + quote(f"{folder}/{file.handle}")),
                "md5Hash": file.md5,
                "sha256Hash": file.sha256,
                "sizeBytes": file.size,
            }
            for file in published.files
            # What these say, the rest of the answer says, and clients write such files themselves.
            if file.handle.partition("/")[0].lower() not in RESERVED_HANDLES
        ]
        return {
            "type": PACKAGE_TYPE,
            "packageId": published.package_id,
            "packageManifest": published.described.manifest,
            "modelFeatures": package.model_features,
            # Whoever starts a registry vouches for what lies in its folder.
            "trustedSource": True,
            **({"recommendedParameters": wire_names(recommended)} if recommended else {}),
            "packageFiles": files,
        }

    def _file(self, request: Request) -> Response:
        path = FILES + quote(request.path_params["name"])
        if not self._access.allows(path, _query(request)) and not self._access.knows(request.headers):
            raise HTTPException(403, "this address has expired, or was not made by this server")
        found = self._library.file(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "there is no such file")
        status = found.stat()
        etag = f'"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"'
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers={"ETag": etag})
        return _File(found, headers={"ETag": etag}, media_type="application/octet-stream", stat_result=status)

    def _check_key(self, request: Request) -> None:
        if self._access.keys and not self._access.knows(request.headers):
            stated = "this API key is not known here" if "authorization" in request.headers else "an API key is needed"
            raise HTTPException(401, stated, {"WWW-Authenticate": "Bearer"})

    def _base_url(self, request: Request) -> str:
        host = request.headers.get("host", "").strip()
        if host and not _HOST.fullmatch(host):
            raise HTTPException(400, "the Host header is no host")
        return f"http://{host}" if host else self._own_url


class _File(FileResponse):
    """Ranges as usual, but one that makes no sense, or several at once, are ignored instead of refused."""

    chunk_size = 256 << 10

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range" or _is_one_range(value)]
        await super().__call__({**scope, "headers": headers}, receive, send)


def _is_one_range(value: bytes) -> bool:
    match = _RANGE.fullmatch(value)
    return match is not None and not (match[2] and int(match[2]) < int(match[1]))


def _nothing(_request: Request) -> Response:
    raise HTTPException(404, f"there is nothing here; ask {PATH}?modelId=...")


def _refusal(_request: Request, exc: Exception) -> Response:
    stated = exc if isinstance(exc, HTTPException) else HTTPException(500)
    return _json({"message": stated.detail}, stated.status_code, **(stated.headers or {}))


def _json(value: dict[str, Any], status: int = 200, **headers: str) -> Response:
    body = json.dumps(value, allow_nan=False)
    return Response(body, status, {"Cache-Control": "no-store", **headers}, media_type="application/json")


def _page(model: PublishedModel, values: dict[str, str]) -> tuple[list[PublishedPackage], str | None]:
    text = values.get("pageSize", str(PAGE_SIZE))
    if not (text.isascii() and text.isdecimal() and 1 <= len(text) <= 6 and int(text) >= 1):
        raise HTTPException(400, "pageSize is no number of packages")
    after = values.get("startAfter", "")
    rest = [package for package in model.packages if package.package_id > after]
    page = rest[: min(int(text), MAX_PAGE_SIZE)]
    return page, page[-1].package_id if len(rest) > len(page) else None


def _query(request: Request) -> str:
    return str(request.scope["query_string"], "latin-1")


def _parameters(request: Request) -> dict[str, str]:
    try:
        values = parse_qs(_query(request), max_num_fields=32, errors="strict")
    except ValueError:
        raise HTTPException(400, "the query cannot be read") from None
    return {name: found[0] for name, found in values.items()}
