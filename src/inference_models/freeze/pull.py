"""Fetching without loading: the packages a later load needs, with those of the models they depend on."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.backends.environment import probe_environment
from inference_models.cache.manifest import PackageKey
from inference_models.cache.store import PackageStore
from inference_models.entities import LocalFileArtefactSpecs
from inference_models.errors import InvalidParameterError
from inference_models.loading.address import LOCAL, parse_address
from inference_models.loading.describe import RememberedProvider
from inference_models.loading.resolutions import Question, Resolutions, machine_fingerprint
from inference_models.negotiate.explain import choose_packages
from inference_models.negotiate.request import PackageRequest
from inference_models.providers import DescribeOptions, open_provider
from inference_models.record import replace
from inference_models.text import without_query

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.providers import Provider

ANY_PACKAGE = PackageRequest()


@dataclass(frozen=True)
class PulledPackage:
    """A package that is in the cache."""

    key: PackageKey
    asked_for: str
    """The id the provider was asked for, which may be an alias of `model.model_id`; of a URL, without its query."""
    model: ModelMetadata
    """With all its packages."""
    package: ModelPackageMetadata
    folder: Path
    direct: bool = True
    """Whether the caller named it; False: another model depends on it."""


@dataclass(frozen=True, kw_only=True)
class PullOptions:
    """Which packages, and how."""

    request: PackageRequest = ANY_PACKAGE
    api_key: str | None = None
    every_package: bool = False
    """Also those that cannot run here."""
    store: PackageStore | None = None


def pull_model(model_id: str, options: PullOptions | None = None) -> list[PulledPackage]:
    """The packages of a model that fit the request best, in the cache; then those of the models it needs.

    Raises:
        InvalidParameterError: it is a path, which needs no fetching.
        ModelNotFoundError: nobody knows it.
        NoCompatiblePackageError: nothing of it fits the request on this machine.
        ModelRetrievalError: a file cannot be had.
    """
    options = options or PullOptions()
    provider, plain_id = parse_address(model_id)
    pulled = _pull(provider, plain_id, options)
    needed = {item.model_id: item for each in pulled for item in each.model.model_dependencies or ()}
    for dependency in needed.values():
        inner = replace(options, request=replace(options.request, package_id=dependency.model_package_id))
        pulled += [replace(item, direct=False) for item in _pull(provider, dependency.model_id, inner)]
    return pulled


def _pull(provider: str, model_id: str, options: PullOptions) -> list[PulledPackage]:
    memory, environment = Resolutions(), probe_environment()
    question = Question(
        provider=provider,
        model_id=model_id,
        request=options.request,
        machine=machine_fingerprint(environment),
        options=DescribeOptions(api_key=options.api_key),
    )
    with closing(_open(question, memory)) as opened:
        model = opened.describe(model_id, question.options)
        if provider == LOCAL or _is_local(model):
            raise InvalidParameterError(
                f"{model_id!r} lies on this machine already and is not fetched.",
                needs="a model of another provider",
                found="a path",
            )
        best = choose_packages(model, options.request, environment).packages[0]
        wanted = model.model_packages if options.every_package else [best]
        store = options.store or PackageStore()
        pulled = []
        for package in wanted:
            key = PackageKey(provider, package.cache_model_id or without_query(model.model_id), package.package_id)
            folder = store.ensure(key, package.package_artefacts, opened)
            pulled.append(PulledPackage(key, without_query(model_id), model, package, folder))
    memory.remember(question, model, best.package_id)
    return pulled


def _open(question: Question, memory: Resolutions) -> Provider:
    """The provider; without a network what is remembered of it, where something is."""
    if config.network_forbidden_by() is not None:
        decision = memory.recall(question, any_age=True)
        if decision is not None:
            return RememberedProvider(decision.model)
    return open_provider(question.provider)


def _is_local(model: ModelMetadata) -> bool:
    artefacts = (item for package in model.model_packages for item in package.package_artefacts)
    return any(isinstance(item, LocalFileArtefactSpecs) for item in artefacts)
