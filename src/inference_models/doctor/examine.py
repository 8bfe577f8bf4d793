"""Examines this machine. Reads only; installs and changes nothing, and imports no library that could crash."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from inference_models.backends import probe_environment
from inference_models.doctor.cache import examine_cache, examine_clock
from inference_models.doctor.devices import examine_builds, examine_cuda_libraries, examine_driver
from inference_models.doctor.findings import BAD, GOOD, NOTE, Finding
from inference_models.doctor.software import examine_broken, examine_libraries, examine_variables
from inference_models.errors import InvalidEnvVariable, JetsonTypeResolutionError
from inference_models.machine.libraries import installed_distributions
from inference_models.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from inference_models.machine.environment import Environment

__all__ = ["BAD", "GOOD", "NOTE", "Finding", "examine", "render"]


def examine(environment: Environment | None = None) -> list[Finding]:
    """The facts of the environment, then everything that was looked at, in a fixed order.

    Args:
        environment: What to look at; None: this machine, thoroughly.
    """
    distributions = installed_distributions()
    software, storage = examine_libraries(distributions), (*examine_cache(), *examine_clock())
    if environment is None:
        try:
            environment = probe_environment(thorough=True)
        except (InvalidEnvVariable, JetsonTypeResolutionError):
            # The variable that cannot be read is a finding; without it the facts of the machine are not known.
            return [*examine_variables(()), *software, *storage]
    return [
        *(Finding(GOOD, f"{label}: {text}") for label, text in environment.facts()),
        *examine_limits(environment, os.cpu_count() or 1),
        *software,
        *examine_broken(environment),
        *examine_driver(environment),
        *examine_builds(environment, distributions),
        *examine_cuda_libraries(environment, distributions),
        *storage,
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
        doubled = max(1, round(2 * limit / (1 << 30)))
        yield Finding(NOTE, what, f"docker update --memory {doubled}g --memory-swap -1 <container>")
