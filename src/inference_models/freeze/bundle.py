"""Bundles: models with everything they need in one file, for machines without a network.

A bundle is a zip archive whose members are stored, not compressed: `models.lock`, `LICENSES.txt` and
`blobs/<sha256>`, one for each distinct file. Nothing in it names a place on the disk, and nothing else may be in it
but the `bundle.json` of earlier versions, which repeated the lock and is not read.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import struct
import zipfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from inference_models.cache.store import PackageStore
from inference_models.errors import CorruptedModelPackageError, FileHashSumMissmatch, ModelRetrievalError
from inference_models.files.digest import CHUNK
from inference_models.files.durable import replacing
from inference_models.files.names import check_handles
from inference_models.files.regular import open_regular
from inference_models.freeze.lockfile import (
    MAX_LOCK_BYTES,
    bad_target,
    lock_text,
    make_lock,
    parse_lock,
    refuse_bad_target,
)
from inference_models.loading.remember import Resolutions
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from inference_models.entities import FileDownloadSpecs, ModelMetadata
    from inference_models.freeze.lockfile import Lock
    from inference_models.freeze.pull import PulledPackage

LOCK, LICENSES, OLD_INDEX = "models.lock", "LICENSES.txt", "bundle.json"
MAX_TEXT = 16 << 20
MAX_MEMBERS = 100_000
MAX_DIRECTORY = 12 << 20
"""Bytes of the list of members at the end of the archive."""
_MAX_TAIL = (1 << 16) + 128
"""Bytes at the end of an archive in which its records of the end begin: a comment, and two records before it."""
_IN_THE_OTHER_RECORD = 0xFFFFFFFF
_BLOB = re.compile(r"blobs/[0-9a-f]{64}")
_WHEN = (1980, 1, 1, 0, 0, 0)
"""The same models make the same file, whenever it is made."""
_ENCRYPTED = 0x1
_UNREADABLE = (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, UnicodeDecodeError, struct.error)
"""What the standard library raises for archives that are none, or that are damaged."""


def export_bundle(pulled: Sequence[PulledPackage], path: Path, *, store: PackageStore | None = None) -> Lock:
    """Write packages that are in the cache to one file, and say what it pins.

    Raises:
        CorruptedModelPackageError: a package in the cache is damaged; nothing is written.
        EnvironmentConfigurationError: the file cannot be written there.
    """
    refuse_bad_target(path)
    for item in pulled:
        _refuse_damage(item, store or PackageStore())
    lock = make_lock(pulled)
    blobs = {
        f"blobs/{file.sha256}": item.folder / file.handle
        for item, locked in zip(pulled, lock.models, strict=True)
        for file in locked.files
    }
    try:
        _write_archive(path, {LOCK: lock_text(lock), LICENSES: licenses_text(pulled)}, blobs)
    except OSError as exc:
        raise bad_target(path, exc.strerror or type(exc).__name__) from exc
    return lock


def import_bundle(path: Path, *, sha256: str | None = None, store: PackageStore | None = None) -> Lock:
    """Verify a bundle, put its packages into the cache, and say what it pins.

    They load without a network from then on, under the ids they were asked for when the bundle was made.

    Args:
        path: The bundle.
        sha256: Hash of the bundle, from whoever exported it. A bundle cannot vouch for itself: without this, what it
            says of its packages is remembered as untrusted, and they load with `allow_untrusted_packages=True` only.
        store: None: the usual cache.

    Raises:
        FileHashSumMissmatch: it is another file than the one with this hash; nothing is written.
        CorruptedModelPackageError: it is no bundle, is damaged, or holds what a bundle must not hold.
        FileHashSumMissmatch: a file in it is not what it says; nothing of that package is kept.
        EnvironmentConfigurationError: the cache is full, or must not be written to.
    """
    store = store or PackageStore()
    with open_bundle(path, sha256=sha256) as (archive, lock):
        for locked in lock.models:
            files = [file.at(f"blobs/{file.sha256}") for file in locked.files]
            store.ensure(locked.key, files, lambda file: _read_member(archive, file, path.name))
    memory = Resolutions(root=store.root)
    for (provider, model_id), model in _by_name(lock).items():
        memory.remember_for_everyone(provider, model_id, model if sha256 is not None else _untrusted(model))
    return lock


@contextmanager
def open_bundle(path: Path, *, sha256: str | None = None) -> Iterator[tuple[zipfile.ZipFile, Lock]]:
    """The archive and its lock, of which every rule but the content of the blobs was checked.

    Raises:
        FileHashSumMissmatch: it is another file than the one with this hash.
        CorruptedModelPackageError: it is no bundle, is damaged, or holds what a bundle must not hold.
    """
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(os.fdopen(open_regular(path, follow=True), "rb"))
            if sha256 is not None:
                _refuse_other_file(stream, path, sha256.lower())
            _refuse_large_directory(stream, path)
            archive = stack.enter_context(zipfile.ZipFile(stream))
            lock = _checked_lock(archive, path)
        except _UNREADABLE as exc:
            raise _no_bundle(
                path, "an undamaged file that `inference-models bundle export` wrote", _words(exc)
            ) from exc
        yield archive, lock


def licenses_text(pulled: Sequence[PulledPackage]) -> str:
    """Licence and source of every model, for people."""

    def paragraph(model: ModelMetadata) -> str:
        licence, source = model.license or "not stated", model.source or "not stated"
        return f"{model.model_id}\n  licence: {licence}\n  source: {source}"

    lines = [paragraph(item.model) for item in pulled]
    return "\n\n".join(dict.fromkeys(lines)) + "\n"


def _read_member(archive: zipfile.ZipFile, file: FileDownloadSpecs, where: str) -> Iterator[bytes]:
    try:
        with archive.open(file.download_url) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except _UNREADABLE as exc:
        raise ModelRetrievalError(
            f"{file.file_handle} cannot be read from bundle '{where}'.",
            needs="an undamaged bundle",
            found=_words(exc),
            fix="copy or export the bundle again",
        ) from exc


def _checked_lock(archive: zipfile.ZipFile, path: Path) -> Lock:
    """The lock of a bundle, which lists exactly the blobs that are there."""
    members = _checked_members(archive, path)
    if LOCK not in members:
        raise _no_bundle(path, LOCK, "an archive without it")
    if members[LOCK].file_size > MAX_LOCK_BYTES:
        raise _no_bundle(path, f"a lock of at most {MAX_LOCK_BYTES} bytes", f"{members[LOCK].file_size} bytes")
    lock = parse_lock(archive.read(LOCK).decode(), where=f"{LOCK} in '{path.name}'")
    for locked in lock.models:
        check_handles(file.handle for file in locked.files)
        locked.metadata()
    listed = {f"blobs/{file.sha256}": file.size for locked in lock.models for file in locked.files}
    stored = {name: info.file_size for name, info in members.items() if _BLOB.fullmatch(name)}
    for name in sorted(listed.keys() | stored.keys()):
        if listed.get(name) != stored.get(name):
            needs = f"{name} with {listed[name]} bytes" if name in listed else "listed files only"
            raise _no_bundle(path, needs, f"{stored[name]} bytes" if name in stored else f"no {name}")
    return lock


def _refuse_other_file(stream: BinaryIO, path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise FileHashSumMissmatch(
            f"{path} is another file.", needs=f"sha256 {sha256}", found=f"sha256 {digest.hexdigest()}"
        )
    stream.seek(0)


def _refuse_large_directory(stream: BinaryIO, path: Path) -> None:
    """`zipfile` reads the whole list of members at once, at ten times its size."""
    stream.seek(max(0, path.stat().st_size - _MAX_TAIL))
    tail = stream.read()
    stream.seek(0)
    for record, form in ((b"PK\x05\x06", "<12xL"), (b"PK\x06\x06", "<40xQ")):
        for found in re.finditer(b"(?=" + re.escape(record) + b")", tail):  # also those within another
            if found.start() + struct.calcsize(form) > len(tail):
                continue
            (size,) = struct.unpack_from(form, tail, found.start())
            if MAX_DIRECTORY < size != _IN_THE_OTHER_RECORD:
                raise _no_bundle(path, f"a list of members of at most {MAX_DIRECTORY} bytes", f"{size} bytes")


def _checked_members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise _no_bundle(path, f"at most {MAX_MEMBERS} members", str(len(infos)))
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        reason = _refusal(info) or ("twice" if info.filename in members else None)
        if reason is not None:
            raise _no_bundle(path, "plain stored members of known names", f"{ascii(info.filename)[:90]}: {reason}")
        members[info.filename] = info
    # Members that overlap would let a small file unpack to a huge one.
    total, size = sum(info.file_size for info in infos), path.stat().st_size
    if total > size:
        raise _no_bundle(path, f"at most {size} bytes in its members", f"{total} bytes")
    return members


def _refusal(info: zipfile.ZipInfo) -> str | None:
    is_text = info.filename in {LOCK, LICENSES, OLD_INDEX}
    if not is_text and not _BLOB.fullmatch(info.filename):
        return "a name no bundle has"
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        return "compressed"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG}:
        return "not a regular file"
    return "too large" if is_text and info.file_size > MAX_TEXT else None


def _refuse_damage(pulled: PulledPackage, store: PackageStore) -> None:
    for verified in store.verify(key=pulled.key):
        for damage in verified.damage:
            raise CorruptedModelPackageError(
                f"package {pulled.key.package_id!r} of {pulled.key.model_id!r} in the cache is damaged.",
                needs=damage.handle,
                found=damage.reason,
                fix="load the model once with a network, then export again",
            )


def _by_name(lock: Lock) -> dict[tuple[str, str], ModelMetadata]:
    """One description for each id a model was, or may be, asked for by; packages of one model together."""
    merged: dict[tuple[str, str], ModelMetadata] = {}
    for locked in lock.models:
        model = locked.metadata()
        for name in {locked.asked_for, model.model_id}:
            known = merged.get((locked.provider, name))
            packages = [*(known.model_packages if known else ()), *model.model_packages]
            merged[locked.provider, name] = replace(model, model_packages=packages)
    return merged


def _untrusted(model: ModelMetadata) -> ModelMetadata:
    return replace(model, model_packages=[replace(item, trusted_source=False) for item in model.model_packages])


def _write_archive(path: Path, texts: dict[str, str], blobs: dict[str, Path]) -> None:
    with replacing(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), text.encode())
        for name in sorted(blobs):
            _write_file(archive, name, blobs[name])


def _write_file(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    info = zipfile.ZipInfo(name, _WHEN)
    info.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, CHUNK)


def _words(exc: Exception) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__


def _no_bundle(path: Path, needs: str, found: str) -> CorruptedModelPackageError:
    fix = "write it: inference-models bundle export MODEL -o FILE"
    return CorruptedModelPackageError(f"bundle '{path.name}' cannot be used.", needs=needs, found=found, fix=fix)
