"""All checks on all packages, then one declared order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.entities import BackendType, Quantization
from inference_models.errors import NoCompatiblePackageError, NoModelPackagesAvailableError
from inference_models.resolve.candidate import candidates_of
from inference_models.resolve.checks import CHECKS, Case
from inference_models.resolve.explain import explain_refusals

if TYPE_CHECKING:
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.resolve.candidate import Candidate
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

    admissible: tuple[Candidate, ...]
    """Best first; never empty."""
    rejections: tuple[Rejection, ...]
    """Every reason against every candidate that is not admissible."""

    @property
    def packages(self) -> tuple[ModelPackageMetadata, ...]:
        """The packages of the admissible candidates, best first, each once."""
        return tuple({candidate.package.package_id: candidate.package for candidate in self.admissible}.values())


def choose_packages(model: ModelMetadata, request: PackageRequest, environment: Environment) -> Choice:
    """The packages of `model` that can run here, best first, and every reason against the others.

    Raises:
        NoModelPackagesAvailableError: the provider announced no package at all.
        NoCompatiblePackageError: none of them can run here.
    """
    if not model.model_packages:
        raise NoModelPackagesAvailableError(f"model {model.model_id!r} exists but has no packages.")
    verdicts = judge(model, request, environment)
    rejections = tuple(reason for _, reasons in verdicts for reason in reasons)
    admissible = [candidate for candidate, reasons in verdicts if not reasons]
    if not admissible:
        raise NoCompatiblePackageError(explain_refusals(model, rejections, request, environment), rejections=rejections)
    return Choice(tuple(sorted(admissible, key=_rank)), rejections)


def judge(
    model: ModelMetadata, request: PackageRequest, environment: Environment
) -> list[tuple[Candidate, tuple[Rejection, ...]]]:
    """Every candidate with the refusals of every check, in the order of the packages and of the checks."""
    verdicts = []
    for candidate in candidates_of(model):
        case = Case(model, candidate, request, environment)
        reasons = (check(case) for check in CHECKS)
        verdicts.append((candidate, tuple(reason for reason in reasons if reason is not None)))
    return verdicts


def _rank(candidate: Candidate) -> tuple[int, int, bool, int, str]:
    package = candidate.package
    others = [kind for kind in BackendType if kind not in BACKEND_ORDER]
    quantization = package.quantization or Quantization.UNKNOWN
    return (
        [*BACKEND_ORDER, *others].index(candidate.runtime),
        QUANTIZATION_ORDER.index(quantization),
        not package.dynamic_batch_size_supported,
        package.static_batch_size or 0,
        package.package_id,
    )
