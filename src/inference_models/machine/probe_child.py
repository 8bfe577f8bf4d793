"""What a child process is asked about this machine: to import one library, or what the NVIDIA driver says.

The calls into the driver
follow the documentation of CUDA 12 and have not run on hardware yet.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from typing import Any

from inference_models.machine.libraries import CUDA, SHELL

LONGEST = 300
"""Characters of a problem that are kept."""
_CUDA_LIBRARIES = ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "libcuda.so")
_CUDA_RUNTIMES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")
_NVML = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*."""
_NO_DEVICE = 100


class DriverError(Exception):
    """A call into the driver failed."""


def answer(module: str, path: list[str], attribute: str | None) -> dict[str, Any]:
    """`{"facts": {...}}`, or `{"problem": "..."}`: why what was asked about cannot be used.

    Args:
        module: What is imported, or `CUDA`.
        path: Where it is imported from.
        attribute: What the module must have.
    """
    try:
        if module == CUDA:
            return {"facts": ask_driver()}
        sys.path[:] = path
        # Importing `openvino` reports that to its makers, unless this part of it is not there.
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        imported = importlib.import_module(module)
        if attribute is not None and not hasattr(imported, attribute):
            return {"problem": SHELL.format(attribute)}
        return {"facts": _facts(imported)}
    except BaseException as exc:  # noqa: BLE001 - a library may raise anything, SystemExit too: it is the answer
        text = str(exc).strip()
        first = text.splitlines()[0] if text else ""
        return {"problem": f"{type(exc).__name__}: {first}"[:LONGEST].rstrip(": ")}


def _facts(module: Any) -> dict[str, Any]:
    """What only the library itself can say."""
    if not hasattr(module, "get_available_providers"):
        return {}
    return {"providers": [str(name) for name in module.get_available_providers()]}


def ask_driver() -> dict[str, Any]:
    """Devices in the order this process sees them, and versions as the driver counts them: 12040 is CUDA 12.4."""
    driver = _first_library(_CUDA_LIBRARIES)
    if driver is None:
        raise DriverError(f"{_CUDA_LIBRARIES[0]} of the NVIDIA driver cannot be loaded")
    status = driver.cuInit(0)
    if status not in {0, _NO_DEVICE}:
        raise DriverError(f"cuInit failed with error {status}")
    count = 0 if status == _NO_DEVICE else _number(driver.cuDeviceGetCount)
    return {
        "devices": [_device(driver, index) for index in range(count)],
        "driver_cuda": _number(driver.cuDriverGetVersion),
        "runtime_cuda": _runtime_version(),
        "driver": _driver_version(),
    }


def _device(driver: Any, index: int) -> dict[str, Any]:
    handle = _number(driver.cuDeviceGet, index)
    name = ctypes.create_string_buffer(256)
    _check(driver.cuDeviceGetName(name, len(name), handle), "cuDeviceGetName")
    memory = ctypes.c_size_t()
    _check(driver.cuDeviceTotalMem_v2(ctypes.byref(memory), handle), "cuDeviceTotalMem")
    major, minor = (
        _number(driver.cuDeviceGetAttribute, kind, handle) for kind in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR)
    )
    return {"name": name.value.decode("utf-8", "replace"), "capability": f"{major}.{minor}", "memory": memory.value}


def _number(function: Any, *arguments: int) -> int:
    """What the driver writes to the first argument of `function`."""
    value = ctypes.c_int()
    _check(function(ctypes.byref(value), *arguments), function.__name__)
    return value.value


def _check(status: int, name: str) -> None:
    if status != 0:
        raise DriverError(f"{name} failed with error {status}")


def _runtime_version() -> int | None:
    library = _first_library(_CUDA_RUNTIMES)
    if library is None:
        return None
    try:
        return _number(library.cudaRuntimeGetVersion)
    except DriverError:
        return None


def _driver_version() -> str | None:
    """None where the management library is missing, as on many Jetsons."""
    library = _first_library((_NVML,))
    if library is None or library.nvmlInit_v2() != 0:
        return None
    text = ctypes.create_string_buffer(96)
    status = library.nvmlSystemGetDriverVersion(text, len(text))
    return text.value.decode("ascii", "replace") if status == 0 else None


def _first_library(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
