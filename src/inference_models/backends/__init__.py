"""One file per runtime. A backend knows arrays; never images, classes or thresholds.

A module of this package, or one that another distribution registers as an entry point of the group
`inference_models.backends` under the name of its runtime, is a backend when it has a record `RUNTIME` and a function
`open_session`. Nothing else has to know of it.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, cast

from inference_models.backends import undriven
from inference_models.entities import BACKEND_PLUGINS
from inference_models.machine.libraries import installed_distributions
from inference_models.machine.system_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inference_models.backends.runtime import Runtime
    from inference_models.backends.session import Backend
    from inference_models.entities import BackendType

_log = logging.getLogger("inference-models")


def find_backend(runtime: BackendType) -> Backend | None:
    """The module that drives `runtime`, or None when there is none here or in a plug-in."""
    return _backends().get(runtime)


def find_runtime(runtime: BackendType) -> Runtime | None:
    """The record of a runtime, whether something here drives it or not; None: nothing is known of it."""
    return known_runtimes().get(runtime)


@cache
def known_runtimes() -> Mapping[BackendType, Runtime]:
    """The records of all runtimes, by type and in their declared order."""
    records = {record.type: record for record in undriven.RUNTIMES}
    records |= {kind: backend.RUNTIME for kind, backend in _backends().items()}
    return dict(sorted(records.items(), key=lambda item: item[1].order))


@cache
def runtimes_for(package_format: BackendType) -> tuple[BackendType, ...]:
    """The runtimes that open packages of a format: its own first, then the others that read it."""
    others = (kind for kind, record in known_runtimes().items() if package_format in record.reads)
    return (package_format, *others)


@cache
def known_devices() -> tuple[str, ...]:
    """Every kind of device that a runtime computes on; `cpu` first."""
    return tuple(dict.fromkeys(["cpu", *(kind for item in known_runtimes().values() for kind in item.devices or ())]))


def forget_backends() -> None:
    """Look for backends again at the next question: a plug-in was installed while this process ran."""
    for remembered in (_backends, known_runtimes, runtimes_for, known_devices):
        remembered.cache_clear()


@cache
def _backends() -> Mapping[BackendType, Backend]:
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    found = {module.RUNTIME.type: cast("Backend", module) for module in modules if hasattr(module, "RUNTIME")}
    for name, place in _plugins():
        try:
            module, _, attribute = place.partition(":")
            plugin = importlib.import_module(module)
            plugin = getattr(plugin, attribute) if attribute else plugin
            found.setdefault(plugin.RUNTIME.type, plugin)
        except Exception as exc:  # noqa: BLE001 - code of others; one plug-in must not take all models away
            _log.warning("the backend plug-in %r cannot be used: %s", name, exc)
    return found


def _plugins() -> Iterator[tuple[str, str]]:
    """Name and place of every entry point of backends; the standard library takes 20 ms more to find them."""
    for distribution in installed_distributions().values():
        section = ""
        for line in map(str.strip, read_text(distribution.metadata / "entry_points.txt").splitlines()):
            if line.startswith("["):
                section = line.strip("[] ")
            elif section == BACKEND_PLUGINS and "=" in line:
                name, _, place = line.partition("=")
                yield name.strip(), place.partition("[")[0].strip()
