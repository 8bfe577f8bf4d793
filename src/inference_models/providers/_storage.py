"""Readers of URLs: HTTP, files of this machine, and the schemes of `fsspec` (S3, GCS, Azure, ...)."""

from __future__ import annotations

import errno
import importlib
import stat
import sys
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from inference_models.errors import (
    BaseInferenceModelsError,
    ForbiddenModelAccessError,
    InvalidParameterError,
    MissingDependencyError,
    ModelNotFoundError,
    ModelRetrievalError,
    RetryError,
    UnauthorizedModelAccessError,
    nearest_hint,
)
from inference_models.providers import refuse_when_offline
from inference_models.text import scrub
from inference_models.transport.stream import FileStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeVar

    T = TypeVar("T")

CHUNK = 1 << 20
BLOCK = 8 << 20
"""Bytes asked for at once from an object store."""
_LIBRARIES = {"abfs": "adlfs", "az": "adlfs", "gcs": "gcsfs", "gs": "gcsfs", "s3": "s3fs"}
"""What reads a scheme; each brings fsspec."""
_VERSION_KEYS = ("ETag", "etag", "generation", "version_id", "mtime", "LastModified", "created")
_NO_CREDENTIALS = frozenset(
    [
        "ClientAuthenticationError",
        "CredentialRetrievalError",
        "DefaultCredentialsError",
        "NoCredentialsError",
        "PartialCredentialsError",
    ]
)
_TRANSIENT = frozenset(
    [
        "ClientConnectionError",
        "ConnectionClosedError",
        "ConnectionError",
        "HTTPClientError",
        "ServiceRequestError",
        "ServiceResponseError",
        "TimeoutError",
        "TransportError",
    ]
)
"""Names of classes in the ancestry of what an object store's client raises when trying again may help."""
_FOREIGN = {
    "aiohttp": ("ClientError",),
    "azure.core.exceptions": ("AzureError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "gcsfs.retry": ("HttpError",),
    "google.auth.exceptions": ("GoogleAuthError",),
}
"""What these clients raise that is no OSError, by module."""


class Storage(ABC):
    """A reader of URLs."""

    @abstractmethod
    def open(self, url: str, *, start: int, stop: int | None) -> FileStream:
        """The bytes from `start` to `stop` (exclusive; None: the end).

        Raises:
            ModelNotFoundError: there is no such file.
            ModelRetrievalError: it cannot be had.
            RetryError: it may work later.
        """

    def read(self, url: str, *, limit: int) -> bytes:
        """A whole small file.

        Raises:
            ModelRetrievalError: it has more than `limit` bytes; and what `open` raises.
        """
        stream = self.open(url, start=0, stop=None)
        if (stream.size or 0) > limit:
            raise ModelRetrievalError(f"{url} is too large.", needs=f"at most {limit} bytes", found="more")
        return b"".join(stream.chunks)

    def close(self) -> None:  # noqa: B027 - only some keep connections
        """Free connections. A second call does nothing."""


class HttpStorage(Storage):
    """Web servers. `headers_for(url)` says what is sent with a request."""

    def __init__(self, headers_for: Callable[[str], Mapping[str, str]]) -> None:
        from inference_models.transport.client import HttpClient  # noqa: PLC0415 - not loaded for other storages

        self._client = HttpClient()
        self._headers_for = headers_for

    def read(self, url: str, *, limit: int) -> bytes:
        """A whole small file."""
        return self._client.get(url, self._headers_for(url), max_bytes=limit).body

    def open(self, url: str, *, start: int, stop: int | None) -> FileStream:
        """The bytes from `start` to `stop`."""
        return self._client.open_url(url, self._headers_for(url), start=start, stop=stop)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class FileStorage(Storage):
    """`file://` URLs."""

    def open(self, url: str, *, start: int, stop: int | None) -> FileStream:
        """The bytes from `start` to `stop`."""
        path = _local_path(url)
        try:
            status = path.stat()
        except OSError as exc:
            raise _translated(exc, url) from exc
        if not stat.S_ISREG(status.st_mode):
            raise ModelRetrievalError(f"{url} cannot be read.", needs="a regular file", found="something else")
        end = status.st_size if stop is None else min(stop, status.st_size)
        version = f"{status.st_mtime_ns}-{status.st_ino}"
        return FileStream(_file_chunks(path, url, start, end), start, status.st_size, version, ranges=True)


class FsspecStorage(Storage):
    """Whatever `fsspec` has an implementation for; credentials are found by that implementation itself."""

    def __init__(self) -> None:
        self._opened: dict[str, Any] = {}
        """By scheme and host."""

    def open(self, url: str, *, start: int, stop: int | None) -> FileStream:
        """The bytes from `start` to `stop`, asked for block by block."""
        filesystem = self._filesystem(url)
        facts = _call_client(lambda: filesystem.info(url), url)
        size = facts.get("size")
        if facts.get("type", "file") != "file" or not isinstance(size, int):
            raise ModelRetrievalError(
                f"{url} cannot be read.", needs="a file of known size", found=str(facts.get("type"))
            )
        end = size if stop is None else min(stop, size)
        version = next((str(facts[key]) for key in _VERSION_KEYS if facts.get(key)), None)
        return FileStream(_blocks(filesystem, url, start, end), start, size, version, ranges=True)

    def close(self) -> None:
        """Forget the implementations, which then close their connections."""
        self._opened.clear()

    def _filesystem(self, url: str) -> Any:
        refuse_when_offline(f"{url} is asked for")
        place = "/".join(url.split("/")[:3])
        if place not in self._opened:
            self._opened[place] = _call_client(partial(_new_filesystem, url), url)
        return self._opened[place]


def _install(scheme: str) -> str:
    return f"pip install {_LIBRARIES.get(scheme, 'fsspec')}"


def _new_filesystem(url: str) -> Any:
    scheme = url.partition("://")[0]
    try:
        known = importlib.import_module("fsspec").available_protocols()
    except ImportError as exc:
        raise MissingDependencyError(
            f"{scheme}:// cannot be read.", needs="fsspec", found="not installed", fix=_install(scheme)
        ) from exc
    if scheme not in known:
        raise InvalidParameterError(f"nothing here reads {scheme}://; {nearest_hint(scheme, known)}.")
    try:
        # Listings that are remembered would hide what was published since.
        filesystem, _ = importlib.import_module("fsspec.core").url_to_fs(
            url, skip_instance_cache=True, use_listings_cache=False
        )
    except ImportError as exc:
        raise MissingDependencyError(
            f"{scheme}:// cannot be read.",
            needs=f"the fsspec implementation of {scheme}",
            found=str(exc),
            fix=_install(scheme),
        ) from exc
    except (TypeError, ValueError) as exc:
        raise InvalidParameterError(
            f"{scheme}:// cannot be read by a URL alone.", needs="a place that its URL describes", found=str(exc)[:200]
        ) from exc
    return filesystem


def _blocks(filesystem: Any, url: str, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        upto = min(start + BLOCK, end)
        block: bytes = _call_client(partial(filesystem.cat_file, url, start=start, end=upto), url)
        if len(block) != upto - start:
            raise RetryError(
                f"{url} ended early.", needs=f"{upto - start} bytes from {start}", found=f"{len(block)} bytes"
            )
        yield block
        start = upto


def _file_chunks(path: Path, url: str, start: int, end: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            while start < end and (chunk := stream.read(min(CHUNK, end - start))):
                yield chunk
                start += len(chunk)
    except OSError as exc:
        raise _translated(exc, url) from exc


def _local_path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise InvalidParameterError(
            f"{url} is on another machine.", needs="file:///path", found=f"the host {parts.netloc!r}"
        )
    return Path(url2pathname(parts.path))


def _call_client(call: Callable[[], T], url: str) -> T:
    """The result of `call`; errors of the client become errors of this library."""
    try:
        return call()
    except _errors() as exc:
        raise _translated(exc, url) from exc


def _errors() -> tuple[type[Exception], ...]:
    """Exception classes of the clients that are imported."""
    loaded = ((sys.modules.get(module), names) for module, names in _FOREIGN.items())
    foreign = (getattr(module, name) for module, names in loaded if module is not None for name in names)
    return OSError, *foreign


def _translated(exc: Exception, url: str) -> BaseInferenceModelsError:
    names = {kind.__name__ for kind in type(exc).__mro__}
    said = scrub(str(exc).strip().split("\n")[0])[:300] or type(exc).__name__
    if isinstance(exc, FileNotFoundError):
        return ModelNotFoundError(f"there is no {url}.")
    if names & _NO_CREDENTIALS:
        return UnauthorizedModelAccessError(
            f"{url} cannot be read.",
            needs="credentials, where the client of this store looks for them",
            found=said,
            fix="set them as for its own command line tool",
        )
    if isinstance(exc, PermissionError):
        return ForbiddenModelAccessError(f"{url} cannot be read.", needs="the permission to read it", found=said)
    if names & _TRANSIENT or getattr(exc, "errno", None) == errno.EBUSY:
        return RetryError(
            f"{url} cannot be read now.",
            needs="a store that answers",
            found=said,
            fix="check the network and run again",
        )
    return ModelRetrievalError(f"{url} cannot be read.", needs="a store that hands it over", found=said)
