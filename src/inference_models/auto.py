"""`AutoModel`: one line from a model id to an object that predicts."""

from __future__ import annotations

import logging
import os
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from inference_models import config
from inference_models.dependencies import FORWARDED, DependencyRequest, load_dependencies
from inference_models.entities import BackendType
from inference_models.errors import (
    DirectLocalStorageAccessError,
    EnvironmentConfigurationError,
    InvalidParameterError,
    MissingDependencyError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
    ModelLoadingError,
    ModelRetrievalError,
    RetryError,
)
from inference_models.families import canonical_name, default_task
from inference_models.fetch import Source, fetch_package
from inference_models.load import LoadRequest, load_package
from inference_models.load_options import LoadOptions, merge_options, refuse_unknown_load_options
from inference_models.locate import LOCAL, locate_model
from inference_models.providers import DescribeOptions, open_provider
from inference_models.remembered import LoadMemory
from inference_models.resolutions import RememberedProvider, Resolutions
from inference_models.resolve.choose import choose_packages
from inference_models.resolve.environment import probe_environment
from inference_models.resolve.request import (
    PackageRequest,
    parse_backends,
    parse_batch_size,
    parse_device,
    parse_execution_providers,
    parse_quantizations,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from inference_models.entities import ModelMetadata, ModelPackageMetadata, Quantization
    from inference_models.providers import Provider
    from inference_models.resolve.choose import Choice
    from inference_models.tasks.any_model import AnyModel

    Prepare = Callable[[ModelPackageMetadata, LoadRequest], LoadRequest]
    """Adds to a request what one package needs."""

Loaded = TypeVar("Loaded")
_log = logging.getLogger("inference-models")


class AutoModel:
    """Loads models. Has no instances: `AutoModel.from_pretrained` returns the model itself."""

    @classmethod
    def from_pretrained(  # noqa: PLR0913 - the ten arguments of the public interface
        cls,
        model_id_or_path: str | os.PathLike[str],
        weights_provider: str | None = None,
        api_key: str | None = None,
        model_package_id: str | None = None,
        backend: str | BackendType | Sequence[str | BackendType] | None = None,
        batch_size: int | tuple[int, int] | None = None,
        quantization: str | Quantization | Sequence[str | Quantization] | None = None,
        onnx_execution_providers: Sequence[str | tuple[str, dict[str, Any]]] | None = None,
        device: object = None,
        *,
        options: LoadOptions | None = None,
        **kwargs: Any,
    ) -> AnyModel:
        """The model, on the package and backend that fit this machine best.

        Args:
            model_id_or_path: an id of the open catalogue ("centerface"), `provider:id`, or a path: a package
                folder or a bare `.onnx` file ("./best.onnx", "local:runs/best").
            weights_provider: the provider to ask; None: the id says it.
            api_key: passed to the provider.
            model_package_id: only this package.
            backend: only these backends.
            batch_size: batches the caller will send, a number or (smallest, largest).
            quantization: only these number formats.
            onnx_execution_providers: ONNX Runtime execution providers in order, by name or (name, options).
            device: "cpu", "cuda", "cuda:1" or a torch device; None: the best there is.
            options: the rarer options.
            **kwargs: fields of `LoadOptions` by name; a package with code of its own also gets what it knows itself.

        Raises:
            ModelNotFoundError: no provider knows the id; the text names the nearest.
            NoCompatiblePackageError: nothing of it can run here; the text says why and what would help.
            ModelLoadingError: the package is damaged, contradicts itself, or brings code that was not allowed.
            InvalidParameterError: an argument is unknown or has a value that makes no sense.
        """
        merged, extra = merge_options(options, kwargs)
        wishes = PackageRequest(
            package_id=model_package_id,
            backends=parse_backends(backend),
            quantizations=parse_quantizations(quantization),
            batch_size=parse_batch_size(batch_size),
            device=parse_device(device if device is not None else config.default_device()),
            allow_untrusted=merged.allow_untrusted_packages,
        )
        providers = parse_execution_providers(onnx_execution_providers)
        load = LoadRequest(options=merged, device=wishes.device, execution_providers=providers, extra=extra)
        memory = LoadMemory(
            request=wishes,
            environment=probe_environment(),
            execution_providers=providers,
            enabled=merged.use_auto_resolution_cache,
            resolutions=Resolutions(merged.auto_resolution_cache),
        )
        asked = _Asked(model_id_or_path, weights_provider, api_key)
        try:
            return _load(asked, load, memory)
        except _RememberedUnusableError:
            return _load(asked, load, replace(memory, enabled=False))

    @classmethod
    def from_lock(
        cls,
        path: str | os.PathLike[str],
        model_id: str | None = None,
        *,
        mirror: str | None = None,
        api_key: str | None = None,
        device: object = None,
        onnx_execution_providers: Sequence[str | tuple[str, dict[str, Any]]] | None = None,
        options: LoadOptions | None = None,
        **kwargs: Any,
    ) -> AnyModel:
        """Exactly the model that a lock file pins; nobody is asked when its files are in the cache.

        Args:
            path: What `inference-models lock` wrote.
            model_id: Which of its models; not needed when it pins one.
            mirror: `provider:id` that has the same files; None: the provider the lock names.
            api_key: Passed to the provider.
            device: As for `from_pretrained`.
            onnx_execution_providers: As for `from_pretrained`.
            options: The rarer options.
            **kwargs: Fields of `LoadOptions` by name.

        Raises:
            CorruptedModelPackageError: it is no lock file.
            ModelRetrievalError: the pinned bytes cannot be had.
        """
        from inference_models.locked import load_locked  # noqa: PLC0415 - rarely needed
        from inference_models.lockfile import read_lock, warn_about_runtimes  # noqa: PLC0415

        merged, extra = merge_options(options, kwargs)
        named = parse_device(device if device is not None else config.default_device())
        providers = parse_execution_providers(onnx_execution_providers)
        load = LoadRequest(options=merged, device=named, execution_providers=providers, extra=extra)
        lock = read_lock(os.fspath(path))
        warn_about_runtimes(lock)
        return load_locked(lock, lock.find(model_id), load, mirror=mirror, api_key=api_key)

    @classmethod
    def describe_model(
        cls, model_id: str | os.PathLike[str], weights_provider: str | None = None, api_key: str | None = None
    ) -> None:
        """Print what a model is, its licence and source, and which of its packages run here.

        Raises:
            ModelNotFoundError: no provider knows the id.
        """
        from rich.console import Console  # noqa: PLC0415 - only needed to print

        from inference_models.reports import model_report, render_model  # noqa: PLC0415

        render_model(model_report(model_id, weights_provider, api_key=api_key), Console())

    @classmethod
    def describe_compute_environment(cls) -> None:
        """Print what was found out about this machine."""
        from rich.console import Console  # noqa: PLC0415 - only needed to print

        from inference_models.resolve.doctor import examine, render  # noqa: PLC0415

        render(examine(), Console())


@contextmanager
def described(
    model: str | os.PathLike[str],
    provider: str | None = None,
    *,
    api_key: str | None,
    load: LoadRequest,
    memory: LoadMemory | None = None,
) -> Iterator[tuple[ModelMetadata, Source]]:
    """What the provider of `model` says about it, or is remembered to have said; and the provider, open in the block.

    Raises:
        DirectLocalStorageAccessError: it is a path, and paths were forbidden.
        ModelNotFoundError: nobody knows it.
        InvalidParameterError: the caller's options contradict what the model is, or nobody knows one of them.
    """
    options, extra = load.options, load.extra or {}
    name, model_id = locate_model(model, provider, api_key=api_key)
    if name == LOCAL and not options.allow_direct_local_storage_loading:
        raise DirectLocalStorageAccessError(
            f"{model_id!r} is a path, and loading from paths was forbidden.",
            needs="a model id",
            found="allow_direct_local_storage_loading=False",
        )
    stated = DescribeOptions(
        api_key=api_key,
        labels=options.labels,
        architecture=options.model_type,
        task_type=options.task_type,
        extra_query_params=tuple(options.weights_provider_extra_query_params or ()),
        extra_headers=tuple((options.weights_provider_extra_headers or {}).items()),
    )
    with closing(_provider(name, model_id, stated, memory)) as opened:
        source: Provider = opened
        try:
            metadata = opened.describe(model_id, stated)
        except RetryError:
            known = memory.known(name, model_id, stated, unreachable=True) if memory is not None else None
            if known is None:
                raise
            _log.warning("provider %r does not answer; %r is loaded from the cache", name, model_id)
            metadata, source = known, RememberedProvider(known)
        except MissingModelInitParameterError:
            # A misspelt `labels=` is the likelier cause than a forgotten one.
            refuse_unknown_load_options(extra)
            raise
        if not any(package.backend is BackendType.CUSTOM for package in metadata.model_packages):
            refuse_unknown_load_options(extra)
            metadata = _with_task(metadata, options)
        yield metadata, Source(name, source, model_id, stated)


def _provider(name: str, model_id: str, stated: DescribeOptions, memory: LoadMemory | None) -> Provider:
    """The provider, or what stands in for it when memory knows the answer and the files are here."""
    known = memory.known(name, model_id, stated) if memory is not None else None
    return open_provider(name) if known is None else RememberedProvider(known)


def _with_task(model: ModelMetadata, options: LoadOptions) -> ModelMetadata:
    """`model` with a task where it names none; what the caller says must not contradict what the model is.

    Raises:
        InvalidParameterError: it does.
        ModelImplementationNotFoundError: nobody handles the architecture.
    """
    for name, said, known in (
        ("model_type", options.model_type, model.model_architecture),
        ("task_type", options.task_type, model.task_type),
    ):
        if said is not None and known is not None and canonical_name(said) != canonical_name(known):
            raise InvalidParameterError(
                f"{name}={said!r} is not what model {model.model_id!r} is.",
                needs=f"{name}={known!r}",
                found=repr(said),
                fix=f"leave {name} out: the model says it itself",
            )
    if model.task_type is not None:
        return model
    with suppress(ModelImplementationNotFoundError):
        return replace(model, task_type=default_task(model.model_architecture))
    return model


def load_as(kind: type[Loaded], model: str, **kwargs: Any) -> Loaded:
    """The model in a package folder, which must be of the class `kind`.

    Raises:
        InvalidParameterError: it is of another class.
    """
    loaded = AutoModel.from_pretrained(model, LOCAL, **kwargs)
    if isinstance(loaded, kind):
        return loaded
    raise InvalidParameterError(
        f"{model!r} is another kind of model.", needs=kind.__name__, found=type(loaded).__name__
    )


@dataclass(frozen=True)
class _Asked:
    """What the caller named."""

    model: str | os.PathLike[str]
    provider: str | None
    api_key: str | None


class _RememberedUnusableError(Exception):
    """A remembered package did not load; it was forgotten."""


def _load(asked: _Asked, load: LoadRequest, memory: LoadMemory) -> AnyModel:
    with described(asked.model, asked.provider, api_key=asked.api_key, load=load, memory=memory) as (model, source):
        remembered = isinstance(source.provider, RememberedProvider)
        choice = choose_packages(model, memory.request, memory.environment)
        request = DependencyRequest(
            allowed=load.options.allow_loading_dependency_models,
            params=load.options.dependency_models_params or {},
            preloaded=load.options.preloaded_model_dependencies or {},
            shared={"weights_provider": source.name, "api_key": asked.api_key, **_switches(load.options)},
            outer=load.extra or {},
            forwarded=FORWARDED if load.options.forwarded_kwargs is None else load.options.forwarded_kwargs,
        )
        try:
            loaded = _load_best(model, source, choice, load, partial(_with_dependencies, model, request))
        except (EnvironmentConfigurationError, MissingDependencyError, ModelLoadingError, ModelRetrievalError) as exc:
            if not remembered or config.network_forbidden_by() is not None:
                raise
            memory.forget(source.name, source.model_id, source.stated)
            raise _RememberedUnusableError from exc
        if not remembered:
            used = None if loaded.resolved_model is None else loaded.resolved_model.model_package_id
            memory.keep(source.name, source.model_id, source.stated, model, used)
        return loaded


def _switches(options: LoadOptions) -> dict[str, Any]:
    names = ("allow_untrusted_packages", "use_auto_resolution_cache", "auto_resolution_cache", "verbose")
    return {name: getattr(options, name) for name in names}


def _with_dependencies(
    model: ModelMetadata, request: DependencyRequest, package: ModelPackageMetadata, load: LoadRequest
) -> LoadRequest:
    """`load` with the models that a package with code of its own needs."""
    if package.backend is not BackendType.CUSTOM or not model.model_dependencies:
        return load
    return replace(load, dependencies=load_dependencies(model, request, AutoModel.from_pretrained))


def _load_best(model: ModelMetadata, source: Source, choice: Choice, load: LoadRequest, prepare: Prepare) -> AnyModel:
    """The best package that loads; only reasons the environment explains lead to the next one."""
    for rejection in choice.rejections:
        _say(load, "%s: needs %s; found: %s", rejection.package_id, rejection.needs, rejection.found)
    candidates = choice.admissible[: load.options.max_package_loading_attempts]
    for remaining, package in zip(reversed(range(len(candidates))), candidates, strict=True):
        folder = fetch_package(model, package, source)
        try:
            loaded = load_package(model, package, folder, prepare(package, load))
        except (EnvironmentConfigurationError, MissingDependencyError) as exc:
            if remaining == 0:
                raise
            _log.warning("package %s of %r was passed over: %s", package.package_id, model.model_id, exc)
            continue
        _say(load, "loaded %r: %s", model.model_id, package.get_summary())
        return loaded
    raise InvalidParameterError(
        "max_package_loading_attempts allows no attempt.",
        needs="at least 1",
        found=str(load.options.max_package_loading_attempts),
    )


def _say(load: LoadRequest, text: str, *values: object) -> None:
    _log.log(logging.INFO if load.options.verbose else logging.DEBUG, text, *values)
