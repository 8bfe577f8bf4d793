"""From a package whose files are here to the object the caller holds."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from inference_models.backends import find_backend
from inference_models.backends.session import SessionRequest
from inference_models.entities import BackendType, ResolvedModelMetadata
from inference_models.errors import (
    CorruptedModelPackageError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
)
from inference_models.families import DetectionGraph, find_graph
from inference_models.package.code import load_model_class
from inference_models.package.inference_config import InferenceConfig
from inference_models.tasks.graph_classification import GraphClassifier, GraphMultiLabelClassifier
from inference_models.tasks.graph_detection import GraphDetector
from inference_models.tasks.graph_runner import OpenedGraph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.backends.session import Session
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.families import Graph
    from inference_models.load_options import LoadOptions
    from inference_models.package.folder import PackageFolder
    from inference_models.preprocess.spec import PreprocessSpec
    from inference_models.tasks.any_model import AnyModel

NMS_FUSED = "nms_fused"
_ACTIVATION = {"classification": "softmax", "multi-label-classification": "sigmoid", "object-detection": "nms"}


@dataclass(frozen=True, kw_only=True)
class LoadRequest:
    """How to open a package."""

    options: LoadOptions
    device: str | None = None
    execution_providers: tuple[Any, ...] | None = None
    extra: Mapping[str, Any] | None = None
    """Options for a package that brings its own code."""


def load_package(
    model: ModelMetadata, package: ModelPackageMetadata, folder: PackageFolder, request: LoadRequest
) -> AnyModel:
    """The model in `folder`, ready to be called.

    Raises:
        ModelLoadingError: the package is damaged, contradicts itself, or brings code that was not allowed.
        EnvironmentConfigurationError: the device that was asked for cannot be used.
    """
    if package.backend is BackendType.CUSTOM:
        return _load_code(model, package, folder, request)
    graph = find_graph(model.model_architecture, model.task_type or "")
    config = folder.inference or InferenceConfig(preprocess=graph.preprocess)
    session = _open(package, folder, config, request)
    try:
        opened = _opened(model, package, folder, config, session)
        loaded = _bind(replace(opened, arrays=request.options.arrays), graph, model.task_type)
    except BaseException:
        session.close()
        raise
    loaded.resolved_model = _resolved(model, package, session.running_on)
    return loaded


def _load_code(
    model: ModelMetadata, package: ModelPackageMetadata, folder: PackageFolder, request: LoadRequest
) -> AnyModel:
    consent = request.options.allow_local_code_packages
    model_class = load_model_class(folder.directory, folder.model, consent)
    device = request.device or "cpu"
    loaded = cast("Any", model_class).from_pretrained(
        str(folder.directory),
        onnx_execution_providers=None if request.execution_providers is None else list(request.execution_providers),
        device=_device_for_code(device),
        default_onnx_trt_options=True,
        engine_host_code_allowed=False,
        **(request.extra or {}),
    )
    loaded.resolved_model = _resolved(model, package, device)
    return cast("AnyModel", loaded)


def _device_for_code(device: str) -> object:
    """A torch device for code that imports torch, which expects one; else the name."""
    torch = sys.modules.get("torch")
    return device if torch is None else torch.device(device)


def _open(
    package: ModelPackageMetadata, folder: PackageFolder, config: InferenceConfig, request: LoadRequest
) -> Session:
    backend = find_backend(package.backend)
    if backend is None:
        raise ModelImplementationNotFoundError(f"no backend runs {package.backend.value} packages in this release.")
    return backend.open_session(
        SessionRequest(
            directory=folder.directory,
            files=folder.files,
            device=request.device,
            threads=request.options.threads,
            execution_providers=request.execution_providers,
            free_input_dims=config.free_input_dims,
        )
    )


def _opened(
    model: ModelMetadata,
    package: ModelPackageMetadata,
    folder: PackageFolder,
    config: InferenceConfig,
    session: Session,
) -> OpenedGraph:
    if folder.class_names is None:
        raise MissingModelInitParameterError(
            f"model {model.model_id!r} does not say what its classes are called.",
            needs="class_names.txt in the package, or labels=",
            found="neither",
            fix='pass labels="labels.txt" (one name per line), a list of names, or labels="coco"',
        )
    return OpenedGraph(
        session=session,
        preprocess=fit_to_graph(config.preprocess, session, label=model.model_id),
        class_names=folder.class_names,
        fused=_is_fused(package, config, model.task_type),
        max_dynamic_batch=config.forward_pass.max_dynamic_batch_size,
        recommended=package.recommended_parameters or model.recommended_parameters,
        label=f"model {model.model_id!r}",
    )


def fit_to_graph(spec: PreprocessSpec, session: Session, *, label: str) -> PreprocessSpec:
    """`spec` with the size of a graph that takes only one; sizes that contradict each other are refused.

    Raises:
        CorruptedModelPackageError: with both sizes.
    """
    shape = session.inputs[0].shape
    if len(shape) != 4:
        raise CorruptedModelPackageError(
            f"{label}: input {session.inputs[0].name!r} takes no images.", needs="four dimensions", found=str(shape)
        )
    height, width = shape[2:] if spec.layout == "nchw" else shape[1:3]
    if height is None or width is None:
        return spec
    if spec.size is None or spec.size == (height, width):
        return replace(spec, size=(height, width), dynamic=None)
    raise CorruptedModelPackageError(
        f"{label}: inference_config.json and the graph disagree about the network size.",
        needs=f"{height}x{width} (height x width), which input {session.inputs[0].name!r} takes",
        found="{}x{} in training_input_size".format(*spec.size),
        fix="set network_input.training_input_size to what the graph takes",
    )


def _is_fused(package: ModelPackageMetadata, config: InferenceConfig, task: str | None) -> bool:
    stated = config.post_processing
    wanted = _ACTIVATION.get(task or "")
    if stated is not None and stated.type != wanted:
        raise CorruptedModelPackageError(
            f"inference_config.json: post_processing.type does not suit {task}.",
            needs=repr(wanted),
            found=repr(stated.type),
        )
    return bool(stated and stated.fused) or NMS_FUSED in (package.model_features or {})


def _bind(opened: OpenedGraph, graph: Graph, task: str | None) -> AnyModel:
    if isinstance(graph, DetectionGraph):
        return GraphDetector(opened, graph)
    return (GraphMultiLabelClassifier if task == "multi-label-classification" else GraphClassifier)(opened, graph)


def _resolved(model: ModelMetadata, package: ModelPackageMetadata, device: str) -> ResolvedModelMetadata:
    return ResolvedModelMetadata(
        model_id=model.model_id,
        model_package_id=package.package_id,
        backend=package.backend.value,
        quantization=package.quantization.value if package.quantization else "unknown",
        device=device,
        license=model.license,
    )
