"""Which execution providers of ONNX Runtime a request means: pure functions of the request and of what a build has.

A device is hardware: `cpu`, `cuda`, `cuda:1`, `coreml` (also as `mps`, the name PyTorch has for Apple's GPU),
`directml`, `directml:1`. TensorRT and OpenVINO are software that drives the same hardware in another way, with start-up
costs and numbers of their own; they are asked for by name: `onnx_execution_providers=["TensorrtExecutionProvider"]`.

A provider takes the nodes it can run and leaves the rest to the CPU; that is how ONNX Runtime works, and it is not what
is meant here by falling back. Another first provider than the one that was chosen is, and needs `allow_fallback`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from inference_models.config import EXECUTION_PROVIDERS, requested_execution_providers
from inference_models.errors import EnvironmentConfigurationError
from inference_models.machine.hardware import cuda_device_visible
from inference_models.machine.mends import THEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.backends.session import SessionRequest

Provider: TypeAlias = "tuple[str, dict[str, Any]]"
"""Name and options, as ONNX Runtime takes them."""

COREML = "CoreMLExecutionProvider"
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
DIRECTML = "DmlExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
INSTALL_GPU = 'pip install "onnxruntime-gpu>=1.19"'
PROVIDER_OF_DEVICE = {"coreml": COREML, "cpu": CPU, "cuda": CUDA, "directml": DIRECTML, "mps": COREML}
"""What runs on a device, by the part of its name before the colon."""
ON_NVIDIA = frozenset({CUDA, TENSORRT})
NUMBERED = frozenset({*ON_NVIDIA, DIRECTML})
"""Providers that take the number of a device as their option `device_id`."""
NOT_LOCAL = frozenset({"AzureExecutionProvider"})
"""Providers that send the images to a remote service."""
_DEVICE_OF_PROVIDER = {
    "AzureExecutionProvider": "cpu",
    DIRECTML: "directml",
    "DnnlExecutionProvider": "cpu",
    TENSORRT: "cuda",
    "XnnpackExecutionProvider": "cpu",
}
"""Kind of device of those that are not called after it."""
# The builds of ONNX Runtime overwrite each other's files, so the one that is there has to go first.
_REPLACE = f"pip uninstall -y onnxruntime{THEN}"
BUILDS = {
    CUDA: (("linux x86_64", "win32"), _REPLACE + INSTALL_GPU),
    DIRECTML: (("win32",), _REPLACE + "pip install onnxruntime-directml"),
    OPENVINO: (("linux x86_64", "win32"), _REPLACE + "pip install onnxruntime-openvino"),
    TENSORRT: (("linux x86_64", "win32"), _REPLACE + INSTALL_GPU),
}
"""Execution provider to the systems for which there is a build with it, and the command that installs it."""
_VARIABLE = "ONNXRUNTIME_EXECUTION_PROVIDERS"
_log = logging.getLogger("inference-models")


def choose_providers(request: SessionRequest, available: Sequence[str]) -> list[Provider]:
    """Execution providers for a request, as (name, options), first choice first.

    With `allow_fallback` the CPU is always among them, and a warning says what stands in for what this build lacks.

    Raises:
        EnvironmentConfigurationError: what was asked for is not in this build of the runtime.
    """
    wanted = _wanted(request)
    present = [provider for provider in wanted if provider[0] in available]
    by_variable = request.execution_providers is None and request.device is None
    if request.allow_fallback:
        present = present or _automatic(wanted, available)
        if CPU not in {name for name, _ in present}:
            present.append((CPU, {}))
        if wanted and wanted[0][0] != present[0][0]:
            _log.warning("%s is not in this build of ONNX Runtime; %s runs instead.", wanted[0][0], present[0][0])
    elif not wanted:
        return _automatic(wanted, available)
    elif not present or (len(present) < len(wanted) and not by_variable):
        raise _refusal(request, wanted, available)
    return present


def device_of(provider: Provider) -> str:
    """Where a provider runs: `cpu`, `cuda:0`, `coreml`, `directml:0`, ...; one that is not known here, by its name."""
    name, options = provider
    kind = _DEVICE_OF_PROVIDER.get(name, name.removesuffix("ExecutionProvider").lower())
    return f"{kind}:{options.get('device_id', 0)}" if name in NUMBERED else kind


def _wanted(request: SessionRequest) -> list[Provider]:
    """The requested providers, available or not; empty when the request names none."""
    if request.execution_providers is not None:
        return _named(request)
    if request.device is None:
        return [(name, {}) for name in requested_execution_providers() or ()]
    provider = _of_device(request.device)
    # A device of another runtime (`npu`) has no provider; its own name is what the warning shows.
    return [provider or (f"device {request.device!r}", {})]


def _automatic(wanted: Sequence[Provider], available: Sequence[str]) -> list[Provider]:
    return [(CUDA if not wanted and CUDA in available and cuda_device_visible() else CPU, {})]


def _of_device(device: str) -> Provider | None:
    kind, _, index = device.partition(":")
    name = PROVIDER_OF_DEVICE.get(kind)
    if name is None:
        return None
    return name, {"device_id": int(index or 0)} if name in NUMBERED else {}


def _named(request: SessionRequest) -> list[Provider]:
    """`execution_providers` with the number in `device` for those that take one and were not told another."""
    named: list[Provider] = []
    index = (request.device or "").partition(":")[2]
    for entry in request.execution_providers or ():
        name, options = (entry, {}) if isinstance(entry, str) else cast("Provider", entry)
        numbered = {"device_id": int(index)} if index and name in NUMBERED else {}
        named.append((name, {**numbered, **options}))
    return named


def _refusal(
    request: SessionRequest, wanted: Sequence[Provider], available: Sequence[str]
) -> EnvironmentConfigurationError:
    needs = next(name for name, _ in wanted if name not in available)
    if request.execution_providers is not None:
        summary = f"execution provider {needs!r} is not in this build of ONNX Runtime."
        fix = "leave out onnx_execution_providers, or install the build of onnxruntime that has it"
    elif request.device is not None:
        summary = f"device {request.device!r} cannot be used through ONNX Runtime here."
        needs = needs if needs in EXECUTION_PROVIDERS else " or ".join(sorted(PROVIDER_OF_DEVICE))
        fix = BUILDS[needs][1] if needs in BUILDS else "device='cpu'"
    else:
        summary = f"{_VARIABLE} names nothing that this build of ONNX Runtime has."
        needs = " or ".join(name for name, _ in wanted)
        fix = f"unset {_VARIABLE}, or install the build of onnxruntime that has one of them"
    return EnvironmentConfigurationError(summary, needs=needs, found=", ".join(available), fix=fix)
