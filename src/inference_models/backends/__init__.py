"""One file per runtime. A backend knows arrays; never images, classes or thresholds."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from inference_models.entities import BackendType

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from inference_models.backends.session import Backend

ENTRY_POINT_GROUP = "inference_models.backends"
_NOT_BACKENDS = frozenset({"batching", "feeds", "imports", "onnx_graph", "onnx_providers", "session", "torch_session"})


@cache
def find_backend(backend: BackendType) -> Backend | None:
    """The module that runs packages of `backend`, or None when there is none here or in a plug-in."""
    name = backend.value.replace("-", "_")
    if name in _built_in():
        return cast("Backend", importlib.import_module(f"{__name__}.{name}"))
    entry = _plugins().get(backend.value)
    return None if entry is None else cast("Backend", entry.load())


@cache
def runtimes_for(package_format: BackendType) -> tuple[BackendType, ...]:
    """The runtimes that open packages of a format: its own first, then the others that read it."""
    others = (kind for kind in BackendType if kind is not package_format and package_format in formats_of(kind))
    return (package_format, *others)


def formats_of(runtime: BackendType) -> tuple[BackendType, ...]:
    """The formats of packages that `runtime` opens; empty when nothing here drives it."""
    backend = find_backend(runtime)
    # A plug-in written before runtimes could read foreign formats states none.
    return () if backend is None else getattr(backend, "READS", (runtime,))


@cache
def _built_in() -> frozenset[str]:
    return frozenset(info.name for info in pkgutil.iter_modules(__path__)) - _NOT_BACKENDS


@cache
def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
