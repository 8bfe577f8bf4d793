"""The execution providers of an ONNX Runtime, from the files of its wheel."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.machine.libraries import Distribution

_LOADED = {
    "tensorrt": "TensorrtExecutionProvider",
    "nv_tensorrt_rtx": "NvTensorRTRTXExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "vitisai": "VitisAIExecutionProvider",
    "cann": "CANNExecutionProvider",
    "qnn": "QNNExecutionProvider",
}
"""Providers that lie in a library of their own, `providers_<name>`, in the order of the runtime."""
_CPU = "CPUExecutionProvider"


def providers_in_wheel(distribution: Distribution, platform: str = sys.platform) -> tuple[str, ...]:
    """Execution providers in the order of the runtime; those that only the runtime knows of are left out."""
    folder = distribution.location / "onnxruntime/capi"
    found = [provider for name, provider in _LOADED.items() if provider_library(folder, name).is_file()]
    if platform == "darwin":
        found.append("CoreMLExecutionProvider")
    if distribution.name == "onnxruntime-directml":
        found.append("DmlExecutionProvider")
    return (*found, _CPU)


def provider_library(folder: Path, name: str) -> Path:
    """The library of one provider."""
    return folder / (
        f"onnxruntime_providers_{name}.dll" if sys.platform == "win32" else f"libonnxruntime_providers_{name}.so"
    )
