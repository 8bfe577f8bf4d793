"""What a feed must be, the same for every backend: named as an input of the graph, and of its shape and dtype.

Nothing is converted. A float64 array where the graph takes float32 is refused and not rounded: the conversion would
cost time on every run and nobody would see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.errors import ModelRuntimeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference_models.arrays import Array, Shape, TensorSpec

CLOSED = "the model was closed; load it again to use it."
"""What a session says when it is run after `close`."""
_NUMBERS = frozenset(
    {"bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
)
"""Number formats that are compared; what else a runtime names (texts, packed formats) it has to judge itself."""
_AT_THE_BORDER = {"bfloat16": "float32"}
"""Number formats that NumPy does not have, and what stands for them outside of a session."""


def check_feeds(inputs: Sequence[TensorSpec], feeds: Mapping[str, Array]) -> None:
    """Returns nothing when `feeds` has exactly what `inputs` ask for.

    Raises:
        ModelRuntimeError: names the first input that is missing, unknown, or of another shape or dtype.
    """
    for spec in inputs:
        if spec.name not in feeds:
            raise _misfit(spec, "nothing")
        feed = feeds[spec.name]
        dtype = dtype_name(feed)
        if not _same_shape(spec.shape, tuple(feed.shape)):
            raise _misfit(spec, f"{tuple(feed.shape)} {dtype}")
        if dtype != spec.dtype and spec.dtype in _NUMBERS:
            raise _misfit(spec, f"{tuple(feed.shape)} {dtype}", fix=f"convert the feed to {spec.dtype}")
    if len(feeds) != len(inputs):
        names = {spec.name for spec in inputs}
        raise ModelRuntimeError(
            f"the graph has no input {next(name for name in feeds if name not in names)!r}.",
            needs=", ".join(sorted(names)),
            found=", ".join(feeds),
        )


def dtype_name(array: Array) -> str:
    """The number format of an array of either kind, by its NumPy name."""
    name = str(array.dtype).removeprefix("torch.")
    return _AT_THE_BORDER.get(name, name)


def _same_shape(wanted: Shape, given: tuple[int, ...]) -> bool:
    return len(wanted) == len(given) and all(side in {None, actual} for side, actual in zip(wanted, given, strict=True))


def _misfit(spec: TensorSpec, found: str, *, fix: str | None = None) -> ModelRuntimeError:
    return ModelRuntimeError(
        f"the feed for input {spec.name!r} does not fit.", needs=f"{spec.shape} {spec.dtype}", found=found, fix=fix
    )
