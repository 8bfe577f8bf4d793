"""What every prediction can do: change its kind of array, be compared, go to JSON and come back."""

from __future__ import annotations

import json
from abc import ABC
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from inference_models.arrays import to_numpy, to_torch
from inference_models.errors import InvalidParameterError, missing_attribute
from inference_models.predictions.plain import is_array, metadata_from_plain, metadata_to_plain, same_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from inference_models.arrays import Array
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain

SCHEMA_VERSION = 1
"""Of the dictionaries; grows when a reader of an older one would misread a newer one."""


@dataclass(eq=False, repr=False)
class Prediction(ABC):  # noqa: B024 - what kinds have in common is what each can do with its fields
    """Base of all prediction containers.

    Two predictions are equal when they have the same class and every field is: arrays by shape, dtype and every
    element (NaN equals NaN), whether they are NumPy arrays or torch tensors, on whichever device. They are mutable
    and therefore cannot be hashed.
    """

    KEYS: ClassVar[tuple[str, ...]] = ()
    """What follows `type` and `schema_version` in its dictionary, in order."""
    ARRAYS: ClassVar[tuple[str, ...]] = ()
    """Fields whose NumPy dtypes it notes under `dtypes`."""

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            raise missing_attribute(self, name)

    def numpy(self) -> Self:
        """The same prediction with NumPy arrays on the host; memory is shared where that is possible."""
        return self._convert(to_numpy)

    def torch(self, device: str | None = None) -> Self:
        """The same prediction with torch tensors on `device` (default: where they are, or the CPU).

        Raises:
            MissingDependencyError: PyTorch is not installed.
        """
        return self._convert(lambda array: to_torch(array, device))

    def to_dict(self) -> dict[str, Plain]:
        """The prediction as plain values that JSON can hold; the class says how they are laid out.

        Raises:
            InvalidParameterError: fields differ in length, or metadata holds a value without a JSON form.
        """
        arrays = {name: getattr(self, name) for name in self.ARRAYS}
        dtypes = {name: None if array is None else str(to_numpy(array).dtype) for name, array in arrays.items()}
        special = {"dtypes": dtypes, **self._to_plain()}
        facts = {key: metadata_to_plain(getattr(self, key)) for key in self.KEYS if key not in special}
        return {**_head(type(self)), **{key: (special if key in special else facts)[key] for key in self.KEYS}}

    def to_line(self, *, top: int = 5) -> dict[str, Plain]:  # noqa: ARG002 - kinds that score every class use it
        """`to_dict` for one line of many: without types of arrays, null, and names of classes that were not found.

        `from_dict` reads it back, apart from kinds that score every class.

        Args:
            top: classes of a classification, best first; it has a score for each of thousands.
        """
        optional = _optional(type(self))
        plain = {key: value for key, value in self.to_dict().items() if key not in _EVERY_TIME}
        return {key: value for key, value in plain.items() if value is not None or key not in optional}

    @classmethod
    def from_dict(cls, data: dict[str, Plain]) -> Self:
        """The prediction of `to_dict`, with NumPy arrays of the types they had, or that of `to_line`.

        Raises:
            InvalidParameterError: the dictionary was not made by `to_dict` of this class.
        """
        _check(cls, data)
        data = {**_optional(cls), **cls._usual(data), **data}
        special = cls._from_plain(data)
        facts = {item.name for item in fields(cls)} & {*cls.KEYS} - special.keys()
        return cls(**{name: metadata_from_plain(data[name]) for name in facts}, **special)

    @classmethod
    def _usual(cls, data: dict[str, Plain]) -> dict[str, Plain]:  # noqa: ARG003 - the subclasses use it
        """What `to_line` left out of `data`."""
        return {}

    def _to_plain(self) -> dict[str, Plain]:
        """Those of `KEYS` that are more than a field of metadata, and not `dtypes`."""
        return {}

    @classmethod
    def _from_plain(cls, data: dict[str, Plain]) -> dict[str, Any]:  # noqa: ARG003 - the subclasses use it
        """The fields of `_to_plain`."""
        return {}

    def to_json(self, *, indent: int | None = None) -> str:
        """The dictionary of `to_dict` as JSON text, free of NaN; `indent` spreads it over lines."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The prediction of `to_json`, with NumPy arrays.

        Raises:
            InvalidParameterError: the text is no JSON, or was not made by `to_json` of this class.
        """
        try:
            data = json.loads(text)
        except ValueError as exc:
            raise InvalidParameterError(
                f"{cls.__name__} cannot be read from JSON.",
                needs="JSON text as `to_json` writes it",
                found=f"text that is no JSON ({exc})",
            ) from exc
        return cls.from_dict(data)

    def compare(self, other: Self, found: Comparison) -> None:  # noqa: B027 - kinds that nobody compares do nothing
        """Add to `found` how far `other`, on the same image, is from this one; both are on the host."""

    def above(self, score: float) -> Self:  # noqa: ARG002 - kinds with a score per object use it
        """Only the objects that are scored higher; all of a kind whose objects have no score."""
        return self

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(same_value(getattr(self, item.name), getattr(other, item.name)) for item in fields(self))

    __hash__ = None  # type: ignore[assignment]  # mutable

    def _convert(self, change: Callable[[Array], Array]) -> Self:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return replace(self, **{name: change(value) for name, value in values.items() if is_array(value)})


_EVERY_TIME = frozenset({"class_names", "dtypes"})


def _optional(kind: type[Prediction]) -> dict[str, None]:
    """The keys that may be missing, because a field is None where nothing is said."""
    return dict.fromkeys(["dtypes", *(item.name for item in fields(kind) if item.default is None)])


def _head(kind: type[Prediction]) -> dict[str, Plain]:
    return {"type": kind.__name__, "schema_version": SCHEMA_VERSION}


def _check(kind: type[Prediction], data: Any) -> None:
    """Refuse a dictionary of another class, of another layout, or without some of the keys."""
    entries = data if isinstance(data, dict) else {}
    stated, version = entries.get("type"), entries.get("schema_version")
    missing = [key for key in kind.KEYS if key not in entries and key not in _optional(kind)]
    right_head = stated == kind.__name__ and version == SCHEMA_VERSION
    if right_head and not missing:
        return
    raise InvalidParameterError(
        f"{kind.__name__} cannot be read from this dictionary.",
        needs=f"type {kind.__name__!r}, schema_version {SCHEMA_VERSION}, {', '.join(kind.KEYS)}",
        found=f"no {', '.join(missing)}" if right_head else f"type {stated!r}, schema_version {version!r}",
        fix="read it with the class that is named in 'type'",
    )
