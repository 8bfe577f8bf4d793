"""The facts of this machine that decide which backend can run here."""

from __future__ import annotations

from inference_models.backends import find_backend, known_runtimes
from inference_models.machine.probe import EnvironmentProbe, Place


def default_place() -> Place:
    """This process, with the libraries of all runtimes that are known."""
    records = known_runtimes()
    libraries = dict.fromkeys(library for record in records.values() for library in record.libraries)
    driven = {kind: record.libraries[0] for kind, record in records.items() if record.libraries and find_backend(kind)}
    return Place(libraries=tuple(libraries), runtimes=driven)


probe_environment = EnvironmentProbe(default_place)
"""The facts of this process, see `EnvironmentProbe.__call__`."""
