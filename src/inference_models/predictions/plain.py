"""Arrays and metadata as plain JSON values, and back without losing a bit.

Floats are written in their shortest form that reads back to the same number of the same type: float32 0.93 is
`0.93`, not `0.9300000071525574`. JSON knows no NaN and no infinity: they are written as `null`, `"Infinity"` and
`"-Infinity"`.
"""

from __future__ import annotations

import base64
import math
import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from inference_models.arrays import is_torch, to_numpy
from inference_models.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.arrays import Array, NumpyArray

Plain: TypeAlias = Any
"""What `json.dumps` takes: dict with text keys, list, text, number, bool or None."""

_UNBOUNDED = {math.inf: "Infinity", -math.inf: "-Infinity"}
_ARRAY_KEYS = frozenset({"array", "dtype", "shape"})


def is_array(value: object) -> bool:
    """Whether `value` is a NumPy array or a torch tensor."""
    return isinstance(value, np.ndarray) or is_torch(value)


def array_to_plain(array: Array) -> Plain:
    """Nested lists of the shape of `array`."""
    values = to_numpy(array)
    if values.dtype.kind != "f":
        return values.tolist()
    flat = np.empty(values.size, dtype=object)
    flat[:] = [_float_to_plain(value) for value in values.reshape(-1)]
    return flat.reshape(values.shape).tolist()


def array_from_plain(values: Plain, dtype: str | None, *, empty: Sequence[int] = (0,)) -> NumpyArray | None:
    """The array of `array_to_plain`, of shape `empty` when there are no values; None for dtype None."""
    if dtype is None:
        return None
    if np.dtype(dtype).kind == "f":
        values = np.vectorize(_float_from_plain, otypes=[np.float64])(np.array(values, dtype=object)) if values else []
    array: NumpyArray = np.array(values, dtype=dtype)
    return array if array.size else array.reshape(tuple(empty))


def pack_array(array: Array) -> dict[str, Plain]:
    """A large array as text: raw little-endian values, row by row, through zlib and base64."""
    values = to_numpy(array)
    raw = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    text = base64.b64encode(zlib.compress(raw)).decode("ascii")
    return {"dtype": str(values.dtype), "shape": list(values.shape), "zlib_base64": text}


def unpack_array(packed: dict[str, Plain]) -> NumpyArray:
    """The array of `pack_array`; its memory may be written to."""
    dtype = np.dtype(packed["dtype"])
    raw = zlib.decompress(base64.b64decode(packed["zlib_base64"]))
    array: NumpyArray = np.frombuffer(raw, dtype=dtype.newbyteorder("<")).astype(dtype).reshape(packed["shape"])
    return array


def metadata_to_plain(value: object) -> Plain:
    """Metadata as JSON values. Arrays keep type and shape; tuples become lists, NumPy numbers Python numbers.

    Raises:
        InvalidParameterError: a value has no JSON form.
    """
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, np.generic):
        return array_to_plain(np.asarray(value))
    if isinstance(value, float):
        return _float_to_plain(np.float64(value))
    if is_array(value):
        array = to_numpy(value)
        return {"array": array_to_plain(array), "dtype": str(array.dtype), "shape": list(array.shape)}
    if isinstance(value, dict):
        return {str(key): metadata_to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [metadata_to_plain(item) for item in value]
    raise InvalidParameterError(
        f"metadata value {value!r} has no JSON form.",
        needs="None, bool, number, text, list, tuple, dict or array",
        found=type(value).__name__,
        fix="convert it before it goes into the metadata",
    )


def metadata_from_plain(value: Plain) -> Plain:
    """The metadata of `metadata_to_plain`."""
    if isinstance(value, list):
        return [metadata_from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == _ARRAY_KEYS:
        array = array_from_plain(value["array"], value["dtype"], empty=value["shape"])
        return None if array is None else array.reshape(value["shape"])
    return {key: metadata_from_plain(item) for key, item in value.items()}


def same_value(first: object, second: object) -> bool:
    """Whether two field values are equal: arrays by shape, dtype and every element, NaN being equal to NaN."""
    if is_array(first) or is_array(second):
        return is_array(first) and is_array(second) and _same_array(to_numpy(first), to_numpy(second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and _all_same((item, second[key]) for key, item in first.items())
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and _all_same(zip(first, second, strict=True))
    if isinstance(first, (float, np.floating)) and isinstance(second, (float, np.floating)):
        return _float_to_plain(first) == _float_to_plain(second)
    return bool(first == second)


def _all_same(pairs: Iterable[tuple[object, object]]) -> bool:
    return all(same_value(first, second) for first, second in pairs)


def _same_array(first: NumpyArray, second: NumpyArray) -> bool:
    if first.dtype != second.dtype:
        return False
    return np.array_equal(first, second, equal_nan=first.dtype.kind in "fc")


def _float_to_plain(value: float | np.floating[Any]) -> float | str | None:
    if np.isnan(value):
        return None
    if np.isinf(value):
        return _UNBOUNDED[float(value)]
    short = float(str(value))
    # Reading the short text as a double and rounding that could in rare cases round twice; then the long form is used.
    return short if type(value)(short) == value else float(value)


def _float_from_plain(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
