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

from inference_models.backends.runtime import Runtime
from inference_models.backends.runtimes import DRIVEN, UNDRIVEN
from inference_models.entities import BACKEND_PLUGINS
from inference_models.machine.libraries import entry_points
from inference_models.machine.probe import EnvironmentProbe, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.backends.session import Backend
    from inference_models.entities import BackendType

_LAST = 1000
_DRIVERS = {record.type: record.type.value.replace("-", "_") for record in DRIVEN}
"""Modules that open graphs, by the runtime they drive."""
_SHARED = frozenset({"runtime", "runtimes", "session", "torch_module", "torch_session"})
_log = logging.getLogger("inference-models")


def find_backend(runtime: BackendType) -> Backend | None:
    """The module that drives `runtime`, or None when there is none here or in a plug-in."""
    if runtime in _DRIVERS:
        return cast("Backend", importlib.import_module(f"{__name__}.{_DRIVERS[runtime]}"))
    return _more_backends().get(runtime)


def is_driven(runtime: BackendType) -> bool:
    """Whether there is a module that drives `runtime`; imports none of this package."""
    return runtime in _DRIVERS or runtime in _more_backends()


def find_runtime(runtime: BackendType) -> Runtime:
    """The record of a runtime, whether something here drives it or not; one of which nothing is known is the last."""
    return known_runtimes().get(runtime) or Runtime(label=runtime.value, type=runtime, order=_LAST)


@cache
def known_runtimes() -> Mapping[BackendType, Runtime]:
    """The records of all runtimes, by type and in their declared order."""
    records = {record.type: record for record in UNDRIVEN}
    records |= {kind: backend.RUNTIME for kind, backend in _more_backends().items()}
    records |= {record.type: record for record in DRIVEN}
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
    for remembered in (_more_backends, known_runtimes, runtimes_for, known_devices):
        remembered.cache_clear()


@cache
def _more_backends() -> Mapping[BackendType, Backend]:
    """Those that bring their record themselves: other files of this package, and plug-ins."""
    names = {info.name for info in pkgutil.iter_modules(__path__)} - _SHARED - set(_DRIVERS.values())
    modules = [importlib.import_module(f"{__name__}.{name}") for name in sorted(names)]
    found = {module.RUNTIME.type: cast("Backend", module) for module in modules if hasattr(module, "RUNTIME")}
    for entry in entry_points(group=BACKEND_PLUGINS):
        try:
            plugin = cast("Backend", entry.load())
            found.setdefault(plugin.RUNTIME.type, plugin)
        except Exception as exc:  # noqa: BLE001 - code of others; one plug-in must not take all models away
            _log.warning("the backend plug-in %r cannot be used: %s", entry.name, exc)
    return found


def default_place() -> Place:
    """This process, with the libraries of all runtimes that are known."""
    records = known_runtimes()
    libraries = dict.fromkeys(library for record in records.values() for library in record.libraries)
    runtimes = {kind: record.libraries[0] for kind, record in records.items() if record.libraries and is_driven(kind)}
    return Place(libraries=tuple(libraries), runtimes=runtimes)


probe_environment = EnvironmentProbe(default_place)
"""The facts of this process that decide which backend can run here, see `EnvironmentProbe.__call__`."""
