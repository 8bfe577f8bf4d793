"""What a provider says about a model, or is remembered to have said, checked against what the caller says."""

from __future__ import annotations

import logging
import os
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.entities import BackendType
from inference_models.errors import (
    BaseInferenceModelsError,
    DirectLocalStorageAccessError,
    EnvironmentConfigurationError,
    InvalidEnvVariable,
    InvalidParameterError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
    RetryError,
)
from inference_models.families import canonical_name, default_task, find_graph
from inference_models.loading.address import LOCAL, RememberedProvider, Source
from inference_models.options import LoadOptions, refuse_unknown_load_options
from inference_models.package.graph_facts import HINTS
from inference_models.providers import DescribeOptions, open_provider
from inference_models.record import replace
from inference_models.tasks import find_task, known_tasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.entities import ModelMetadata
    from inference_models.loading.address import LoadRequest, ModelAddress
    from inference_models.loading.remember import RememberedModels
    from inference_models.providers import Provider

_log = logging.getLogger("inference-models")


@contextmanager
def describe_model(
    address: ModelAddress,
    load: LoadRequest,
    *,
    api_key: str | None = None,
    memory: RememberedModels | None = None,
) -> Iterator[tuple[ModelMetadata, Source]]:
    """What the provider says about a model, or is remembered to have said; and the provider, open in the block.

    Raises:
        DirectLocalStorageAccessError: it is a path, and paths were forbidden.
        ModelNotFoundError: nobody knows it.
        InvalidParameterError: the caller's options contradict what the model is, or nobody knows one of them.
    """
    name, model_id = address
    stated = load.options
    if name == LOCAL and not stated.allow_direct_local_storage_loading:
        raise DirectLocalStorageAccessError(
            f"{model_id!r} is a path, and loading from paths was forbidden.",
            needs="a model id",
            found="allow_direct_local_storage_loading=False",
        )
    options = describe_options(stated, api_key)
    known = None if memory is None else memory.recall(address, options)
    provider: Provider = open_provider(name) if known is None else RememberedProvider(known)
    with closing(provider):
        try:
            model = provider.describe(model_id, options)
        except (RetryError, EnvironmentConfigurationError, InvalidEnvVariable) as exc:
            known = None if memory is None else memory.recall(address, options, unreachable=True)
            if known is None:
                raise
            why = "does not answer" if isinstance(exc, RetryError) else f"cannot be asked ({exc.summary.rstrip('.')})"
            _log.warning("provider %r %s; %r is loaded from the cache", name, why, model_id)
            model, provider = known, RememberedProvider(known)
        except MissingModelInitParameterError:
            # A misspelt `labels=` is the likelier cause than a forgotten one.
            refuse_unknown_load_options(load.extra or {})
            raise
        if not any(package.backend is BackendType.CUSTOM for package in model.model_packages):
            if load.extra:
                refuse_unknown_load_options(load.extra)
            model = with_task(model, stated)
            if stated.input_size is not None or stated.model_type is not None or stated.task_type is not None:
                _refuse_what_means_nothing(model, Source(name, provider, model_id, options), stated)
            if stated.model_class is not None:
                refuse_other_task(model, stated.model_class)
        made_here = known is None and os.path.isdir(config.cache_directory() / config.CONVERTED)  # noqa: PTH112 - no error
        # Imported where something was converted only.
        model = import_module("inference_models.loading.converted").with_converted(model, name) if made_here else model
        store = None if memory is None else memory.store
        if memory is None and name != LOCAL:
            from inference_models.cache.store import PackageStore  # noqa: PLC0415 - local models are not stored

            store = PackageStore()
        yield model, Source(name, provider, model_id, options, store, is_remembered=known is not None)


def describe_options(options: LoadOptions, api_key: str | None) -> DescribeOptions:
    """What the options of a load say of a model."""
    size = options.input_size
    return DescribeOptions(
        api_key=api_key,
        labels=options.labels,
        architecture=options.model_type,
        task_type=options.task_type,
        input_size=(size, size) if isinstance(size, int) else size,
        extra_query_params=tuple(options.weights_provider_extra_query_params or ()),
        extra_headers=tuple((options.weights_provider_extra_headers or {}).items()),
    )


def with_task(model: ModelMetadata, options: LoadOptions) -> ModelMetadata:
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


def _refuse_what_means_nothing(model: ModelMetadata, source: Source, stated: LoadOptions) -> None:
    """Return unless the caller's words lead nowhere: a size that nothing reads, or a family that the file contradicts.

    Raises:
        InvalidParameterError: they do.
    """
    handles = {item.file_handle for package in model.model_packages for item in package.package_artefacts}
    if stated.input_size is not None and HINTS not in handles:
        raise InvalidParameterError(
            "input_size means nothing to this model.",
            needs="a bare file, such as ./best.onnx",
            found=f"{model.model_id!r}, which says its size itself",
            fix="leave input_size out; a call takes image_size= where the network takes other sizes",
        )
    try:
        find_graph(model.model_architecture, model.task_type or "")
    except ModelImplementationNotFoundError as exc:
        error = contradiction(source, stated)
        if error is not None:
            raise error from exc


def contradiction(source: Source, stated: LoadOptions) -> InvalidParameterError | None:
    """The error for what a caller says of a file that says something else of itself; None where it does not."""
    said = {"model_type": stated.model_type, "task_type": stated.task_type}
    if source.name != LOCAL or not any(said.values()):
        return None
    try:
        options = replace(source.options, architecture=None, task_type=None)
        own = with_task(source.provider.describe(source.model_id, options), LoadOptions())
        find_graph(own.model_architecture, own.task_type or "")
    except BaseInferenceModelsError:  # it says nothing that could be run
        return None
    known = {"model_type": own.model_architecture, "task_type": own.task_type or ""}
    wrong = [name for name, value in said.items() if value and canonical_name(value) != canonical_name(known[name])]
    if not wrong:
        return None
    return InvalidParameterError(
        f"{' and '.join(f'{name}={said[name]!r}' for name in wrong)} is not what {source.model_id!r} says of itself.",
        needs=" and ".join(f"{name}={known[name]!r}" for name in wrong),
        found=" and ".join(repr(said[name]) for name in wrong),
        fix=f"leave {' and '.join(wrong)} out",
    )


def refuse_other_task(model: ModelMetadata, wanted: type) -> None:
    """Return unless the description says that the model is of another task than a class the caller named.

    Raises:
        InvalidParameterError: it does; the text names both.
    """
    try:
        described = find_task(model.task_type or "").model
    except ModelImplementationNotFoundError:  # negotiation says it better
        return
    if issubclass(described, wanted) or issubclass(wanted, described):
        return
    if any(issubclass(wanted, find_task(name).model) for name in known_tasks()):
        raise other_model(model.model_id, wanted, described)


def other_model(model_id: str, wanted: type, found: type) -> InvalidParameterError:
    """The error for a model of another class than the caller named."""
    return InvalidParameterError(
        f"{model_id!r} is another kind of model.",
        needs=wanted.__name__,
        found=found.__name__,
        fix=f"load it with {found.__name__}.from_pretrained, or with AutoModel.from_pretrained, which takes every kind",
    )
