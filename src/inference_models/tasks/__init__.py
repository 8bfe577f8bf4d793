"""One file per task: its public base class, the models of our own graphs, and a record of what the others must know.

The name of the file is the name of the task with underscores; nothing else has to be registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import field

from inference_models.errors import ModelImplementationNotFoundError, nearest_hint
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import UnionType

    from inference_models.predictions.container import Prediction


class Task(Record, frozen=True, kw_only=True):
    """What models of one task are, whatever their architecture."""

    name: str
    """As on the wire, for example `object-detection`."""
    model: type
    """Public base class of its models."""
    predictions: Mapping[type[Prediction], str] = field(default_factory=dict)
    """Kinds of prediction in its answers, and for each the module of `inference_models.drawing` that draws it. Their
    classes know how they are written and compared. Empty: nothing of its answers is drawn, or compared as more than
    the raw outputs."""
    graph: type | UnionType | None = None
    """How families describe their graphs for this task; None: only packages with code of their own do it."""
    bind: Callable[..., Any] | None = None
    """The model, from an opened package and what the family says of its graphs."""
    post_processing: str | None = None
    """`post_processing.type` in the `inference_config.json` of its packages."""
    has_classes: bool = True
    """Whether its models must know what their classes are called."""


_MODULES = frozenset(info.name for info in pkgutil.iter_modules(__path__))


def find_task(name: str) -> Task:
    """The record of a task.

    Raises:
        ModelImplementationNotFoundError: there is no such task; the text names the nearest ones.
    """
    module = name.replace("-", "_")
    if module in _MODULES:
        task: Task | None = getattr(importlib.import_module(f"{__name__}.{module}"), "TASK", None)
        if task is not None and task.name == name:
            return task
    raise ModelImplementationNotFoundError(f"there is no task {name!r}; {nearest_hint(name, known_tasks())}.")


@cache
def known_tasks() -> tuple[str, ...]:
    """Names of all tasks, sorted."""
    modules = (importlib.import_module(f"{__name__}.{name}") for name in _MODULES)
    return tuple(sorted(module.TASK.name for module in modules if hasattr(module, "TASK")))


@cache
def painters() -> Mapping[type[Prediction], str]:
    """Every kind of prediction there is, and the module of `inference_models.drawing` that draws it."""
    return {kind: module for name in known_tasks() for kind, module in find_task(name).predictions.items()}
