"""Packages that were made on this machine of others: further forms of a model, beside those of its provider.

They lie in `<cache>/converted/<model>/<package>-<content>/`, each with a small file beside it that says of which
package it was made. One is believed only as long as the model still has that very package.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from inference_models import config
from inference_models.cache.facts import Facts
from inference_models.entities import FileDownloadSpecs, InlineFileSpecs, LocalFileArtefactSpecs
from inference_models.errors import CorruptedModelPackageError
from inference_models.files.digest import text_sha256
from inference_models.files.durable import make_folder, move, remove_tree
from inference_models.files.names import model_slug
from inference_models.loading.address import LOCAL
from inference_models.providers.local import PREFIX, LocalProvider
from inference_models.record import replace
from inference_models.text import without_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.entities import ArtefactSpecs, ModelMetadata, ModelPackageMetadata


class MadeOf(msgspec.Struct, frozen=True, kw_only=True):
    """Where a package that was made here comes from."""

    package_id: str
    source: str
    """`package_digest` of the package it was made of."""
    folder: str
    """Its name below the folder of the model."""


def converted_packages(model: ModelMetadata, provider: str) -> list[ModelPackageMetadata]:
    """What was made here of the packages of `model` as they are now, in the order of their ids."""
    place = _place(model, provider)
    known = set(map(package_digest, model.model_packages)) if place.is_dir() else set()
    packages = []
    for made in _records(place):
        if made.source not in known:
            continue
        try:
            (package,) = LocalProvider().describe(str(place / made.folder)).model_packages
        except CorruptedModelPackageError:  # half removed by hand
            continue
        packages.append(replace(package, package_id=made.package_id))
    return packages


def with_converted(model: ModelMetadata, provider: str) -> ModelMetadata:
    """`model` with what was made of it here as further packages."""
    found = converted_packages(model, provider)
    return replace(model, model_packages=[*model.model_packages, *found]) if found else model


def keep_converted(
    folder: Path, model: ModelMetadata, provider: str, source: ModelPackageMetadata, package_id: str
) -> Path:
    """Move a package that was made of `source` to where `converted_packages` finds it; returns the place.

    One of the same id is replaced: in the moment in which the new one is whole.

    Raises:
        OSError: the cache folder cannot be written to.
    """
    place = _place(model, provider)
    before = [made.folder for made in _records(place) if made.package_id == package_id]
    target = place / f"{package_id}-{folder.parent.name.rpartition('-')[2][:12]}"
    make_folder(place)
    move(folder, target)
    made = MadeOf(package_id=package_id, source=package_digest(source), folder=target.name)
    _facts(place).write(package_id, made)
    for name in before:
        remove_tree(place / name)
    return target


def newest_conversion(model: ModelMetadata, provider: str) -> float:
    """When the last package of a model was made here, in seconds since the epoch; 0: none was."""
    return max((path.stat().st_mtime for path in _place(model, provider).glob("*.json")), default=0.0)


def is_converted(package: ModelPackageMetadata) -> bool:
    """Whether a package was made here."""
    root = config.cache_directory() / config.CONVERTED
    local = [item.path for item in package.package_artefacts if isinstance(item, LocalFileArtefactSpecs)]
    return bool(local) and root in local[0].parents


def package_digest(package: ModelPackageMetadata) -> str:
    """Of the names and the announced hashes of the files of a package; of local files, of their sizes and times."""
    facts = sorted(_identity(item) for item in package.package_artefacts)
    return text_sha256(json.dumps(facts))


def _identity(item: ArtefactSpecs) -> list[str]:
    if isinstance(item, FileDownloadSpecs):
        return [item.file_handle, (item.sha256_hash or item.md5_hash or "").lower()]
    if isinstance(item, InlineFileSpecs):
        return [item.file_handle, sha256(item.text.encode("utf-8", "surrogatepass")).hexdigest()]
    try:
        status = item.path.stat()
    except OSError:
        return [item.file_handle, "missing"]
    return [item.file_handle, f"{status.st_size} {status.st_mtime_ns}"]


def _place(model: ModelMetadata, provider: str) -> Path:
    name = without_query(model.model_id)
    if provider == LOCAL:
        name = str(Path(name.removeprefix(PREFIX)).expanduser().resolve())
    return config.cache_directory() / config.CONVERTED / model_slug(provider, name)


def _facts(place: Path) -> Facts[MadeOf]:
    return Facts(place, MadeOf, "package that was converted here ignored: %s")


def _records(place: Path) -> Iterator[MadeOf]:
    read = (_facts(place).read(path.stem) for path in sorted(place.glob("*.json")))
    return (made for made in read if made is not None and "/" not in made.folder)
