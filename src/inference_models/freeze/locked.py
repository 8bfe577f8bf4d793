"""From a lock file to the object the caller holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from inference_models import config
from inference_models.entities import BackendType, ModelDependency
from inference_models.errors import InvalidParameterError, NoCompatiblePackageError
from inference_models.freeze.lockfile import fetch_locked
from inference_models.loading.address import locate_model
from inference_models.loading.dependencies import FORWARDED, DependencyRequest, load_dependencies
from inference_models.loading.open import LoadRequest, load_package
from inference_models.machine.environment import probe_environment
from inference_models.negotiate.candidate import Candidate
from inference_models.negotiate.checks import Case
from inference_models.negotiate.checks_request import check_trust
from inference_models.negotiate.explain import explain_refusals
from inference_models.negotiate.request import PackageRequest, parse_device, parse_execution_providers
from inference_models.options import LoadOptions, merge_options, refuse_unknown_load_options
from inference_models.package.folder import read_package_folder

_CHOICES = frozenset(
    {"backend", "batch_size", "model_package_id", "nms_fusion_preferences", "quantization", "weights_provider"}
)
"""Options that say which package is wanted, which a lock has decided."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.entities import ModelMetadata
    from inference_models.freeze.lockfile import Lock, LockedModel
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
    _refuse_choices(load.extra or {}, where="from_lock")
    if package.backend is not BackendType.CUSTOM:
        refuse_unknown_load_options(load.extra or {})
    folder = read_package_folder(fetch_locked(locked, mirror=mirror, api_key=api_key))
    if package.backend is BackendType.CUSTOM and model.model_dependencies:
        needed = _Needed(lock, locked, load, mirror, api_key)
        forwarded = load.options.forwarded_kwargs
        request = DependencyRequest(
            allowed=load.options.allow_loading_dependency_models,
            params=load.options.dependency_models_params or {},
            preloaded=load.options.preloaded_model_dependencies or {},
            outer=load.extra or {},
            forwarded=FORWARDED if forwarded is None else forwarded,
        )
        load = replace(load, dependencies=load_dependencies(model, request, needed.load_inner))
    candidate = Candidate(package, package.backend)
    if load.options.require_parity:
        from inference_models.parity.require import name_of, require_certificate  # noqa: PLC0415 - rare

        require_certificate(candidate, folder, load, name_of(locked.provider, locked.asked_for))
    return load_package(model, candidate, folder, replace(load, is_pinned=True))


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

    def load_inner(
        self,
        *,
        model_id_or_path: str,
        model_package_id: str | None = None,
        device: object = None,
        onnx_execution_providers: Sequence[str | tuple[str, dict[str, Any]]] | None = None,
        **given: Any,
    ) -> AnyModel:
        wanted = ModelDependency(name="", model_id=model_id_or_path, model_package_id=model_package_id)
        inner = self.lock.find_needed(self.outer, wanted)
        _refuse_choices(given, where=f"dependency_models_params of {self.outer.id!r}")
        outer = self.load.options
        # As with from_pretrained: its own options and device, and the caller's word about what may be trusted.
        options = LoadOptions(allow_untrusted_packages=outer.allow_untrusted_packages, verbose=outer.verbose)
        merged, extra = merge_options(options, given)
        load = LoadRequest(
            options=merged,
            device=parse_device(device if device is not None else config.default_device()),
            execution_providers=parse_execution_providers(onnx_execution_providers),
            extra=extra,
        )
        mirror = None if self.mirror is None else mirror_of_needed(self.mirror, inner)
        return load_locked(self.lock, inner, load, mirror=mirror, api_key=self.api_key)


def _refuse_choices(given: Iterable[str], *, where: str) -> None:
    for name in given:
        if name in _CHOICES:
            raise InvalidParameterError(
                f"{where}: {name} cannot be chosen here.",
                needs="the provider and the package that the lock file pins",
                found=f"{name}=",
                fix="leave it out, or write another lock file: inference-models lock --help",
            )


def _refuse_untrusted(model: ModelMetadata, load: LoadRequest) -> None:
    request = PackageRequest(device=load.device, allow_untrusted=load.options.allow_untrusted_packages)
    environment = probe_environment()
    package = model.model_packages[0]
    refusal = check_trust(Case(model, Candidate(package, package.backend), request, environment))
    if refusal is not None:
        text = explain_refusals(model, [refusal], request, environment)
        raise NoCompatiblePackageError(text, rejections=(refusal,))
