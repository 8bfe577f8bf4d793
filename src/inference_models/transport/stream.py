"""Files as streams of bytes, whole and in parts. Loads no HTTP library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from inference_models.errors import RangeRequestNotSupportedError
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inference_models.entities import FileDownloadSpecs

_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)


class FileStream(Record, frozen=True):
    """The bytes of a file from some position on."""

    chunks: Iterator[bytes]
    start: int
    """Where `chunks` begins: what was asked for, or 0 when the source cannot start elsewhere."""
    size: int | None
    """Bytes of the whole file; None when the source does not know."""
    version: str | None
    """Changes when the content does, for example an ETag; parts of different versions are never joined."""
    ranges: bool
    """Whether other parts of the file may be asked for at the same time."""


@runtime_checkable
class RangeSource(Protocol):
    """A source that can open a file at a position."""

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        """The bytes of `file` from `start` to `stop` (exclusive; None: the end).

        Raises:
            RetryError: it may work later.
            ModelRetrievalError: it will not.
        """


class ByteRange(Record, frozen=True):
    """Bytes [start, stop) of a file; `stop` None: the end."""

    start: int
    stop: int | None

    def __post_init__(self) -> None:
        """Refuse negative and empty ranges."""
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise ValueError(f"no file has bytes {self.start} to {self.stop}")

    @property
    def header(self) -> str | None:
        """Value of the `Range` header; None for the whole file."""
        if self.start == 0 and self.stop is None:
            return None
        return f"bytes={self.start}-" + ("" if self.stop is None else str(self.stop - 1))


class Part(Record, frozen=True):
    """The part of a file that an answer holds."""

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
