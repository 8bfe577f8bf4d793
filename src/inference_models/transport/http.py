"""The one HTTP client of this library: time limits, redirects, parts of files, errors. Opens nothing until it is used.

Proxies and certificates come from the environment (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and their relatives).
`OFFLINE_MODE` and `HF_HUB_OFFLINE` are honoured here, before a name is looked up.
"""

from __future__ import annotations

import os
import ssl
import threading
import weakref
from dataclasses import dataclass
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx

from inference_models import config
from inference_models.errors import ModelRetrievalError, RangeRequestNotSupportedError, RetryError
from inference_models.transport import redirects
from inference_models.transport.answers import MAX_ERROR_BODY, HttpAnswer, error_for
from inference_models.transport.body import Body
from inference_models.transport.deadline import DeadlineExceededError, run_within
from inference_models.transport.encoding import check_encoding, decoded
from inference_models.transport.failures import FOREIGN, failure, shown_cause
from inference_models.transport.proxies import check_proxies, unusable_settings
from inference_models.transport.quiet import hide_addresses_in_logs, quiet_logs
from inference_models.transport.ranges import ByteRange, Part, ranged_part, whole_part
from inference_models.transport.redaction import scrub, shown_url
from inference_models.transport.stream import FileStream
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

T = TypeVar("T")
MAX_ANSWER = 16 << 20
_PIECE = 64 << 10
_TRANSIENT_FILE_STATUSES = config.RETRIED_STATUS_CODES | {500}
"""Object stores answer 500 when they are busy."""
_ASKED = "inference_models_asked"
"""Extension of an answer: the addresses that led to it."""
_OWN_HEADERS = frozenset({"accept-encoding", "if-range", "range"})
"""Go to every origin, and hold nothing that is secret."""
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class HttpLimits:
    """Seconds."""

    connect: float = 30.0
    read: float = 60.0
    """Longest pause within an answer."""
    total: float = float(config.NETWORK_BUDGET)
    """From the question to the first byte of a file, or to the last byte of a small answer, redirects included."""


