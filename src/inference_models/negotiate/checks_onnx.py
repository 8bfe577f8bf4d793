"""Checks of ONNX packages on ONNX Runtime: the operator set, and the execution providers that would be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.backends.onnx_providers import (
    BUILDS,
    CPU,
    CUDA,
    INSTALL_GPU,
    ON_NVIDIA,
    PROVIDER_OF_DEVICE,
    PROVIDERS,
)
from inference_models.entities import BackendType
from inference_models.errors import nearest_hint

if TYPE_CHECKING:
    from inference_models.errors import Rejection
    from inference_models.negotiate.case import Case

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
    if not available:
        return _refuse_unknown_providers(case)
    if request.allow_fallback:
        return None
    if request.execution_providers is None and request.device is None:
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
    request, available = case.request, case.environment.execution_providers
    if request.execution_providers is not None:
        return request.execution_providers
    if request.device is not None:
        name = PROVIDER_OF_DEVICE.get(request.device.partition(":")[0])
        return () if name is None else (name,)
    if request.preferred_providers is not None:
        return tuple(name for name in request.preferred_providers if not available or name in available)
    return (CUDA,) if CUDA in available and case.environment.gpus else (CPU,)


def install_for(case: Case, usual: str | None) -> str | None:
    """The command that installs a build of ONNX Runtime for the request; None where no build here would do."""
    if wants_cuda(case):
        return INSTALL_GPU
    special = [name for name in case.request.execution_providers or () if name not in _IN_EVERY_BUILD]
    if not special or case.runtime is not BackendType.ONNX or case.request.allow_fallback:
        return usual
    install = _build_with(case, special)
    return None if install is None else install.rpartition(" && ")[2]


def wants_cuda(case: Case) -> bool:
    """Whether only the CUDA build of ONNX Runtime does what was asked for, on a machine that has the device."""
    if case.runtime is not BackendType.ONNX or not case.environment.gpus:
        return False
    return not ON_NVIDIA.isdisjoint(providers_used(case))


def _refuse_unknown_providers(case: Case) -> Rejection | None:
    """Where ONNX Runtime is missing: names that no build of it has, which installing it would not help."""
    unknown = [name for name in case.request.execution_providers or () if name not in PROVIDERS]
    if not unknown:
        return None
    found = f"{unknown[0]!r}, which no build of it has; {nearest_hint(unknown[0], PROVIDERS)}"
    return case.refuse("execution_providers", "execution providers of ONNX Runtime", found)


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
