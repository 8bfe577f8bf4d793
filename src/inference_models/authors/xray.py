"""What a process can see of its machine, under the names authors of packages know."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from inference_models import config
from inference_models.authors.optional import import_or_none
from inference_models.backends.onnx import installed_version as onnxruntime_version
from inference_models.errors import JetsonTypeResolutionError
from inference_models.naming import nearest_hint
from inference_models.resolve.hardware import cuda_device_visible

JETSONS = (
    "NVIDIA Jetson Orin Nano",
    "NVIDIA Jetson Orin NX",
    "NVIDIA Jetson AGX Orin",
    "NVIDIA Jetson IGX Orin",
    "NVIDIA Jetson Xavier NX",
    "NVIDIA Jetson AGX Xavier Industrial",
    "NVIDIA Jetson AGX Xavier",
    "NVIDIA Jetson Nano",
    "NVIDIA Jetson TX2",
)
"""Modules by the beginning of their name; a longer name stands before those it begins with."""
_L4T_RELEASE = re.compile(r"R(\d+).*REVISION:\s*([\d.]+)")
_DRIVER = re.compile(r"Kernel Module.*?\s(\d+(?:\.\d+)+)")
ROOT = Path("/")


@dataclass(frozen=True)
class RuntimeXRayResult:
    """Facts about this machine and its runtimes; None: not there, or nobody could say."""

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
    torch_available: bool = False
    torch_version: Version | None = None
    torchvision_version: Version | None = None
    onnxruntime_version: Version | None = None
    available_onnx_execution_providers: list[str] | None = None
    hf_transformers_available: bool = False
    trt_python_package_available: bool = False
    coremltools_version: Version | None = None


@cache
def x_ray_runtime_environment() -> RuntimeXRayResult:
    """The facts of this process; found out once. Imports ONNX Runtime, and torch where there is a CUDA device.

    Raises:
        JetsonTypeResolutionError: `JETSON_MODULE` names no Jetson.
        InvalidEnvVariable: `RUNNING_ON_JETSON` is no switch.
    """
    jetson = jetson_type(ROOT)
    on_jetson = config.read_bool("RUNNING_ON_JETSON", default=jetson is not None)
    l4t = l4t_version(ROOT) if on_jetson else None
    torch = import_or_none("torch") if cuda_device_visible() else None
    devices = _cuda_devices(torch)
    runtime = import_or_none("onnxruntime")
    trt = _installed("tensorrt") or _installed("tensorrt_lean")
    return RuntimeXRayResult(
        gpu_available=bool(devices),
        gpu_devices=[name for name, _ in devices],
        gpu_devices_cc=[capability for _, capability in devices],
        driver_version=driver_version(ROOT) or l4t,
        cuda_version=_version(getattr(getattr(torch, "version", None), "cuda", None)),
        trt_version=trt,
        jetson_type=jetson,
        l4t_version=l4t,
        os_version=None if on_jetson else os_version(ROOT),
        torch_available=_installed("torch") is not None,
        torch_version=_installed("torch"),
        torchvision_version=_installed("torchvision"),
        onnxruntime_version=onnxruntime_version(),
        available_onnx_execution_providers=None if runtime is None else list(runtime.get_available_providers()),
        hf_transformers_available=_installed("transformers") is not None,
        trt_python_package_available=trt is not None,
        coremltools_version=_installed("coremltools") if sys.platform == "darwin" else None,
    )


def jetson_type(root: Path) -> str | None:
    """The Jetson module, for example `nvidia-jetson-orin-nano`: `JETSON_MODULE`, else the device tree; None elsewhere.

    Raises:
        JetsonTypeResolutionError: `JETSON_MODULE` names no Jetson.
    """
    stated = os.environ.get("JETSON_MODULE", "").strip()
    name = stated or _read(root / "proc/device-tree/model").strip("\0 \n")
    known = next((module for module in JETSONS if name.lower().startswith(module.lower())), None)
    if known is not None:
        return _hyphened(known)
    if not stated:
        return None
    raise JetsonTypeResolutionError(f"JETSON_MODULE={stated!r} names no Jetson; {nearest_hint(stated, JETSONS)}.")


def l4t_version(root: Path) -> Version | None:
    """Version of Linux for Tegra: `L4T_VERSION`, else what the system states."""
    stated = os.environ.get("L4T_VERSION", "").strip()
    if stated:
        return _version(stated)
    found = _L4T_RELEASE.search(_read(root / "etc/nv_tegra_release"))
    return _version(f"{found[1]}.{found[2]}") if found else None


def driver_version(root: Path) -> Version | None:
    """Version of the NVIDIA kernel module."""
    lines = _read(root / "proc/driver/nvidia/version").splitlines()
    found = _DRIVER.search(lines[0]) if lines else None
    return _version(found[1]) if found else None


def os_version(root: Path) -> str:
    """For example `ubuntu-22.04`."""
    facts = dict(line.split("=", 1) for line in _read(root / "etc/os-release").splitlines() if "=" in line)
    name, number = (facts.get(key, "").strip('"') for key in ("NAME", "VERSION_ID"))
    if sys.platform.startswith("linux") and name and number:
        return f"{name}-{number}".lower()
    return platform.platform().lower()


def _cuda_devices(torch: Any) -> list[tuple[str, Version]]:
    if torch is None or not torch.cuda.is_available():
        return []
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [(_hyphened(device.name), Version(f"{device.major}.{device.minor}")) for device in found]


def _hyphened(name: str) -> str:
    return name.replace(" ", "-").lower()


def _installed(distribution: str) -> Version | None:
    try:
        return _version(version(distribution))
    except PackageNotFoundError:
        return None


def _version(text: str | None) -> Version | None:
    """Without what stands behind `+`."""
    try:
        return None if text is None else Version(Version(text).public)
    except InvalidVersion:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
