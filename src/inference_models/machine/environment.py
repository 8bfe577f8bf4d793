"""What this machine has, as one frozen value."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.fork import cached_property
from inference_models.record import Record
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version

    from inference_models.entities import BackendType

_MEMORY_STEP = 1 << 28
"""Bytes: what a kernel keeps for itself, and takes from the memory it states, changes with its releases."""
_ELSEWHERE = "AzureExecutionProvider"
"""An execution provider that computes on another machine; only the runtime lists it."""


class Gpu(Record, frozen=True, kw_only=True):
    """One NVIDIA device, in the order this process sees them."""

    name: str
    """As the driver spells it, for example `NVIDIA L4`."""
    compute_capability: Version | None = None
    memory: int | None = None
    """Bytes."""

    def describe(self) -> str:
        """For example `NVIDIA L4 (compute capability 8.9, 22.5 GB)`."""
        capability = self.compute_capability and f"compute capability {self.compute_capability}"
        memory = self.memory and f"{self.memory / 1e9:.1f} GB"
        details = ", ".join(part for part in (capability, memory) if part)
        return f"{self.name} ({details})" if details else self.name


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Environment:
    """Facts that the checks of negotiation read. None and empty: absent or unknown."""

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
    accelerators: frozenset[str] | None = None
    """Kinds of device of other makers that the system shows: `gpu` (a render node), `npu`; None: not known."""
    driver_version: Version | None = None
    cuda_version: Version | None = None
    """Of the CUDA runtime; the driver's, where that is older."""
    cudnn_version: Version | None = None
    tensorrt_version: Version | None = None
    jetson: str | None = None
    """The module, for example `nvidia-jetson-orin-nano`; None on anything else."""
    l4t_version: Version | None = None
    installed: Mapping[str, Version] = field(default_factory=dict)
    """Version by library: `torch`, `torchvision`, `onnxruntime`, `openvino`, `transformers`, `coremltools`, `litert`,
    `tensorrt`, ...; those that are not installed are left out."""
    builds: Mapping[str, str] = field(default_factory=dict)
    """What provides each of them, for example `onnxruntime-gpu 1.23.0` or `torch 2.13.0+cpu`."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """By library that is installed and cannot be used: what happens when it is imported, for example
    `importing it ended the process by SIGILL`; `cuda`: why the driver cannot be used though there is a device."""
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

    def facts(self) -> list[tuple[str, str]]:
        """Everything that is known, as (label, text), in a fixed order; what is not there is left out."""
        nvidia = {
            "driver": self.driver_version,
            "CUDA": self.cuda_version,
            "cuDNN": self.cudnn_version,
            "TensorRT": self.tensorrt_version,
        }
        stated = {
            "system": ", ".join(text for text in (self.system, self.os_version) if text),
            "python": self.python,
            "cpu": f"{self.cpus} usable{_quota(self.cpu_quota)}; {' '.join(sorted(self.cpu_flags)) or 'flags unknown'}",
            "memory": _memory(self.memory, self.memory_limit),
            "gpu": "; ".join(gpu.describe() for gpu in self.gpus) or "no CUDA device",
            "other devices": " and ".join(sorted(self.accelerators or ())),
            "nvidia": ", ".join(f"{name} {version}" for name, version in nvidia.items() if version),
            "jetson": self.jetson
            and ", ".join([self.jetson, *([f"L4T {self.l4t_version}"] if self.l4t_version else [])]),
            "libraries": ", ".join(self._library(name) for name in sorted(self.installed)),
            "execution providers": ", ".join(self.execution_providers),
        }
        return [(label, text) for label, text in stated.items() if text]

    def fingerprint(self) -> str:
        """Hexadecimal digest of every fact that can change which package runs here, or how fast.

        The same whether facts were remembered or found out anew; free memory and load do not count.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        gpus = [[gpu.name, str(gpu.compute_capability), gpu.memory] for gpu in self.gpus]
        versions = [self.driver_version, self.cuda_version, self.cudnn_version, self.tensorrt_version, self.l4t_version]
        memory = None if self.memory is None else round(self.memory / _MEMORY_STEP)
        facts = [
            [self.system, self.python, self.os_version, self.jetson, sorted(self.cpu_flags)],
            [self.cpus, self.cpu_quota, memory, self.memory_limit, sorted(self.accelerators or ())],
            [gpus, [str(version) for version in versions]],
            sorted((name, str(version)) for name, version in self.installed.items()),
            [sorted(self.builds.items()), sorted(self.broken)],
            sorted(set(self.execution_providers) - {_ELSEWHERE}),
            sorted((kind.value, str(version)) for kind, version in self.runtimes.items() if version is not None),
        ]
        return sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()

    def _library(self, name: str) -> str:
        broken = " (broken)" if name in self.broken else ""
        return self.builds.get(name, f"{name} {self.installed[name]}") + broken


def machine_fingerprint(environment: Environment) -> str:
    """Changes whenever this library, or a fact that decides what runs here or how fast, changes."""
    facts = [__version__, environment.fingerprint(), config.requested_execution_providers()]
    return sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()


def _quota(quota: float | None) -> str:
    return "" if quota is None else f" (the container grants {quota:g})"


def _memory(memory: int | None, limit: int | None) -> str:
    if memory is None:
        return ""
    return f"{memory / 1e9:.1f} GB" + ("" if limit is None else f" (the container's limit is {limit / 1e9:.1f} GB)")
