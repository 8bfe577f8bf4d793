"""Checks of the machine: platform, runtime, devices, memory; and of ONNX Runtime: operator set, execution providers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from inference_models.backends import find_runtime, is_driven
from inference_models.backends.onnx import (
    BUILDS,
    CPU,
    CUDA,
    INSTALL_GPU,
    ON_NVIDIA,
    PROVIDER_OF_DEVICE,
    device_of,
)
from inference_models.config import EXECUTION_PROVIDERS
from inference_models.entities import BackendType
from inference_models.errors import nearest_hint, nearest_names
from inference_models.machine.mends import DOCTOR, THEN, mend_of, set_variable, unset_variable

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
_OPSETS = (21, 21, 22, 22, 23, 25, 26, 26, 26, 26, 26, 26, 26, 28)
NEWEST_OPSET = {(1, minor): opset for minor, opset in enumerate(_OPSETS, 19)}
"""Newest operator set of ai.onnx that a release of ONNX Runtime opens, by (major, minor).

Found by opening a graph of one node with every operator set in the last patch of each release: 1.19.2, 1.20.1, 1.21.1,
1.22.1, 1.23.2, 1.24.4, 1.25.1, 1.26.0, 1.27.0, 1.28.0, 1.29.0, 1.30.0, 1.31.1 and 1.32.0. Newer releases are trusted
to say themselves what they do not open.
"""
PLATFORM_OF_DEVICE: dict[str, tuple[str, str]] = {
    "coreml": ("darwin", "macOS"),
    "directml": ("win32", "Windows"),
    "mps": ("darwin arm64", "macOS on Apple silicon"),
}
"""Kinds of device that only one system has: how `Environment.system` begins there, and in words."""
_IN_EVERY_BUILD = frozenset({"AzureExecutionProvider", CPU})


def check_platform(case: Case) -> Rejection | None:
    """Refuses runtimes that do not exist for this operating system."""
    record = find_runtime(case.runtime)
    if not record.systems or case.environment.system.startswith(record.systems):
        return None
    return case.refuse("platform", record.systems_text, case.environment.system)


def check_runtime(case: Case) -> Rejection | None:
    """Refuses runtimes that are not installed, are too old, or cannot be imported."""
    record = find_runtime(case.runtime)
    library = next(iter(record.libraries), None)
    if library is None:
        return None
    if library.name in case.environment.broken:
        needs = f"{'an' if library.name[0] in 'aeiou' else 'a'} {library.name} that can be imported"
        problem = case.environment.broken[library.name]
        return case.refuse("runtime", needs, problem, _mend(case, library, problem))
    if not is_driven(case.runtime):
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


def check_operator_faults(case: Case) -> Rejection | None:
    """Refuses graphs with operators that the installed release of the runtime is known to compute wrongly."""
    from inference_models.package.operator_faults import fault_of  # noqa: PLC0415 - few graphs have any

    package, version = case.package, case.environment.runtimes.get(case.runtime)
    fault = fault_of(package.operator_faults or (), case.runtime, version, package.static_batch_size)
    if fault is None:
        return None
    needs, found = f"a release that computes {fault.what}", f"{case.runtime.value} {version}"
    return case.refuse("operator_faults", needs, found, "another backend, or an export for batches of one picture")


def check_opset(case: Case) -> Rejection | None:
    """Refuses graphs with a newer operator set than the installed ONNX Runtime opens."""
    details = case.package.onnx_package_details
    installed = case.environment.runtimes.get(BackendType.ONNX)
    if details is None or installed is None:
        return None
    newest = NEWEST_OPSET.get((installed.major, installed.minor))
    if newest is None or details.opset <= newest:
        return None
    needs = f"an ONNX Runtime that opens operator set {details.opset}"
    return case.refuse("opset", needs, f"{installed}, which opens up to {newest}", _newer(case, details.opset))


def check_execution_providers(case: Case) -> Rejection | None:
    """Refuses builds of ONNX Runtime without the execution providers that were asked for, or that the device needs."""
    request, available = case.request, case.environment.execution_providers
    by_variable = request.execution_providers is None and request.device is None
    if not available or by_variable or request.execution_providers is not None:
        refused = _refuse_unknown_providers(case)
        if refused is not None or not available:
            return refused
    if request.allow_fallback:
        return None
    if by_variable:
        preferred = request.preferred_providers
        if preferred is None or any(name in available for name in preferred):
            return None
        fix = "unset ONNXRUNTIME_EXECUTION_PROVIDERS"
        return case.refuse("execution_providers", " or ".join(preferred), ", ".join(available), fix)
    missing = [name for name in providers_used(case) if name not in available]
    return _refuse_providers(case, missing) if missing else None


def check_incompatible_providers(case: Case) -> Rejection | None:
    """Refuses graphs that are known not to work with an execution provider that would be used."""
    details = case.package.onnx_package_details
    if details is None or not details.incompatible_providers:
        return None
    wrong = [name for name in providers_used(case) if name in details.incompatible_providers]
    if not wrong:
        return None
    found = f"{' and '.join(wrong)}, with which it is known not to work"
    return case.refuse("incompatible_providers", "another execution provider", found, change=_on_cpu(case))


def providers_used(case: Case) -> tuple[str, ...]:
    """Execution providers the graph would be opened with, first choice first."""
    request = case.request
    if request.execution_providers is not None:
        return request.execution_providers
    if request.device is not None:
        name = PROVIDER_OF_DEVICE.get(request.device.partition(":")[0])
        return () if name is None else (name,)
    if request.preferred_providers is not None:
        available = case.environment.execution_providers
        return tuple(name for name in request.preferred_providers if not available or name in available)
    return (CUDA,) if case.environment.gpus and CUDA in case.environment.execution_providers else (CPU,)


def install_for(case: Case, usual: str | None) -> str | None:
    """The command that installs a build of ONNX Runtime for the request; None where no build here would do."""
    if wants_cuda(case):
        return INSTALL_GPU
    special = [name for name in case.request.execution_providers or () if name not in _IN_EVERY_BUILD]
    if not special or case.runtime is not BackendType.ONNX or case.request.allow_fallback:
        return usual
    install = _build_with(case, special)
    return None if install is None else install.rpartition(THEN)[2]


def wants_cuda(case: Case) -> bool:
    """Whether only the CUDA build of ONNX Runtime does what was asked for, on a machine that has the device."""
    if case.runtime is not BackendType.ONNX or not case.environment.gpus:
        return False
    return not ON_NVIDIA.isdisjoint(providers_used(case))


def _refuse_unknown_providers(case: Case) -> Rejection | None:
    """Names that no build of ONNX Runtime has, so that installing another one would not help."""
    named = case.request.execution_providers or case.request.preferred_providers or ()
    unknown = [name for name in named if name not in {*EXECUTION_PROVIDERS, *case.environment.execution_providers}]
    if not unknown:
        return None
    needs, right = "execution providers of ONNX Runtime", {name: _names_like(name) for name in unknown}
    near = right[unknown[0]]
    hint = f"nearest: {', '.join(map(repr, near))}" if near else nearest_hint(unknown[0], EXECUTION_PROVIDERS)
    meant = tuple(right[name][0] if name in right else name for name in named) if all(right.values()) else ()
    if case.request.execution_providers is None:
        variable = "ONNXRUNTIME_EXECUTION_PROVIDERS"
        fix = set_variable(variable, ",".join(meant)) if meant else unset_variable(variable)
        return case.refuse("execution_providers", needs, f"{unknown[0]!r} in {variable}; {hint}", fix)
    found, change = f"{unknown[0]!r}, which no build of it has; {hint}", {"execution_providers": meant}
    return case.refuse("execution_providers", needs, found, change=change if meant else None)


def _names_like(name: str) -> list[str]:
    """What `name` may stand for: `cpu` and `CUDA` are short for one, other words are near some."""
    full = f"{name}ExecutionProvider".lower()
    return [each for each in EXECUTION_PROVIDERS if each.lower() == full] or nearest_names(name, EXECUTION_PROVIDERS)


def _refuse_providers(case: Case, missing: list[str]) -> Rejection | None:
    if case.request.execution_providers is None and _lacks_device(case):
        return None
    needs, found = " and ".join(missing), ", ".join(case.environment.execution_providers)
    install = _build_with(case, missing)
    if install is not None:
        return case.refuse("execution_providers", needs, found, install)
    return case.refuse("execution_providers", needs, found, change=_on_cpu(case))


def _lacks_device(case: Case) -> bool:
    """Whether the device that was asked for cannot be here at all, which the check of devices says."""
    kind = (case.request.device or "").partition(":")[0]
    if kind == "cuda":
        return not case.environment.gpus
    return kind in PLATFORM_OF_DEVICE and not case.environment.system.startswith(PLATFORM_OF_DEVICE[kind][0])


def _build_with(case: Case, missing: list[str]) -> str | None:
    """The command that installs a build with what is missing; None where there is none, or no device for it."""
    if not ON_NVIDIA.isdisjoint(missing) and not case.environment.gpus:
        return None
    builds = {BUILDS.get(name, ((), "")) for name in missing}
    systems, install = builds.pop()
    return install if not builds and case.environment.system.startswith(systems) else None


def _on_cpu(case: Case) -> dict[str, object] | None:
    """The change to the provider for the processor; None where this build lacks it, or the graph does not take it."""
    details = case.package.onnx_package_details
    incompatible = details is not None and CPU in (details.incompatible_providers or ())
    if incompatible or CPU not in case.environment.execution_providers:
        return None
    return {"device": "cpu"} if case.request.execution_providers is None else {"execution_providers": (CPU,)}


def _newer(case: Case, opset: int) -> str | None:
    releases = [release for release, newest in sorted(NEWEST_OPSET.items()) if newest >= opset]
    if not releases:
        return None
    name = "onnxruntime-gpu" if CUDA in case.environment.execution_providers else "onnxruntime"
    return f'pip install -U "{name}>={releases[0][0]}.{releases[0][1]}"'
