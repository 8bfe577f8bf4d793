"""Small text files of a package: size limits, encoding, JSON, and the words for a wrong value."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from inference_models.errors import CorruptedModelPackageError
from inference_models.text import JsonRefusedError, shown, strict_object

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

MAX_TEXT_BYTES = 8 << 20
"""Larger configuration files are refused: the largest real ones are lists of class names, well under 1 MB."""

_Model = TypeVar("_Model", bound=BaseModel)


def read_text(path: Path, *, where: str) -> str:
    """The content of a small UTF-8 file, without a byte order mark.

    Raises:
        CorruptedModelPackageError: the file cannot be read, is too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_TEXT_BYTES + 1)
    except OSError as exc:
        raise CorruptedModelPackageError(
            f"{where} cannot be read.", needs="a readable file", found=exc.strerror or type(exc).__name__
        ) from exc
    if len(data) > MAX_TEXT_BYTES:
        raise CorruptedModelPackageError(
            f"{where} is too large.", needs=f"at most {MAX_TEXT_BYTES} bytes", found=f"more than {MAX_TEXT_BYTES} bytes"
        )
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
    """What to say of a file that was there a moment ago: another process may empty the cache at any time."""
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


def validate(model: type[_Model], value: object, *, where: str) -> _Model:
    """`value` as `model`.

    Raises:
        CorruptedModelPackageError: names the file, the path of the first wrong value, and what belongs there.
    """
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
