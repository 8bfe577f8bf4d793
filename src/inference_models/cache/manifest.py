"""The list of files, sizes and hashes that makes a folder a complete package."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from inference_models.cache.facts import as_checked, checked_content
from inference_models.entities import FileDownloadSpecs, FileFacts, InlineFileSpecs
from inference_models.files.digest import file_digest, text_sha256
from inference_models.files.names import MANIFEST_NAME, check_model_id, check_package_id, is_portable_handle
from inference_models.files.prepared import prepared
from inference_models.files.regular import is_link
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.cache.stamps import Stamps
    from inference_models.entities import ArtefactSpecs

FORMAT: Final = 3


class PackageKey(Record, frozen=True):
    """The identity of a stored package: provider, model id and package id."""

    provider: str
    model_id: str
    package_id: str

    def __post_init__(self) -> None:
        """Refuse what cannot be part of a folder name, before anything touches the disk."""
        check_model_id(self.model_id)
        check_package_id(self.package_id)


class Manifest(Record, frozen=True, kw_only=True):
    """Everything a complete package folder holds. Written last, so a folder without it is not complete.

    It carries a checksum, so that damage to a hash in here is not taken for damage to the file it belongs to.
    """

    format: Literal[3] = FORMAT
    provider: str
    model_id: str
    package_id: str
    files: list[FileFacts]


class Damage(Record, frozen=True):
    """A damaged file of a folder, and the reason."""

    handle: str
    reason: str
    is_news: bool = False
    """The package is intact, but the provider announces other files now."""
    is_denied: bool = False
    """It may be there: this user may not read it."""


def manifest_text(manifest: Manifest) -> str:
    """`manifest` as it is stored."""
    return json.dumps(as_checked(manifest), indent=1, sort_keys=True) + "\n"


def read_manifest(directory: Path) -> Manifest | Damage:
    """The manifest of a package folder, or why there is none."""
    status = regular_file(directory, MANIFEST_NAME)
    if isinstance(status, Damage):
        return status
    try:
        return msgspec.convert(checked_content(directory / MANIFEST_NAME), prepared(Manifest))
    except OSError as exc:
        return _unread(MANIFEST_NAME, exc)
    except msgspec.ValidationError:
        return Damage(MANIFEST_NAME, "not a manifest of this format")
    except ValueError as exc:
        return Damage(MANIFEST_NAME, str(exc))


def find_damage(directory: Path, manifest: Manifest, stamps: Stamps) -> list[Damage]:
    """Every file that is not what the manifest says, and every file that it does not list.

    A file whose stamp holds is not read; any other is hashed, and gets a stamp when it is right.
    """
    found = [damage for file in manifest.files if (damage := file_damage(directory, file, stamps)) is not None]
    found.extend(Damage(handle, "is not part of the package") for handle in not_listed(directory, manifest))
    return found


def not_listed(directory: Path, manifest: Manifest) -> list[str]:
    """Files in the folder that are not part of the package, by handle."""
    listed = {file.handle for file in manifest.files} | {MANIFEST_NAME}
    return [handle for handle in _names(directory) if handle not in listed]


def file_damage(directory: Path, file: FileFacts, stamps: Stamps) -> Damage | None:
    """Why one file of the package is not what the manifest says; None when it is."""
    if not is_portable_handle(file.handle):
        return Damage(MANIFEST_NAME, f"lists the unsafe name {file.handle!a}")
    status = regular_file(directory, file.handle)
    if isinstance(status, Damage):
        return status
    if status.st_size != file.size:
        return Damage(file.handle, f"has {status.st_size} bytes instead of {file.size}")
    if stamps.holds(file.handle, status, file.sha256):
        denied = not os.access(directory / file.handle, os.R_OK)
        return Damage(file.handle, "may not be read", is_denied=True) if denied else None
    damage = _content_damage(directory / file.handle, file)
    if damage is None:
        stamps.add(file.handle, status, file.sha256)
    return damage


def _content_damage(path: Path, file: FileFacts) -> Damage | None:
    try:
        right = file_digest(path).sha256 == file.sha256
    except OSError as exc:
        return _unread(file.handle, exc)
    return None if right else Damage(file.handle, "has other content than was stored")


def regular_file(directory: Path, handle: str) -> os.stat_result | Damage:
    """The status of a file that has one name only and no link on its way, or why it is something else."""
    path = directory / handle
    folders = [parent for parent in path.parents if parent != directory and directory in parent.parents]
    if any(map(is_link, folders)):
        return Damage(handle, "lies behind a link")
    try:
        status = os.lstat(path)
    except OSError as exc:
        return _unread(handle, exc)
    if not stat.S_ISREG(status.st_mode):
        return Damage(handle, "is not a regular file")
    if status.st_nlink != 1:
        return Damage(handle, "has a second name (a hard link)")
    return status


def _unread(handle: str, cause: OSError) -> Damage:
    return Damage(handle, cause.strerror or type(cause).__name__, is_denied=isinstance(cause, PermissionError))


def _names(directory: Path) -> list[str]:
    """Everything below `directory` that is not a folder, by handle."""
    found: list[str] = []
    for where, folders, files in os.walk(directory):
        base = Path(where)
        links = [name for name in folders if is_link(base / name)]
        folders[:] = [name for name in folders if name not in links]
        found.extend((base / name).relative_to(directory).as_posix() for name in (*files, *links))
    return sorted(found)


def find_difference(manifest: Manifest, announced: Sequence[ArtefactSpecs]) -> Damage | None:
    """The first file where a stored package is not the one that is announced now."""
    stored = {file.handle: file for file in manifest.files}
    if set(stored) != {item.file_handle for item in announced}:
        return Damage(MANIFEST_NAME, "the package has other files now", is_news=True)
    for item in announced:
        if not _is_same(stored[item.file_handle], item):
            return Damage(item.file_handle, "the package has another version of this file now", is_news=True)
    return None


def has_content(stored: FileFacts, announced: FileDownloadSpecs) -> bool:
    """Whether a stored file certainly has the content that is announced."""
    if announced.sha256_hash is not None:
        return stored.sha256 == announced.sha256_hash.lower()
    return stored.md5 is not None and stored.md5 == (announced.md5_hash or "").lower()


def _is_same(stored: FileFacts, announced: ArtefactSpecs) -> bool:
    if isinstance(announced, InlineFileSpecs):
        return stored.sha256 == text_sha256(announced.text)
    if not isinstance(announced, FileDownloadSpecs) or has_content(stored, announced):
        return True
    return announced.sha256_hash is None and None in {stored.md5, announced.md5_hash}
