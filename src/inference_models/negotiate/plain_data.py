"""Frozen facts as values that `json.dumps` takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable

Plain: TypeAlias = Any
"""What `json.dumps` takes: dict with text keys, list, text, number, bool or None."""


def as_plain(value: object) -> Plain:
    """`value` for JSON: dataclasses by their fields, sets sorted, versions and paths as text, no NaN."""
    if isinstance(value, Enum):
        return as_plain(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (BaseModel, Mapping)) or is_dataclass(value):
        return {str(as_plain(key)): as_plain(item) for key, item in _items(value)}
    return _several(value)


def _items(value: Any) -> Iterable[tuple[object, object]]:
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, BaseModel):
        return iter(value)
    return ((field.name, getattr(value, field.name)) for field in fields(value))


def _several(value: object) -> Plain:
    if isinstance(value, AbstractSet):
        return sorted((as_plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    return str(value)
