"""Finding out what this machine has: each fact when it is asked for, and then kept."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING, Any

from msgspec import field
from packaging.version import InvalidVersion, Version

from inference_models import config
from inference_models.fork import cached_property
from inference_models.machine import system
from inference_models.machine.environment import Environment, Gpu
from inference_models.machine.hardware import (
    ROOT,
    cpu_flags,
    cpu_quota,
    cuda_device_visible,
    memory_limit,
    public_version,
    total_memory,
    usable_cpus,
)
from inference_models.machine.libraries import (
    CUDA,
    DECIDING,
    import_path,
    installed_distributions,
    installed_libraries,
    path_stamp,
    version_of,
)
from inference_models.machine.verdicts import Learned, ask_about_driver, is_imported, verdict_of
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from inference_models.entities import BackendType
    from inference_models.machine.libraries import Distribution, Library
    from inference_models.machine.verdicts import Verdict

_ONNX_RUNTIME = "onnxruntime"
_PROVIDER_LIBRARIES = {
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
"""Execution providers that lie in a library of their own, `providers_<name>`, in the order of ONNX Runtime."""


class Place(Record, frozen=True):
    """The file system root, import path and libraries that facts are read from."""

    root: Path = ROOT
    """Of the file system."""
    path: tuple[str, ...] = field(default_factory=import_path)
    """Folders that libraries are imported from."""
    libraries: tuple[Library, ...] = ()
    """What is looked for there."""
    runtimes: Mapping[BackendType, Library] = field(default_factory=dict)
    """The library of each runtime that this release drives."""


class _Nvidia(Record, frozen=True):
    gpus: tuple[Gpu, ...] = ()
    cuda: Version | None = None
    cudnn: Version | None = None
    driver: Version | None = None
    problem: str | None = None


class _FoundEnvironment(Environment):
    """The facts of a place, each found out when it is first asked for.

    Args:
        place: Where they are looked for.
        thorough: Let child processes find out which libraries work, where that is not remembered or they did not.
    """

    def __init__(self, place: Place, *, thorough: bool = False) -> None:
        machine = f"{sys.platform} {platform.machine()}"
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        vars(self).update(_place=place, _root=place.root, _thorough=thorough, system=machine, python=python)

    _place: Place
    _root: Path
    _thorough: bool

    os_version = cached_property(lambda self: system.os_version(self._root))
    cpu_flags = cached_property(lambda self: cpu_flags(self._root))
    cpus = cached_property(lambda self: usable_cpus(self._root))
    cpu_quota = cached_property(lambda self: cpu_quota(self._root))
    memory_limit = cached_property(lambda self: memory_limit(self._root))
    gpus = cached_property(lambda self: self._nvidia.gpus)
    accelerators = cached_property(lambda self: system.accelerators(self._root))
    cuda_version = cached_property(lambda self: self._nvidia.cuda)
    cudnn_version = cached_property(lambda self: self._nvidia.cudnn)
    jetson = cached_property(lambda self: system.jetson_type(self._root))
    l4t_version = cached_property(
        lambda self: system.l4t_version(self._root) if system.is_jetson(self.jetson) else None
    )
    _libraries = cached_property(lambda self: installed_libraries(self._place.libraries, self._place.path))
    builds = cached_property(
        lambda self: {library.name: distribution.label for library, distribution in self._libraries.items()}
    )

    @cached_property
    def memory(self) -> int | None:
        sizes = (total_memory(self._root), self.memory_limit)
        return min((size for size in sizes if size is not None), default=None)

    @cached_property
    def driver_version(self) -> Version | None:
        from inference_models.machine.nvidia import driver_version  # noqa: PLC0415 - seldom asked for

        return driver_version(self._root) or self._nvidia.driver or self.l4t_version

    @cached_property
    def tensorrt_version(self) -> Version | None:
        found = {library.name: distribution for library, distribution in self._libraries.items()}
        wheel = found.get("tensorrt") or found.get("tensorrt_lean")
        if wheel:
            return version_of(wheel)
        from inference_models.machine.nvidia import tensorrt_from_files  # noqa: PLC0415 - seldom asked for

        return tensorrt_from_files(self._root)

    @cached_property
    def installed(self) -> dict[str, Version]:
        versions = {library.name: version_of(distribution) for library, distribution in self._libraries.items()}
        if sys.platform != "darwin":
            versions.pop("coremltools", None)  # it can be installed anywhere, and drives nothing elsewhere
        return {name: version for name, version in versions.items() if version is not None}

    @cached_property
    def broken(self) -> dict[str, str]:
        found = {name: verdict.problem for name, verdict in self._verdicts.items() if verdict.problem is not None}
        problem = self._nvidia.problem
        return found if problem is None else {**found, CUDA: problem}

    @cached_property
    def execution_providers(self) -> tuple[str, ...]:
        imported = getattr(sys.modules.get(_ONNX_RUNTIME), "get_available_providers", None)
        if imported is not None and self._place.path == import_path():
            return tuple(imported())
        found = next((found for library, found in self._libraries.items() if library.name == _ONNX_RUNTIME), None)
        verdict = self._verdicts.get(_ONNX_RUNTIME)
        if found is None or (verdict is not None and verdict.problem is not None):
            return ()
        stated = verdict.facts.get("providers") if verdict is not None else None
        return tuple(map(str, stated)) if isinstance(stated, list) else providers_in_wheel(found)

    @cached_property
    def runtimes(self) -> dict[BackendType, Version | None]:
        installed = self._libraries
        return {kind: _version(installed.get(library)) for kind, library in self._place.runtimes.items()}

    @cached_property
    def _verdicts(self) -> dict[str, Verdict]:
        """What is known of the libraries; ONNX Runtime is asked where a device makes its providers matter.

        Its files do not always tell them: conda, for example, keeps the libraries of providers elsewhere.
        """
        path, libraries, thorough = self._place.path, self._libraries, self._thorough
        own, device = path == import_path(), cuda_device_visible(self._root)
        risky = [library for library in libraries if library.deadline is not None]
        asked = [library for library in risky if not (own and is_imported(library))]
        found: Iterable[Verdict | None]
        if thorough and asked:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - needed once per installed version

            def look(library: Library) -> Verdict | None:
                return verdict_of(library, libraries[library], run=True, retry=True, path=path)

            with ThreadPoolExecutor(max_workers=len(asked)) as pool:
                found = list(pool.map(look, asked))
        else:
            found = [
                verdict_of(item, libraries[item], run=device and item.name == _ONNX_RUNTIME, path=path)
                for item in asked
            ]
        return {item.name: verdict for item, verdict in zip(asked, found, strict=True) if verdict is not None}

    @cached_property
    def _nvidia(self) -> _Nvidia:
        """Devices as the driver lists them; where no child process can ask it, as the system does."""
        if not cuda_device_visible(self._root):
            # Wheels bring CUDA wherever they are installed, PyTorch for the processor too: nothing could use it.
            return _Nvidia()
        from inference_models.machine import nvidia  # noqa: PLC0415 - only needed where there is a device

        distributions = installed_distributions(self._place.path)
        runtime = nvidia.cuda_from_files(distributions, self._root)
        cudnn = nvidia.cudnn_from_files(distributions, self._root)
        unasked = tuple(Gpu(name=name) for name in nvidia.card_names(self._root) or ("unknown",))
        verdict = ask_about_driver(retry=self._thorough)
        if verdict is None:
            return _Nvidia(unasked, runtime, cudnn)
        if verdict.problem is not None:
            return _Nvidia((), runtime, cudnn, problem=verdict.problem)
        stated = verdict.facts
        runtime = nvidia.counted_version(stated.get("runtime_cuda")) or runtime
        supported = nvidia.counted_version(stated.get("driver_cuda"))
        gpus = _gpus(stated.get("devices"))
        driver = public_version(stated.get("driver"))
        return _Nvidia(unasked if gpus is None else gpus, _older(runtime, supported), cudnn, driver)


def read_environment(place: Place, *, thorough: bool = False) -> Environment:
    """The facts of a machine and of the libraries in a place; `EnvironmentProbe.__call__` says more."""
    return _FoundEnvironment(place, thorough=thorough)


def providers_in_wheel(distribution: Distribution, platform: str = sys.platform) -> tuple[str, ...]:
    """Execution providers in the order of the runtime; those that only the runtime knows of are left out."""
    folder = distribution.location / "onnxruntime/capi"
    found = [name for stem, name in _PROVIDER_LIBRARIES.items() if provider_library(folder, stem).is_file()]
    if platform == "darwin":
        found.append("CoreMLExecutionProvider")
    if distribution.name == "onnxruntime-directml":
        found.append("DmlExecutionProvider")
    return (*found, "CPUExecutionProvider")


def provider_library(folder: Path, name: str) -> Path:
    """The library of one execution provider."""
    is_windows = sys.platform == "win32"
    return folder / (f"onnxruntime_providers_{name}.dll" if is_windows else f"libonnxruntime_providers_{name}.so")


def _gpus(devices: Any) -> tuple[Gpu, ...] | None:
    """As the driver lists them; None where what was remembered is damaged."""
    try:
        return tuple(
            Gpu(name=item["name"], compute_capability=Version(item["capability"]), memory=item["memory"])
            for item in devices
        )
    except (KeyError, TypeError, InvalidVersion):
        return None


def _older(runtime: Version | None, supported: Version | None) -> Version | None:
    """The runtime's version, or the newest one the driver supports where that is older by major or minor number."""
    if runtime is None or supported is None:
        return runtime or supported
    return supported if supported.release[:2] < runtime.release[:2] else runtime


