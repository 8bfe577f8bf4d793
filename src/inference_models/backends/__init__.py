"""One file per runtime. A backend knows arrays; never images, classes or thresholds."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from inference_models.backends.session import Backend
    from inference_models.entities import BackendType

ENTRY_POINT_GROUP = "inference_models.backends"
_NOT_BACKENDS = frozenset({"batching", "session"})


@cache
def find_backend(backend: BackendType) -> Backend | None:
    """The module that runs packages of `backend`, or None when there is none here or in a plug-in."""
    name = backend.value.replace("-", "_")
    if name in _built_in():
        return cast("Backend", importlib.import_module(f"{__name__}.{name}"))
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == backend.value:
            return cast("Backend", entry.load())
    return None


@cache
def _built_in() -> frozenset[str]:
    return frozenset(info.name for info in pkgutil.iter_modules(__path__)) - _NOT_BACKENDS
