"""The one HTTP client of this library: time limits, redirects, parts of files, errors. Opens nothing until it is used.

Proxies and certificates come from the environment, see `routes`.
`OFFLINE_MODE` and `HF_HUB_OFFLINE` are honoured here, before a name is looked up.
"""

from __future__ import annotations

import logging
import weakref
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, TypeVar

import httpx

from inference_models import config
from inference_models.errors import (
    ModelRetrievalError,
    RangeRequestNotSupportedError,
    RetryError,
)
from inference_models.fork import Lock
from inference_models.record import Record
from inference_models.text import scrub, shown_url
from inference_models.transport import redirects
from inference_models.transport.answers import (
    FOREIGN,
    MAX_ERROR_BODY,
    Body,
    HttpAnswer,
    decoded,
    error_for,
    failure,
    install_log_filter,
    is_encoded,
    shown_cause,
    silent_libraries,
)
from inference_models.transport.limits import DeadlineExceededError, run_within
from inference_models.transport.routes import Routes
from inference_models.transport.stream import ByteRange, FileStream, Part, ranged_part, whole_part
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")
MAX_ANSWER = 16 << 20
_TRANSIENT_FILE_STATUSES = config.RETRIED_STATUS_CODES | {500}
"""Object stores answer 500 when they are busy."""
_OWN_HEADERS = frozenset({"accept-encoding", "if-range", "range"})
"""Go to every origin, and hold nothing that is secret."""
_log = logging.getLogger("inference-models")


class HttpLimits(Record, frozen=True):
    """Seconds."""

    connect: float = 30.0
    read: float = 60.0
    """Longest pause within an answer."""
    total: float = float(config.NETWORK_BUDGET)
    """From the question to the first byte of a file, or to the last byte of a small answer, redirects included."""


class _Exchange(Record, frozen=True):
    """A response, and the addresses that led to it."""

    response: httpx.Response
    urls: tuple[str, ...]
    """The address the caller named, then those it was redirected to."""
    secrets: tuple[str, ...]
    """Values of the headers of the caller, each of which may be a key."""

    @property
    def where(self) -> str:
        """What the caller asked, as it may be shown."""
        return shown_url(self.urls[0])

    @property
    def encoded(self) -> bool:
        return is_encoded(self.response.headers.get("content-encoding", ""), where=self.where)

    @property
    def version(self) -> str | None:
        """What names this state of the file; None also where it repeats what was asked, for it is stored."""
        headers = self.response.headers
        tag: str = headers.get("etag", "").strip()
        if not tag or tag.startswith("W/"):
            tag = headers.get("last-modified", "").strip() or tag
        return tag if tag and scrub(tag, self.secrets, urls=self.urls) == tag else None


class HttpClient:
    """Asks servers. May be used by many threads at once; `close` from any of them ends the waits of all."""

    def __init__(self, limits: HttpLimits | None = None) -> None:
        self._limits = limits or HttpLimits()
        self._lock = Lock()
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
        given: frozenset[int] = frozenset(),
        within: float | None = None,
    ) -> HttpAnswer:
        """The complete answer to one question; nothing is asked twice.

        Args:
            url: http or https.
            headers: Sent to the origin of `url` only.
            max_bytes: A longer answer is refused.
            retried: Statuses that may pass; None: those of `IDEMPOTENT_API_REQUEST_CODES_TO_RETRY`.
            given: Statuses of refusals that are no error: the caller looks at the answer.
            within: Seconds this question may take at most, where that is less than the limit of the client.

        Raises:
            RetryError: no answer in time, no connection, or a status in `retried`.
            ModelRetrievalError: any other status of 300 or more, an answer that is too long, or no network allowed.
        """
        transient = config.retried_status_codes() if retried is None else retried

        def finish(exchange: _Exchange) -> HttpAnswer:
            answer = _read_answer(exchange, max_bytes)
            if answer.status >= 300 and answer.status not in given:
                raise error_for(answer, retried=transient, secrets=exchange.secrets)
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
        if wanted.header is None:
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
            with silent_libraries():
                client.close()

    def _open(self, url: str, headers: dict[str, str], wanted: ByteRange | None) -> FileStream:
        return self._ask(url, headers, lambda exchange: self._stream(exchange, wanted), seconds=self._limits.total)

    def _stream(self, exchange: _Exchange, wanted: ByteRange | None) -> FileStream:
        response, where = exchange.response, exchange.where
        part = _part(exchange, wanted)
        body = Body(response, where=where, length=part.length)
        with self._lock:
            self._bodies.add(body)
            if self._closed:
                body.cut()
        chunks: Iterator[bytes] = decoded(body, where=where) if exchange.encoded else body
        size = None if exchange.encoded else part.size
        accepts = response.status_code == 206 or response.headers.get("accept-ranges", "").lower() == "bytes"
        return FileStream(chunks, part.start, size, exchange.version, ranges=accepts and size is not None)

    def _ask(self, url: str, headers: dict[str, str], finish: Callable[[_Exchange], T], *, seconds: float) -> T:
        _refuse_when_offline(url)
        redirects.check_url(url)
        _check_headers(headers)
        client = self._opened(url)

        def work() -> T:
            with silent_libraries():
                exchange = _follow(client, url, headers)
                try:
                    return finish(exchange)
                except BaseException:
                    exchange.response.close()
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


