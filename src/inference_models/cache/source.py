"""One way to ask every provider for bytes, with the errors of the network named."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from inference_models.errors import ModelRetrievalError, RetryError
from inference_models.transport.stream import FileStream, RangeSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inference_models.entities import FileDownloadSpecs


@runtime_checkable
class Reader(Protocol):
    """A provider that can only hand over whole files."""

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """The bytes of `file`, in pieces."""


AnySource: TypeAlias = "RangeSource | Reader | Callable[[FileDownloadSpecs], Iterator[bytes]]"


def as_range_source(source: AnySource) -> RangeSource:
    """`source` itself when it can open a file anywhere, else one that always begins at the beginning."""
    if isinstance(source, RangeSource):
        return source
    return _WholeFiles(source.read if isinstance(source, Reader) else source)


class _WholeFiles:
    def __init__(self, read: Callable[[FileDownloadSpecs], Iterator[bytes]]) -> None:
        self._read = read

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:  # noqa: ARG002
        return FileStream(self._read(file), 0, file.size, None, ranges=False)


@contextmanager
def open_stream(source: RangeSource, file: FileDownloadSpecs, start: int, stop: int | None) -> Iterator[FileStream]:
    """`source.open`, closed at the end of the block.

    Raises:
        RetryError: the connection broke.
        ModelRetrievalError: the source cannot hand the file over.
    """
    with network_errors_named(file):
        stream = source.open(file, start=start, stop=stop)
    close = getattr(stream.chunks, "close", None)
    if close is None:
        yield stream
        return
    with closing(stream.chunks):  # type: ignore[type-var] # it has a close method, as was just seen
        yield stream


def next_chunk(stream: FileStream, file: FileDownloadSpecs) -> bytes | None:
    """The next piece; None at the end.

    Raises:
        RetryError: the connection broke.
        ModelRetrievalError: the source cannot hand the file over.
    """
    with network_errors_named(file):
        return next(stream.chunks, None)


@contextmanager
def network_errors_named(file: FileDownloadSpecs) -> Iterator[None]:
    """Translate network errors of a source into errors of this library.

    Raises:
        RetryError: instead of a broken or silent connection.
        ModelRetrievalError: instead of any other `OSError`, which is not one of the cache folder.
    """
    try:
        yield
    except (ConnectionError, TimeoutError) as exc:
        raise RetryError(
            f"{file.file_handle}: the connection broke.", needs="an answer", found=exc.strerror or type(exc).__name__
        ) from exc
    except OSError as exc:
        raise ModelRetrievalError(
            f"{file.file_handle} cannot be read from its source.", needs="an answer", found=str(exc)
        ) from exc
