"""One load: describe, negotiate, fetch, open; and what happens when the first choice does not open."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from inference_models import config
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    MissingDependencyError,
    ModelLoadingError,
    ModelPackageAlternativesExhaustedError,
    ModelRetrievalError,
    QuantizationNotRequestedError,
)
from inference_models.loading.describe import contradiction, describe_model
from inference_models.loading.open import fetch_package, load_package
from inference_models.negotiate.choose import negotiate
from inference_models.providers import find_record
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.loading.address import LoadRequest, ModelAddress, Source
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate, Selection
    from inference_models.negotiate.choose import Choice
    from inference_models.package.folder import PackageFolder
    from inference_models.tasks.any_model import AnyModel

_log = logging.getLogger("inference-models")
_OF_THE_MACHINE = (EnvironmentConfigurationError, MissingDependencyError, QuantizationNotRequestedError)
"""Errors that the environment explains: the next candidate is tried."""
_SHARED_WITH_DEPENDENCIES = (
    "allow_untrusted_packages",
    "auto_resolution_cache",
    "require_parity",
    "use_auto_resolution_cache",
    "verbose",
)


class LoadSteps(Record, frozen=True, kw_only=True):
    """Functions a load gets from the layers above: dependencies, order of plans, parity certificates."""

    load_dependency: Callable[..., AnyModel]
    """Loads a model that this one needs; takes the arguments of `AutoModel.from_pretrained`."""
    select: Callable[[ModelMetadata, Source, Choice, LoadRequest], Selection] | None = None
    """The order in which admissible candidates are tried; None: the declared order."""
    certify: Callable[[Candidate, PackageFolder, LoadRequest, Source], object] | None = None
    """Raises where nothing vouches for a package as it would be opened; None: nothing has to."""
    report: Callable[[AnyModel, ModelMetadata, Candidate, PackageFolder], object] | None = None
    """Gets what was loaded, once it is; None: nobody waits for it."""


def load_model(
    address: ModelAddress, load: LoadRequest, environment: Environment, steps: LoadSteps, *, api_key: str | None = None
) -> AnyModel:
    """The best package that opens here, ready to be called.

    A remembered package that does not load any more is forgotten, and the provider is asked.

    Raises:
        ModelPackageAlternativesExhaustedError: several packages fit, and none could be opened.
    """
    memory, record = None, find_record(address.provider)
    if record is None or record.remembered:
        from inference_models.loading.remember import RememberedModels  # noqa: PLC0415 - local models are not

        memory = RememberedModels(load, environment)
    with describe_model(address, load, api_key=api_key, memory=memory) as (model, source):
        try:
            loaded = _load_described(model, source, load, environment, steps)
        except (*_OF_THE_MACHINE, ModelLoadingError, ModelRetrievalError) as exc:
            error = contradiction(source, load.options) if isinstance(exc, CorruptedModelPackageError) else None
            if error is not None:
                raise error from exc
            if memory is None or not source.is_remembered or config.network_forbidden_by() is not None:
                raise
            memory.forget(source)
        else:
            if memory is not None and not source.is_remembered:
                used = None if loaded.resolved_model is None else loaded.resolved_model.model_package_id
                memory.remember(source, model, used)
            return loaded
    with describe_model(address, load, api_key=api_key) as (model, source):
        return _load_described(model, replace(source, store=memory.store), load, environment, steps)


def _load_described(
    model: ModelMetadata, source: Source, load: LoadRequest, environment: Environment, steps: LoadSteps
) -> AnyModel:
    choice = negotiate(model, load.wanted, environment)
    if not choice.verdicts or not choice.verdicts[0].runs:
        from inference_models.negotiate.explain import refusal  # noqa: PLC0415 - made where something is refused

        raise refusal(choice)
    for reason in choice.overridden if load.wanted.force else ():
        _log.warning("%s is forced: it needs %s; found: %s", reason.package_id, reason.needs, reason.found)
    selection = steps.select(model, source, choice, load) if steps.select else choice.declared_order
    if source.is_remembered and selection.reason == "order":
        selection = replace(selection, reason="remembered")
    level = logging.INFO if load.options.verbose else logging.DEBUG
    if _log.isEnabledFor(level):
        from inference_models.negotiate.explain import choice_text  # noqa: PLC0415 - made where somebody reads it

        _log.log(level, "%s", choice_text(choice, selection))
    return _load_first(model, source, selection, load, steps)


def _load_first(
    model: ModelMetadata, source: Source, selection: Selection, load: LoadRequest, steps: LoadSteps
) -> AnyModel:
    """The first plan that opens; only reasons the environment explains lead to the next one."""
    failures: dict[str, BaseInferenceModelsError] = {}
    for number, plan in enumerate(selection.plans[: load.options.max_package_loading_attempts]):
        candidate, request = plan.candidate, load.with_plan(plan)
        folder = fetch_package(model, candidate.package, source)
        try:
            if steps.certify is not None:
                steps.certify(candidate, folder, request, source)
            if model.model_dependencies:
                request = _with_dependencies(model, candidate.package, request, source, steps)
            loaded = load_package(model, candidate, folder, request)
        except _OF_THE_MACHINE as exc:
            failures[candidate.label] = exc
            _log.warning("%r: %s was passed over: %s", model.model_id, candidate.label, exc)
            continue
        reason = selection.reason if number == 0 else "order"
        with suppress(AttributeError):  # a class of a package may have none, or refuse new attributes
            if loaded.resolved_model is not None:
                loaded.resolved_model = replace(loaded.resolved_model, selected_by=reason)
        if steps.report is not None:
            steps.report(loaded, model, candidate, folder)
        level = logging.INFO if load.options.verbose else logging.DEBUG
        if _log.isEnabledFor(level):
            _log.log(level, "loaded %r: %s (chosen by %s)", model.model_id, candidate.label, reason)
        return loaded
    raise _exhausted(model, failures)


def _exhausted(model: ModelMetadata, failures: dict[str, BaseInferenceModelsError]) -> Exception:
    errors = list(failures.values())
    if len(errors) == 1:
        return errors[0]
    lines = [f"{len(errors)} packages of {model.model_id!r} fit this machine and none could be opened."]
    for label, failure in failures.items():
        facts = f" (needs {failure.needs}; found: {failure.found})" if failure.needs else ""
        lines.append(f"  {label}: {failure.summary.rstrip('.')}{facts}")
    fix = next((failure.fix for failure in errors if failure.fix), None)
    error = ModelPackageAlternativesExhaustedError("\n".join(lines), alternatives_errors=errors, fix=fix)
    error.__cause__ = errors[0]
    return error


def _with_dependencies(
    model: ModelMetadata, package: ModelPackageMetadata, load: LoadRequest, source: Source, steps: LoadSteps
) -> LoadRequest:
    """`load` with the models that a package needs, if it does."""
    from inference_models.loading.dependencies import load_dependencies, needs_models  # noqa: PLC0415 - few do

    if not needs_models(model, package):
        return load
    shared: dict[str, Any] = {name: getattr(load.options, name) for name in _SHARED_WITH_DEPENDENCIES}
    shared |= {"weights_provider": source.name, "api_key": source.options.api_key}
    return replace(load, dependencies=load_dependencies(model, load, steps.load_dependency, shared=shared))
