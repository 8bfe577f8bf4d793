"""From a lock file to the object the caller holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from inference_models.dependencies import DependencyRequest, load_dependencies
from inference_models.entities import BackendType
from inference_models.load import LoadRequest, load_package
from inference_models.load_options import refuse_unknown_load_options
from inference_models.lockfile import fetch_locked
from inference_models.package.folder import read_package_folder

if TYPE_CHECKING:
    from inference_models.lockfile import Lock, LockedModel
    from inference_models.tasks.any_model import AnyModel


def load_locked(
    lock: Lock, locked: LockedModel, load: LoadRequest, *, mirror: str | None = None, api_key: str | None = None
) -> AnyModel:
    """The model that is pinned, with the models it needs, which are pinned too.

    Raises:
        ModelRetrievalError: the pinned bytes cannot be had.
        ModelLoadingError: the package does not load.
    """
    model = locked.metadata()
    package = model.model_packages[0]
    folder = read_package_folder(fetch_locked(locked, mirror=mirror, api_key=api_key))
    if package.backend is not BackendType.CUSTOM:
        refuse_unknown_load_options(load.extra or {})
    elif model.model_dependencies:
        inner_load = LoadRequest(options=load.options, device=load.device)

        def load_inner(*, model_id_or_path: str, **_: object) -> AnyModel:
            return load_locked(lock, lock.find(model_id_or_path), inner_load, api_key=api_key)

        load = replace(load, dependencies=load_dependencies(model, DependencyRequest(), load_inner))
    return load_package(model, package, folder, load)
