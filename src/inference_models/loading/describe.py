"""What a provider says about a model, or is remembered to have said, checked against what the caller says."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inference_models.entities import BackendType
from inference_models.errors import (
    DirectLocalStorageAccessError,
    InvalidParameterError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
    ModelRetrievalError,
    RetryError,
)
from inference_models.families import canonical_name, default_task
from inference_models.loading.address import LOCAL
from inference_models.options import LoadOptions, refuse_unknown_load_options
from inference_models.providers import NO_OPTIONS, DescribeOptions, open_provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.entities import FileDownloadSpecs, ModelMetadata
    from inference_models.loading.address import ModelAddress
    from inference_models.loading.open import LoadRequest
    from inference_models.loading.remember import RememberedModels
    from inference_models.providers import Provider

_log = logging.getLogger("inference-models")


class RememberedProvider:
    """Stands in for a provider that is not asked: every file of the model is already here."""

    def __init__(self, model: ModelMetadata) -> None:
        self._model = model

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:  # noqa: ARG002
        """The remembered description."""
        return self._model

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """Never possible: URLs are not remembered.

        Raises:
            ModelRetrievalError: always; the file went away after it had been seen.
        """
        raise ModelRetrievalError(
            f"{file.file_handle} of {self._model.model_id!r} left the cache while it was loaded.",
            needs="a package that stays in the cache",
            found="a file that was removed or damaged in this moment",
            fix="load the model again",
        )

    def close(self) -> None:
        """Does nothing."""


@dataclass(frozen=True)
class Source:
    """Origin of a description: the provider, and the request to it."""

    name: str
    provider: Provider
    model_id: str = ""
    """As the caller wrote it, without the provider."""
    options: DescribeOptions = NO_OPTIONS

    @property
    def is_remembered(self) -> bool:
        """Whether the description comes from an earlier load, without asking the provider."""
        return isinstance(self.provider, RememberedProvider)


@contextmanager
def describe_model(
    address: ModelAddress,
    load: LoadRequest,
    *,
    api_key: str | None = None,
    memory: RememberedModels | None = None,
) -> Iterator[tuple[ModelMetadata, Source]]:
    """What the provider says about a model, or is remembered to have said; and the provider, open in the block.

    Args:
        address: The model.
        load: How it will be opened.
        api_key: Passed to the provider.
        memory: What earlier loads left; None: the provider is asked.

    Raises:
        DirectLocalStorageAccessError: it is a path, and paths were forbidden.
        ModelNotFoundError: nobody knows it.
        InvalidParameterError: the caller's options contradict what the model is, or nobody knows one of them.
    """
    name, model_id = address
    if name == LOCAL and not load.options.allow_direct_local_storage_loading:
        raise DirectLocalStorageAccessError(
            f"{model_id!r} is a path, and loading from paths was forbidden.",
            needs="a model id",
            found="allow_direct_local_storage_loading=False",
        )
    options = _describe_options(load.options, api_key)
    known = None if memory is None else memory.recall(address, options)
    provider: Provider = open_provider(name) if known is None else RememberedProvider(known)
    with closing(provider):
        try:
            model = provider.describe(model_id, options)
        except RetryError:
            known = None if memory is None else memory.recall(address, options, unreachable=True)
            if known is None:
                raise
            _log.warning("provider %r does not answer; %r is loaded from the cache", name, model_id)
            model, provider = known, RememberedProvider(known)
        except MissingModelInitParameterError:
            # A misspelt `labels=` is the likelier cause than a forgotten one.
            refuse_unknown_load_options(load.extra or {})
            raise
        if not any(package.backend is BackendType.CUSTOM for package in model.model_packages):
            refuse_unknown_load_options(load.extra or {})
            model = _with_task(model, load.options)
        yield model, Source(name, provider, model_id, options)


def _describe_options(options: LoadOptions, api_key: str | None) -> DescribeOptions:
    return DescribeOptions(
        api_key=api_key,
        labels=options.labels,
        architecture=options.model_type,
        task_type=options.task_type,
        extra_query_params=tuple(options.weights_provider_extra_query_params or ()),
        extra_headers=tuple((options.weights_provider_extra_headers or {}).items()),
    )


def _with_task(model: ModelMetadata, options: LoadOptions) -> ModelMetadata:
    """`model` with a task where it names none; what the caller says must not contradict what the model is.

    Raises:
        InvalidParameterError: it does.
    """
    for name, stated, known in (
        ("model_type", options.model_type, model.model_architecture),
        ("task_type", options.task_type, model.task_type),
    ):
        if stated is not None and known is not None and canonical_name(stated) != canonical_name(known):
            raise InvalidParameterError(
                f"{name}={stated!r} is not what model {model.model_id!r} is.",
                needs=f"{name}={known!r}",
                found=repr(stated),
                fix=f"leave {name} out: the model says it itself",
            )
    if model.task_type is not None:
        return model
    with suppress(ModelImplementationNotFoundError):
        return replace(model, task_type=default_task(model.model_architecture))
    return model
