"""What this machine has, as one frozen value: read from metadata, nothing heavy is imported."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.backends import find_backend
from inference_models.entities import BackendType
from inference_models.resolve.hardware import cuda_device_visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version


@dataclass(frozen=True)
class Environment:
    """Facts that the checks of negotiation read."""

    system: str
    """For example `linux x86_64`."""
    python: str
    runtimes: Mapping[BackendType, Version | None]
    """Version of each runtime this release can drive; None: not installed."""
    cuda_device: bool

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
        runtimes=runtimes,
        cuda_device=cuda_device_visible(),
    )
