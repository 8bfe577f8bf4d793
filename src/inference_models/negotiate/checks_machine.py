"""Checks of the machine: its platform, what is installed, its devices and their memory."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from inference_models.backends import find_backend, find_runtime
from inference_models.backends.onnx_providers import CPU, CUDA, device_of
from inference_models.entities import BackendType
from inference_models.machine.mends import DOCTOR, mend_of
from inference_models.negotiate.checks_onnx import PLATFORM_OF_DEVICE, install_for, providers_used

if TYPE_CHECKING:
    from inference_models.backends.runtime import Runtime
    from inference_models.errors import Rejection
    from inference_models.machine.environment import Environment, Gpu
    from inference_models.machine.libraries import Library
    from inference_models.negotiate.case import Case
    from inference_models.negotiate.request import PackageRequest

_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. "
"""Characters of the name at the beginning of a requirement."""
_GB = 1e9
_MB = 1_000_000
_ALWAYS_FITS = 64 * _MB
"""Bytes of files that fit wherever Python and a runtime do, so that the memory of the machine need not be looked up."""
_NODES = {"gpu": "a GPU (/dev/dri/renderD*)", "npu": "an NPU (/dev/accel/accel*)"}
"""Kinds of device that Linux shows as nodes."""


def check_platform(case: Case) -> Rejection | None:
    """Refuses runtimes that do not exist for this operating system."""
    record = find_runtime(case.runtime)
    if not record.systems or case.environment.system.startswith(record.systems):
        return None
    return case.refuse("platform", record.systems_text, case.environment.system)


def check_runtime(case: Case) -> Rejection | None:
    """Refuses runtimes that are not installed, are too old, or cannot be imported."""
    record = find_runtime(case.runtime)
    library = record.library
    if library is None:
        return None
    if library.name in case.environment.broken:
        needs = f"{'an' if library.name[0] in 'aeiou' else 'a'} {library.name} that can be imported"
        problem = case.environment.broken[library.name]
        return case.refuse("runtime", needs, problem, _mend(case, library, problem))
    if find_backend(case.runtime) is None:
        return _check_library(case, record, library)
    installed = case.environment.runtimes.get(case.runtime)
    if installed is None:
        return case.refuse("runtime", record.requires, "not installed", install_for(case, record.install))
    if _satisfies(record.requires, installed):
        return None
    newer = _build(case, library.distributions[0]) + record.requires.lstrip(_NAME)
    return case.refuse("runtime", record.requires, str(installed), f'pip install -U "{newer}"')


def _mend(case: Case, library: Library, problem: str) -> str | None:
    """The command that most likely makes a library importable; None where only looking closer helps."""
    distribution, version = library.distributions[0], case.environment.installed.get(library.name)
    known = None if version is None else f"{_build(case, distribution)} {version}"
    label = case.environment.builds.get(library.name, known)
    if label is None:
        return f"pip install --force-reinstall {_build(case, distribution)}"
    mend = mend_of(label, problem)
    return None if mend == DOCTOR else mend


def check_device(case: Case) -> Rejection | None:
    """Refuses devices that this machine does not show, or that the runtime does not compute on."""
    device = case.request.device or ("cuda" if case.runtime is BackendType.TRT else None)
    kinds = find_runtime(case.runtime).devices
    if device is None or (case.request.allow_fallback and (kinds is None or "cpu" in kinds)):
        return None
    kind = device.partition(":")[0]
    if kinds is not None and kind not in kinds:
        here = [name for name in kinds if name == "cpu" or (name == "cuda" and case.environment.gpus)]
        here = [name for name in here if name == "cuda"] if kind == "gpu" and "cuda" in here else here
        found = f"{case.runtime.value}, which runs on {' or '.join(kinds)}"
        return case.refuse("device", f"a backend for {kind}", found, change={"device": here[0]} if here else None)
    if kind == "cuda":
        return _check_cuda_device(case, device)
    shown = case.environment.accelerators
    if kind in _NODES and shown is not None and kind not in shown:
        return case.refuse("device", f"{_NODES[kind]} for OpenVINO", "no such device", change=_on(case, "cpu"))
    platform = PLATFORM_OF_DEVICE.get(kind)
    if platform is None or case.environment.system.startswith(platform[0]):
        return None
    return case.refuse("device", platform[1], case.environment.system, change=_on(case, "cpu"))


def _on(case: Case, device: str) -> dict[str, Any] | None:
    """The change to another device; None where the runtime does not compute on it."""
    kinds = find_runtime(case.runtime).devices
    return {"device": device} if kinds is None or device in kinds else None


def _check_library(case: Case, record: Runtime, library: Library) -> Rejection | None:
    """Of a runtime that this release does not drive, so that nothing states which version it needs."""
    # TensorRT has a check of its own, which knows the version.
    if case.runtime is BackendType.TRT or library.name in case.environment.installed:
        return None
    return case.refuse("runtime", library.name, "not installed", record.install)


def _check_cuda_device(case: Case, device: str) -> Rejection | None:
    count = len(case.environment.gpus)
    if count == 0:
        return case.refuse("device", "a CUDA device", "no CUDA device", change=_on(case, "cpu"))
    if int(device.partition(":")[2] or 0) < count:
        return None
    found = "one CUDA device, cuda:0" if count == 1 else f"{count} CUDA devices, cuda:0 to cuda:{count - 1}"
    return case.refuse("device", f"device {device}", found, change={"device": "cuda:0"})


def check_memory(case: Case) -> Rejection | None:
    """Refuses packages that measured memory, or their mere size, says cannot fit."""
    if case.environment.gpus and device_kind(case) == "cuda":
        return _check_gpu_memory(case)
    size = sum([getattr(item, "size", None) or 0 for item in case.package.package_artefacts])
    if size < _ALWAYS_FITS:
        return None
    available = case.environment.memory
    if available is None or size <= available:
        return None
    return case.refuse("memory", f"{size / _GB:.1f} GB of memory for the files alone", f"{available / _GB:.1f} GB")


def device_kind(case: Case) -> str:
    """Where the candidate would compute: `cpu`, `cuda`, `mps`, ..."""
    if case.runtime is BackendType.ONNX:
        kind = device_of((next(iter(providers_used(case)), CPU), {})).partition(":")[0]
        return kind if kind in {"coreml", "cuda", "directml"} else "cpu"
    if case.request.device is not None:
        return case.request.device.partition(":")[0]
    return "cuda" if case.environment.gpus and "cuda" in (find_runtime(case.runtime).devices or ()) else "cpu"


def selected_gpus(request: PackageRequest, environment: Environment) -> tuple[Gpu, ...]:
    """The NVIDIA devices a candidate may run on: the one that was asked for, or all; none for another device."""
    if request.device is None:
        return environment.gpus
    kind, _, index = request.device.partition(":")
    if kind != "cuda":
        return ()
    first = int(index or 0)
    return environment.gpus[first : first + 1]


def _check_gpu_memory(case: Case) -> Rejection | None:
    gpus = selected_gpus(case.request, case.environment)[:1]
    memory = gpus[0].memory if gpus else None
    if memory is None:
        return None
    batch = case.request.batch_size[1] if case.request.batch_size else case.package.static_batch_size or 1
    needed = case.package.memory_profile.vram_for_batch(batch)
    if needed is None or needed * _MB <= memory:
        return None
    known = case.package.memory_profile.peak_vram_mb
    fitting = [size for size, peak in known.items() if peak * _MB <= memory and size < batch]
    change = {"batch_size": (max(fitting), max(fitting))} if fitting else _on(case, "cpu")
    found = f"{memory // _MB} MB on {gpus[0].name}"
    return case.refuse("memory", f"{needed} MB of GPU memory for batch {batch}", found, change=change)


def _build(case: Case, distribution: str) -> str:
    """The distribution to install: that of ONNX Runtime for CUDA where it is the one that is here."""
    is_gpu_build = distribution == "onnxruntime" and CUDA in case.environment.execution_providers
    return "onnxruntime-gpu" if is_gpu_build else distribution


@lru_cache(maxsize=64)
def _satisfies(requirement: str, version: Version) -> bool:
    _, mark, oldest = requirement.partition(">=")
    if mark and oldest.replace(".", "").isdecimal():
        return version >= Version(oldest)
    from packaging.requirements import Requirement  # noqa: PLC0415 - slow to import, and only a plug-in needs it

    return Requirement(requirement).specifier.contains(version, prereleases=True)
