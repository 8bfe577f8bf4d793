"""The fewest steps that would make more candidates run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.negotiate.report import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.entities import BackendType
    from inference_models.errors import Rejection
    from inference_models.negotiate.report import CandidateReport


def find_steps(candidates: Iterable[CandidateReport]) -> tuple[Step, ...]:
    """What would make candidates run that do not: fewest first, then in the order of `candidates`.

    A candidate counts when every reason against it has a fix. The same fixes for several are one step.
    """
    makes_run: dict[tuple[str, ...], list[tuple[str, BackendType]]] = {}
    for candidate in candidates:
        fixes = None if candidate.admissible else _fixes(candidate.rejections)
        if fixes:
            makes_run.setdefault(fixes, []).append((candidate.package_id, candidate.backend))
    ordered = sorted(makes_run, key=len)
    return tuple(Step(fixes, tuple(makes_run[fixes])) for fixes in ordered)


def _fixes(rejections: Sequence[Rejection]) -> tuple[str, ...]:
    """Each fix once; none when one of the refusals has none."""
    fixes = [item.fix for item in rejections if item.fix]
    return tuple(dict.fromkeys(fixes)) if len(fixes) == len(rejections) else ()
