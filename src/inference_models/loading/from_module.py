"""A network in memory as a model: what a package states in files, the caller states in arguments."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from inference_models.entities import BackendType, ModelMetadata, ModelPackageMetadata, ResolvedModelMetadata
from inference_models.errors import (
    CorruptedModelPackageError,
    InvalidParameterError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
)
from inference_models.families import canonical_name, default_task, find_family
from inference_models.loading.open import as_stated, task_and_graph
from inference_models.package.folder import PackageFolder
from inference_models.package.graph_facts import InputHints
from inference_models.package.inference_config import FILE_NAME, parse_inference_config
from inference_models.package.model_config import ModelConfig
from inference_models.package.text_files import read_text
from inference_models.record import replace
from inference_models.tasks.graph_input import fit_spec, hint_of_input, stated_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.families import Graph
    from inference_models.options import LoadOptions
    from inference_models.package.inference_config import InferenceConfig
    from inference_models.tasks.any_model import AnyModel


def load_module(
    module: Any,
    *,
    architecture: str,
    task: str | None,
    inference_config: Mapping[str, Any] | str | os.PathLike[str] | None,
    device: str | None,
    options: LoadOptions,
) -> AnyModel:
    """The model around `module`; see `AutoModel.from_module`."""
    from inference_models.backends.torch_module import open_module  # noqa: PLC0415 - nothing else needs it
    from inference_models.backends.torch_session import import_torch  # noqa: PLC0415

    package = ModelPackageMetadata(package_id="module", backend=BackendType.TORCH, package_artefacts=[])
    model = ModelMetadata(
        model_id=type(module).__name__,
        model_architecture=canonical_name(architecture),
        model_packages=[package],
        task_type=task or _only_task(architecture),
    )
    kind, graph = task_and_graph(model)
    _refuse_several(graph, architecture)
    size = options.input_size
    folder = PackageFolder(
        Path(),
        {},
        ModelConfig(),
        inference=_read(inference_config),
        class_names=None,
        hints=InputHints((size, size) if isinstance(size, int) else size),
    )
    opened = as_stated(model, package, folder, options, kind, graph)
    hint, stated = hint_of_input(graph, None, folder.hints), None
    if folder.inference is not None:
        batch, stated = folder.inference.forward_pass.static_batch_size, stated_spec(graph, folder.inference)
        hint = hint_of_input(graph, stated, folder.hints, batch)
    session = open_module(module, import_torch(), device=device, hint=hint, further_inputs=graph.further_inputs)
    spec = fit_spec(graph, session, stated, folder.hints)
    opened = replace(opened, sessions={"graph": session}, preprocess=spec)
    loaded: Any = cast("Any", kind.bind)(opened, graph)
    loaded.resolved_model = ResolvedModelMetadata(
        model_id=model.model_id,
        model_package_id=package.package_id,
        backend=package.backend.value,
        quantization="unknown",
        device=session.running_on,
        package_format=package.backend.value,
    )
    return cast("AnyModel", loaded)


def _only_task(architecture: str) -> str:
    found = default_task(architecture)
    if found is not None:
        return found
    raise MissingModelInitParameterError(
        f"networks of {architecture!r} do several things.",
        needs="task",
        found="none",
        fix=f"pass task={' or task='.join(map(repr, sorted(find_family(architecture).tasks)))}",
    )


def _refuse_several(graph: Graph, architecture: str) -> None:
    if graph.files or graph.models:
        raise ModelImplementationNotFoundError(
            f"a model of {architecture!r} is more than one network.",
            needs="an architecture of one network",
            found=", ".join(graph.files or graph.models),
            fix="write a package folder, and load that with AutoModel.from_pretrained",
        )


def _read(stated: Mapping[str, Any] | str | os.PathLike[str] | None) -> InferenceConfig | None:
    """What the caller states, with errors about an argument where it is one."""
    if stated is None:
        return None
    if isinstance(stated, str | os.PathLike):
        return parse_inference_config(read_text(Path(stated), where=os.fspath(stated)), where=os.fspath(stated))
    where = FILE_NAME.removesuffix(".json")
    try:
        return parse_inference_config(json.dumps(dict(stated)), where=where)
    except (CorruptedModelPackageError, TypeError, ValueError) as exc:
        found = exc if isinstance(exc, CorruptedModelPackageError) else None
        raise InvalidParameterError(
            found.summary if found else f"{where} is not what a package can state: {exc}.",
            needs=found.needs if found else "a mapping of texts, numbers, lists and mappings",
            found=found.found if found else type(stated).__name__,
        ) from exc
