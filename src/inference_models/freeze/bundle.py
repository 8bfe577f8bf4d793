"""Bundles: models with everything they need in one file, for machines without a network.

A bundle is a zip archive whose members are stored, not compressed: `bundle.json`, `models.lock`, `LICENSES.txt` and
`blobs/<sha256>`, one for each distinct file. Nothing in it names a place on the disk, and nothing else may be in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import uuid
import zipfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inference_models.cache.package_key import PackageKey
from inference_models.cache.store import PackageStore
from inference_models.entities import FileFacts, without_signatures
from inference_models.errors import CorruptedModelPackageError, FileHashSumMissmatch, ModelRetrievalError
from inference_models.files.digest import CHUNK
from inference_models.files.durable import sync_folder
from inference_models.files.names import check_handles
from inference_models.freeze.lockfile import bad_target, lock_text, make_lock, parse_lock, refuse_bad_target
from inference_models.loading.resolutions import Resolutions
from inference_models.package.metadata_json import metadata_from_json, metadata_to_json
from inference_models.transport.stream import FileStream
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from inference_models.entities import FileDownloadSpecs, ModelMetadata
    from inference_models.freeze.lockfile import Lock
    from inference_models.freeze.pull import Pulled

FORMAT = 1
INDEX, LOCK, LICENSES = "bundle.json", "models.lock", "LICENSES.txt"
MAX_TEXT = 64 << 20
MAX_MEMBERS = 100_000
_BLOB = re.compile(r"blobs/[0-9a-f]{64}")
_WHEN = (1980, 1, 1, 0, 0, 0)
"""The same models make the same file, whenever it is made."""
_ENCRYPTED = 0x1
_UNREADABLE = (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, UnicodeDecodeError, struct.error)
"""What the standard library raises for archives that are none, or that are damaged."""


class BundledFile(FileFacts):
    """One file of a package, by its content."""

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"blobs/{self.sha256}"


class BundledPackage(BaseModel):
    """One package of one model."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    provider: str
    model_id: str
    """Under which it is kept in the cache."""
    asked_for: str
    package_id: str
    description: dict[str, Any]
    """`metadata_to_json` with this package only."""
    files: list[BundledFile] = Field(min_length=1)

    @property
    def key(self) -> PackageKey:
        """Where it belongs in the cache."""
        return PackageKey(self.provider, self.model_id, self.package_id)


class BundleIndex(BaseModel):
    """What is in a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(ge=FORMAT, le=FORMAT)
    created_with: str
    packages: list[BundledPackage] = Field(min_length=1)


def export_bundle(pulled: Sequence[Pulled], path: Path, *, store: PackageStore | None = None) -> Lock:
    """Write packages that are in the cache to one file, and say what it pins.

    Raises:
        CorruptedModelPackageError: a package in the cache is damaged; nothing is written.
        EnvironmentConfigurationError: the file cannot be written there.
    """
    refuse_bad_target(path)
    lock = make_lock(pulled)
    packages = [_bundled(item, store or PackageStore()) for item in pulled]
    index = BundleIndex(format=FORMAT, created_with=f"inference-models {__version__}", packages=packages)
    blobs = {
        file.member: item.folder / file.handle
        for item, each in zip(pulled, packages, strict=True)
        for file in each.files
    }
    texts = {
        INDEX: index.model_dump_json(indent=1, exclude_none=True) + "\n",
        LOCK: lock_text(lock),
        LICENSES: licenses_text(pulled),
    }
    try:
        _write_archive(path, texts, blobs)
    except OSError as exc:
        raise bad_target(path, exc.strerror or type(exc).__name__) from exc
    return lock


def import_bundle(path: Path, *, sha256: str | None = None, store: PackageStore | None = None) -> list[BundledPackage]:
    """Verify a bundle, put its packages into the cache, and say which they are.

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
    with opened_bundle(path, sha256=sha256) as (archive, index):
        models = [_model(path, package) for package in index.packages]
        source = _Members(archive, path.name)
        for package in index.packages:
            store.ensure(package.key, [file.at(file.member) for file in package.files], source)
    memory = Resolutions(root=store.root)
    for (provider, model_id), model in _merged(index, models).items():
        memory.remember_for_everyone(provider, model_id, model if sha256 is not None else _untrusted(model))
    return index.packages