def _follow(client: httpx.Client, url: str, headers: dict[str, str]) -> _Exchange:
    secrets = tuple(value for name, value in headers.items() if name.lower() not in _OWN_HEADERS)
    urls: list[str] = []
    for _ in range(redirects.MAX_REDIRECTS + 1):
        urls.append(url)
        response = client.send(client.build_request("GET", url, headers=headers), stream=True)
        if _log.isEnabledFor(logging.DEBUG):
            # Where we were sent to may repeat what we sent.
            _log.debug("GET %s: %d", scrub(shown_url(url), secrets, urls=urls), response.status_code)
        location = response.headers.get("location")
        if response.status_code not in redirects.STATUSES or location is None:
            return _Exchange(response, tuple(urls), secrets)
        response.close()
        target = redirects.next_url(url, location, where=shown_url(urls[0]), secrets=secrets)
        if not redirects.keeps_headers(url, target):
            headers = {name: value for name, value in headers.items() if name.lower() in _OWN_HEADERS}
        url = target
    raise redirects.too_many(urls[0])


def _read_answer(exchange: _Exchange, max_bytes: int) -> HttpAnswer:
    status = exchange.response.status_code
    body = Body(exchange.response, where=exchange.where, length=None)
    limit = max_bytes if status < 300 else MAX_ERROR_BODY
    collected = bytearray()
    for chunk in decoded(body, where=exchange.where) if exchange.encoded else body:
        collected += chunk
        if len(collected) > limit:
            break
    body.close()
    if len(collected) > limit and status < 300:
        raise ModelRetrievalError(
            f"{exchange.where} sends too long an answer.",
            needs=f"at most {limit} bytes",
            found=f"more than {limit} bytes",
        )
    return HttpAnswer(status, exchange.response.headers, bytes(collected[:limit]), exchange.urls)


def _part(exchange: _Exchange, wanted: ByteRange | None) -> Part:
    """What a 200 or 206 holds; anything else is an error."""
    status, headers = exchange.response.status_code, exchange.response.headers
    if status == 200:
        return whole_part(headers)
    if status != 206:
        raise _refusal(exchange, wanted)
    if wanted is None:
        raise ModelRetrievalError(
            f"{exchange.where} sends a part that nobody asked for.", needs="an answer with status 200", found="206"
        )
    if exchange.encoded:
        raise RangeRequestNotSupportedError("the part is compressed.", needs=wanted.header, found="a gzip body")
    return ranged_part(headers, wanted)


def _refusal(exchange: _Exchange, wanted: ByteRange | None) -> Exception:
    status = exchange.response.status_code
    if status == 416 and wanted is not None:
        return RangeRequestNotSupportedError(f"{exchange.where} has no such part.", needs=wanted.header, found="416")
    if status >= 300:
        answer = _read_answer(exchange, MAX_ERROR_BODY)
    else:
        answer = HttpAnswer(status, exchange.response.headers, b"", exchange.urls)
    return error_for(answer, retried=_TRANSIENT_FILE_STATUSES, secrets=exchange.secrets)


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
    close = getattr(result.chunks, "close", None) if isinstance(result, FileStream) else None
    if close is not None:
        close()


def _new_client(limits: HttpLimits) -> httpx.Client:
    install_log_filter()
    client = httpx.Client(
        timeout=httpx.Timeout(limits.read, connect=limits.connect, pool=limits.connect),
        transport=Routes(httpx.Limits(max_connections=64, keepalive_expiry=30.0)),
        headers={"User-Agent": f"inference-models/{__version__}", "Accept": "*/*"},
        trust_env=False,
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client
