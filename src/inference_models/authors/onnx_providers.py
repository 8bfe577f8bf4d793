"""Execution providers of ONNX Runtime: which ones to ask for, with which options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from inference_models import config
from inference_models.errors import EnvironmentConfigurationError, InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DEFAULT_ORDER = (
    "CUDAExecutionProvider",
    "OpenVINOExecutionProvider",
    "CoreMLExecutionProvider",
    "CPUExecutionProvider",
)
TENSORRT, CUDA, COREML = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CoreMLExecutionProvider"
_COREML_OPTIONS = {
    "INFERENCE_MODELS_COREML_MODEL_FORMAT": ("ModelFormat", "MLProgram"),
    "INFERENCE_MODELS_COREML_COMPUTE_UNITS": ("MLComputeUnits", "CPUAndGPU"),
}


def get_selected_onnx_execution_providers() -> list[str]:
    """`ONNXRUNTIME_EXECUTION_PROVIDERS`, or the usual order, without what this ONNX Runtime lacks; [] without it."""
    try:
        import onnxruntime  # noqa: PLC0415 - heavy imports stay inside functions
    except ImportError:
        return []
    available = set(onnxruntime.get_available_providers())
    return [name for name in config.requested_execution_providers() or DEFAULT_ORDER if name in available]


def set_onnx_execution_provider_defaults(
    providers: Sequence[str | tuple[str, dict[str, Any]]],
    model_package_path: str | Path,
    device: Any,
    enable_fp16: bool = True,
    default_onnx_trt_options: bool = True,
    default_onnx_coreml_options: bool = False,
) -> list[str | tuple[str, dict[str, Any]]]:
    """`providers` with the options that loading a package needs; options that are given stay.

    Args:
        providers: Names, or (name, options).
        model_package_path: Folder in which TensorRT and Core ML keep what they compile.
        device: torch device, or its name; `cuda:1` becomes `device_id` 1.
        enable_fp16: Whether TensorRT may compute in half precision.
        default_onnx_trt_options: Whether TensorRT gets options it was not given.
        default_onnx_coreml_options: Whether Core ML gets options it was not given.
    """
    folder = os.fspath(model_package_path)
    kind, _, index = str(device).partition(":")
    defaults: dict[str, dict[str, Any]] = {}
    if kind == "cuda":
        defaults[CUDA] = defaults[TENSORRT] = {"device_id": int(index or 0)}
    if default_onnx_trt_options:
        engines = {"trt_engine_cache_enable": True, "trt_engine_cache_path": folder, "trt_fp16_enable": enable_fp16}
        defaults[TENSORRT] = {**defaults.get(TENSORRT, {}), **engines}
    if default_onnx_coreml_options:
        defaults[COREML] = _coreml_options(folder)
    return [_completed(provider, defaults) for provider in providers]


def align_device_with_onnx_session(
    session: Any, device: Any, resolution_mode: str = "fallback", fallback_device: Any = None
) -> Any:
    """`device` when tensors there can be bound to the session, else another one.

    Args:
        session: `onnxruntime.InferenceSession`.
        device: torch device the caller wants to use.
        resolution_mode: "fallback" gives another device, "fail" an error.
        fallback_device: None: the CPU.

    Raises:
        EnvironmentConfigurationError: the session does not run there, and the mode is "fail".
        InvalidParameterError: there is no such mode.
    """
    import torch  # noqa: PLC0415 - only needed here

    if resolution_mode not in {"fallback", "fail"}:
        raise InvalidParameterError(
            f"resolution_mode={resolution_mode!r} makes no sense.",
            needs="'fallback' or 'fail'",
            found=repr(resolution_mode),
        )
    wanted = torch.device(device)
    running = session.get_providers()
    if wanted.type == "cpu" or (wanted.type == "cuda" and {CUDA, TENSORRT} & set(running)):
        return wanted
    if resolution_mode == "fallback":
        return torch.device("cpu" if fallback_device is None else fallback_device)
    raise EnvironmentConfigurationError(
        f"the ONNX session does not run on {wanted}.",
        needs=f"{CUDA} or {TENSORRT}" if wanted.type == "cuda" else "a device of ONNX Runtime: cpu or cuda",
        found=", ".join(running),
        fix="open the session with another execution provider, or pass device='cpu'",
    )


def _coreml_options(folder: str) -> dict[str, Any]:
    options = {
        option: os.environ.get(name, "").strip() or default for name, (option, default) in _COREML_OPTIONS.items()
    }
    if config.read_bool("INFERENCE_MODELS_COREML_MODEL_CACHE_ENABLED", default=True):
        options["ModelCacheDirectory"] = folder
    return options


def _completed(
    provider: str | tuple[str, dict[str, Any]], defaults: dict[str, dict[str, Any]]
) -> str | tuple[str, dict[str, Any]]:
    name, given = (provider, {}) if isinstance(provider, str) else provider
    options = {**defaults.get(name, {}), **given}
    return (name, options) if options else provider
