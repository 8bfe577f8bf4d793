"""For authors of model packages and weights providers; the second of the two doors."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from inference_models.authors.download import download_files_to_directory
from inference_models.authors.onnx_providers import get_selected_onnx_execution_providers
from inference_models.authors.xray import RuntimeXRayResult, x_ray_runtime_environment
from inference_models.backends import known_runtimes
from inference_models.cache.resolution_files import AutoResolutionCacheEntry
from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    InlineFileSpecs,
    JetsonEnvironmentRequirements,
    LocalFileArtefactSpecs,
    MemoryProfile,
    ModelDependency,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    PackageSourceType,
    Quantization,
    RecommendedParameters,
    ServerEnvironmentRequirements,
    TorchScriptPackageDetails,
    TRTPackageDetails,
)
from inference_models.errors import MissingDependencyError
from inference_models.package.code import code_digest
from inference_models.package.folder import get_model_package_contents
from inference_models.providers import get_model_from_provider, register_model_provider

if TYPE_CHECKING:
    import os

__all__ = [
    "AutoResolutionCacheEntry",
    "BackendType",
    "FileDownloadSpecs",
    "InlineFileSpecs",
    "JetsonEnvironmentRequirements",
    "LocalFileArtefactSpecs",
    "MemoryProfile",
    "ModelDependency",
    "ModelMetadata",
    "ModelPackageMetadata",
    "ONNXPackageDetails",
    "PackageSourceType",
    "Quantization",
    "RecommendedParameters",
    "RuntimeXRayResult",
    "ServerEnvironmentRequirements",
    "TRTPackageDetails",
    "TorchScriptPackageDetails",
    "code_digest",
    "convert_model",
    "download_files_to_directory",
    "get_model_from_provider",
    "get_model_package_contents",
    "get_selected_onnx_execution_providers",
    "register_model_provider",
    "x_ray_runtime_environment",
]


def convert_model(
    model: str | os.PathLike[str],
    to: str,
    output: str | os.PathLike[str] | None = None,
    quantization: str = "fp32",
) -> Path:
    """The folder of a package of another format, made of a model that runs in PyTorch or Transformers.

    It is compared with the model on pictures before it appears; the certificates lie in it.

    Args:
        model: A model id or path.
        to: `onnx`, `openvino` or `torchscript`.
        output: A folder that is not there yet; None: the cache, where the model has one more package from then on.
        quantization: `fp32`, `fp16`, or `int8` (ONNX only).

    Raises:
        InvalidParameterError: a value makes no sense, or the folder is there already.
        MissingDependencyError: a library that writes the format is not installed.
        ModelConversionError: nothing was written, since no exporter wrote what answers as the model does.
    """
    from inference_models.convert.model import convert_model  # noqa: PLC0415 - rarely needed
    from inference_models.convert.options import ConvertOptions, parse_format  # noqa: PLC0415
    from inference_models.negotiate.request import parse_quantizations  # noqa: PLC0415

    number = next(iter(parse_quantizations([quantization]) or ()))
    options = ConvertOptions(to=parse_format(to), quantization=number, output=None if output is None else Path(output))
    return convert_model(model, options).folder


class _Lazy(NamedTuple):
    module: str
    needs: tuple[str, ...]
    """Packages that must be there for the name to be of any use."""


_ONNX_TENSORS = _Lazy("onnx_tensors", ("onnxruntime", "torch"))
_ONNX_PROVIDERS = _Lazy("onnx_providers", ("onnxruntime", "torch"))
_ENGINES = _Lazy("tensorrt_engines", ("tensorrt", "torch"))
_GRAPHS = _Lazy("cuda", ("tensorrt", "torch"))
_CONTEXTS = _Lazy("cuda", ("pycuda",))
_LAZY = {
    "TRTCudaGraphCache": _GRAPHS,
    "align_device_with_onnx_session": _ONNX_PROVIDERS,
    "establish_trt_cuda_graph_cache": _GRAPHS,
    "generate_batch_chunks": _ONNX_TENSORS,
    "get_trt_engine_inputs_and_outputs": _ENGINES,
    "infer_from_trt_engine": _ENGINES,
    "load_trt_model": _ENGINES,
    "run_onnx_session_via_iobinding": _ONNX_TENSORS,
    "run_onnx_session_with_batch_size_limit": _ONNX_TENSORS,
    "set_onnx_execution_provider_defaults": _ONNX_PROVIDERS,
    "use_cuda_context": _CONTEXTS,
    "use_primary_cuda_context": _CONTEXTS,
}
"""Names that need an optional package; it is imported when the name is used for the first time."""


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, needs = _LAZY[name]
    for package in needs:
        _require(package, needed_for=f"developer_tools.{name}")
    value: object = getattr(importlib.import_module(f"inference_models.authors.{module}"), name)
    globals()[name] = value
    return value


def _require(name: str, *, needed_for: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as exc:
        found = "not installed" if isinstance(exc, ModuleNotFoundError) and exc.name == name else str(exc)
        libraries = ((item.library, item.install) for item in known_runtimes().values() if item.install)
        own = (install for library, install in libraries if library is not None and library.name == name)
        raise MissingDependencyError(
            f"{needed_for} cannot be used here.", needs=name, found=found, fix=next(own, f"pip install {name}")
        ) from exc


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY])
