"""What the caller asks of negotiation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from inference_models.entities import BackendType, Quantization
from inference_models.errors import InvalidParameterError, UnknownBackendTypeError, UnknownQuantizationError
from inference_models.naming import nearest_hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Kind = TypeVar("Kind", BackendType, Quantization)


@dataclass(frozen=True)
class PackageRequest:
    """The caller's wishes; None means no wish."""

    package_id: str | None = None
    backends: frozenset[BackendType] | None = None
    quantizations: frozenset[Quantization] | None = None
    batch_size: tuple[int, int] | None = None
    """(smallest, largest)."""
    device: str | None = None
    allow_untrusted: bool = False

    def describe(self) -> str:
        """One line for error texts and reports."""
        return ", ".join(
            [
                "package " + self.package_id if self.package_id else _listed(self.backends, "backend"),
                _listed(self.quantizations, "quantization"),
                f"device={self.device or 'auto'}",
            ]
        )


def parse_backends(value: object) -> frozenset[BackendType] | None:
    """`backend=` as a set: a name, a `BackendType`, or several of them.

    Raises:
        UnknownBackendTypeError: a name is no backend.
    """
    if value is None:
        return None
    known = {kind.value: kind for kind in BackendType}
    return frozenset(_lookup(item, known, "backend", UnknownBackendTypeError) for item in _several(value))


def parse_quantizations(value: object) -> frozenset[Quantization] | None:
    """`quantization=` as a set: a name, a `Quantization`, or several of them.

    Raises:
        UnknownQuantizationError: a name is no quantization.
    """
    if value is None:
        return None
    known = {kind.value: kind for kind in Quantization}
    return frozenset(_lookup(item, known, "quantization", UnknownQuantizationError) for item in _several(value))


def parse_batch_size(value: object) -> tuple[int, int] | None:
    """`batch_size=` as (smallest, largest): a number or such a pair.

    Raises:
        InvalidParameterError: neither of them, or not positive, or in the wrong order.
    """
    if value is None:
        return None
    pair = (value, value) if isinstance(value, int) else value
    if (
        isinstance(pair, tuple)
        and len(pair) == 2
        and all(isinstance(item, int) and not isinstance(item, bool) for item in pair)
        and 0 < pair[0] <= pair[1]
    ):
        return pair[0], pair[1]
    raise InvalidParameterError(
        f"batch_size={value!r} makes no sense.",
        needs="a positive whole number, or (smallest, largest)",
        found=repr(value),
    )


def parse_device(value: object) -> str | None:
    """`device=` as a name such as `cpu` or `cuda:0`; torch devices are taken by their text.

    Raises:
        InvalidParameterError: the text is no device.
    """
    if value is None:
        return None
    text = str(value).strip().lower()
    kind, _, index = text.partition(":")
    if text in {"", "auto"}:
        return None
    if kind in {"cpu", "cuda", "mps"} and (not index or index.isdecimal()):
        return text
    raise InvalidParameterError(
        f"device={value!r} makes no sense.", needs="'auto', 'cpu', 'cuda', 'cuda:<number>' or 'mps'", found=repr(value)
    )


def parse_execution_providers(value: object) -> tuple[Any, ...] | None:
    """`onnx_execution_providers=` as names or (name, options) pairs.

    Raises:
        InvalidParameterError: something else, or an empty list.
    """
    if value is None:
        return None
    if isinstance(value, list | tuple) and value and all(_is_provider(item) for item in value):
        return tuple(value)
    raise InvalidParameterError(
        f"onnx_execution_providers={value!r} makes no sense.",
        needs="a list of names, or of (name, options) pairs",
        found=repr(value),
        fix='onnx_execution_providers=["CPUExecutionProvider"]',
    )


def _is_provider(item: object) -> bool:
    if isinstance(item, str):
        return True
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], dict)


def _several(value: object) -> Iterable[object]:
    return value if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _lookup(item: object, known: Mapping[str, Kind], what: str, error: type[Exception]) -> Kind:
    name = str(getattr(item, "value", item)).lower()
    if name in known:
        return known[name]
    raise error(f"{item!r} is no {what}; {nearest_hint(name, known)}.")


def _listed(kinds: Iterable[BackendType] | Iterable[Quantization] | None, what: str) -> str:
    if kinds is None:
        return f"any {what}"
    return f"{what} " + " or ".join(sorted(kind.value for kind in kinds))
