"""`AutoModel`: one line from a model id to an object that predicts."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from inference_models import config
from inference_models.entities import BackendType
from inference_models.errors import (
    DirectLocalStorageAccessError,
    EnvironmentConfigurationError,
    InvalidParameterError,
    MissingDependencyError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
)
from inference_models.families import canonical_name, default_task
from inference_models.fetch import Source, fetch_package
from inference_models.load import LoadRequest, load_package
from inference_models.load_options import LoadOptions, merge_options, refuse_unknown_load_options
from inference_models.locate import LOCAL, locate_model
from inference_models.providers import DescribeOptions, open_provider
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
    import os
    from collections.abc import Iterator, Sequence

    from inference_models.entities import ModelMetadata, Quantization
    from inference_models.resolve.choose import Choice
    from inference_models.tasks.any_model import AnyModel

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
        with described(model_id_or_path, weights_provider, api_key=api_key, load=load) as (model, source):
            return _load_best(model, source, choose_packages(model, wishes, probe_environment()), load)

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
    model: str | os.PathLike[str], provider: str | None = None, *, api_key: str | None, load: LoadRequest
) -> Iterator[tuple[ModelMetadata, Source]]:
    """What the provider of `model` says about it, and the provider, open until the end of the block.

    Raises:
        DirectLocalStorageAccessError: it is a path, and paths were forbidden.
        ModelNotFoundError: nobody knows it.
        InvalidParameterError: the caller's options contradict what the model is, or nobody knows one of them.
    """
    options, extra = load.options, load.extra or {}
    name, model_id = locate_model(model, provider)
    if name == LOCAL and not options.allow_direct_local_storage_loading:
        raise DirectLocalStorageAccessError(
            f"{model_id!r} is a path, and loading from paths was forbidden.",
            needs="a model id",
            found="allow_direct_local_storage_loading=False",
        )
    stated = DescribeOptions(
        api_key=api_key, labels=options.labels, architecture=options.model_type, task_type=options.task_type
    )
    with closing(open_provider(name)) as opened:
        try:
            metadata = opened.describe(model_id, stated)
        except MissingModelInitParameterError:
            # A misspelt `labels=` is the likelier cause than a forgotten one.
            refuse_unknown_load_options(extra)
            raise
        if not any(package.backend is BackendType.CUSTOM for package in metadata.model_packages):
            refuse_unknown_load_options(extra)
            metadata = _with_task(metadata, options)
        yield metadata, Source(name, opened)


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


def _load_best(model: ModelMetadata, source: Source, choice: Choice, load: LoadRequest) -> AnyModel:
    """The best package that loads; only reasons the environment explains lead to the next one."""
    for rejection in choice.rejections:
        _say(load, "%s: needs %s; found: %s", rejection.package_id, rejection.needs, rejection.found)
    candidates = choice.admissible[: load.options.max_package_loading_attempts]
    for remaining, package in zip(reversed(range(len(candidates))), candidates, strict=True):
        folder = fetch_package(model, package, source)
        try:
            loaded = load_package(model, package, folder, load)
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
