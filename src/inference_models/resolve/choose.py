"""All checks on all packages, then one declared order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.entities import BackendType, Quantization
from inference_models.errors import NoCompatiblePackageError, NoModelPackagesAvailableError
from inference_models.resolve.checks import CHECKS
from inference_models.resolve.explain import explain_refusals

if TYPE_CHECKING:
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.resolve.environment import Environment
    from inference_models.resolve.rejection import Rejection
    from inference_models.resolve.request import PackageRequest

BACKEND_ORDER = (
    BackendType.TRT,
    BackendType.ONNX,
    BackendType.TORCH,
    BackendType.TORCH_SCRIPT,
    BackendType.HF,
)
"""Best first; backends that are not listed come after these, in the order of `BackendType`."""
QUANTIZATION_ORDER = (Quantization.FP32, Quantization.FP16, Quantization.BF16, Quantization.INT8, Quantization.UNKNOWN)


@dataclass(frozen=True)
class Choice:
    """The outcome of negotiation."""

    admissible: tuple[ModelPackageMetadata, ...]
    """Best first; never empty."""
    rejections: tuple[Rejection, ...]


def choose_packages(model: ModelMetadata, request: PackageRequest, environment: Environment) -> Choice:
    """The packages of `model` that can run here, best first, and every reason against the others.

    Raises:
        NoModelPackagesAvailableError: the provider announced no package at all.
        NoCompatiblePackageError: none of them can run here.
    """
    if not model.model_packages:
        raise NoModelPackagesAvailableError(f"model {model.model_id!r} exists but has no packages.")
    rejections = reject(model, request, environment)
    refused = {rejection.package_id for rejection in rejections}
    admissible = [package for package in model.model_packages if package.package_id not in refused]
    if not admissible:
        raise NoCompatiblePackageError(explain_refusals(model, rejections, request, environment), rejections=rejections)
    return Choice(tuple(sorted(admissible, key=_rank)), rejections)


def reject(model: ModelMetadata, request: PackageRequest, environment: Environment) -> tuple[Rejection, ...]:
    """Every refusal of every check, in the order of the packages and of the checks."""
    found = (check(model, package, request, environment) for package in model.model_packages for check in CHECKS)
    return tuple(rejection for rejection in found if rejection is not None)


def _rank(package: ModelPackageMetadata) -> tuple[int, int, bool, int, str]:
    others = [kind for kind in BackendType if kind not in BACKEND_ORDER]
    quantization = package.quantization or Quantization.UNKNOWN
    return (
        [*BACKEND_ORDER, *others].index(package.backend),
        QUANTIZATION_ORDER.index(quantization),
        not package.dynamic_batch_size_supported,
        package.static_batch_size or 0,
        package.package_id,
    )
