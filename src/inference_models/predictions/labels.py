"""Class names and coordinates as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference_models.arrays import Array


def known_name(
    class_id: int, class_names: Sequence[str] | None, metadata: Mapping[str, Any] | None = None
) -> str | None:
    """Name of a class: from the list, else from `class_name` of the metadata, else None."""
    if class_names is not None and 0 <= class_id < len(class_names):
        return class_names[class_id]
    name = (metadata or {}).get("class_name")
    return None if name is None else str(name)


def name_or_number(class_id: int, class_names: Sequence[str] | None, metadata: Mapping[str, Any] | None = None) -> str:
    """Name of a class, or `class 7` when no name is known."""
    name = known_name(class_id, class_names, metadata)
    return f"class {class_id}" if name is None else name


def short_list(parts: Sequence[str], *, total: int) -> str:
    """`: a, b, ...` for a repr; empty when there is nothing to list."""
    if not parts:
        return ""
    return ": " + ", ".join(parts) + (", ..." if total > len(parts) else "")


def coordinates(values: Array) -> str:
    """`[224 64 300.5 172]`: at most one digit after the point."""
    return "[" + " ".join(f"{round(float(value), 1):g}" for value in values) + "]"
