"""Finding out what this machine has."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from inference_models import config
from inference_models.machine import nvidia as probe_nvidia
from inference_models.machine.cgroups import ROOT, cpu_quota, memory_limit
from inference_models.machine.child import DECIDING
from inference_models.machine.cpu import cpu_flags, total_memory
from inference_models.machine.environment import Environment, Gpu
from inference_models.machine.hardware import cuda_device_visible, usable_cpus
from inference_models.machine.libraries import (
    import_path,
    installed_distributions,
    installed_libraries,
    path_stamp,
    version_of,
)
from inference_models.machine.onnxruntime_files import providers_in_wheel
from inference_models.machine.probe_child import CUDA
from inference_models.machine.system import (
    VARIABLES,
    accelerators,
    is_jetson,
    jetson_type,
    l4t_version,
    os_version,
)
from inference_models.machine.system_files import public_version
from inference_models.machine.verdicts import ask_about_driver, generation, is_imported, verdict_of, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from inference_models.entities import BackendType
    from inference_models.machine.libraries import Distribution, Library
    from inference_models.machine.verdicts import Verdict

_ONNX_RUNTIME = "onnxruntime"


@dataclass(frozen=True)
class Place:
    """Where facts are looked for, and about which libraries."""

    root: Path = ROOT
    """Of the file system."""
    path: tuple[str, ...] = field(default_factory=import_path)
    """Folders that libraries are imported from."""
    libraries: tuple[Library, ...] = ()
    """What is looked for there."""
    runtimes: Mapping[BackendType, Library] = field(default_factory=dict)
    """The library of each runtime that this release drives."""


def read_environment(place: Place, *, thorough: bool = False) -> Environment:
    """The facts of a machine and of the libraries in a place, read now.

    Raises:
        JetsonTypeResolutionError: `JETSON_MODULE` names no Jetson.
        InvalidEnvVariable: `RUNNING_ON_JETSON` is no switch.
    """
    root = place.root
    jetson = jetson_type(root)
    l4t = l4t_version(root) if is_jetson(jetson) else None
    limit, total = memory_limit(root), total_memory(root)
    distributions = installed_distributions(place.path)
    found = installed_libraries(place.libraries, place.path)
    libraries = {library.name: distribution for library, distribution in found.items()}
    known = _verdicts(place, found, thorough=thorough)
    nvidia = _nvidia(root, distributions, thorough=thorough)
    tensorrt = libraries.get("tensorrt") or libraries.get("tensorrt_lean")
    return Environment(
        system=f"{sys.platform} {platform.machine()}",
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        os_version=os_version(root),
        cpu_flags=cpu_flags(root),
        cpus=usable_cpus(root),
        cpu_quota=cpu_quota(root),
        memory=min((size for size in (total, limit) if size is not None), default=None),
        memory_limit=limit,
        gpus=nvidia.gpus,
        accelerators=accelerators(root),
        driver_version=nvidia.driver or l4t,
        cuda_version=nvidia.cuda,
        cudnn_version=nvidia.cudnn,
        tensorrt_version=version_of(tensorrt) if tensorrt else probe_nvidia.tensorrt_from_files(root),
        jetson=jetson,
        l4t_version=l4t,
        installed=_versions(libraries),
        builds={name: distribution.label for name, distribution in libraries.items()},
        broken={**_problems(known), **({CUDA: nvidia.problem} if nvidia.problem else {})},
        execution_providers=_execution_providers(place, libraries, known),
        runtimes={kind: _version(libraries.get(library.name)) for kind, library in place.runtimes.items()},
    )


def _verdicts(place: Place, libraries: Mapping[Library, Distribution], *, thorough: bool) -> dict[str, Verdict]:
    """What is known of the libraries; ONNX Runtime is asked where a device makes its providers matter.

    Its files do not always tell them: conda, for example, keeps the libraries of providers elsewhere.
    """
    known = verdicts(libraries, thorough=thorough, path=place.path)
    onnx = next((library for library in libraries if library.name == _ONNX_RUNTIME), None)
    if onnx is None or onnx.name in known or not cuda_device_visible(place.root):
        return known
    if is_imported(onnx) and place.path == import_path():
        return known
    found = verdict_of(onnx, libraries[onnx], run=True, path=place.path)
    return known if found is None else {**known, onnx.name: found}


@dataclass(frozen=True)
class _Nvidia:
    gpus: tuple[Gpu, ...] = ()
    driver: Version | None = None
    cuda: Version | None = None
    cudnn: Version | None = None
    problem: str | None = None


def _nvidia(root: Path, distributions: Mapping[str, Distribution], *, thorough: bool) -> _Nvidia:
    """Devices as the driver lists them; where no child process can ask it, as the system does."""
    driver = probe_nvidia.driver_version(root)
    if not cuda_device_visible(root):
        # Wheels bring CUDA wherever they are installed, PyTorch for the processor too: nothing could use it.
        return _Nvidia(driver=driver)
    runtime = probe_nvidia.cuda_from_files(distributions, root)
    cudnn = probe_nvidia.cudnn_from_files(distributions, root)
    verdict = ask_about_driver(retry=thorough)
    if verdict is None:
        return _Nvidia(_unasked(root), driver, runtime, cudnn)
    if verdict.problem is not None:
        return _Nvidia((), driver, runtime, cudnn, verdict.problem)
    stated = verdict.facts
    runtime = probe_nvidia.counted_version(stated.get("runtime_cuda")) or runtime
    supported = probe_nvidia.counted_version(stated.get("driver_cuda"))
    return _Nvidia(
        _gpus(stated.get("devices"), root),
        driver or public_version(stated.get("driver")),
        _older(runtime, supported),
        cudnn,
    )


def _gpus(devices: Any, root: Path) -> tuple[Gpu, ...]:
    try:
        return tuple(
            Gpu(name=item["name"], compute_capability=Version(item["capability"]), memory=item["memory"])
            for item in devices
        )
    except (KeyError, TypeError, InvalidVersion):  # what was remembered is damaged
        return _unasked(root)


def _unasked(root: Path) -> tuple[Gpu, ...]:
    return tuple(Gpu(name=name) for name in probe_nvidia.card_names(root) or ("unknown",))


def _older(runtime: Version | None, supported: Version | None) -> Version | None:
    """The runtime's version, or the newest one the driver supports where that is older by major or minor number."""
    if runtime is None or supported is None:
        return runtime or supported
    return supported if supported.release[:2] < runtime.release[:2] else runtime


