"""What a provider said about a model, as plain JSON values and back without loss."""

from __future__ import annotations

import types
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from packaging.version import Version
from pydantic import BaseModel

from inference_models.entities import (
    ArtefactSpecs,
    FileDownloadSpecs,
    InlineFileSpecs,
    JetsonEnvironmentRequirements,
    LocalFileArtefactSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    ServerEnvironmentRequirements,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

Made = TypeVar("Made")

KIND = "kind"
_TAGGED: dict[str, type] = {
    "download": FileDownloadSpecs,
    "inline": InlineFileSpecs,
    "local": LocalFileArtefactSpecs,
    "jetson": JetsonEnvironmentRequirements,
    "server": ServerEnvironmentRequirements,
}
"""Classes that share a field with others; their objects say which one they are."""
_TAG_OF = {tagged: name for name, tagged in _TAGGED.items()}


def metadata_to_json(model: ModelMetadata) -> dict[str, Any]:
    """`model` as dictionaries, lists, texts and numbers; what is None is left out."""
    return cast("dict[str, Any]", _encode(model))


def metadata_from_json(data: object) -> ModelMetadata:
    """The model that `metadata_to_json` was given.

    Raises:
        ValueError: `data` is not what that function writes.
    """
    return _decode_fields(ModelMetadata, data)


def _encode(value: Any) -> Any:
    if is_dataclass(value):
        stated = {field.name: getattr(value, field.name) for field in fields(value)}
        encoded = {name: _encode(item) for name, item in stated.items() if item is not None}
        tag = _TAG_OF.get(type(value))
        return encoded if tag is None else {KIND: tag, **encoded}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (Version, PurePath)):
        return str(value)
    if isinstance(value, (list, set, tuple)):
        return [_encode(item) for item in (sorted(value) if isinstance(value, set) else value)]
    return value


def _decode(hint: Any, value: Any) -> Any:
    if hint is Any:
        return value
    if _is_union(hint):
        return _decode_union(get_args(hint), value)
    origin = get_origin(hint)
    if origin in (list, set, tuple):
        item_hint = get_args(hint)[0]
        return origin(_decode(item_hint, item) for item in _expect(list, value))
    if origin is dict:
        return _expect(dict, value)
    return _decode_plain(hint, value)


def _decode_plain(hint: type, value: Any) -> Any:
    if is_dataclass(hint):
        return _decode_fields(hint, value)
    if issubclass(hint, BaseModel):
        return hint.model_validate(_expect(dict, value))
    if issubclass(hint, (Enum, Version, Path)):
        return hint(_expect(str, value))
    return _expect(hint, value)


def _decode_union(hints: tuple[Any, ...], value: Any) -> Any:
    wanted = [hint for hint in hints if hint is not type(None)]
    if len(wanted) == 1:
        return _decode(wanted[0], value)
    tag = _expect(dict, value).get(KIND)
    kind = _TAGGED.get(tag) if isinstance(tag, str) else None
    if kind not in wanted:
        raise ValueError(f"{KIND} {tag!r} is none of {[hint.__name__ for hint in wanted]}")
    return _decode_fields(cast("type[Any]", kind), {name: item for name, item in value.items() if name != KIND})


def _decode_fields(kind: type[Made], data: object) -> Made:
    stated = _expect(dict, data)
    hints = _hints(cast("Hashable", kind))
    unknown = stated.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {sorted(unknown)[0]!r}")
    known = {field.name: field for field in fields(cast("Any", kind))}
    values = {
        name: _decode(hint, stated[name]) if name in stated else _missing(known[name], hint)
        for name, hint in hints.items()
    }
    return kind(**values)


def _missing(field: Field[Any], hint: Any) -> Any:
    if type(None) in get_args(hint):
        return None
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    raise ValueError(f"field {field.name!r} is missing")


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    hints = get_type_hints(kind)
    if kind is ModelPackageMetadata:
        hints["package_artefacts"] = list[ArtefactSpecs]
    return hints


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _expect(kind: type[Made], value: object) -> Made:
    # bool is an int to isinstance, and no number here.
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is int):
        return value
    raise ValueError(f"{kind.__name__} expected, {type(value).__name__} found")
