"""Facts about the machine under the names of the public library."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from inference_models.backends import probe_environment
from inference_models.machine.system import is_jetson

if TYPE_CHECKING:
    from packaging.version import Version

    from inference_models.machine.environment import Environment


@dataclass(frozen=True)
class RuntimeXRayResult:
    """Facts about this machine and its runtimes; None: absent or unknown."""

    gpu_available: bool
    gpu_devices: list[str] = field(default_factory=list)
    """Names of the CUDA devices in lower case, spaces as hyphens."""
    gpu_devices_cc: list[Version] = field(default_factory=list)
    """Their compute capabilities."""
    driver_version: Version | None = None
    cuda_version: Version | None = None
    trt_version: Version | None = None
    jetson_type: str | None = None
    l4t_version: Version | None = None
    os_version: str | None = None
    """None on a Jetson, where `l4t_version` says it."""
    torch_available: bool = False
    torch_version: Version | None = None
    torchvision_version: Version | None = None
    onnxruntime_version: Version | None = None
    available_onnx_execution_providers: list[str] | None = None
    hf_transformers_available: bool = False
    trt_python_package_available: bool = False
    coremltools_version: Version | None = None
    environment: Environment | None = field(default=None, compare=False, repr=False)
    """Every other fact: CPU, memory, limits of the container, cuDNN, OpenVINO, LiteRT, MediaPipe, what is broken."""


@cache
def x_ray_runtime_environment() -> RuntimeXRayResult:
    """The facts of this process; found out once. Imports nothing: child processes try what could hurt this one.

    Raises:
        JetsonTypeResolutionError: `JETSON_MODULE` names no Jetson.
        InvalidEnvVariable: `RUNNING_ON_JETSON` is no switch.
    """
    return seen_by_authors(probe_environment(thorough=True))


def seen_by_authors(environment: Environment) -> RuntimeXRayResult:
    """`environment` under the names of `RuntimeXRayResult`; a library that is broken counts as not there.

    Raises:
        InvalidEnvVariable: `RUNNING_ON_JETSON` is no switch.
    """
    usable = {name: version for name, version in environment.installed.items() if name not in environment.broken}
    on_jetson = is_jetson(environment.jetson)
    return RuntimeXRayResult(
        gpu_available=environment.cuda_device,
        gpu_devices=[gpu.name.replace(" ", "-").lower() for gpu in environment.gpus],
        gpu_devices_cc=[gpu.compute_capability for gpu in environment.gpus if gpu.compute_capability is not None],
        driver_version=environment.driver_version,
        cuda_version=environment.cuda_version,
        trt_version=environment.tensorrt_version,
        jetson_type=environment.jetson,
        l4t_version=environment.l4t_version,
        os_version=None if on_jetson else environment.os_version,
        torch_available="torch" in usable,
        torch_version=usable.get("torch"),
        torchvision_version=usable.get("torchvision"),
        onnxruntime_version=usable.get("onnxruntime"),
        available_onnx_execution_providers=list(environment.execution_providers) if "onnxruntime" in usable else None,
        hf_transformers_available="transformers" in usable,
        trt_python_package_available="tensorrt" in usable or "tensorrt_lean" in usable,
        coremltools_version=usable.get("coremltools"),
        environment=environment,
    )
