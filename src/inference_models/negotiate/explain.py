"""Words for refusals. The facts come from elsewhere; here they are only laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.negotiate.candidate import candidates_of
from inference_models.negotiate.checks import Case
from inference_models.negotiate.layout import one_line
from inference_models.negotiate.rank import ranked
from inference_models.negotiate.reasons import NO_STEPS, package_lines, refusal_lines, told_together, why_text
from inference_models.negotiate.report import CandidateReport
from inference_models.negotiate.steps import find_steps
from inference_models.text import without_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.entities import BackendType, ModelMetadata, ModelPackageMetadata
    from inference_models.errors import Rejection
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.choose import Choice
    from inference_models.negotiate.plan import Selection
    from inference_models.negotiate.request import PackageRequest

_WIDEST_LABEL = 36
"""Columns of a label above which the reasons begin on the next line."""


def explain_refusals(
    model: ModelMetadata, rejections: Sequence[Rejection], request: PackageRequest, environment: Environment
) -> str:
    """The text of a failed negotiation: machine, request, every reason, and the fewest steps that would help."""
    count = len(model.model_packages)
    plural = "package" if count == 1 else "packages"
    name = without_query(model.model_id)
    candidates = _refused(model, rejections)
    lines = [
        f"no package of {name!r} can run here ({count} {plural}, {count} rejected).",
        *_circumstances(request, environment),
        *_table(model, candidates),
    ]
    steps = find_steps(_best_first(model, candidates, request, environment))
    if steps:
        package_id, runtime = steps[0].makes_run[0]
        through = "" if _is_native(model, package_id, runtime) else f" through {runtime.value}"
        fixes = "; then ".join(map(one_line, steps[0].fixes))
        lines += ["", f"  fewest steps   {one_line(package_id)}{through}: {fixes}"]
    else:
        lines += ["", f"  fewest steps   none: {NO_STEPS}"]
    return "\n".join(lines)


def explain_choice(
    model: ModelMetadata, choice: Choice, selection: Selection, request: PackageRequest, environment: Environment
) -> str:
    """One message for the log: what is tried first and why, and every reason against the rest."""
    overridden = {(item.package_id, item.backend): item.rejections for item in _refused(model, choice.overridden)}
    candidates = []
    for position, item in enumerate(choice.admissible, 1):
        reasons = overridden.get((item.package.package_id, item.runtime), ())
        candidates.append(CandidateReport(item.package.package_id, item.runtime, item.is_native, reasons, position))
    candidates += _refused(model, choice.rejections)
    count = len(model.model_packages)
    plural = "package" if count == 1 else "packages"
    fitting = f"{len(choice.packages)} of {count} {plural} can run"
    first, why = one_line(selection.plans[0].candidate.label), why_text(selection.reason)
    lines = [
        f"{without_query(model.model_id)!r}: {first} is tried first, {why} ({fitting}).",
        *_circumstances(request, environment),
        *_table(model, candidates),
    ]
    return "\n".join(lines)


def _circumstances(request: PackageRequest, environment: Environment) -> list[str]:
    machine, wishes = one_line(environment.describe()), one_line(request.describe())
    return ["", f"  this machine   {machine}", f"  you asked for  {wishes}", ""]


def _table(model: ModelMetadata, candidates: Iterable[CandidateReport]) -> list[str]:
    """Every package with what its runtimes lack; packages that say the same are told together."""
    by_package: dict[str, list[CandidateReport]] = {}
    for candidate in sorted(candidates, key=lambda candidate: not candidate.native):
        by_package.setdefault(candidate.package_id, []).append(candidate)
    told = [package for package in model.model_packages if package.package_id in by_package]
    groups = told_together(told, lambda package: (package.backend, refusal_lines(by_package[package.package_id])))
    labels = [_label(group) for group in groups]
    width = max(map(len, labels), default=0)
    lines = []
    for label, group in zip(labels, groups, strict=True):
        reasons = package_lines(by_package[group[0].package_id])
        if width > _WIDEST_LABEL:
            lines += [f"  {label}", *(f"      {reason}" for reason in reasons)]
        else:
            first, *rest = reasons
            lines += [f"  {label:<{width}}  {first}", *(f"  {'':<{width}}  {reason}" for reason in rest)]
    return lines


def _label(packages: Sequence[ModelPackageMetadata]) -> str:
    kinds = dict.fromkeys(
        f"{package.backend.value} {package.quantization.value if package.quantization else 'unknown'}"
        for package in packages
    )
    like = f", like {len(packages) - 1} more" if len(packages) > 1 else ""
    return f"{one_line(packages[0].package_id)}  {', '.join(kinds)}{like}"


def _refused(model: ModelMetadata, rejections: Iterable[Rejection]) -> list[CandidateReport]:
    """The candidates that were refused, in the order of the packages and of their runtimes."""
    reasons: dict[tuple[str, BackendType | None], list[Rejection]] = {}
    for item in rejections:
        reasons.setdefault((item.package_id, item.runtime), []).append(item)
    refused = {}
    for candidate in candidates_of(model):
        key = candidate.package.package_id, None if candidate.is_native else candidate.runtime
        if key in reasons:
            refused[key] = CandidateReport(key[0], candidate.runtime, candidate.is_native, tuple(reasons[key]), None)
    return list(refused.values())


def _best_first(
    model: ModelMetadata, refused: Iterable[CandidateReport], request: PackageRequest, environment: Environment
) -> list[CandidateReport]:
    by_name = {(item.package_id, item.backend): item for item in refused}
    names = [
        (item.package.package_id, item.runtime)
        for item in ranked(Case(model, candidate, request, environment) for candidate in candidates_of(model))
    ]
    return [by_name[name] for name in dict.fromkeys(names) if name in by_name]


def _is_native(model: ModelMetadata, package_id: str, runtime: BackendType) -> bool:
    return any(item.package_id == package_id and item.backend is runtime for item in model.model_packages)
