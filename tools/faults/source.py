"""The smallest honest HTTP source: ranges, versions, `Retry-After`; nothing of the library's own client."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from inference_models.errors import ModelRetrievalError, RetryError
from inference_models.transport.stream import FileStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.entities import FileDownloadSpecs

RETRIED = {408, 429, 500, 502, 503, 504}


class UrlSource:
    def __init__(self, *, timeout: float = 30.0, chunk: int = 1 << 18) -> None:
        self._timeout = timeout
        self._chunk = chunk

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        last = "" if stop is None else stop - 1
        request = urllib.request.Request(file.download_url, headers={"Range": f"bytes={start}-{last}"})
        try:
            answer = urllib.request.urlopen(request, timeout=self._timeout)
        except urllib.error.HTTPError as exc:
            with exc:
                raise refused(file, exc) from exc
        except (urllib.error.URLError, http.client.HTTPException) as exc:
            raise RetryError(f"{file.file_handle}: no answer.", needs="an answer", found=str(exc)) from exc
        headers, begin, size = answer.headers, 0, answer.length
        if answer.status == 206:
            part, _, whole = headers["Content-Range"].removeprefix("bytes ").partition("/")
            begin, size = int(part.partition("-")[0]), int(whole)
        return FileStream(
            chunks=self._chunks(answer, file),
            start=begin,
            size=size,
            version=headers.get("ETag"),
            ranges=answer.status == 206,
        )

    def _chunks(self, answer: http.client.HTTPResponse, file: FileDownloadSpecs) -> Iterator[bytes]:
        with answer:
            expected, got = answer.length, 0
            while True:
                try:
                    chunk = answer.read(self._chunk)
                except http.client.IncompleteRead as exc:
                    yield exc.partial
                    raise cut(file, got + len(exc.partial)) from exc
                got += len(chunk)
                if not chunk:
                    break
                yield chunk
            if expected is not None and got < expected:
                raise cut(file, got)


def cut(file: FileDownloadSpecs, got: int) -> RetryError:
    return RetryError(f"{file.file_handle}: the connection was cut.", needs="the whole answer", found=f"{got} bytes")


def refused(file: FileDownloadSpecs, exc: urllib.error.HTTPError) -> Exception:
    if exc.code not in RETRIED:
        return ModelRetrievalError(f"{file.file_handle}: HTTP {exc.code}.")
    return RetryError(f"{file.file_handle}: HTTP {exc.code}.", retry_after=seconds(exc.headers.get("Retry-After")))


def seconds(text: str | None) -> float | None:
    """`Retry-After` as seconds; None when it says nothing usable."""
    import time

    if text is None:
        return None
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
