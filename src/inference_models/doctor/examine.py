"""Findings about this machine. Everything is read; nothing is installed, changed or imported that could crash."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from inference_models.backends.environment import probe_environment
from inference_models.doctor.cache import examine_cache, examine_clock
from inference_models.doctor.devices import examine_builds, examine_cuda_libraries, examine_driver
from inference_models.doctor.findings import BAD, GOOD, NOTE, Finding
from inference_models.doctor.libraries import (
    examine_broken,
    examine_index_client,
    examine_namesake,
    examine_onnx_runtimes,
    examine_opencv,
)
from inference_models.doctor.variables import examine_variables
from inference_models.errors import InvalidEnvVariable, JetsonTypeResolutionError
from inference_models.machine.libraries import installed_distributions
from inference_models.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console

    from inference_models.machine.environment import Environment
    from inference_models.machine.libraries import Distribution

__all__ = ["BAD", "GOOD", "NOTE", "Finding", "examine", "render"]


def examine(environment: Environment | None = None) -> list[Finding]:
    """The facts of the environment, then everything that was looked at, in a fixed order.

    Args:
        environment: What to look at; None: this machine, thoroughly.
    """
    distributions = installed_distributions()
    if environment is None:
        try:
            environment = probe_environment(thorough=True)
        except (InvalidEnvVariable, JetsonTypeResolutionError):
            # Which of the variables it is, is found below; without it nobody knows what this machine is.
            return [*examine_variables(()), *_everywhere(distributions), *examine_cache(), *examine_clock()]
    return [
        *_facts(environment),
        *examine_limits(environment, os.cpu_count() or 1),
        *_everywhere(distributions),
        *examine_broken(environment),
        *examine_driver(environment),
        *examine_builds(environment, distributions),
        *examine_cuda_libraries(environment, distributions),
        *examine_cache(),
        *examine_clock(),
        *examine_variables(environment.execution_providers),
    ]


def render(findings: Iterable[Finding], console: Console) -> None:
    """Print findings, one per line, each fix under its own."""
    marks = {GOOD: "[green]ok[/]     ", NOTE: "[yellow]note[/]   ", BAD: "[red]problem[/]"}
    for finding in findings:
        console.print(marks[finding.level], plain(finding.what), soft_wrap=True)
        if finding.fix:
            console.print("        ", plain(finding.fix), soft_wrap=True)


def examine_limits(environment: Environment, shown: int) -> Iterable[Finding]:
    """What the container grants, beside what the machine shows.

    Args:
        environment: The facts.
        shown: CPUs that the machine shows.
    """
    yield Finding(GOOD, f"{environment.cpus} threads per model (this machine shows {shown} CPUs)")
    quota, limit = environment.cpu_quota, environment.memory_limit
    if quota is not None and quota < shown:
        what = f"the container grants {quota:g} of the {shown} CPUs this machine shows"
        yield Finding(NOTE, what, f"docker update --cpus {shown} <container>")
    if limit is not None:
        what = f"the container's memory limit is {limit / 1e9:.1f} GB: a process that needs more is ended"
        yield Finding(NOTE, what, f"docker update --memory {_doubled(limit)}g --memory-swap -1 <container>")


def _everywhere(distributions: Mapping[str, Distribution]) -> Iterable[Finding]:
    """What needs no knowledge of the machine."""
    yield from examine_namesake(distributions)
    yield from examine_onnx_runtimes(distributions)
    yield from examine_opencv(distributions)
    yield from examine_index_client()


def _doubled(limit: int) -> int:
    return max(1, round(2 * limit / (1 << 30)))


def _facts(environment: Environment) -> Iterable[Finding]:
    return (Finding(GOOD, f"{label}: {text}") for label, text in environment.facts())
