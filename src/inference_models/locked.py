"""From a lock file to the object the caller holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inference_models.dependencies import DependencyRequest, load_dependencies
from inference_models.entities import BackendType, ModelDependency
from inference_models.errors import NoCompatiblePackageError
from inference_models.load import LoadRequest, load_package
from inference_models.load_options import refuse_unknown_load_options
from inference_models.locate import locate_model
from inference_models.lockfile import fetch_locked
from inference_models.package.folder import read_package_folder
from inference_models.resolve.candidate import Candidate
from inference_models.resolve.checks import Case, check_trust
from inference_models.resolve.environment import probe_environment
from inference_models.resolve.explain import explain_refusals
from inference_models.resolve.request import PackageRequest

if TYPE_CHECKING:
    from inference_models.entities import ModelMetadata
    from inference_models.lockfile import Lock, LockedModel
    from inference_models.tasks.any_model import AnyModel


def load_locked(
    lock: Lock, locked: LockedModel, load: LoadRequest, *, mirror: str | None = None, api_key: str | None = None
) -> AnyModel:
    """The model that is pinned, with the models it needs, which are pinned too.

    The models it needs are looked for at the provider of `mirror`, under the ids they are pinned with; behind a URL,
    in the same manifest.

    Raises:
        NoCompatiblePackageError: nobody vouched for the package when it was locked, and the caller does not either.
        ModelRetrievalError: the pinned bytes cannot be had.
        ModelLoadingError: the package does not load.
    """
    model = locked.metadata()
    package = model.model_packages[0]
    _refuse_untrusted(model, load)
    if package.backend is not BackendType.CUSTOM:
        refuse_unknown_load_options(load.extra or {})
    folder = read_package_folder(fetch_locked(locked, mirror=mirror, api_key=api_key))
    if package.backend is BackendType.CUSTOM and model.model_dependencies:
        needed = _Needed(lock, locked, load, mirror, api_key)
        request = DependencyRequest(
            allowed=load.options.allow_loading_dependency_models,
            preloaded=load.options.preloaded_model_dependencies or {},
        )
        load = replace(load, dependencies=load_dependencies(model, request, needed.load_inner))
    return load_package(model, Candidate(package, package.backend), folder, load)


def mirror_of_needed(mirror: str, needed: LockedModel) -> str:
    """Where a mirror that was named for one model has another one."""
    provider, _ = locate_model(mirror)
    place, _, _ = mirror.partition("#")
    if "://" in place:
        return f"{place}#{needed.asked_for.rpartition('#')[2]}"
    return f"{provider}:{needed.asked_for}"


@dataclass(frozen=True)
class _Needed:
    """Loads what a locked model needs, from the same lock."""

    lock: Lock
    outer: LockedModel
    load: LoadRequest
    mirror: str | None
    api_key: str | None

    def load_inner(self, *, model_id_or_path: str, model_package_id: str | None = None, **_: object) -> AnyModel:
        wanted = ModelDependency(name="", model_id=model_id_or_path, model_package_id=model_package_id)
        inner = self.lock.find_needed(self.outer, wanted)
        options = replace(self.load.options, allow_loading_dependency_models=False, preloaded_model_dependencies=None)
        load = LoadRequest(options=options, device=self.load.device, execution_providers=self.load.execution_providers)
        mirror = None if self.mirror is None else mirror_of_needed(self.mirror, inner)
        return load_locked(self.lock, inner, load, mirror=mirror, api_key=self.api_key)


def _refuse_untrusted(model: ModelMetadata, load: LoadRequest) -> None:
    request = PackageRequest(device=load.device, allow_untrusted=load.options.allow_untrusted_packages)
    environment = probe_environment()
    package = model.model_packages[0]
    refusal = check_trust(Case(model, Candidate(package, package.backend), request, environment))
    if refusal is not None:
        text = explain_refusals(model, [refusal], request, environment)
        raise NoCompatiblePackageError(text, rejections=(refusal,))
