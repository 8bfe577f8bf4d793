"""Downloads files from URLs into a folder of the caller, with the downloader of the cache."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from inference_models.entities import FileDownloadSpecs
from inference_models.errors import InvalidParameterError, UntrustedFileError
from inference_models.files.digest import file_digest
from inference_models.files.durable import make_folder, move, sync_folder
from inference_models.files.names import check_handles
from inference_models.record import Record, replace

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Sequence

    from inference_models.cache.download import Limits
    from inference_models.cache.progress import ProgressCallback
    from inference_models.transport.client import HttpClient
    from inference_models.transport.stream import FileStream, RangeSource

_log = logging.getLogger("inference-models")
PARTIALS = ".partials"
"""Folder, in the target folder, of downloads that are not complete."""


class ArtifactCache(Protocol):
    """Another store of files by their MD5, asked before a download."""

    def restore(self, content_hash: str, target_path: str) -> bool:
        """Put the content at `target_path`; False when it is not there."""

    def schedule_store(self, content_hash: str, source_path: str) -> bool:
        """Take the content of a file over, now or later."""


def download_files_to_directory(  # noqa: PLR0913, PLR0917 - the public interface
    target_dir: str | os.PathLike[str],
    files_specs: Sequence[tuple[str, str, str | None]],
    verbose: bool = True,
    response_codes_to_retry: Collection[int] | None = None,  # noqa: ARG001
    request_timeout: float | None = None,
    max_parallel_downloads: int = 8,
    max_threads_per_download: int = 8,
    file_lock_acquire_timeout: float = 20,  # noqa: ARG001
    verify_hash_while_download: bool = True,  # noqa: ARG001
    download_files_without_hash: bool = False,
    name_after: str = "file_handle",
    on_file_created: Callable[[str], None] | None = None,
    on_file_renamed: Callable[[str, str], None] | None = None,
    content_addressed_artifact_cache: ArtifactCache | None = None,
) -> dict[str, str]:
    """The absolute path of every file, by its handle. What is there with the right MD5 is not fetched again.

    Args:
        target_dir: Folder for the files; made when it is missing.
        files_specs: (handle, URL, MD5 or None) of each file.
        verbose: Whether to draw progress bars on a terminal.
        response_codes_to_retry: Changes nothing: the statuses of `IDEMPOTENT_API_REQUEST_CODES_TO_RETRY` hold.
        request_timeout: Seconds without a byte after which a connection counts as dead.
        max_parallel_downloads: Files at a time.
        max_threads_per_download: Connections for one large file.
        file_lock_acquire_timeout: Changes nothing: no lock is waited for.
        verify_hash_while_download: Changes nothing: hashes are always verified.
        download_files_without_hash: Whether files without an MD5, which cannot be verified, may be fetched.
        name_after: "file_handle", or "md5_hash" to name the files by their content.
        on_file_created: Called with the path at which a download lies when it is complete and verified.
        on_file_renamed: Called with that path and the final one.
        content_addressed_artifact_cache: Asked before a URL is, and given what was fetched.

    Raises:
        UntrustedFileError: a file has no MD5, and such files were not allowed.
        FileHashSumMissmatch: what arrived is not what was announced. Nothing of it is kept.
        RetryError: a server does not answer; what has arrived is continued by the next call.
        ModelRetrievalError: a server refuses.
        CorruptedModelPackageError: a handle leads out of the folder.
    """
    from inference_models.cache.download import Limits  # noqa: PLC0415 - the network is loaded when it is used
    from inference_models.cache.progress import shown_progress  # noqa: PLC0415

    folder = Path(target_dir).absolute()
    targets = _targets(folder, files_specs, name_after, unverifiable=download_files_without_hash)
    with ExitStack() as stack:
        job = _Job(
            source=_Urls(stack.enter_context(closing(_new_client(request_timeout)))),
            report=stack.enter_context(shown_progress()) if verbose else _silent,
            limits=replace(Limits.configured(None), connections=max(1, max_threads_per_download)),
            created=on_file_created,
            renamed=on_file_renamed,
            elsewhere=content_addressed_artifact_cache,
        )
        pool = stack.enter_context(ThreadPoolExecutor(max(1, max_parallel_downloads)))
        for done in [pool.submit(job.fetch, file, target, folder) for file, target in targets.items()]:
            done.result()
    return {file.file_handle: str(target) for file, target in targets.items()}


def _new_client(timeout: float | None) -> HttpClient:
    from inference_models.transport.client import HttpClient, HttpLimits  # noqa: PLC0415

    return HttpClient(HttpLimits() if timeout is None else HttpLimits(connect=timeout, read=timeout))


class _Urls(Record, frozen=True):
    """URLs as files that can be opened anywhere."""

    client: HttpClient

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        return self.client.open_url(file.download_url, start=start, stop=stop)


class _Job(Record, frozen=True, kw_only=True):
    source: RangeSource
    report: ProgressCallback
    limits: Limits
    created: Callable[[str], None] | None
    renamed: Callable[[str, str], None] | None
    elsewhere: ArtifactCache | None

    def fetch(self, file: FileDownloadSpecs, target: Path, folder: Path) -> None:
        from inference_models.cache.download import DownloadRequest, download  # noqa: PLC0415

        if _is_there(target, file) or (self._other_cache("restore", file, target) and _is_there(target, file)):
            return
        parent = folder / PARTIALS / hashlib.sha256(file.file_handle.encode()).hexdigest()[:32]
        make_folder(parent)
        make_folder(target.parent)
        partial, _ = download(DownloadRequest(file, self.source, self.report, folder), parent, self.limits)
        if self.created is not None:
            self.created(str(partial.data))
        partial.close()
        move(partial.data, target)
        sync_folder(target.parent)
        partial.discard()
        with suppress(OSError):  # another download goes on in it
            parent.rmdir()
            parent.parent.rmdir()
        if self.renamed is not None:
            self.renamed(str(partial.data), str(target))
        self._other_cache("schedule_store", file, target)

    def _other_cache(self, action: str, file: FileDownloadSpecs, target: Path) -> bool:
        """What `action` of the other cache answers; False where there is none or it fails."""
        if self.elsewhere is None or file.md5_hash is None:
            return False
        make_folder(target.parent)
        try:
            return bool(getattr(self.elsewhere, action)(file.md5_hash, str(target)))
        except (OSError, RuntimeError, ValueError) as exc:
            _log.warning("%s of %s failed in the other cache: %s", action, file.file_handle, exc)
            return False


def _targets(
    folder: Path, specs: Sequence[tuple[str, str, str | None]], name_after: str, *, unverifiable: bool
) -> dict[FileDownloadSpecs, Path]:
    files = [FileDownloadSpecs(url, handle, md5_hash=md5) for handle, url, md5 in specs]
    check_handles(file.file_handle for file in files)
    for file in files:
        if file.md5_hash is None and not unverifiable:
            raise UntrustedFileError(
                f"{file.file_handle} cannot be verified.",
                needs="an MD5",
                found="none",
                fix="pass download_files_without_hash=True to take whatever arrives",
            )
    return {file: _target(folder, file, name_after) for file in files}


def _target(folder: Path, file: FileDownloadSpecs, name_after: str) -> Path:
    if name_after == "file_handle":
        return folder / file.file_handle
    if name_after == "md5_hash" and file.md5_hash:
        check_handles([file.md5_hash])
        return folder / file.md5_hash
    raise InvalidParameterError(
        f"name_after={name_after!r} cannot name {file.file_handle}.",
        needs="'file_handle', or 'md5_hash' for files that have one",
        found="no MD5" if name_after == "md5_hash" else repr(name_after),
    )


def _is_there(target: Path, file: FileDownloadSpecs) -> bool:
    """Whether the file exists with the announced hash; one without a hash only has to exist."""
    if target.is_symlink() or not target.is_file():
        return False
    return file.md5_hash is None or file_digest(target, with_md5=True).md5 == file.md5_hash.lower()


def _silent(_: object) -> None:
    return
