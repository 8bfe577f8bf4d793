"""Which plans are worth measuring: every admissible candidate with every setting that the caller left open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.backends import find_runtime
from inference_models.backends.onnx import CPU, NOT_LOCAL, ON_NVIDIA
from inference_models.backends.runtime import EXECUTION_PROVIDERS, THREADS
from inference_models.config import requested_execution_providers
from inference_models.machine.hardware import usable_cpus
from inference_models.negotiate.case import Plan
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.entities import ModelMetadata
    from inference_models.loading.address import LoadRequest, Source
    from inference_models.loading.remember import RememberedModels
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.negotiate.choose import Choice

_PROVIDERS_OF_DEVICE = {"cpu": (CPU,), "cuda": ON_NVIDIA}


class LoadToMeasure(Record, frozen=True):
    """The load that is measured for."""

    model: ModelMetadata
    source: Source
    choice: Choice
    load: LoadRequest
    memory: RememberedModels


def thread_counts(cpus: int) -> tuple[int, ...]:
    """One, half of them and all, least first."""
    return tuple(sorted({1, max(1, cpus // 2), cpus}))


def plans_to_measure(choice: Choice, load: LoadRequest, environment: Environment) -> list[Plan]:
    """Every plan, in the order that decides between plans of one speed.

    That is the declared order of the candidates; for one candidate the order of ONNX Runtime's execution providers;
    then the fewer threads first, which leave more of the machine to others.
    """
    return [plan for candidate in choice.admissible for plan in _plans_of(candidate, load, environment)]


def default_first(plans: list[Plan]) -> list[int]:
    """Positions in `plans` in the order in which they are looked at: the usual setting of each candidate, then others.

    With a budget that is too short, every candidate has been tried before a second setting of one is.
    """
    usual: dict[object, int] = {}
    for position, plan in enumerate(plans):
        usual[plan.candidate.package.package_id, plan.candidate.runtime] = position  # the last one: all threads
    first = sorted(usual.values())
    return first + [position for position in range(len(plans)) if position not in set(first)]


def _plans_of(candidate: Candidate, load: LoadRequest, environment: Environment) -> Iterator[Plan]:
    for provider in _providers(candidate, load, environment):
        providers = None if provider is None else (provider,)
        for threads in _threads(candidate, provider, load, environment):
            yield Plan(candidate, threads, providers)


def _providers(candidate: Candidate, load: LoadRequest, environment: Environment) -> tuple[str | None, ...]:
    if EXECUTION_PROVIDERS not in find_runtime(candidate.runtime).settings:
        return (None,)
    if load.execution_providers is not None or requested_execution_providers() is not None:
        return (None,)
    local = [name for name in environment.execution_providers if name not in NOT_LOCAL]
    if load.device is not None:
        wanted = _PROVIDERS_OF_DEVICE.get(load.device.partition(":")[0], ())
        local = [name for name in local if name in wanted]
        if load.device.partition(":")[2]:  # a number, which a bare name would lose
            return (None,)
    return tuple(local) if len(local) > 1 else (None,)


def _threads(
    candidate: Candidate, provider: str | None, load: LoadRequest, environment: Environment
) -> tuple[int | None, ...]:
    if load.options.threads is not None or not _on_cpu(candidate, provider, load, environment):
        return (None,)
    return thread_counts(usable_cpus())


def _on_cpu(candidate: Candidate, provider: str | None, load: LoadRequest, environment: Environment) -> bool:
    record = find_runtime(candidate.runtime)
    if THREADS not in record.settings:
        return False
    if provider is not None:
        return provider == CPU
    if load.device is not None:
        return load.device == "cpu"
    if EXECUTION_PROVIDERS in record.settings:
        first = (load.execution_providers or (CPU,))[0]
        return (first if isinstance(first, str) else first[0]) == CPU
    return not (environment.cuda_device and "cuda" in (record.devices or ()))
