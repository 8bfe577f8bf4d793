"""From a described package to its files: in place where they are local, else through the verified store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.entities import LocalFileArtefactSpecs
from inference_models.package.folder import read_package, read_package_folder
from inference_models.text import without_query

if TYPE_CHECKING:
    from inference_models.cache.store import PackageStore
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.loading.describe import Source
    from inference_models.package.folder import PackageFolder


def fetch_package(
    model: ModelMetadata, package: ModelPackageMetadata, source: Source, *, store: PackageStore | None = None
) -> PackageFolder:
    """The package with all its files on this machine; a complete cached one costs no network and no writes.

    Raises:
        ModelRetrievalError: the provider cannot hand a file over, or what it handed over is not what it announced.
        CorruptedModelPackageError: the files contradict each other.
        EnvironmentConfigurationError: the cache folder cannot be written to.
    """
    artefacts = package.package_artefacts
    if any(isinstance(item, LocalFileArtefactSpecs) for item in artefacts):
        from inference_models.providers.local import LocalProvider  # noqa: PLC0415 - loaded where there are local files

        known = source.provider.folder(model.model_id) if isinstance(source.provider, LocalProvider) else None
        return known or read_package(artefacts)
    from inference_models.cache.manifest import PackageKey  # noqa: PLC0415 - local packages need no store
    from inference_models.cache.store import PackageStore  # noqa: PLC0415

    model_id = package.cache_model_id or without_query(model.model_id)
    key = PackageKey(source.name, model_id, package.package_id)
    return read_package_folder((store or PackageStore()).ensure(key, artefacts, source.provider))
