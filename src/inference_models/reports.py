"""`AutoModel.explain`: what a load would do. Nothing is fetched, opened, measured or written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models import config
from inference_models.cache.manifest import Damage, PackageKey, find_difference, read_manifest
from inference_models.entities import LocalFileArtefactSpecs
from inference_models.errors import BaseInferenceModelsError
from inference_models.loading.describe import describe_model
from inference_models.loading.remember import RememberedModels
from inference_models.measure.select import remembered_plan
from inference_models.negotiate.choose import negotiate
from inference_models.negotiate.explain import PARITY, Circumstances, make_report
from inference_models.package.folder import read_package, read_package_folder
from inference_models.text import without_query

if TYPE_CHECKING:
    from inference_models.cache.store import PackageStore
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.errors import Rejection
    from inference_models.loading.address import LoadRequest, ModelAddress, Source
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Plan
    from inference_models.negotiate.report import NegotiationReport
    from inference_models.package.folder import PackageFolder


def explain_model(
    address: ModelAddress, load: LoadRequest, environment: Environment, *, api_key: str | None = None
) -> NegotiationReport:
    """What a load of the same request would do. Nothing is fetched, opened, measured or written.

    Raises:
        ModelNotFoundError: no provider knows it.
        ModelRetrievalError: its provider cannot be asked.
    """
    memory = RememberedModels(load, environment, read_only=True)
    with describe_model(address, load, api_key=api_key, memory=memory) as (model, source):
        choice = negotiate(model, load.wanted, environment)
        circumstances = Circumstances(
            provider=source.name,
            stored={
                package.package_id: _held(model, package, source, memory.store) for package in model.model_packages
            },
            network_forbidden_by=config.network_forbidden_by(),
            code_consent=isinstance(load.options.allow_local_code_packages, str),
            loaded_before=memory.chosen_package(source),
            fastest=remembered_plan(model, source, choice, load, memory) if choice.admissible else None,
            to_be_measured=load.options.select == "measured",
            unproven=lambda plan: _unproven(model, source, load, plan, memory.store),
        )
    return make_report(choice, circumstances)


def _unproven(
    model: ModelMetadata, source: Source, load: LoadRequest, plan: Plan, store: PackageStore
) -> Rejection | None:
    """What a load with `require_parity=True` says of a plan, if it would say no."""
    if not load.options.require_parity:
        return None
    from inference_models.parity.require import name_of, parity_refusal  # noqa: PLC0415 - rare

    candidate = plan.candidate
    folder = _stored_folder(model, candidate.package, source, store)
    asked_for = name_of(source.name, source.model_id)
    refusal = parity_refusal(candidate, folder, load.with_plan(plan), asked_for)
    if refusal is None:
        return None
    return candidate.rejection(PARITY, refusal.needs or "", refusal.found or "", refusal.fix)


def _stored_folder(
    model: ModelMetadata, package: ModelPackageMetadata, source: Source, store: PackageStore
) -> PackageFolder | None:
    """The package, if a load would need to fetch nothing of it, as far as its list of files says."""
    if any(isinstance(item, LocalFileArtefactSpecs) for item in package.package_artefacts):
        return read_package(package.package_artefacts)
    try:
        key = PackageKey(source.name, package.cache_model_id or without_query(model.model_id), package.package_id)
        folder = store.folder_of(key)
        manifest = read_manifest(folder)
        if isinstance(manifest, Damage) or find_difference(manifest, package.package_artefacts) is not None:
            return None
        return read_package_folder(folder)
    except BaseInferenceModelsError:  # a name or a file that a load refuses too
        return None


def _held(model: ModelMetadata, package: ModelPackageMetadata, source: Source, store: PackageStore) -> frozenset[str]:
    model_id = package.cache_model_id or without_query(model.model_id)
    try:
        key = PackageKey(source.name, model_id, package.package_id)
    except BaseInferenceModelsError:  # an id that cannot be part of a folder name: nothing is stored under it
        return frozenset()
    return store.cached_handles(key, package.package_artefacts)
