"""What servers answer: bodies, refusals, broken connections. No error and no log shows anything secret of it."""

from __future__ import annotations

import html
import json
import logging
import re
import socket
import ssl
import threading
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from inference_models.errors import (
    BaseInferenceModelsError,
    ForbiddenModelAccessError,
    ModelNotFoundError,
    ModelRetrievalError,
    PaymentRequiredModelAccessError,
    RetryError,
    UnauthorizedModelAccessError,
    UsagePausedModelAccessError,
)
from inference_models.text import scrub, shown_url
from inference_models.transport.limits import seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_ERROR_BODY = 64 << 10
_SHOWN = 600
_XML_PARTS = (re.compile(r"<Code>([^<]*)</Code>"), re.compile(r"<Message>([^<]*)</Message>"))
_FINAL: dict[int, tuple[type[ModelRetrievalError], str, str | None]] = {
    401: (UnauthorizedModelAccessError, "wants an API key that it knows", "check the API key you pass or have set"),
    402: (PaymentRequiredModelAccessError, "wants to be paid first", None),
    403: (ForbiddenModelAccessError, "does not let you have this", "check what the API key may use"),
    404: (ModelNotFoundError, "does not have this", None),
    423: (UsagePausedModelAccessError, "has paused the use of this account", None),
}

FOREIGN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError)
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.PoolTimeout, "no free connection in time"),
    (httpx.ReadTimeout, "a pause that is too long"),
    (httpx.WriteTimeout, "a pause that is too long"),
    (httpx.ProxyError, "a proxy that refused"),
    (httpx.ConnectError, "no connection"),
    (httpx.RemoteProtocolError, "a connection that broke off, or an answer that is not HTTP"),
    (httpx.TransportError, "a connection that broke off"),
)
_OF_THE_MACHINE = (httpx.TimeoutException, httpx.NetworkError)
_CLOCK_CODES = frozenset({9, 10})
"""OpenSSL: the certificate is not valid yet, or not any more."""

_LARGE_PIECE = 1 << 20
_MAX_RATIO = 100
"""Models do not shrink to a hundredth; what does is made to fill a disk."""
_RATIO_APPLIES_ABOVE = 16 << 20
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_DECODED = frozenset({"deflate", "gzip", "x-gzip"})
_REFUSED = frozenset({"br", "compress", "dcb", "dcz", "zstd"})
_LOGGERS = (
    "httpx",
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
)
"""Those the HTTP library writes to; the filter of a logger does not see the records of those below it."""


@dataclass(frozen=True)
class HttpAnswer:
    """A complete answer."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Found by names in lower case."""
    body: bytes = field(repr=False)
    urls: tuple[str, ...] = field(repr=False)
    """The address of the request, then those it was redirected to."""


def error_for(
    answer: HttpAnswer, *, retried: frozenset[int], secrets: tuple[str, ...] = ()
) -> BaseInferenceModelsError:
    """The error that a status of 300 or more stands for."""
    where = shown_url(answer.urls[0])
    said = _status_and_message(answer, secrets)
    if answer.status in _FINAL:
        kind, words, fix = _FINAL[answer.status]
        error = kind(f"{where} {words}.", needs="an answer with status 200", found=said, fix=fix)
        error.status_code = answer.status
        return error
    if answer.status in retried:
        return RetryError(
            f"{where} cannot answer now.",
            needs="an answer with status 200",
            found=said,
            fix="run again later",
            retry_after=seconds_to_wait(answer.headers),
        )
    other = ModelRetrievalError(f"{where} refused the request.", needs="an answer with status 200", found=said)
    other.status_code = answer.status
    return other


def _status_and_message(answer: HttpAnswer, secrets: tuple[str, ...]) -> str:
    words = " ".join(scrub(_message(answer.body), secrets, urls=answer.urls).split())
    words = "".join(character if character.isprintable() else "?" for character in words)
    short = words if len(words) <= _SHOWN else words[: _SHOWN - 3] + "..."
    return f"{answer.status}: {short}" if short else str(answer.status)


def _message(body: bytes) -> str:
    text = body[:MAX_ERROR_BODY].decode("utf-8", "replace").lstrip("\ufeff").strip()
    if text.startswith("<"):
        return _markup_message(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict):
        stated = next((value[key] for key in ("message", "error", "detail") if value.get(key)), value)
        value = stated.get("message", stated) if isinstance(stated, dict) else stated
    return value if isinstance(value, str) else json.dumps(value)


def _markup_message(text: str) -> str:
    """Code and message of an object store's XML: the rest of it repeats the request, signature and key id included."""
    found = (match.group(1) for pattern in _XML_PARTS if (match := pattern.search(text)))
    return ": ".join(words for part in found if (words := html.unescape(part).strip()))


def failure(error: Exception, *, where: str) -> BaseInferenceModelsError:
    """The error of ours that `error`, one of `FOREIGN`, stands for."""
    certificate = _certificate_error(error)
    if certificate is not None:
        return _untrusted(certificate, where)
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)):
        return ModelRetrievalError(f"{where} cannot be asked.", needs="an http or https URL", found="another address")
    found = next((words for kind, words in _REASONS if isinstance(error, kind)), "a connection that was closed")
    return RetryError(f"{where} did not answer.", needs="an answer", found=found, fix="check the network and run again")


