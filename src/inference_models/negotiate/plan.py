"""In which order admissible candidates are tried, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference_models.negotiate.case import Candidate
    from inference_models.negotiate.choose import Choice
    from inference_models.negotiate.request import PackageRequest


@dataclass(frozen=True)
class Plan:
    """A candidate with the settings it is opened with; None: what the caller said, else the runtime's default."""

    candidate: Candidate
    threads: int | None = None
    execution_providers: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Selection:
    """Plans in the order in which they are tried."""

    plans: tuple[Plan, ...]
    reason: str
    """`order`, `measured` or `package id`."""


def declared_order(choice: Choice, request: PackageRequest) -> Selection:
    """The admissible candidates as negotiation ranked them."""
    plans = tuple(Plan(candidate) for candidate in choice.admissible)
    return Selection(plans, "order" if request.package_id is None else "package id")
