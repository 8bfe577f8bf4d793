"""What the cache needs from whoever hands over bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.entities import FileDownloadSpecs


@dataclass(frozen=True)
class FileStream:
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
    """Whoever can open a file at a position."""

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        """The bytes of `file` from `start` to `stop` (exclusive; None: the end).

        Raises:
            RetryError: it may work later.
            ModelRetrievalError: it will not.
        """
