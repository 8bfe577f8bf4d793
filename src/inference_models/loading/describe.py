"""What the provider of a model says about it, checked against what the caller says."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from inference_models.entities import BackendType
from inference_models.errors import (
    DirectLocalStorageAccessError,
    InvalidParameterError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
    RetryError,
)
from inference_models.families import canonical_name, default_task
from inference_models.loading.address import LOCAL, locate_model
from inference_models.loading.fetch import Source
from inference_models.loading.resolutions import RememberedProvider
from inference_models.options import LoadOptions, refuse_unknown_load_options
from inference_models.providers import DescribeOptions, open_provider

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from inference_models.entities import ModelMetadata
    from inference_models.loading.open import LoadRequest
    from inference_models.loading.remember import LoadMemory
    from inference_models.providers import Provider

_log = logging.getLogger("inference-models")


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