def shown_cause(error: Exception) -> Exception | None:
    """`error`, where it may be seen in a traceback: its text comes from this machine, not from an answer or a URL."""
    return error if isinstance(error, _OF_THE_MACHINE) else None


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _untrusted(error: ssl.SSLCertVerificationError, where: str) -> ModelRetrievalError:
    clock = error.verify_code in _CLOCK_CODES
    return ModelRetrievalError(
        f"{where} cannot prove who it is.",
        needs="a certificate that this machine trusts",
        found=error.verify_message or "another certificate",
        fix="check the clock of this machine" if clock else "set SSL_CERT_FILE to the certificates of your network",
    )


class Body:
    """An iterator over the bytes of one answer. Can be closed by the reader, and cut off by any thread."""

    def __init__(self, response: httpx.Response, *, where: str, length: int | None) -> None:
        self._response = response
        self._where = where
        self._length = length
        self._taken = 0
        if length is None or length > _LARGE_PIECE:
            _read_in_large_pieces(response)
        self._chunks = response.iter_raw()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = self._next()
        self._taken += len(chunk)
        if self._length is not None and self._taken > self._length:
            self.close()
            raise ModelRetrievalError(
                f"{self._where} sends more than it announced.", needs=f"{self._length} bytes", found="more"
            )
        return chunk

    def close(self) -> None:
        """Give the connection back, or close it when bytes are left on it."""
        with suppress(httpx.HTTPError, RuntimeError):
            self._response.close()

    def cut(self) -> None:
        """End the wait of the thread that reads, from another thread."""
        stream = self._response.extensions.get("network_stream")
        connection = stream.get_extra_info("socket") if stream is not None else None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _next(self) -> bytes:
        try:
            with silent_libraries():
                return next(self._chunks)
        except StopIteration:
            self.close()
            if self._length is not None and self._taken < self._length:
                raise RetryError(
                    f"{self._where} ended early.", needs=f"{self._length} bytes", found=f"{self._taken} bytes"
                ) from None
            raise
        except (httpx.HTTPError, httpx.StreamError) as exc:
            self.close()
            error, cause = failure(exc, where=self._where), shown_cause(exc)
        # Outside the handler, so that nothing else is chained.
        raise error from cause


def _read_in_large_pieces(response: httpx.Response) -> None:
    """Let the connection of `response` read 1 MB at a time instead of 64 kB, which more than doubles its rate."""
    stream = response.extensions.get("network_stream")
    own = getattr(stream, "__dict__", None)
    if stream is None or own is None or "read" in own:
        return
    read = stream.read

    def read_more(max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = read(max(max_bytes, _LARGE_PIECE), timeout=timeout)
        return data

    stream.read = read_more


def is_encoded(encoding: str, *, where: str) -> bool:
    """Whether a body with this `Content-Encoding` has to be decoded: some servers compress unasked.

    Raises:
        ModelRetrievalError: it cannot be decoded here.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"} or name in _DECODED:
        return name in _DECODED
    raise ModelRetrievalError(
        f"{where} sends a compressed file.",
        needs="a file as it is, or gzip",
        # Another name is not shown: a server may put anything there, what it was sent included.
        found=repr(name) if name in _REFUSED else "an encoding of another name",
        fix="store the file without a Content-Encoding",
    )


def decoded(body: Body, *, where: str) -> Iterator[bytes]:
    """The bytes that `body` holds compressed, in pieces of at most 1 MB; HTTP libraries set no such limit.

    Raises:
        ModelRetrievalError: the data is damaged, or grows out of proportion.
        RetryError: the data ends too early.
    """
    inflater = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
    taken = given = 0
    try:
        for chunk in body:
            taken += len(chunk)
            rest = chunk
            while rest and not inflater.eof:
                piece = inflater.decompress(rest, _LARGE_PIECE)
                rest = inflater.unconsumed_tail
                given += len(piece)
                _refuse_bomb(taken, given, where)
                yield piece
        if not inflater.eof:
            raise RetryError(f"{where} ended early.", needs="a complete gzip body", found=f"{taken} bytes of it")
    except zlib.error as exc:
        raise ModelRetrievalError(f"{where} cannot be decoded.", needs="a gzip body", found="damaged data") from exc
    finally:
        body.close()


def _refuse_bomb(taken: int, given: int, where: str) -> None:
    if given > _RATIO_APPLIES_ABOVE and given > taken * _MAX_RATIO:
        raise ModelRetrievalError(
            f"{where} grows out of proportion while it is decoded.",
            needs=f"at most {_MAX_RATIO} times the bytes that arrived",
            found=f"{given} bytes from {taken}",
        )


class _ThreadLogFilter(logging.Filter):
    """Drops log records of threads that are inside `silent_libraries`."""

    def __init__(self) -> None:
        super().__init__()
        self.here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return not getattr(self.here, "depth", 0)


_FILTER = _ThreadLogFilter()


def install_log_filter() -> None:
    """Put the filter in place for good, so that no request of another thread can slip past it."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Within the block, what the HTTP libraries log for this thread is dropped: it holds headers and addresses."""
    here = _FILTER.here
    here.depth = getattr(here, "depth", 0) + 1
    try:
        yield
    finally:
        here.depth -= 1
