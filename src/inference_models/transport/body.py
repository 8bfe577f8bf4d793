"""The body of an answer, piece by piece, with the errors of this library."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx

from inference_models.errors import ModelRetrievalError, RetryError
from inference_models.transport.failures import failure, shown_cause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


_LARGE_PIECE = 1 << 20


class Body:
    """An iterator over the bytes of one answer. Can be closed by the reader, and cut off by any thread."""

    def __init__(
        self,
        response: httpx.Response,
        *,
        where: str,
        length: int | None,
        quiet: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._response = response
        self._where = where
        self._length = length
        self._taken = 0
        self._quiet = quiet
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
            with self._quiet():
                return next(self._chunks)
        except StopIteration:
            self.close()
            self._refuse_short()
            raise
        except (httpx.HTTPError, httpx.StreamError) as exc:
            self.close()
            error, cause = failure(exc, where=self._where), shown_cause(exc)
        # Outside the handler, so that nothing else is chained.
        raise error from cause

    def _refuse_short(self) -> None:
        if self._length is not None and self._taken < self._length:
            raise RetryError(f"{self._where} ended early.", needs=f"{self._length} bytes", found=f"{self._taken} bytes")


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
