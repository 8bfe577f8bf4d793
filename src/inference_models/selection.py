"""Which admissible candidate is opened first, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference_models.entities import ModelMetadata
    from inference_models.fetch import Source
    from inference_models.load import LoadRequest
    from inference_models.remembered import LoadMemory
    from inference_models.resolve.candidate import Candidate
    from inference_models.resolve.choose import Choice


@dataclass(frozen=True)
class Plan:
    """A candidate with the settings it is opened with; None: what the caller said, else the runtime's default."""

    candidate: Candidate
    threads: int | None = None
    execution_providers: tuple[Any, ...] | None = None

    def applied_to(self, load: LoadRequest) -> LoadRequest:
        """`load` with these settings."""
        if self.threads is not None:
            load = replace(load, options=replace(load.options, threads=self.threads))
        if self.execution_providers is not None:
            load = replace(load, execution_providers=self.execution_providers)
        return load


@dataclass(frozen=True)
class Selection:
    """Plans in the order in which they are tried."""

    plans: tuple[Plan, ...]
    reason: str
    """`order`, `measured` or `package id`."""


def select_plans(
    model: ModelMetadata,  # noqa: ARG001 - the seam of the measured choice
    source: Source,  # noqa: ARG001
    choice: Choice,
    load: LoadRequest,  # noqa: ARG001
    memory: LoadMemory,
) -> Selection:
    """The admissible candidates, best first."""
    reason = "order" if memory.request.package_id is None else "package id"
    return Selection(tuple(Plan(candidate) for candidate in choice.admissible), reason)
