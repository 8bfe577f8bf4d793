"""What was found fastest, remembered for this machine: one file per provider, model, request and machine.

It is never believed further than to name a plan: that plan must be admissible now, for files that are the same still.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from inference_models import config
from inference_models.cache.facts import Facts
from inference_models.entities import BackendType
from inference_models.loading.converted import package_digest
from inference_models.machine.environment import machine_fingerprint
from inference_models.text import without_query

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from inference_models.entities import ModelMetadata
    from inference_models.loading.address import LoadRequest
    from inference_models.loading.remember import RememberedModels
    from inference_models.negotiate.case import Candidate, Plan

_CALLED = (
    "remembered measurement ignored: %s; without it the package of an earlier load, else the declared order decides, "
    "with default settings"
)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement is about, and the name of its file."""

    provider: str
    model_id: str
    """As the provider calls it, without what signs a URL."""
    machine: str
    request: str
    """Digest of what the caller asked for."""

    @property
    def key(self) -> str:
        """64 hexadecimal digits."""
        return _digest([1, self.provider, self.model_id, self.machine, self.request])


class RememberedCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate by name."""

    package_id: str
    package_digest: str
    """Of the names and hashes of its files."""
    runtime: BackendType


class RememberedPlan(RememberedCandidate, frozen=True, kw_only=True):
    """A plan by name."""

    threads: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None
    execution_providers: tuple[str, ...] | None = None


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One remembered measurement."""

    format: Literal[1] = 1
    subject: Subject
    created_at: datetime
    library_version: str
    budget: float
    winner: RememberedPlan
    busy: float = 0.0
    """Share of the processors that other programs used meanwhile."""
    looked_at: tuple[RememberedCandidate, ...] = ()
    """Every candidate of which at least one setting was tried."""
    table: tuple[dict[str, Any], ...] = ()
    """For people: one entry per candidate, as in the report."""


class MeasurementStore:
    """The measurements below a cache folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.facts = Facts((root or config.cache_directory()) / config.MEASUREMENTS, Measurement, _CALLED)

    def read(self, subject: Subject) -> Measurement | None:
        """The remembered measurement; None when there is none, or when it is damaged, which is logged."""
        found = self.facts.read(subject.key)
        return found if found is not None and found.subject == subject else None

    def clear(self) -> int:
        """Remove all measurements; returns how many there were."""
        return self.facts.clear()


def subject_of(model: ModelMetadata, provider: str, load: LoadRequest, memory: RememberedModels) -> Subject:
    """What a measurement for this load is about. `select` and the budget are no part of it."""
    options = load.options
    wishes = {
        "request": memory.load.wanted,
        "execution_providers": load.execution_providers,
        "from_environment": config.requested_execution_providers(),
        "device": load.device,
        "threads": options.threads,
        "arrays": options.arrays,
        "allow_fallback": options.allow_fallback,
        "code": options.allow_local_code_packages,
    }
    return Subject(
        provider=provider,
        model_id=without_query(model.model_id),
        machine=machine_fingerprint(memory.environment),
        request=_digest(wishes),
    )


def name_candidate(candidate: Candidate) -> RememberedCandidate:
    """`candidate` by name."""
    package = candidate.package
    return RememberedCandidate(
        package_id=package.package_id, package_digest=package_digest(package), runtime=candidate.runtime
    )


def name_plan(plan: Plan) -> RememberedPlan:
    """`plan` by name."""
    named = name_candidate(plan.candidate)
    return RememberedPlan(
        **msgspec.structs.asdict(named), threads=plan.threads, execution_providers=plan.execution_providers
    )


def covers(looked_at: Iterable[RememberedCandidate], candidates: Iterable[Candidate]) -> bool:
    """Whether every candidate was tried, with the files it has now."""
    return set(looked_at) >= set(map(name_candidate, candidates))


def find_plan(plans: Iterable[Plan], named: RememberedPlan) -> Plan | None:
    """The plan of that name; None when it would not be measured any more, or its files have changed."""
    return next((plan for plan in plans if name_plan(plan) == named), None)


def _digest(facts: Any) -> str:
    """Of facts in which the order of sets and keys says nothing."""
    plain = msgspec.to_builtins(facts, enc_hook=repr, order="deterministic")
    return sha256(json.dumps(plain, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
