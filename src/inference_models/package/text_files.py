"""Small text files of a package: size limits, encoding, JSON, and the words for a wrong value."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from inference_models.errors import CorruptedModelPackageError
from inference_models.files.regular import read_regular_file
from inference_models.text import JsonRefusedError, shown, strict_object

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    _PydanticModel = TypeVar("_PydanticModel", bound=BaseModel)

MAX_TEXT_BYTES = 8 << 20
"""Larger configuration files are refused: the largest real ones are lists of class names, well under 1 MB."""

_Model = TypeVar("_Model")
_STEP = re.compile(r"\[(\d+)\]|\.([^.\[]+)")
"""One step of a path as msgspec writes it: `$.network_input.normalization[1][0]`."""


def read_text(path: Path, *, where: str, limit: int = MAX_TEXT_BYTES) -> str:
    """The content of a small UTF-8 file, without a byte order mark.

    Raises:
        CorruptedModelPackageError: the file cannot be read, is larger than `limit` bytes, or is not UTF-8.
    """
    try:
        data = read_regular_file(path, limit, follow=True)
    except ValueError as exc:
        raise CorruptedModelPackageError(
            f"{where} is too large.", needs=f"at most {limit} bytes", found=f"more than {limit} bytes"
        ) from exc
    except OSError as exc:
        raise CorruptedModelPackageError(
            f"{where} cannot be read.", needs="a readable file", found=exc.strerror or type(exc).__name__
        ) from exc
    return decode_text(data, where=where)


def decode_text(data: bytes, *, where: str) -> str:
    """`data` as text.

    Raises:
        CorruptedModelPackageError: `data` is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise CorruptedModelPackageError(
            f"{where} is not text.", needs="UTF-8", found=f"byte 0x{data[exc.start]:02x} at position {exc.start}"
        ) from exc


def removed(where: str) -> CorruptedModelPackageError:
    """The error for a file that was removed meanwhile: another process may empty the cache at any time."""
    return CorruptedModelPackageError(
        f"{where} was removed while it was opened.",
        needs="the file where it was found",
        found="no such file any more",
        fix="load the model again",
    )


def parse_json_object(text: str, *, where: str) -> dict[str, object]:
    """The JSON object in `text`. Duplicate keys, NaN, infinities and too many levels are refused.

    Raises:
        CorruptedModelPackageError: `text` is something else.
    """
    try:
        return strict_object(text)
    except JsonRefusedError as exc:
        raise CorruptedModelPackageError(f"{where} cannot be read.", needs="one JSON object", found=str(exc)) from exc


def convert(model: type[_Model], value: object, *, where: str, strict: bool = False) -> _Model:
    """`value`, read from JSON, as the msgspec structure or dataclass `model`.

    Args:
        model: What belongs there.
        value: What is there.
        where: Name of the file.
        strict: Whether a number in quotes, 1 for true and the like are refused.

    Raises:
        CorruptedModelPackageError: names the file, the path of the first wrong value, and what belongs there.
    """
    import msgspec  # noqa: PLC0415 - not every text is JSON

    from inference_models.files.prepared import prepared  # noqa: PLC0415

    try:
        return msgspec.convert(value, prepared(model), strict=strict, dec_hook=_by_pydantic)
    except msgspec.ValidationError as exc:
        raise _unfit(str(exc), model, value, where) from exc


def _by_pydantic(model: Any, value: object) -> Any:
    """`value` as one of the public values that are pydantic models."""
    from pydantic import ValidationError  # noqa: PLC0415 - slow to import

    try:
        return model.model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        path = ".".join(map(str, first["loc"])) or "the value"
        raise ValueError(f"{path}: {first['msg']}") from exc


def wrong_value(where: str, path: str, needs: str, found: object) -> CorruptedModelPackageError:
    """The error for an invalid value in the file `where`."""
    return CorruptedModelPackageError(f"{where}: {path} has a wrong value.", needs=needs, found=shown(found))


def _unfit(message: str, model: type, value: Any, where: str) -> CorruptedModelPackageError:
    """The words for what msgspec says, such as "Expected `int` >= 1 - at `$.a[0]`"."""
    message, _, path = message.partition(" - at `$")
    path = path.removesuffix("`").partition("[...]")[0]  # the key of a mapping is not told
    if message.startswith("Object missing required field"):
        path = f"{path}.{message.split('`')[1]}".lstrip(".")
        return CorruptedModelPackageError(f"{where}: {path} is missing.", needs=f"the key {path}", found="no such key")
    steps = _STEP.findall(path)
    for index, name in steps:
        value = value[int(index)] if index else value[name]
    if message.startswith("Invalid enum value"):
        needs = " or ".join(repr(choice) for choice in _choices(model, steps))
    else:
        needs = message.removeprefix("Expected ").partition(", got")[0].replace("`", "").replace(" | null", "")
    return wrong_value(where, path.lstrip(".") or "the top level", needs, value)


def _choices(model: type, steps: Iterable[tuple[str, str]]) -> list[object]:
    """The values that the field of `model` at the end of `steps` takes."""
    from msgspec import inspect  # noqa: PLC0415 - for errors only

    def without_null(kind: Any) -> Any:
        return next(one for one in getattr(kind, "types", [kind]) if not isinstance(one, inspect.NoneType))

    kind = without_null(inspect.type_info(model))
    for index, name in steps:
        if name:
            kind = next(item.type for item in kind.fields if item.encode_name == name)
        else:
            kind = kind.item_types[int(index)] if isinstance(kind, inspect.TupleType) else kind.item_type
        kind = without_null(kind)
    return [item.value for item in kind.cls if isinstance(item, Enum)] if hasattr(kind, "cls") else [*kind.values]


def validate(model: type[_PydanticModel], value: object, *, where: str) -> _PydanticModel:
    """`value` as the pydantic `model`.

    Raises:
        CorruptedModelPackageError: names the file, the path of the first wrong value, and what belongs there.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - slow to import, and no file of a cached model needs it

    try:
        return model.model_validate(value)
    except ValidationError as exc:
        details = exc.errors(include_url=False, include_context=False)
        raise _wrong_value(details, value, where=where) from exc


def json_path(location: tuple[int | str, ...], value: object) -> str:
    """Where `location` is in `value`, for example `network_input.normalization[1][0]`."""
    path = ""
    for index, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
            value = value[part] if isinstance(value, list) and part < len(value) else None
        elif isinstance(value, dict) and (part in value or index == len(location) - 1):
            path += f".{part}"
            value = value.get(part)
        # Anything else is the tag of a union, which is not in the file.
    return path.lstrip(".") or "the top level"


def _wrong_value(details: list[ErrorDetails], value: object, *, where: str) -> CorruptedModelPackageError:
    first = details[0]
    more = f" ({len(details) - 1} more wrong)" if len(details) > 1 else ""
    path = json_path(first["loc"], value)
    if first["type"] == "missing":
        return CorruptedModelPackageError(
            f"{where}: {path} is missing{more}.", needs=f"the key {path}", found="no such key"
        )
    needs = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] == "union_tag_invalid":
        path, needs = f"{path}.type", needs.rpartition("expected tags: ")[2]
        return CorruptedModelPackageError(
            f"{where}: {path} has a wrong value{more}.", needs=f"one of {needs}", found=shown(first["input"]["type"])
        )
    return CorruptedModelPackageError(
        f"{where}: {path} has a wrong value{more}.", needs=needs, found=shown(first["input"])
    )
