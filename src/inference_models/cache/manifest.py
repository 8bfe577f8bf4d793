"""The list of files, sizes and hashes that makes a folder a complete package."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inference_models.cache.digest import file_sha256, text_sha256
from inference_models.cache.names import MANIFEST_NAME, is_portable_handle
from inference_models.entities import FileDownloadSpecs, InlineFileSpecs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference_models.entities import ArtefactSpecs

FORMAT = 1
MAX_MANIFEST_BYTES = 4 << 20


class ManifestFile(BaseModel):
    """One file of a package as it was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    handle: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """Everything a complete package folder holds. Written last, so a folder without it is not complete."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    format: int = Field(ge=FORMAT, le=FORMAT)
    provider: str
    model_id: str
    package_id: str
    files: list[ManifestFile]


@dataclass(frozen=True)
class Damage:
    """Why a folder cannot be used."""

    handle: str
    reason: str


def manifest_text(manifest: Manifest) -> str:
    """`manifest` as it is stored."""
    return json.dumps(manifest.model_dump(), indent=1, sort_keys=True) + "\n"


def read_manifest(directory: Path) -> Manifest | Damage:
    """The manifest of a package folder, or why there is none."""
    path = directory / MANIFEST_NAME
    damage = _regular_file_damage(path, MANIFEST_NAME)
    if damage is not None:
        return damage
    try:
        with path.open("rb") as stream:
            return Manifest.model_validate_json(stream.read(MAX_MANIFEST_BYTES))
    except OSError as exc:
        return Damage(MANIFEST_NAME, exc.strerror or type(exc).__name__)
    except ValidationError:
        return Damage(MANIFEST_NAME, "not a manifest of this format")


def find_damage(directory: Path, manifest: Manifest) -> Damage | None:
    """The first file that is not what the manifest says: every size and every hash is checked."""
    for file in manifest.files:
        damage = _file_damage(directory, file)
        if damage is not None:
            return damage
    return None


def find_difference(manifest: Manifest, announced: Sequence[ArtefactSpecs]) -> Damage | None:
    """The first file where a stored package is not the one that is announced now."""
    stored = {file.handle: file for file in manifest.files}
    if set(stored) != {item.file_handle for item in announced}:
        return Damage(MANIFEST_NAME, "the package has other files now")
    for item in announced:
        if not _is_same(stored[item.file_handle], item):
            return Damage(item.file_handle, "the package has another version of this file now")
    return None


def _is_same(stored: ManifestFile, announced: ArtefactSpecs) -> bool:
    if isinstance(announced, InlineFileSpecs):
        return stored.sha256 == text_sha256(announced.text)
    if isinstance(announced, FileDownloadSpecs) and announced.sha256_hash is not None:
        return stored.sha256 == announced.sha256_hash.lower()
    return True


def _file_damage(directory: Path, file: ManifestFile) -> Damage | None:
    if not is_portable_handle(file.handle):
        return Damage(MANIFEST_NAME, f"lists the unsafe name {file.handle!a}")
    path = directory / file.handle
    folders = [parent for parent in path.parents if parent != directory and directory in parent.parents]
    if any(folder.is_symlink() for folder in folders):
        return Damage(file.handle, "lies behind a link")
    return _regular_file_damage(path, file.handle) or _content_damage(path, file)


def _content_damage(path: Path, file: ManifestFile) -> Damage | None:
    try:
        size = path.stat().st_size
        if size != file.size:
            return Damage(file.handle, f"has {size} bytes instead of {file.size}")
        if file_sha256(path) != file.sha256:
            return Damage(file.handle, "has other content than was stored")
    except OSError as exc:
        return Damage(file.handle, exc.strerror or type(exc).__name__)
    return None


def _regular_file_damage(path: Path, handle: str) -> Damage | None:
    try:
        mode = os.lstat(path).st_mode
    except OSError as exc:
        return Damage(handle, exc.strerror or type(exc).__name__)
    return None if stat.S_ISREG(mode) else Damage(handle, "is not a regular file")
