"""Bodies of answers: whole files and parts of them, with the errors of this library."""

from __future__ import annotations

import re
import socket
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from inference_models.errors import ModelRetrievalError, RangeRequestNotSupportedError, RetryError
from inference_models.transport.errors import failure, shown_cause
from inference_models.transport.quiet import silent_libraries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)
_LARGE_PIECE = 1 << 20
_MAX_RATIO = 100
"""Models do not shrink to a hundredth; what does is made to fill a disk."""
_RATIO_APPLIES_ABOVE = 16 << 20
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_DECODED = frozenset({"deflate", "gzip", "x-gzip"})
_REFUSED = frozenset({"br", "compress", "dcb", "dcz", "zstd"})


@dataclass(frozen=True)
class ByteRange:
    """Bytes [start, stop) of a file; `stop` None: the end."""

    start: int
    stop: int | None

    def __post_init__(self) -> None:
        """Refuse what no file has."""
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise ValueError(f"no file has bytes {self.start} to {self.stop}")

    @property
    def header(self) -> str | None:
        """Value of the `Range` header; None for the whole file."""
        if self.start == 0 and self.stop is None:
            return None
        return f"bytes={self.start}-" + ("" if self.stop is None else str(self.stop - 1))


@dataclass(frozen=True)
class Part:
    """What an answer holds."""

    start: int
    length: int | None
    """Bytes of this answer; None: not known."""
    size: int | None
    """Bytes of the whole file; None: not known."""


def whole_part(headers: Mapping[str, str]) -> Part:
    """The part that an answer with the whole file holds."""
    text = headers.get("content-length", "").strip()
    length = int(text) if text.isdecimal() and len(text) <= 18 else None
    return Part(0, length, length)


def ranged_part(headers: Mapping[str, str], wanted: ByteRange) -> Part:
    """The part that an answer with status 206 holds.

    Raises:
        RangeRequestNotSupportedError: it is not the part that was asked for.
    """
    stated = headers.get("content-range", "").strip()
    match = _CONTENT_RANGE.fullmatch(stated)
    if match is None:
        # Not shown: a server may put anything there, what it was sent included.
        raise _wrong_part(wanted, "a Content-Range that cannot be read" if stated else "no Content-Range")
    first, last = int(match[1]), int(match[2])
    size = None if match[3] == "*" else int(match[3])
    too_long = wanted.stop is not None and last >= wanted.stop
    if first != wanted.start or last < first or too_long or (size is not None and last >= size):
        raise _wrong_part(wanted, repr(stated))
    part = Part(first, last - first + 1, size)
    length = whole_part(headers).length
    if length is not None and length != part.length:
        raise _wrong_part(wanted, f"{stated!r} with {length} bytes")
    return part


def _wrong_part(wanted: ByteRange, found: str) -> RangeRequestNotSupportedError:
    return RangeRequestNotSupportedError(
        "the server did not hand over the part of the file that it was asked for.",
        needs=(wanted.header or "").replace("=", " "),
        found=found,
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
