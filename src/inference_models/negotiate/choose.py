"""All checks on all packages, then one declared order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.errors import (
    AmbiguousModelPackageResolutionError,
    NoCompatiblePackageError,
    NoModelPackagesAvailableError,
    nearest_hint,
)
from inference_models.negotiate.candidate import candidates_of
from inference_models.negotiate.checks import CAN_FORCE, Case, examine
from inference_models.negotiate.explain import explain_refusals
from inference_models.negotiate.rank import ranked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.errors import Rejection
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.candidate import Candidate
    from inference_models.negotiate.request import PackageRequest

    Verdict = tuple[Candidate, tuple[Rejection, ...]]
    """A candidate with every reason against it."""


@dataclass(frozen=True)
class Choice:
    """The outcome of negotiation."""

    admissible: tuple[Candidate, ...]
    """Best first; never empty."""
    rejections: tuple[Rejection, ...]
    """Every reason against every candidate that is not admissible."""
    overridden: tuple[Rejection, ...] = ()
    """Every reason against those that are admissible only because of `force=True`."""

    @property
    def packages(self) -> tuple[ModelPackageMetadata, ...]:
        """The packages of the admissible candidates, best first, each once."""
        return tuple({candidate.package.package_id: candidate.package for candidate in self.admissible}.values())


def choose_packages(model: ModelMetadata, request: PackageRequest, environment: Environment) -> Choice:
    """The packages of `model` that can run here, best first, and every reason against the others.

    Raises:
        NoModelPackagesAvailableError: the provider announced no package at all, or none with the id in the request.
        AmbiguousModelPackageResolutionError: several packages have that id.
        NoCompatiblePackageError: none of them can run here.
    """
    if not model.model_packages:
        raise NoModelPackagesAvailableError(f"model {model.model_id!r} exists but has no packages.")
    if request.package_id is not None:
        _refuse_unknown_id(model, request.package_id)
    verdicts = judge(model, request, environment)
    taken = [verdict for verdict in verdicts if not verdict[1]]
    if not taken and request.force:
        taken = _forced(verdicts)
    kept = {id(candidate) for candidate, _ in taken}
    left_out = [reasons for candidate, reasons in verdicts if id(candidate) not in kept]
    rejections = _flat(left_out)
    if not taken:
        raise NoCompatiblePackageError(explain_refusals(model, rejections, request, environment), rejections=rejections)
    best_first = ranked(Case(model, candidate, request, environment) for candidate, _ in taken)
    return Choice(tuple(best_first), rejections, _flat(reasons for _, reasons in taken))


def judge(model: ModelMetadata, request: PackageRequest, environment: Environment) -> list[Verdict]:
    """Every candidate with the refusals of every check, in the order of the packages and of the checks."""
    return [(candidate, examine(Case(model, candidate, request, environment))) for candidate in candidates_of(model)]


def _forced(verdicts: list[Verdict]) -> list[Verdict]:
    """Those with no reason that holds against `force`; of them, where there are such, the installed and native ones."""
    found = [verdict for verdict in verdicts if CAN_FORCE.issuperset(reason.check for reason in verdict[1])]
    found = [verdict for verdict in found if all(reason.check != "runtime" for reason in verdict[1])] or found
    return [verdict for verdict in found if verdict[0].is_native] or found


def _flat(several: Iterable[tuple[Rejection, ...]]) -> tuple[Rejection, ...]:
    return tuple(reason for reasons in several for reason in reasons)


def _refuse_unknown_id(model: ModelMetadata, package_id: str) -> None:
    ids = [package.package_id for package in model.model_packages]
    if package_id not in ids:
        raise NoModelPackagesAvailableError(
            f"model {model.model_id!r} has no package {package_id!r}; {nearest_hint(package_id, ids)}."
        )
    if ids.count(package_id) > 1:
        raise AmbiguousModelPackageResolutionError(
            f"model {model.model_id!r} has several packages {package_id!r}.",
            needs="one package of that id",
            found=f"{ids.count(package_id)} of them",
            fix="choose by backend and quantization, and leave model_package_id out",
        )