class HttpClient:
    """Asks servers. May be used by many threads at once; `close` from any of them ends the waits of all."""

    def __init__(self, limits: HttpLimits | None = None) -> None:
        self._limits = limits or HttpLimits()
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._bodies: weakref.WeakSet[Body] = weakref.WeakSet()
        self._closed = False

    def get(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        max_bytes: int = MAX_ANSWER,
        retried: frozenset[int] | None = None,
        within: float | None = None,
    ) -> HttpAnswer:
        """The complete answer to one question; nothing is asked twice.

        Args:
            url: http or https.
            headers: Sent to the origin of `url` only.
            max_bytes: A longer answer is refused.
            retried: Statuses that may pass; None: those of `IDEMPOTENT_API_REQUEST_CODES_TO_RETRY`.
            within: Seconds this question may take at most, where that is less than the limit of the client.

        Raises:
            RetryError: no answer in time, no connection, or a status in `retried`.
            ModelRetrievalError: any other status of 300 or more, an answer that is too long, or no network allowed.
        """
        secrets = _secrets(headers or {})
        transient = config.retried_status_codes() if retried is None else retried

        def finish(response: httpx.Response) -> HttpAnswer:
            answer = _read_answer(response, url, max_bytes, secrets)
            if answer.status >= 300:
                raise error_for(answer, retried=transient, secrets=secrets)
            return answer

        seconds = self._limits.total if within is None else min(within, self._limits.total)
        return self._ask(url, {**(headers or {}), "Accept-Encoding": "gzip"}, finish, seconds=seconds)

    def open_url(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        if_range: str | None = None,
    ) -> FileStream:
        """The bytes of a file from `start` to `stop` (exclusive), or from 0 when the server hands over no parts.

        Args:
            url: http or https.
            headers: Sent to the origin of `url` only.
            start: First byte.
            stop: One behind the last byte; None: the end.
            if_range: `version` of an earlier stream: when the file is another one by now, it comes as a whole.

        Raises:
            RetryError: it may work later; also raised by the stream, when it breaks off or pauses for too long.
            ModelRetrievalError: it will not.
        """
        wanted = ByteRange(start, stop)
        sent = {**(headers or {}), "Accept-Encoding": "identity"}
        if wanted.whole:
            return self._open(url, sent, None)
        ranged = {**sent, "Range": wanted.header, **({"If-Range": if_range} if if_range else {})}
        try:
            return self._open(url, ranged, wanted)
        except RangeRequestNotSupportedError:
            return self._open(url, sent, None)

    def close(self) -> None:
        """Close all connections; threads that read from one get a `RetryError`. A second call does nothing."""
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
            for body in self._bodies:
                body.cut()
        if client is not None:
            client.close()

    def _open(self, url: str, headers: dict[str, str], wanted: ByteRange | None) -> FileStream:
        def finish(response: httpx.Response) -> FileStream:
            if response.status_code not in {200, 206}:
                _refuse(response, url, headers, wanted)
            return self._stream(response, url, wanted, secrets=_secrets(headers))

        return self._ask(url, headers, finish, seconds=self._limits.total)

    def _stream(
        self, response: httpx.Response, url: str, wanted: ByteRange | None, *, secrets: tuple[str, ...]
    ) -> FileStream:
        where = shown_url(url)
        encoded = check_encoding(response.headers.get("content-encoding", ""), where=where)
        part = _part(response, wanted, where=where, encoded=encoded)
        body = Body(response, where=where, length=part.length, quiet=_quiet(response, secrets))
        with self._lock:
            self._bodies.add(body)
            if self._closed:
                body.cut()
        chunks: Iterator[bytes] = decoded(body, body.close, where=where) if encoded else body
        whole_known = part.size is not None and not encoded
        accepts = response.status_code == 206 or response.headers.get("accept-ranges", "").lower() == "bytes"
        return FileStream(
            chunks=chunks,
            start=part.start,
            size=part.size if whole_known else None,
            version=_version(response, secrets),
            ranges=accepts and whole_known,
        )

    def _ask(self, url: str, headers: dict[str, str], finish: Callable[[httpx.Response], T], *, seconds: float) -> T:
        _refuse_when_offline(url)
        redirects.check_url(url)
        _check_headers(headers)
        client = self._opened(url)

        def work() -> T:
            response = _follow(client, url, headers)
            try:
                return finish(response)
            except BaseException:
                response.close()
                raise

        try:
            return run_within(seconds, work, late=_dispose)
        except DeadlineExceededError:
            raise RetryError(
                f"{shown_url(url)} did not answer.",
                needs=f"an answer within {seconds:.3g} s",
                found="none, or one that is too slow",
                fix="check the network and run again",
            ) from None
        except FOREIGN as exc:
            error, cause = failure(exc, where=shown_url(url)), shown_cause(exc)
        # Outside the handler, so that nothing else is chained.
        raise error from cause

    def _opened(self, url: str) -> httpx.Client:
        with self._lock:
            if self._closed:
                raise RetryError(f"{shown_url(url)} was not asked: the connection to it was closed.")
            if self._client is None:
                self._client = _new_client(self._limits)
            return self._client


def _new_client(limits: HttpLimits) -> httpx.Client:
    hide_addresses_in_logs()
    check_proxies()
    certificates = _certificates()
    try:
        client = httpx.Client(
            timeout=httpx.Timeout(limits.read, connect=limits.connect, pool=limits.connect),
            verify=certificates,
            headers={"User-Agent": f"inference-models/{__version__}", "Accept": "*/*"},
            limits=httpx.Limits(max_connections=64, keepalive_expiry=30.0),
        )
    except (httpx.InvalidURL, ValueError, ImportError):
        # Its text may hold the address of a proxy, with a password in it.
        raise unusable_settings() from None
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _certificates() -> ssl.SSLContext | bool:
    for name in _CERTIFICATE_VARIABLES:
        path = os.environ.get(name, "").strip()
        if not path:
            continue
        try:
            if Path(path).is_dir():
                return ssl.create_default_context(capath=path)
            return ssl.create_default_context(cafile=path)
        except OSError as exc:
            raise ModelRetrievalError(
                f"the certificates that {name} names cannot be read.",
                needs="a file or folder of certificates",
                found=f"{path!r}: {exc.strerror or type(exc).__name__}",
                fix=f"correct {name}, or unset it",
            ) from exc
    return True


def _follow(client: httpx.Client, url: str, headers: dict[str, str]) -> httpx.Response:
    secrets = _secrets(headers)
    asked: list[str] = []
    for _ in range(redirects.MAX_REDIRECTS + 1):
        request = client.build_request("GET", url, headers=headers)
        request.url = _QuietURL(request.url)
        asked.append(url)
        with quiet_logs(secrets, urls=asked):
            response = client.send(request, stream=True, follow_redirects=False)
        location = response.headers.get("location")
        if response.status_code not in redirects.STATUSES or location is None:
            response.extensions[_ASKED] = tuple(asked)
            return response
        response.close()
        target = redirects.next_url(url, location, where=shown_url(asked[0]), secrets=secrets)
        if not redirects.keeps_headers(url, target):
            headers = {name: value for name, value in headers.items() if name.lower() in _OWN_HEADERS}
        url = target
    raise redirects.too_many(asked[0])