def _versions(libraries: Mapping[str, Distribution]) -> dict[str, Version]:
    """Without coremltools where it is not macOS: it can be installed anywhere, and drives nothing elsewhere."""
    versions = {name: version_of(distribution) for name, distribution in libraries.items()}
    return {
        name: version
        for name, version in versions.items()
        if version is not None and (name != "coremltools" or sys.platform == "darwin")
    }


def _problems(known: Mapping[str, Verdict]) -> dict[str, str]:
    return {name: verdict.problem for name, verdict in known.items() if verdict.problem is not None}


def _execution_providers(
    place: Place, libraries: Mapping[str, Distribution], known: Mapping[str, Verdict]
) -> tuple[str, ...]:
    imported = getattr(sys.modules.get(_ONNX_RUNTIME), "get_available_providers", None)
    if imported is not None and place.path == import_path():
        return tuple(imported())
    distribution, verdict = libraries.get(_ONNX_RUNTIME), known.get(_ONNX_RUNTIME)
    if distribution is None or (verdict is not None and verdict.problem is not None):
        return ()
    stated = verdict.facts.get("providers") if verdict is not None else None
    if isinstance(stated, list):
        return tuple(map(str, stated))
    return providers_in_wheel(distribution)


def _version(distribution: Distribution | None) -> Version | None:
    """Its version with what stands behind `+`: builds of one release may answer differently."""
    try:
        return None if distribution is None else Version(distribution.version)
    except InvalidVersion:
        return None


def facts_stamp() -> object:
    """Changes when facts may have changed: something was installed or found out, or a variable has another value."""
    variables = (*DECIDING, *VARIABLES)
    stated = tuple(os.environ.get(name) for name in variables)
    return stated, path_stamp(import_path()), config.cache_directory(), generation()


class EnvironmentProbe:
    """The facts of this process, found out once until something is installed or removed.

    Args:
        place: Where facts are looked for, asked for each time they are.
    """

    def __init__(self, place: Callable[[], Place]) -> None:
        self._place = place
        self._kept: dict[bool, tuple[object, Environment]] = {}

    def __call__(self, *, thorough: bool = False) -> Environment:
        """The facts of this process.

        Imports nothing. Whether an installed library works is remembered from earlier processes; where it is not,
        the library counts as usable. Where there is a CUDA device, child processes ask the driver and ONNX Runtime
        about it the first time.

        Args:
            thorough: Let child processes find out what is not remembered, and what did not work.

        Raises:
            JetsonTypeResolutionError: `JETSON_MODULE` names no Jetson.
            InvalidEnvVariable: `RUNNING_ON_JETSON` is no switch.
        """
        stamp = facts_stamp()
        for kept in (True,) if thorough else (True, False):
            if kept in self._kept and self._kept[kept][0] == stamp:
                return self._kept[kept][1]
        found = read_environment(self._place(), thorough=thorough)
        self._kept[thorough] = (facts_stamp(), found)
        return found

    def cache_clear(self) -> None:
        """Look again at the next call."""
        self._kept.clear()