@contextmanager
def opened_bundle(path: Path, *, sha256: str | None = None) -> Iterator[tuple[zipfile.ZipFile, BundleIndex]]:
    """The archive and its index, of which every rule but the content of the blobs was checked.

    Raises:
        FileHashSumMissmatch: it is another file than the one with this hash.
        CorruptedModelPackageError: it is no bundle, is damaged, or holds what a bundle must not hold.
    """
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(path.open("rb"))
            if sha256 is not None:
                _refuse_other_file(stream, path, sha256.lower())
            archive = stack.enter_context(zipfile.ZipFile(stream))
            index = _checked_index(archive, path)
        except _UNREADABLE as exc:
            raise _no_bundle(
                path, "an undamaged file that `inference-models bundle export` wrote", _words(exc)
            ) from exc
        yield archive, index


def licenses_text(pulled: Sequence[Pulled]) -> str:
    """Licence and source of every model, for people."""

    def paragraph(model: ModelMetadata) -> str:
        licence, source = model.license or "not stated", model.source or "not stated"
        return f"{model.model_id}\n  licence: {licence}\n  source: {source}"

    lines = [paragraph(item.model) for item in pulled]
    return "\n\n".join(dict.fromkeys(lines)) + "\n"


class _Members:
    """The archive, as the cache asks for files."""

    def __init__(self, archive: zipfile.ZipFile, where: str) -> None:
        self._archive = archive
        self._where = where

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:  # noqa: ARG002
        return FileStream(self._chunks(file), 0, file.size, file.sha256_hash, ranges=False)

    def _chunks(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        try:
            with self._archive.open(file.download_url) as stream:
                while chunk := stream.read(CHUNK):
                    yield chunk
        except _UNREADABLE as exc:
            raise ModelRetrievalError(
                f"{file.file_handle} cannot be read from bundle '{self._where}'.",
                needs="an undamaged bundle",
                found=_words(exc),
                fix="copy or export the bundle again",
            ) from exc


def _checked_index(archive: zipfile.ZipFile, path: Path) -> BundleIndex:
    members = _checked_members(archive, path)
    if INDEX not in members:
        raise _no_bundle(path, INDEX, "an archive without it")
    try:
        index = BundleIndex.model_validate_json(archive.read(INDEX))
    except (ValidationError, RecursionError) as exc:
        raise _no_bundle(path, f"{INDEX} of format {FORMAT}", _first_reason(exc)) from exc
    listed = {file.member: file.size for package in index.packages for file in package.files}
    for package in index.packages:
        check_handles(file.handle for file in package.files)
    stored = {name: info.file_size for name, info in members.items() if _BLOB.fullmatch(name)}
    for name in sorted(listed.keys() | stored.keys()):
        if listed.get(name) != stored.get(name):
            needs = f"{name} with {listed[name]} bytes" if name in listed else "listed files only"
            raise _no_bundle(path, needs, f"{stored[name]} bytes" if name in stored else f"no {name}")
    if LOCK not in members:
        raise _no_bundle(path, LOCK, "an archive without it")
    _refuse_other_lock(path, index, parse_lock(archive.read(LOCK).decode(), where=f"{LOCK} in '{path.name}'"))
    return index


def _refuse_other_lock(path: Path, index: BundleIndex, lock: Lock) -> None:
    """People read the lock, programs the index: neither may say what the other does not."""
    if len(lock.models) != len(index.packages):
        raise _no_bundle(path, f"{len(index.packages)} packages in {LOCK}", str(len(lock.models)))
    for package, locked in zip(index.packages, lock.models, strict=True):
        model = _without_files(_model(path, package))
        files = [BundledFile(**file.model_dump(exclude={"text"})) for file in locked.files]
        stated = (locked.key, locked.asked_for, locked.metadata(), files)
        if stated != (package.key, package.asked_for, model, package.files):
            raise _no_bundle(
                path, f"the same facts in {LOCK} and {INDEX}", f"others about {locked.id!r}, package {locked.package}"
            )


def _without_files(model: ModelMetadata) -> ModelMetadata:
    return replace(model, model_packages=[replace(item, package_artefacts=[]) for item in model.model_packages])


def _untrusted(model: ModelMetadata) -> ModelMetadata:
    return replace(model, model_packages=[replace(item, trusted_source=False) for item in model.model_packages])


def _refuse_other_file(stream: BinaryIO, path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise FileHashSumMissmatch(
            f"{path} is another file.", needs=f"sha256 {sha256}", found=f"sha256 {digest.hexdigest()}"
        )
    stream.seek(0)


def _checked_members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise _no_bundle(path, f"at most {MAX_MEMBERS} members", str(len(infos)))
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        reason = _refusal(info)
        if reason is not None or info.filename in members:
            raise _no_bundle(
                path, "plain stored members of known names", f"{ascii(info.filename)[:90]}: {reason or 'twice'}"
            )
        members[info.filename] = info
    # Members that overlap would let a small file unpack to a huge one.
    total, size = sum(info.file_size for info in infos), path.stat().st_size
    if total > size:
        raise _no_bundle(path, f"at most {size} bytes in its members", f"{total} bytes")
    return members


def _refusal(info: zipfile.ZipInfo) -> str | None:
    is_text = info.filename in {INDEX, LOCK, LICENSES}
    kind = stat.S_IFMT(info.external_attr >> 16)
    if not is_text and not _BLOB.fullmatch(info.filename):
        return "a name no bundle has"
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        return "compressed"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if kind not in {0, stat.S_IFREG}:
        return "not a regular file"
    return "too large" if is_text and info.file_size > MAX_TEXT else None


def _bundled(pulled: Pulled, store: PackageStore) -> BundledPackage:
    for verified in store.verify(key=pulled.key):
        for damage in verified.damage:
            raise CorruptedModelPackageError(
                f"package {pulled.key.package_id!r} of {pulled.key.model_id!r} in the cache is damaged.",
                needs=damage.handle,
                found=damage.reason,
                fix="load the model once with a network, then export again",
            )
    stored = store.find(pulled.key)
    return BundledPackage(
        provider=pulled.key.provider,
        model_id=pulled.key.model_id,
        asked_for=pulled.asked_for,
        package_id=pulled.key.package_id,
        description=metadata_to_json(without_signatures(pulled.description())),
        files=[BundledFile(**file.model_dump()) for file in (stored.files if stored else ())],
    )


def _model(path: Path, package: BundledPackage) -> ModelMetadata:
    try:
        model = metadata_from_json(package.description)
    except ValueError as exc:
        raise _no_bundle(path, f"a description of {package.model_id!r}", str(exc)) from exc
    described = [(item.cache_model_id or model.model_id, item.package_id) for item in model.model_packages]
    if described == [(package.model_id, package.package_id)]:
        return model
    raise _no_bundle(path, f"a description of {package.model_id!r}, package {package.package_id}", str(described)[:200])


def _merged(index: BundleIndex, models: Sequence[ModelMetadata]) -> dict[tuple[str, str], ModelMetadata]:
    """One description for each id a model was, or may be, asked for by; packages of one model together."""
    merged: dict[tuple[str, str], ModelMetadata] = {}
    for package, model in zip(index.packages, models, strict=True):
        for name in {package.asked_for, model.model_id}:
            known = merged.get((package.provider, name))
            packages = [*(known.model_packages if known else ()), *model.model_packages]
            merged[package.provider, name] = replace(model, model_packages=packages)
    return merged


def _write_archive(path: Path, texts: dict[str, str], blobs: dict[str, Path]) -> None:
    """In one step: whoever looks sees the old file or the whole new one, also after a crash."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                for name, text in texts.items():
                    _write_text(archive, name, text)
                for name in sorted(blobs):
                    _write_file(archive, name, blobs[name])
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _write_text(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(zipfile.ZipInfo(name, _WHEN), text.encode())


def _write_file(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    info = zipfile.ZipInfo(name, _WHEN)
    info.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(info, "w") as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)


def _first_reason(exc: ValidationError | RecursionError) -> str:
    if isinstance(exc, RecursionError):
        return "nested too deeply"
    first = exc.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"[:300]


def _words(exc: Exception) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__


def _no_bundle(path: Path, needs: str, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(f"bundle '{path.name}' cannot be used.", needs=needs, found=found)