def _secrets(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Values of headers that somebody else chose, each of which may be a key."""
    return tuple(value for name, value in headers.items() if name.lower() not in _OWN_HEADERS)


class _QuietURL(httpx.URL):
    """A URL that the log of the HTTP library shows without its query, which may be a signature."""

    def __str__(self) -> str:
        return shown_url(super().__str__())


def _read_answer(response: httpx.Response, url: str, max_bytes: int, secrets: tuple[str, ...]) -> HttpAnswer:
    where = shown_url(url)
    body = Body(response, where=where, length=None, quiet=_quiet(response, secrets))
    chunks: Iterator[bytes] = body
    if check_encoding(response.headers.get("content-encoding", ""), where=where):
        chunks = decoded(body, body.close, where=where)
    collected = bytearray()
    limit = max_bytes if response.status_code < 300 else MAX_ERROR_BODY
    for chunk in chunks:
        collected += chunk
        if len(collected) > limit:
            break
    body.close()
    if len(collected) > limit and response.status_code < 300:
        raise ModelRetrievalError(
            f"{where} sends too long an answer.", needs=f"at most {limit} bytes", found=f"more than {limit} bytes"
        )
    return HttpAnswer(response.status_code, _lower(response), bytes(collected[:limit]), url, _asked(response))


def _refuse(response: httpx.Response, url: str, headers: dict[str, str], wanted: ByteRange | None) -> None:
    secrets = _secrets(headers)
    answer = _read_answer(response, url, MAX_ERROR_BODY, secrets) if response.status_code >= 300 else None
    if response.status_code == 416 and wanted is not None:
        raise RangeRequestNotSupportedError(
            f"{shown_url(url)} has no such part.", needs=wanted.header.replace("=", " "), found="416"
        )
    if answer is None:
        answer = HttpAnswer(response.status_code, _lower(response), b"", url)
    raise error_for(answer, retried=_TRANSIENT_FILE_STATUSES, secrets=secrets)


def _part(response: httpx.Response, wanted: ByteRange | None, *, where: str, encoded: bool) -> Part:
    if response.status_code == 200:
        return whole_part(_lower(response))
    if wanted is None:
        raise ModelRetrievalError(
            f"{where} sends a part that nobody asked for.",
            needs="an answer with status 200",
            found="206",
        )
    if encoded:
        raise RangeRequestNotSupportedError("the part is compressed.", needs=wanted.header, found="a gzip body")
    return ranged_part(_lower(response), wanted)


def _version(response: httpx.Response, secrets: tuple[str, ...]) -> str | None:
    """What names this state of the file; None also where it repeats what was asked, for it is stored and compared."""
    tag: str = response.headers.get("etag", "").strip()
    if not tag or tag.startswith("W/"):
        tag = response.headers.get("last-modified", "").strip() or tag
    return tag if tag and scrub(tag, secrets, urls=_asked(response)) == tag else None


def _quiet(response: httpx.Response, secrets: tuple[str, ...]) -> Callable[[], AbstractContextManager[None]]:
    return partial(quiet_logs, secrets, urls=_asked(response))


def _asked(response: httpx.Response) -> tuple[str, ...]:
    asked: tuple[str, ...] = response.extensions.get(_ASKED, ())
    return asked


def _lower(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        # The HTTP library quotes a header it refuses, and this one may be a key.
        if not (name.isascii() and value.isascii() and name.isprintable() and value.isprintable()) or not name:
            raise ModelRetrievalError(
                f"the value of the header {name[:40]!a} cannot be sent.",
                needs="printable ASCII characters",
                found="others (not shown: it may be a key)",
            )


def _refuse_when_offline(url: str) -> None:
    variable = config.network_forbidden_by()
    if variable is not None:
        raise ModelRetrievalError(
            f"{shown_url(url)} was not asked.",
            needs="network access",
            found=f"{variable} is set",
            fix=f"unset {variable}, or load the model once before you set it",
        )


def _dispose(result: object) -> None:
    if isinstance(result, FileStream):
        close = getattr(result.chunks, "close", None)
        if close is not None:
            close()
