"""`AutoModel`: one line from a model id to an object that predicts."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from inference_models import config
from inference_models.attempt import Asked, RememberedUnusableError, load_model
from inference_models.errors import InvalidParameterError
from inference_models.load import LoadRequest
from inference_models.load_options import LoadOptions, merge_options
from inference_models.locate import LOCAL
from inference_models.remembered import LoadMemory
from inference_models.resolutions import Resolutions
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
    from collections.abc import Sequence

    from inference_models.entities import BackendType, Quantization
    from inference_models.tasks.any_model import AnyModel

Loaded = TypeVar("Loaded")


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
        asked = Asked(model_id_or_path, weights_provider, api_key)
        try:
            return load_model(asked, load, memory, cls.from_pretrained)
        except RememberedUnusableError:
            return load_model(asked, load, replace(memory, enabled=False), cls.from_pretrained)

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
