"""Checks: pure functions of one package, the request and the machine. Every check runs on every package."""

from __future__ import annotations

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
    from inference_models.resolve.environment import Environment
    from inference_models.resolve.request import PackageRequest

    Check = Callable[["ModelMetadata", "ModelPackageMetadata", "PackageRequest", "Environment"], Rejection | None]


def check_package_id(
    _: ModelMetadata, package: ModelPackageMetadata, request: PackageRequest, __: Environment
) -> Rejection | None:
    """Refuses every package but the one asked for."""
    if request.package_id in {None, package.package_id}:
        return None
    return Rejection(package.package_id, "package_id", f"package id {request.package_id}", package.package_id)


def check_implementation(
    model: ModelMetadata, package: ModelPackageMetadata, _: PackageRequest, __: Environment
) -> Rejection | None:
    """Refuses architectures, tasks and backends that nothing here can run."""
    if package.backend is BackendType.CUSTOM:
        return None
    if find_backend(package.backend) is None:
        return Rejection(
            package.package_id, "implementation", f"a backend for {package.backend.value}", "none in this release"
        )
    try:
        find_graph(model.model_architecture, model.task_type or "")
    except ModelImplementationNotFoundError as exc:
        task = model.task_type or "a task (model_config.json names none)"
        what = f"a family for {model.model_architecture} that does {task}"
        return Rejection(package.package_id, "implementation", what, exc.summary.rstrip("."))
    return None


def check_trust(
    _: ModelMetadata, package: ModelPackageMetadata, request: PackageRequest, __: Environment
) -> Rejection | None:
    """Refuses packages their provider does not vouch for, unless the caller allows them."""
    if package.trusted_source or request.allow_untrusted:
        return None
    return Rejection(
        package.package_id, "trust", "a trusted source", "an untrusted one", "pass allow_untrusted_packages=True"
    )


def check_backend(
    _: ModelMetadata, package: ModelPackageMetadata, request: PackageRequest, __: Environment
) -> Rejection | None:
    """Refuses backends the caller did not ask for."""
    if request.backends is None or package.backend in request.backends:
        return None
    wanted = " or ".join(sorted(kind.value for kind in request.backends))
    return Rejection(package.package_id, "backend", f"backend {wanted}", package.backend.value)


def check_quantization(
    _: ModelMetadata, package: ModelPackageMetadata, request: PackageRequest, __: Environment
) -> Rejection | None:
    """Refuses number formats the caller did not ask for."""
    if request.quantizations is None or package.quantization in request.quantizations:
        return None
    wanted = " or ".join(sorted(kind.value for kind in request.quantizations))
    found = package.quantization.value if package.quantization else "not stated"
    return Rejection(package.package_id, "quantization", f"quantization {wanted}", found)


def check_batch_size(
    _: ModelMetadata, package: ModelPackageMetadata, request: PackageRequest, __: Environment
) -> Rejection | None:
    """Refuses packages that cannot take the batch the caller will send."""
    if request.batch_size is None:
        return None
    smallest, largest = request.batch_size
    if package.dynamic_batch_size_supported:
        low, high = (
            package.get_dynamic_batch_boundaries()
            if package.specifies_dynamic_batch_boundaries()
            else (smallest, largest)
        )
        found = f"dynamic batch {low}..{high}"
        fits = low <= smallest and largest <= high
    else:
        found = f"static batch {package.static_batch_size}"
        fits = package.static_batch_size is not None and smallest <= package.static_batch_size <= largest
    return None if fits else Rejection(package.package_id, "batch_size", f"batch {smallest}..{largest}", found)


def check_runtime(
    _: ModelMetadata, package: ModelPackageMetadata, __: PackageRequest, environment: Environment
) -> Rejection | None:
    """Refuses packages whose runtime is missing or too old."""
    backend = find_backend(package.backend)
    if backend is None or package.backend not in environment.runtimes:
        return None
    installed = environment.runtimes[package.backend]
    requirement = Requirement(backend.REQUIRES)
    if installed is not None and requirement.specifier.contains(installed, prereleases=True):
        return None
    found = "not installed" if installed is None else str(installed)
    return Rejection(package.package_id, "runtime", backend.REQUIRES, found, backend.INSTALL)


def check_device(
    _: ModelMetadata, package: ModelPackageMetadata, request: PackageRequest, environment: Environment
) -> Rejection | None:
    """Refuses packages for a device this machine does not show."""
    wants_cuda = (request.device or "").startswith("cuda") or package.backend is BackendType.TRT
    if not wants_cuda or environment.cuda_device:
        return None
    fix = "device='cpu'" if package.backend is not BackendType.TRT else None
    return Rejection(package.package_id, "device", "a CUDA device", "no CUDA device", fix)


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
