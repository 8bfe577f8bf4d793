"""Which models load without a network: what earlier loads remembered, and which of its files are here."""

from __future__ import annotations

import dataclasses
import logging
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import field

from inference_models.cache.inventory import Inventory
from inference_models.cache.manifest import PackageKey
from inference_models.cache.resolution_files import FileResolutionCache
from inference_models.errors import BaseInferenceModelsError
from inference_models.files.digest import file_digest, text_sha256
from inference_models.package.metadata_json import metadata_from_json
from inference_models.record import Record
from inference_models.text import without_query

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from inference_models.cache.resolution_files import AutoResolutionCacheEntry
    from inference_models.entities import ArtefactSpecs, ModelPackageMetadata

_log = logging.getLogger("inference-models")


class OfflinePackagePresence(str, Enum):
    """Whether the files of a package are here."""

    OK = "ok"
    INCOMPLETE = "incomplete"
    MISSING = "missing"
    MALFORMED = "malformed"


class OfflineArtefactStatus(str, Enum):
    """Whether one file is here, and is what it should be."""

    OK = "ok"
    MISSING = "missing"
    HASH_MISMATCH = "hash-mismatch"
    UNREADABLE = "unreadable"


class OfflinePackageStatus(Record, frozen=True):
    """One package of a model, held against the cache."""

    package_id: str | None
    trusted_source: bool | None
    """Whether its provider vouches for it; None: nobody said."""
    presence: OfflinePackagePresence
    missing_files: list[str] = field(default_factory=list)


class OfflineModelStatus(Record, frozen=True):
    """One model of the cache."""

    canonical_model_id: str
    requested_aliases: list[str]
    """Other ids it was asked for by."""
    source: str | None
    """The provider it came from."""
    recorded_at: datetime | None
    """When its provider last described it; None: it was put into the cache without a description."""
    proven: dict[str, datetime]
    """Package -> when it was last chosen and loaded."""
    packages: list[OfflinePackageStatus] = field(default_factory=list)


class OfflineArtefactVerification(Record, frozen=True):
    """One file of a package of the cache."""

    canonical_model_id: str
    package_id: str | None
    file_handle: str
    status: OfflineArtefactStatus


class _Package(Record, frozen=True):
    folder: Path
    trusted: bool | None
    hashes: dict[str, str | None]
    """Handle -> SHA-256, else MD5, else None."""

    def status(self, package_id: str) -> OfflinePackageStatus:
        missing = [handle for handle in self.hashes if not (self.folder / handle).is_file()]
        presence = OfflinePackagePresence.INCOMPLETE if missing else OfflinePackagePresence.OK
        if missing and len(missing) == len(self.hashes):
            presence = OfflinePackagePresence.MISSING
        return OfflinePackageStatus(package_id, self.trusted, presence, missing)

    def examine(self, handle: str, *, hashed: bool) -> OfflineArtefactStatus:
        path, announced = self.folder / handle, self.hashes[handle]
        if not path.is_file():
            return OfflineArtefactStatus.MISSING
        if not hashed or announced is None:
            return OfflineArtefactStatus.OK
        try:
            digest = file_digest(path, with_md5=True)
        except OSError:
            return OfflineArtefactStatus.UNREADABLE
        right = announced.lower() in {digest.sha256, digest.md5}
        return OfflineArtefactStatus.OK if right else OfflineArtefactStatus.HASH_MISMATCH


@dataclasses.dataclass
class _Model:
    provider: str
    model_id: str
    aliases: set[str] = dataclasses.field(default_factory=set)
    recorded_at: datetime | None = None
    proven: dict[str, datetime] = dataclasses.field(default_factory=dict)
    packages: dict[str, _Package] = dataclasses.field(default_factory=dict)

    def add(self, entry: AutoResolutionCacheEntry, packages: dict[str, _Package]) -> None:
        created = entry.created_at
        if self.recorded_at is None or created > self.recorded_at:
            self.recorded_at = created
        if entry.model_id != self.model_id:
            self.aliases.add(entry.model_id)
        chosen = entry.model_package_id
        if chosen is not None and created >= self.proven.get(chosen, created):
            self.proven[chosen] = created
        self.packages.update(packages)

    def is_called(self, name: str) -> bool:
        return name.removeprefix(f"{self.provider}:") in {self.model_id, *self.aliases}


def offline_models() -> list[OfflineModelStatus]:
    """Every model of the cache, with its packages and whether they are complete."""
    return [
        OfflineModelStatus(
            canonical_model_id=model.model_id,
            requested_aliases=sorted(model.aliases),
            source=model.provider,
            recorded_at=model.recorded_at,
            proven=model.proven,
            packages=[package.status(package_id) for package_id, package in model.packages.items()],
        )
        for model in _models()
    ]


def verify_offline_model(model_id: str, *, check_hashes: bool) -> list[OfflineArtefactVerification]:
    """Every file of the packages of a model; [] when nothing is known of it."""
    return [
        OfflineArtefactVerification(model.model_id, package_id, handle, package.examine(handle, hashed=check_hashes))
        for model in _models()
        if model.is_called(model_id)
        for package_id, package in model.packages.items()
        for handle in package.hashes
    ]


def find_cached_model_package_dir(model_id: str, api_key: str | None = None) -> str | None:  # noqa: ARG001
    """The folder of a complete package of a model in the cache, the one that was loaded last; None: there is none.

    Args:
        model_id: As it was asked for, or as its provider calls it; `provider:id` where several have the same id.
        api_key: Changes nothing: whoever may read the cache finds what is in it.
    """
    found = [
        (model.proven[package_id].timestamp() if package_id in model.proven else 0.0, str(package.folder))
        for model in _models()
        if model.is_called(model_id)
        for package_id, package in model.packages.items()
        if package.status(package_id).presence is OfflinePackagePresence.OK
    ]
    return max(found)[1] if found else None


def _models() -> list[_Model]:
    inventory = Inventory()
    models: dict[tuple[str, str], _Model] = {}
    for entry in FileResolutionCache().entries():
        try:
            described = metadata_from_json(entry.description).model_packages
        except ValueError as exc:
            _log.warning("the remembered description of %r was ignored: %s", entry.model_id, exc)
            continue
        name = entry.provider, entry.canonical_model_id
        packages = {each.package_id: _described(inventory, name, each) for each in described}
        models.setdefault(name, _Model(*name)).add(
            entry, {key: value for key, value in packages.items() if value is not None}
        )
    known = {package.folder for model in models.values() for package in model.packages.values()}
    for stored in inventory.packages():
        name = stored.key.provider, stored.key.model_id
        if stored.folder not in known:
            package = _Package(stored.folder, None, {file.handle: file.sha256 for file in stored.files})
            models.setdefault(name, _Model(*name)).packages[stored.key.package_id] = package
    return [models[name] for name in sorted(models)]


def _described(inventory: Inventory, name: tuple[str, str], package: ModelPackageMetadata) -> _Package | None:
    """None where its id is none that a folder could have."""
    provider, model_id = name
    try:
        key = PackageKey(provider, package.cache_model_id or without_query(model_id), package.package_id)
    except BaseInferenceModelsError:
        return None
    hashes = {item.file_handle: _hash_of(item) for item in package.package_artefacts}
    return _Package(inventory.folder_of(key), package.trusted_source, hashes)


def _hash_of(item: ArtefactSpecs) -> str | None:
    text = getattr(item, "text", None)
    if text is not None:
        return text_sha256(text)
    return getattr(item, "sha256_hash", None) or getattr(item, "md5_hash", None)
