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
from inference_models.negotiate.case import Case, candidates_of
from inference_models.negotiate.checks import CAN_FORCE, examine
from inference_models.negotiate.rank import ranked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.errors import Rejection
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.negotiate.request import PackageRequest


@dataclass(frozen=True)
class Verdict:
    """A candidate with the rejections of all checks."""

    candidate: Candidate
    rejections: tuple[Rejection, ...]
    """Every reason against it."""
    runs: bool
    """Whether it may be opened; where there are reasons against it, because of `force=True`."""


@dataclass(frozen=True, repr=False)
class Choice:
    """The outcome of negotiation. Its text, made when it is asked for, tells every candidate with every reason."""

    model: ModelMetadata
    request: PackageRequest
    environment: Environment
    verdicts: tuple[Verdict, ...]
    """Those that can run, best first; then the others, in the order of the packages."""

    @property
    def admissible(self) -> tuple[Candidate, ...]:
        """The candidates that can run, best first."""
        return tuple(verdict.candidate for verdict in self.verdicts if verdict.runs)

    @property
    def packages(self) -> tuple[ModelPackageMetadata, ...]:
        """The packages of the admissible candidates, best first, each once."""
        return tuple({candidate.package.package_id: candidate.package for candidate in self.admissible}.values())

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Every reason against every candidate that is not admissible."""
        return tuple(reason for verdict in self.verdicts if not verdict.runs for reason in verdict.rejections)

    @property
    def overridden(self) -> tuple[Rejection, ...]:
        """Every reason against those that are admissible only because of `force=True`."""
        return tuple(reason for verdict in self.verdicts if verdict.runs for reason in verdict.rejections)

    def ranked(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Candidates of this model, best first."""
        return ranked(Case(self.model, candidate, self.request, self.environment) for candidate in candidates)

    def __str__(self) -> str:
        from inference_models.negotiate.text import choice_text  # noqa: PLC0415 - only needed to print

        return choice_text(self)

    def __repr__(self) -> str:
        return f"<Choice for {self.model.model_id!r}: {len(self.admissible)} of {len(self.verdicts)} candidates>"


def choose_packages(model: ModelMetadata, request: PackageRequest, environment: Environment) -> Choice:
    """The packages of `model` that can run here, best first, and every reason against the others.

    Raises:
        NoModelPackagesAvailableError: the provider announced no package at all, or none with the id in the request.
        AmbiguousModelPackageResolutionError: several packages have that id.
        NoCompatiblePackageError: none of them can run here.
    """
    if not model.model_packages:
        raise NoModelPackagesAvailableError(f"model {model.model_id!r} exists but has no packages.")
    choice = negotiate(model, request, environment)
    if not choice.verdicts[0].runs:
        raise NoCompatiblePackageError(choice, rejections=choice.rejections)
    return choice


def negotiate(model: ModelMetadata, request: PackageRequest, environment: Environment) -> Choice:
    """As `choose_packages`, also where nothing can run or there is nothing.

    Raises:
        NoModelPackagesAvailableError: there are packages, and none with the id in the request.
        AmbiguousModelPackageResolutionError: several packages have that id.
    """
    if request.package_id is not None and model.model_packages:
        _refuse_unknown_id(model, request.package_id)
    found = [(candidate, examine(Case(model, candidate, request, environment))) for candidate in candidates_of(model)]
    taken = [candidate for candidate, reasons in found if not reasons]
    if not taken and request.force:
        taken = _forced(found)
    if len(taken) > 1:
        taken = ranked(Case(model, candidate, request, environment) for candidate in taken)
    reasons_of = {id(candidate): reasons for candidate, reasons in found}
    first = [Verdict(candidate, reasons_of.pop(id(candidate)), runs=True) for candidate in taken]
    others = [Verdict(candidate, reasons, runs=False) for candidate, reasons in found if id(candidate) in reasons_of]
    return Choice(model, request, environment, (*first, *others))


def _forced(found: list[tuple[Candidate, tuple[Rejection, ...]]]) -> list[Candidate]:
    """Those with no reason that holds against `force`; of them, where there are such, the installed and native ones."""
    fitting = [item for item in found if CAN_FORCE.issuperset(reason.check for reason in item[1])]
    fitting = [item for item in fitting if all(reason.check != "runtime" for reason in item[1])] or fitting
    return [candidate for candidate, _ in fitting if candidate.is_native] or [candidate for candidate, _ in fitting]


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
