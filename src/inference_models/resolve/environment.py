"""What this machine has, as one frozen value."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference_models.backends import find_backend
from inference_models.entities import BackendType
from inference_models.resolve.hardware import cuda_device_visible, usable_cpus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One NVIDIA device, in the order this process sees them."""

    name: str
    """As the driver spells it, for example `NVIDIA L4`."""
    compute_capability: Version | None = None
    memory: int | None = None
    """Bytes."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Facts that the checks of negotiation read. None and empty: not there, or nobody could say."""

    system: str
    """For example `linux x86_64`."""
    python: str
    """For example `3.11`."""
    os_version: str | None = None
    """For example `ubuntu-22.04`."""
    cpu_flags: frozenset[str] = frozenset()
    """Instruction sets that matter to runtimes, in lower case: `avx2`, `avx512_vnni`, `amx_int8`, `asimd`, ..."""
    cpus: int = 1
    """CPUs this process may use."""
    cpu_quota: float | None = None
    """CPUs the container grants; None: no limit."""
    memory: int | None = None
    """Bytes this process may use: the machine's, or the container's limit if that is less."""
    memory_limit: int | None = None
    """The container's limit in bytes; None: no limit."""
    gpus: tuple[Gpu, ...] = ()
    driver_version: Version | None = None
    cuda_version: Version | None = None
    cudnn_version: Version | None = None
    tensorrt_version: Version | None = None
    jetson: str | None = None
    """The module, for example `nvidia-jetson-orin-nano`; None on anything else."""
    l4t_version: Version | None = None
    installed: Mapping[str, Version] = field(default_factory=dict)
    """Version by library: `torch`, `torchvision`, `onnxruntime`, `openvino`, `transformers`, `coremltools`, `litert`,
    `mediapipe`, `tensorrt`; those that are not installed are left out."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """By library that is installed and cannot be used: what happens when it is imported, for example
    `importing it ended the process by SIGILL`."""
    execution_providers: tuple[str, ...] = ()
    """Of the installed ONNX Runtime, in its own order."""
    runtimes: Mapping[BackendType, Version | None] = field(default_factory=dict)
    """Version of each runtime this release can drive; None: not installed."""

    @property
    def cuda_device(self) -> bool:
        """Whether there is a CUDA device this process can see."""
        return bool(self.gpus)

    def describe(self) -> str:
        """One line for error texts and reports."""
        installed = [f"{kind.value} runtime {version}" for kind, version in self.runtimes.items() if version]
        device = "a CUDA device" if self.cuda_device else "no CUDA device"
        return ", ".join([self.system, f"python {self.python}", *installed, device])


def probe_environment() -> Environment:
    """The facts of this process, read now."""
    runtimes = {}
    for kind in BackendType:
        backend = None if kind is BackendType.NULL else find_backend(kind)
        if backend is not None:
            runtimes[kind] = backend.installed_version()
    return Environment(
        system=f"{sys.platform} {platform.machine()}",
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        cpus=usable_cpus(),
        gpus=(Gpu(name="unknown"),) if cuda_device_visible() else (),
        runtimes=runtimes,
    )
