"""For authors of model packages and weights providers; the second of the two doors."""

from __future__ import annotations

import importlib
from typing import NamedTuple

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
    "download_files_to_directory",
    "get_model_from_provider",
    "get_model_package_contents",
    "get_selected_onnx_execution_providers",
    "register_model_provider",
    "x_ray_runtime_environment",
]


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
