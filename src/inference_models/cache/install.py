"""Puts a package into its folder: every file is staged and verified first, then moved in; the manifest comes last."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, NoReturn

from inference_models.cache.download import DownloadRequest, download
from inference_models.cache.inventory import stamps_path, stored_files
from inference_models.cache.locks import hold_locks
from inference_models.cache.manifest import (
    Damage,
    Manifest,
    find_difference,
    has_content,
    manifest_text,
    read_manifest,
    regular_file,
)
from inference_models.cache.partial import new_partial, stored_bytes
from inference_models.cache.progress import Progress, shown_progress
from inference_models.cache.stamps import Stamps
from inference_models.cache.workspace import own_name, private_folder, sweep
from inference_models.entities import FileDownloadSpecs, FileFacts, InlineFileSpecs
from inference_models.files.digest import CHUNK, RunningDigest, file_digest, text_sha256
from inference_models.files.durable import (
    make_folder,
    move,
    refuse_when_full,
    remove_tree,
    sync,
    sync_folder,
    write_file,
)
from inference_models.files.names import MANIFEST_NAME
from inference_models.files.regular import is_link, open_regular
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from inference_models.cache.download import AnySource
    from inference_models.cache.manifest import PackageKey
    from inference_models.cache.partial import Partial
    from inference_models.cache.progress import ProgressCallback
    from inference_models.entities import ArtefactSpecs


class _StagedFile(Record, frozen=True):
    """A verified file that waits for its place."""

    file: FileFacts
    data: Path


class _AlreadyStoredError(Exception):
    """Another process stored the package while this one waited for a lock. Caught in this module."""


class Installation(Record, frozen=True):
    """One package on its way into the cache."""

    root: Path
    folder: Path
    key: PackageKey
    files: Sequence[ArtefactSpecs]
    is_done: Callable[[], bool]
    """Whether the folder holds the package by now."""

    def run(self, source: AnySource, progress: ProgressCallback | None) -> None:
        """Make the folder a package of exactly these files. Files that are in place and right are not touched.

        When another process moves the folder away meanwhile, nothing is raised: the caller looks and comes again.

        Raises:
            RetryError: the source does not answer now.
            ModelRetrievalError: the source cannot hand a file over, or it is not the announced one.
            EnvironmentConfigurationError: the disk is full.
        """
        make_folder(self.root)
        sweep(self.root / "tmp")
        shown = shown_progress() if progress is None else nullcontext(progress)
        with (
            suppress(_AlreadyStoredError),
            _ended_by_exception(),
            shown as report,
            self._hold_locks(report),
            private_folder(self.root / "tmp") as desk,
        ):
            # Says to `gc` in other processes that the folder is not an orphan.
            (desk / "package").write_text(self.folder.relative_to(self.root).as_posix(), encoding="utf-8")
            if self.is_done():
                return  # by another process, while this one waited
            try:
                self._fill(source, report, desk)
            except FileNotFoundError:
                # The folder, or a download, is gone: another process was faster, or removed the package.
                if self.is_done():
                    self._clear()

    @contextmanager
    def _hold_locks(self, report: ProgressCallback) -> Iterator[None]:
        lots = {self._lock(item): item for item in self._downloads()}

        def waiting(path: Path) -> None:
            if self._is_known_to_be_done():
                raise _AlreadyStoredError
            item = lots[path]
            report(Progress(item.file_handle, stored_bytes(self._partials(item)), item.size))

        with hold_locks(list(lots), waiting):
            yield

    def _is_known_to_be_done(self) -> bool:
        """Whether the folder holds the package, as far as that can be told without hashing a file."""
        manifest = read_manifest(self.folder)
        if isinstance(manifest, Damage):
            return False
        stamps = Stamps.read(stamps_path(self.root, self.folder), self.folder)
        for file in manifest.files:
            status = regular_file(self.folder, file.handle)
            if isinstance(status, Damage) or not stamps.holds(file.handle, status, file.sha256):
                return False
        return self.is_done()

    def _fill(self, source: AnySource, report: ProgressCallback, desk: Path) -> None:
        present = {item.file_handle: file for item in self.files if (file := self._in_place(item)) is not None}
        missing = [item for item in self.files if item.file_handle not in present]
        self._refuse_when_full(missing)
        stored = stored_files(self.root) if missing else []
        with ExitStack() as leave_to_others:
            staged = []
            for item in missing:
                if isinstance(item, FileDownloadSpecs):
                    wanted = DownloadRequest(item, source, report, self.root)
                    staged.append(self._stage(wanted, stored, leave_to_others))
                else:
                    staged.append(_stage_text(item, desk))
            self._withdraw_other_version()
            self._move_in(staged)
        files = [*present.values(), *(item.file for item in staged)]
        self._commit(sorted(files, key=lambda file: file.handle), desk)

    def _stage(
        self, wanted: DownloadRequest, stored: Sequence[tuple[FileFacts, Path]], leave_to_others: ExitStack
    ) -> _StagedFile:
        item = wanted.file
        found = self._copied(item, stored)
        partial, digest = download(wanted, self._partials(item)) if found is None else found
        partial.close()  # some systems do not move a file that is open
        leave_to_others.callback(partial.release)
        file = FileFacts(handle=item.file_handle, size=digest.size, sha256=digest.sha256, md5=digest.md5)
        return _StagedFile(file, partial.data)

    def _copied(
        self, item: FileDownloadSpecs, stored: Sequence[tuple[FileFacts, Path]]
    ) -> tuple[Partial, RunningDigest] | None:
        """The file from another package that has it, hashed on the way; None when none has."""
        for place in (place for file, place in stored if has_content(file, item) and not is_link(place)):
            folder = self._partials(item) / own_name()
            digest = RunningDigest(with_md5=item.md5_hash is not None)
            try:
                partial = new_partial(folder)
                _copy(place, partial.data, digest)
            except (FileNotFoundError, PermissionError):  # removed meanwhile, or not ours to read
                remove_tree(folder)
                continue
            except BaseException:
                remove_tree(folder)
                raise
            if digest.mismatch(item) is None:
                return partial, digest
            partial.discard()
        return None

    def _withdraw_other_version(self) -> None:
        """Before files are exchanged, the manifest goes: what is half old and half new is no package."""
        manifest = read_manifest(self.folder)
        if isinstance(manifest, Manifest) and find_difference(manifest, self.files) is not None:
            (self.folder / MANIFEST_NAME).unlink(missing_ok=True)
            for file in manifest.files:
                if file.handle not in {item.file_handle for item in self.files}:
                    (self.folder / file.handle).unlink(missing_ok=True)

    def _move_in(self, staged: Sequence[_StagedFile]) -> None:
        make_folder(self.folder)
        for item in staged:
            target = self.folder / item.file.handle
            make_folder(target.parent)
            move(item.data, target)

    def _commit(self, files: list[FileFacts], desk: Path) -> None:
        key = self.key
        manifest = Manifest(
            provider=key.provider,
            model_id=key.model_id,
            package_id=key.package_id,
            files=files,
        )
        draft = desk / MANIFEST_NAME
        write_file(draft, manifest_text(manifest).encode())
        for folder in {(self.folder / file.handle).parent for file in files} | {self.folder}:
            sync_folder(folder)
        move(draft, self.folder / MANIFEST_NAME)
        for folder in (self.folder, *list(self.folder.parents)[:3]):
            sync_folder(folder)
        self._stamp(files)
        self._clear()

    def _stamp(self, files: Sequence[FileFacts]) -> None:
        stamps = Stamps.read(stamps_path(self.root, self.folder), self.folder)
        for file in files:
            stamps.add(file.handle, os.lstat(self.folder / file.handle), file.sha256)
        stamps.save()

    def _clear(self) -> None:
        # Downloads of the same content that others have under way are void: they find the file in its place.
        for item in self._downloads():
            remove_tree(self._partials(item))

    def _refuse_when_full(self, missing: Sequence[ArtefactSpecs]) -> None:
        downloads = [item for item in missing if isinstance(item, FileDownloadSpecs) and item.size is not None]
        there = sum(stored_bytes(self._partials(item)) for item in downloads)
        refuse_when_full(self.root, sum(item.size or 0 for item in downloads) - there)

    def _in_place(self, item: ArtefactSpecs) -> FileFacts | None:
        """The file as it is in the folder, when its content is the announced one."""
        if isinstance(regular_file(self.folder, item.file_handle), Damage):
            return None
        with_md5 = isinstance(item, FileDownloadSpecs) and item.md5_hash is not None
        try:
            digest = file_digest(self.folder / item.file_handle, with_md5=with_md5)
        except OSError:
            return None
        if isinstance(item, InlineFileSpecs):
            right = digest.sha256 == text_sha256(item.text)
        else:
            right = isinstance(item, FileDownloadSpecs) and digest.mismatch(item) is None
        if not right:
            return None
        return FileFacts(handle=item.file_handle, size=digest.size, sha256=digest.sha256, md5=digest.md5)

    def _downloads(self) -> list[FileDownloadSpecs]:
        return [item for item in self.files if isinstance(item, FileDownloadSpecs)]

    def _partials(self, item: FileDownloadSpecs) -> Path:
        return self.root / "partials" / _content_name(item)

    def _lock(self, item: FileDownloadSpecs) -> Path:
        return self.root / "locks" / f"{_content_name(item)}.lock"


def _content_name(item: FileDownloadSpecs) -> str:
    return (item.sha256_hash or f"md5-{item.md5_hash}").lower()


def _stage_text(item: ArtefactSpecs, desk: Path) -> _StagedFile:
    if not isinstance(item, InlineFileSpecs):
        raise TypeError(f"{item.file_handle} is a local file: it is used in place and never stored")
    data, content = desk / text_sha256(f"{item.file_handle}\0{item.text}"), item.text.encode()
    write_file(data, content)
    return _StagedFile(FileFacts(handle=item.file_handle, size=len(content), sha256=text_sha256(item.text)), data)


def _copy(place: Path, target: Path, digest: RunningDigest) -> None:
    with os.fdopen(open_regular(place, quietly=True), "rb", buffering=0) as reader, target.open("r+b") as writer:
        while chunk := reader.read(CHUNK):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        sync(writer.fileno())


@contextmanager
def _ended_by_exception() -> Iterator[None]:
    """SIGTERM raises `SystemExit` in the block, where it would have killed the process; else nothing changes."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not ours:
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    raise SystemExit(128 + number)
