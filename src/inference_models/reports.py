"""What is known about a model: asked for, judged and looked up, never fetched."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from rich.table import Table

from inference_models import config
from inference_models.cache.manifest import Damage, PackageKey, find_difference, read_manifest
from inference_models.cache.resolution_files import FileResolutionCache
from inference_models.catalogue import open_catalogue
from inference_models.entities import LocalFileArtefactSpecs
from inference_models.errors import BaseInferenceModelsError
from inference_models.loading.describe import described
from inference_models.loading.remember import LoadMemory
from inference_models.loading.resolutions import Resolutions
from inference_models.measure.select import remembered_plan
from inference_models.negotiate.choose import negotiate
from inference_models.negotiate.make_report import PARITY, Circumstances, make_report
from inference_models.package.folder import read_package, read_package_folder
from inference_models.text import without_query

if TYPE_CHECKING:
    from rich.console import Console

    from inference_models.cache.resolution_files import AutoResolutionCache, AutoResolutionCacheEntry
    from inference_models.cache.store import PackageStore
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.errors import Rejection
    from inference_models.loading.attempt import Asked
    from inference_models.loading.fetch import Source
    from inference_models.loading.open import LoadRequest
    from inference_models.negotiate.plan import Plan
    from inference_models.negotiate.report import NegotiationReport
    from inference_models.package.folder import PackageFolder
    from inference_models.providers import DescribeOptions


def explain_model(asked: Asked, load: LoadRequest, memory: LoadMemory) -> NegotiationReport:
    """What a load with the same arguments would do. Nothing is fetched, opened, measured or written.

    Args:
        asked: What the caller named.
        load: How it would be opened.
        memory: What may be taken from earlier loads.

    Raises:
        ModelNotFoundError: nobody knows it.
        ModelRetrievalError: its provider cannot be asked.
    """
    recollection = _Recollection.of(memory, load.options.auto_resolution_cache)
    with described(asked.model, asked.provider, api_key=asked.api_key, load=load, memory=recollection) as found:
        model, source = found
        choice = negotiate(model, memory.request, memory.environment)
        circumstances = Circumstances(
            provider=source.name,
            stored={
                package.package_id: _held(model, package, source, memory.store) for package in model.model_packages
            },
            network_forbidden_by=config.network_forbidden_by(),
            code_consent=isinstance(load.options.allow_local_code_packages, str),
            loaded_before=recollection.loaded_before(source),
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


def render_catalogue(console: Console) -> None:
    """Print the models of the open catalogue."""
    table = Table("id", "what", "task", "licence", "MB")
    for model_id, model in open_catalogue().models.items():
        size = sum(file.size for file in model.packages[0].files)
        table.add_row(model_id, model.description, model.task_type, model.license, f"{size / 1e6:.1f}")
    console.print(table)


def _held(model: ModelMetadata, package: ModelPackageMetadata, source: Source, store: PackageStore) -> frozenset[str]:
    model_id = package.cache_model_id or without_query(model.model_id)
    try:
        key = PackageKey(source.name, model_id, package.package_id)
    except BaseInferenceModelsError:  # an id that cannot be part of a folder name: nothing is stored under it
        return frozenset()
    return store.held(key, package.package_artefacts)


@dataclass(frozen=True, kw_only=True)
class _Recollection(LoadMemory):
    """The memory of a load, looked at and never changed."""

    @classmethod
    def of(cls, memory: LoadMemory, cache: AutoResolutionCache | None) -> _Recollection:
        """`memory`, whose answers are kept in `cache` (None: in files)."""
        facts = {field.name: getattr(memory, field.name) for field in fields(LoadMemory)}
        return cls(**{**facts, "resolutions": Resolutions(_Unchanged(cache or FileResolutionCache()))})

    def known(
        self, provider: str, model_id: str, options: DescribeOptions, *, unreachable: bool = False
    ) -> ModelMetadata | None:
        """All that the provider said, where it cannot be asked now; else it is asked, to tell what there is today."""
        if not unreachable and config.network_forbidden_by() is None:
            return None
        decision = self.resolutions.recall(self._question(provider, model_id, options), any_age=True)
        return None if decision is None else decision.model

    def loaded_before(self, source: Source) -> str | None:
        """Id of the package that a load of the same request would take without asking the provider."""
        alone = config.network_forbidden_by() is not None
        if not (self.enabled or alone):
            return None
        question = self._question(source.name, source.model_id, source.stated)
        decision = self.resolutions.recall(question, any_age=alone)
        return None if decision is None else decision.package_id


class _Unchanged:
    """A cache of answers that is only read."""

    def __init__(self, cache: AutoResolutionCache) -> None:
        self._cache = cache

    def register(self, auto_negotiation_hash: str, cache_entry: AutoResolutionCacheEntry) -> None:
        """Keeps nothing."""

    def retrieve(self, auto_negotiation_hash: str) -> AutoResolutionCacheEntry | None:
        """What is kept."""
        return self._cache.retrieve(auto_negotiation_hash)

    def invalidate(self, auto_negotiation_hash: str) -> None:
        """Drops nothing."""
