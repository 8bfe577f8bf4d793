"""Small text files of a package: size limits, encoding, JSON, and the words for a wrong value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from inference_models.errors import CorruptedModelPackageError
from inference_models.files.regular import read_regular_file
from inference_models.text import JsonRefusedError, scrub, shown, strict_object

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_TEXT_BYTES = 8 << 20
"""Larger configuration files are refused: the largest real ones are lists of class names, well under 1 MB."""

_Model = TypeVar("_Model")
_STEP = r"\[(\d+)\]|\.([^.\[]+)"
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


class MisfitError(ValueError):
    """The first value in a document that does not fit its place. Caught in this library."""

    def __init__(self, path: str, needs: str, found: object, *, missing: bool = False) -> None:
        self.path = path
        """Such as `network_input.normalization[1][0]`."""
        self.needs = needs
        self.found = found
        """The value; for a missing one, that in which it is missing."""
        self.missing = missing
        super().__init__(path, needs)

    def __str__(self) -> str:
        """For example `packageFiles[0].fileHandle is missing`, without what is secret."""
        if self.missing:
            return f"{self.path} is missing"
        if isinstance(self.found, dict):  # a sentence of its own, or a whole part of the document
            return f"{self.path}: {self.needs if ' ' in self.needs else f'needs {self.needs}'}"
        return f"{self.path}: needs {self.needs}; found: {scrub(shown(self.found))}"


def fitted(model: type[_Model], value: object, *, strict: bool = False) -> _Model:
    """`value`, read from JSON or TOML, as the msgspec structure or dataclass `model`. Reading ends at the first misfit.

    Args:
        model: What belongs there.
        value: What is there.
        strict: Whether a number in quotes, 1 for true and the like are refused.

    Raises:
        MisfitError: the path of the first wrong value, and what belongs there.
    """
    import msgspec  # noqa: PLC0415 - not every text is JSON

    from inference_models.files.prepared import prepared  # noqa: PLC0415

    try:
        return msgspec.convert(value, prepared(model), strict=strict, str_keys=True, dec_hook=_version)
    except msgspec.ValidationError as exc:
        raise _misfit(str(exc), model, value) from exc


def _version(kind: Any, value: object) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise ValueError("a version") from None


def convert(model: type[_Model], value: object, *, where: str, strict: bool = False) -> _Model:
    """`value`, read from the file `where`, as `fitted` gives it.

    Raises:
        CorruptedModelPackageError: names the file, the path of the first wrong value, and what belongs there.
    """
    try:
        return fitted(model, value, strict=strict)
    except MisfitError as exc:
        if not exc.missing:
            raise wrong_value(where, exc.path, exc.needs, exc.found) from exc
        raise CorruptedModelPackageError(
            f"{where}: {exc.path} is missing.", needs=f"the key {exc.path}", found="no such key"
        ) from exc


def wrong_value(where: str, path: str, needs: str, found: object) -> CorruptedModelPackageError:
    """The error for an invalid value in the file `where`."""
    return CorruptedModelPackageError(f"{where}: {path} has a wrong value.", needs=needs, found=shown(found))


def _misfit(message: str, model: type, value: Any) -> MisfitError:
    """What msgspec says, such as "Expected `int` >= 1 - at `$.a[0]`"."""
    message, _, path = message.partition(" - at `$")
    path = path.removesuffix("`").partition("[...]")[0]  # the key of a mapping is not told
    steps = re.findall(_STEP, path)
    for index, name in steps:
        value = value[int(index)] if index else value[name]
    if message.startswith("Object "):  # missing required field `name`, or contains unknown field `name`
        name = message.split("`")[1]
        missing = name not in value
        inner = f"{path}.{name}".lstrip(".")
        return MisfitError(inner, "no such key", value if missing else value[name], missing=missing)
    if message.startswith(("Invalid enum value", "Invalid value")):
        needs = " or ".join(repr(choice) for choice in _choices(model, steps)) or "another value"
    else:
        needs = message.removeprefix("Expected ").partition(", got")[0].replace("`", "").replace(" | null", "")
    return MisfitError(path.lstrip(".") or "the top level", needs, value)


def _choices(model: type, steps: Iterable[tuple[str, str]]) -> list[object]:
    """The values that the field of `model` at the end of `steps` takes."""
    from msgspec import inspect  # noqa: PLC0415 - for errors only

    def inside(kind: Any, index: str, name: str) -> list[Any]:
        if name and getattr(kind, "tag_field", None) == name:
            return [inspect.LiteralType((kind.tag,))]
        if name:
            return [item.type for item in kind.fields if item.encode_name == name]
        return [kind.item_types[int(index)] if isinstance(kind, inspect.TupleType) else kind.item_type]

    def alternatives(kind: Any) -> list[Any]:
        if isinstance(kind, inspect.Metadata):
            return alternatives(kind.type)
        if isinstance(kind, inspect.UnionType):
            return [one for item in kind.types for one in alternatives(item)]
        return [] if isinstance(kind, inspect.NoneType) else [kind]

    kinds: list[Any] = [inspect.type_info(model)]
    for index, name in steps:
        kinds = [one for kind in kinds for item in inside(kind, index, name) for one in alternatives(item)]
    enums = [item.value for kind in kinds if isinstance(kind, inspect.EnumType) for item in kind.cls]
    return enums + [value for kind in kinds if isinstance(kind, inspect.LiteralType) for value in kind.values]
