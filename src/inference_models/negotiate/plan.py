"""In which order admissible candidates are tried, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference_models.negotiate.case import Candidate


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
