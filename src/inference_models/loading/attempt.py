"""One load: describe, choose, fetch, open; and what happens when the first choice does not open."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from inference_models import config
from inference_models.entities import BackendType
from inference_models.errors import (
    BaseInferenceModelsError,
    EnvironmentConfigurationError,
    MissingDependencyError,
    ModelLoadingError,
    ModelPackageAlternativesExhaustedError,
    ModelRetrievalError,
)
from inference_models.loading.dependencies import FORWARDED, DependencyRequest, load_dependencies
from inference_models.loading.describe import described
from inference_models.loading.fetch import fetch_package
from inference_models.loading.open import load_package
from inference_models.loading.resolutions import RememberedProvider
from inference_models.measure.select import select_plans
from inference_models.negotiate.choose import choose_packages

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from inference_models.entities import ModelMetadata
    from inference_models.loading.fetch import Source
    from inference_models.loading.open import LoadRequest
    from inference_models.loading.remember import LoadMemory
    from inference_models.negotiate.choose import Choice
    from inference_models.negotiate.plan import Selection
    from inference_models.options import LoadOptions
    from inference_models.tasks.any_model import AnyModel

    Prepare = Callable[[BackendType, LoadRequest], LoadRequest]
    """Adds to a request what packages of one format need."""

_log = logging.getLogger("inference-models")
_OF_THE_MACHINE = (EnvironmentConfigurationError, MissingDependencyError)
"""What the environment explains, and what therefore leads to the next candidate."""


@dataclass(frozen=True)
class Asked:
    """What the caller named."""

    model: str | os.PathLike[str]
    provider: str | None
    api_key: str | None


class RememberedUnusableError(Exception):
    """A remembered package did not load; it was forgotten."""


def load_model(asked: Asked, load: LoadRequest, memory: LoadMemory, depend: Callable[..., AnyModel]) -> AnyModel:
    """The best package that opens here, ready to be called.

    Args:
        asked: What the caller named.
        load: How to open it.
        memory: What may be taken from earlier loads.
        depend: Loads a model that this one needs; takes the arguments of `AutoModel.from_pretrained`.

    Raises:
        RememberedUnusableError: what was remembered does not load; without a memory it may.
        ModelPackageAlternativesExhaustedError: several packages fit, and none could be opened.
    """
    with described(asked.model, asked.provider, api_key=asked.api_key, load=load, memory=memory) as (model, source):
        remembered = isinstance(source.provider, RememberedProvider)
        choice = choose_packages(model, memory.request, memory.environment)
        for reason in choice.overridden:
            _log.warning("%s is forced: it needs %s; found: %s", reason.package_id, reason.needs, reason.found)
        request = DependencyRequest(
            allowed=load.options.allow_loading_dependency_models,
            params=load.options.dependency_models_params or {},
            preloaded=load.options.preloaded_model_dependencies or {},
            shared={"weights_provider": source.name, "api_key": asked.api_key, **_switches(load.options)},
            outer=load.extra or {},
            forwarded=FORWARDED if load.options.forwarded_kwargs is None else load.options.forwarded_kwargs,
        )
        try:
            selection = select_plans(model, source, choice, load, memory)
            if remembered and selection.reason == "order":
                selection = replace(selection, reason="remembered")
            _tell(choice, selection, load)
            loaded = _load_first(model, source, selection, load, partial(_with_dependencies, model, request, depend))
        except (*_OF_THE_MACHINE, ModelLoadingError, ModelRetrievalError) as exc:
            if not remembered or config.network_forbidden_by() is not None:
                raise
            memory.forget(source.name, source.model_id, source.stated)
            raise RememberedUnusableError from exc
        if not remembered:
            used = None if loaded.resolved_model is None else loaded.resolved_model.model_package_id
            memory.keep(source.name, source.model_id, source.stated, model, used)
        return loaded


def _load_first(
    model: ModelMetadata, source: Source, selection: Selection, load: LoadRequest, prepare: Prepare
) -> AnyModel:
    """The first plan that opens; only reasons the environment explains lead to the next one."""
    failures: list[BaseInferenceModelsError] = []
    labels: list[str] = []
    for number, plan in enumerate(selection.plans[: load.options.max_package_loading_attempts]):
        package = plan.candidate.package
        folder = fetch_package(model, package, source)
        wanted = load.with_plan(plan)
        try:
            if load.options.require_parity:
                from inference_models.parity.require import name_of, require_certificate  # noqa: PLC0415 - rare

                require_certificate(plan.candidate, folder, wanted, name_of(source.name, source.model_id))
            loaded = load_package(model, plan.candidate, folder, prepare(package.backend, wanted))
        except _OF_THE_MACHINE as exc:
            failures.append(exc)
            labels.append(plan.candidate.label)
            _log.warning("%s of %r was passed over: %s", plan.candidate.label, model.model_id, exc)
            continue
        reason = selection.reason if number == 0 else "order"
        with suppress(AttributeError):  # a class of a package may refuse new attributes
            loaded.resolved_model = replace(loaded.resolved_model, selected_by=reason)  # type: ignore[type-var]
        _say(load, "loaded %r: %s (chosen by %s)", model.model_id, plan.candidate.label, reason)
        return loaded
    raise _exhausted(model, failures, labels)


def _exhausted(model: ModelMetadata, failures: list[BaseInferenceModelsError], labels: list[str]) -> Exception:
    if len(failures) == 1:
        return failures[0]
    story = [f"  {label}: {_in_one_line(failure)}" for label, failure in zip(labels, failures, strict=True)]
    fixes = [failure.fix for failure in failures if failure.fix]
    summary = f"{len(failures)} packages of {model.model_id!r} fit this machine and none could be opened."
    error = ModelPackageAlternativesExhaustedError(
        "\n".join([summary, *story]), alternatives_errors=failures, fix=fixes[0] if fixes else None
    )
    error.__cause__ = failures[0]
    return error


def _in_one_line(failure: BaseInferenceModelsError) -> str:
    facts = f" (needs {failure.needs}; found: {failure.found})" if failure.needs else ""
    return f"{failure.summary.rstrip('.')}{facts}"


def _with_dependencies(
    model: ModelMetadata,
    request: DependencyRequest,
    depend: Callable[..., AnyModel],
    package_format: BackendType,
    load: LoadRequest,
) -> LoadRequest:
    """`load` with the models that a package with code of its own needs."""
    if package_format is not BackendType.CUSTOM or not model.model_dependencies:
        return load
    return replace(load, dependencies=load_dependencies(model, request, depend))


def _switches(options: LoadOptions) -> dict[str, Any]:
    names = (
        "allow_untrusted_packages",
        "auto_resolution_cache",
        "require_parity",
        "use_auto_resolution_cache",
        "verbose",
    )
    return {name: getattr(options, name) for name in names}


def _tell(choice: Choice, selection: Selection, load: LoadRequest) -> None:
    """One message with the whole negotiation, made only where somebody reads it."""
    if _log.isEnabledFor(logging.INFO if load.options.verbose else logging.DEBUG):
        from inference_models.negotiate.text import choice_text  # noqa: PLC0415 - only needed to print

        _say(load, "%s", choice_text(choice, selection))


def _say(load: LoadRequest, text: str, *values: object) -> None:
    _log.log(logging.INFO if load.options.verbose else logging.DEBUG, text, *values)
