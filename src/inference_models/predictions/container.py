"""What every prediction can do: change its kind of array, be compared, go to JSON and come back."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from inference_models.arrays import to_numpy, to_torch
from inference_models.errors import InvalidParameterError
from inference_models.predictions.plain import is_array, same_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from inference_models.arrays import Array
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain

SCHEMA_VERSION = 1
"""Of the dictionaries; grows when a reader of an older one would misread a newer one."""


@dataclass(eq=False, repr=False)
class Prediction(ABC):
    """Base of all prediction containers.

    Two predictions are equal when they have the same class and every field is: arrays by shape, dtype and every
    element (NaN equals NaN), whether they are NumPy arrays or torch tensors, on whichever device. They are mutable
    and therefore cannot be hashed.
    """

    def numpy(self) -> Self:
        """The same prediction with NumPy arrays on the host; memory is shared where that is possible."""
        return self._convert(to_numpy)

    def torch(self, device: str | None = None) -> Self:
        """The same prediction with torch tensors on `device` (default: where they are, or the CPU).

        Raises:
            MissingDependencyError: PyTorch is not installed.
        """
        return self._convert(lambda array: to_torch(array, device))

    @abstractmethod
    def to_dict(self) -> dict[str, Plain]:
        """The prediction as plain values that JSON can hold; the class says how they are laid out."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: dict[str, Plain]) -> Self:
        """The prediction of `to_dict`, with NumPy arrays.

        Raises:
            InvalidParameterError: the dictionary was not made by `to_dict` of this class.
        """

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


def head(prediction: type[Prediction]) -> dict[str, Plain]:
    """The first two entries of every dictionary: which class it is of, and which version of the layout."""
    return {"type": prediction.__name__, "schema_version": SCHEMA_VERSION}


def check_head(prediction: type[Prediction], data: Any, *keys: str) -> None:
    """Refuse a dictionary of another class, of another layout, or without some of `keys`.

    Raises:
        InvalidParameterError: it cannot be read as `prediction`.
    """
    entries = data if isinstance(data, dict) else {}
    kind, version = entries.get("type"), entries.get("schema_version")
    missing = [key for key in keys if key not in entries]
    right_head = kind == prediction.__name__ and version == SCHEMA_VERSION
    if right_head and not missing:
        return
    raise InvalidParameterError(
        f"{prediction.__name__} cannot be read from this dictionary.",
        needs=f"type {prediction.__name__!r}, schema_version {SCHEMA_VERSION}, {', '.join(keys)}",
        found=f"no {', '.join(missing)}" if right_head else f"type {kind!r}, schema_version {version!r}",
        fix="read it with the class that is named in 'type'",
    )