def _version(distribution: Distribution | None) -> Version | None:
    """Its version with what stands behind `+`: builds of one release may answer differently."""
    try:
        return None if distribution is None else Version(distribution.version)
    except InvalidVersion:
        return None


def facts_stamp() -> object:
    """Changes when facts may have changed: something was installed or found out, or a variable has another value."""
    stated = tuple(os.environ.get(name) for name in (*DECIDING, *system.VARIABLES))
    return stated, path_stamp(import_path()), config.cache_directory(), Learned.generation


class EnvironmentProbe:
    """The facts of this process, found out once until something is installed or removed.

    Args:
        place: Where facts are looked for, asked for each time they are.
    """

    def __init__(self, place: Callable[[], Place]) -> None:
        self._place = place
        self._kept: dict[bool, tuple[object, Environment]] = {}

    def __call__(self, *, thorough: bool = False) -> Environment:
        """The facts of this process, each found out when it is asked for.

        Imports nothing. Whether an installed library works is remembered from earlier processes; where it is not,
        the library counts as usable. Where there is a CUDA device, child processes ask the driver and ONNX Runtime
        about it the first time. A fact may be an error: `jetson` and `l4t_version` raise `JetsonTypeResolutionError`
        where `JETSON_MODULE` names no Jetson, and `InvalidEnvVariable` where `RUNNING_ON_JETSON` is no switch.

        Args:
            thorough: Let child processes find out what is not remembered, and what did not work.
        """
        stamp = facts_stamp()
        for kept in (True,) if thorough else (True, False):
            if kept in self._kept and self._kept[kept][0] == stamp:
                return self._kept[kept][1]
        found = _FoundEnvironment(self._place(), thorough=thorough)
        if thorough:
            found.fingerprint()  # all of it now, so that what children find out does not change the stamp later
            stamp = facts_stamp()
        self._kept[thorough] = (stamp, found)
        return found

    def cache_clear(self) -> None:
        """Look again at the next call."""
        self._kept.clear()
