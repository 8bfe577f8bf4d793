"""Checks: pure functions of one candidate, the request and the machine. Every check runs on every candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from inference_models.backends import find_backend
from inference_models.entities import BackendType
from inference_models.errors import ModelImplementationNotFoundError
from inference_models.families import find_graph
from inference_models.resolve.rejection import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.resolve.candidate import Candidate
    from inference_models.resolve.environment import Environment
    from inference_models.resolve.request import PackageRequest

    Check = Callable[["Case"], Rejection | None]


@dataclass(frozen=True)
class Case:
    """What one check looks at."""

    model: ModelMetadata
    candidate: Candidate
    request: PackageRequest
    environment: Environment

    @property
    def package(self) -> ModelPackageMetadata:
        """The package in question."""
        return self.candidate.package

    @property
    def runtime(self) -> BackendType:
        """The runtime that would open it."""
        return self.candidate.runtime

    def refuse(self, check: str, needs: str, found: str, fix: str | None = None) -> Rejection:
        """The refusal of this candidate."""
        runtime = None if self.candidate.is_native else self.candidate.runtime
        return Rejection(self.package.package_id, check, needs, found, fix, runtime)


def check_package_id(case: Case) -> Rejection | None:
    """Refuses every package but the one asked for."""
    if case.request.package_id in {None, case.package.package_id}:
        return None
    return case.refuse("package_id", f"package id {case.request.package_id}", case.package.package_id)


def check_implementation(case: Case) -> Rejection | None:
    """Refuses architectures, tasks and backends that nothing here can run."""
    if case.package.backend is BackendType.CUSTOM:
        return None
    if find_backend(case.runtime) is None:
        return case.refuse("implementation", f"a backend for {case.runtime.value}", "none in this release")
    try:
        find_graph(case.model.model_architecture, case.model.task_type or "")
    except ModelImplementationNotFoundError as exc:
        task = case.model.task_type or "a task (model_config.json names none)"
        what = f"a family for {case.model.model_architecture} that does {task}"
        return case.refuse("implementation", what, exc.summary.rstrip("."))
    return None


def check_trust(case: Case) -> Rejection | None:
    """Refuses packages their provider does not vouch for, unless the caller allows them."""
    if case.package.trusted_source or case.request.allow_untrusted:
        return None
    return case.refuse("trust", "a trusted source", "an untrusted one", "pass allow_untrusted_packages=True")


def check_backend(case: Case) -> Rejection | None:
    """Refuses backends the caller did not ask for."""
    if case.request.backends is None or case.runtime in case.request.backends:
        return None
    wanted = " or ".join(sorted(kind.value for kind in case.request.backends))
    return case.refuse("backend", f"backend {wanted}", case.runtime.value)


def check_quantization(case: Case) -> Rejection | None:
    """Refuses number formats the caller did not ask for."""
    if case.request.quantizations is None or case.package.quantization in case.request.quantizations:
        return None
    wanted = " or ".join(sorted(kind.value for kind in case.request.quantizations))
    found = case.package.quantization.value if case.package.quantization else "not stated"
    return case.refuse("quantization", f"quantization {wanted}", found)


def check_batch_size(case: Case) -> Rejection | None:
    """Refuses packages that cannot take the batch the caller will send."""
    if case.request.batch_size is None:
        return None
    smallest, largest = case.request.batch_size
    if case.package.dynamic_batch_size_supported:
        low, high = (
            case.package.get_dynamic_batch_boundaries()
            if case.package.specifies_dynamic_batch_boundaries()
            else (smallest, largest)
        )
        found = f"dynamic batch {low}..{high}"
        fits = low <= smallest and largest <= high
    else:
        found = f"static batch {case.package.static_batch_size}"
        fits = case.package.static_batch_size is not None and smallest <= case.package.static_batch_size <= largest
    return None if fits else case.refuse("batch_size", f"batch {smallest}..{largest}", found)


def check_runtime(case: Case) -> Rejection | None:
    """Refuses packages whose runtime is missing or too old."""
    backend = find_backend(case.runtime)
    if backend is None or case.runtime not in case.environment.runtimes:
        return None
    installed = case.environment.runtimes[case.runtime]
    requirement = Requirement(backend.REQUIRES)
    if installed is not None and requirement.specifier.contains(installed, prereleases=True):
        return None
    found = "not installed" if installed is None else str(installed)
    return case.refuse("runtime", backend.REQUIRES, found, backend.INSTALL)


def check_device(case: Case) -> Rejection | None:
    """Refuses packages for a device this machine does not show."""
    wants_cuda = (case.request.device or "").startswith("cuda") or case.package.backend is BackendType.TRT
    if not wants_cuda or case.environment.cuda_device:
        return None
    fix = "device='cpu'" if case.package.backend is not BackendType.TRT else None
    return case.refuse("device", "a CUDA device", "no CUDA device", fix)


CHECKS: tuple[Check, ...] = (
    check_package_id,
    check_implementation,
    check_trust,
    check_backend,
    check_quantization,
    check_batch_size,
    check_runtime,
    check_device,
)
