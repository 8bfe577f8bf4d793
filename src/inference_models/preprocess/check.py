"""Contradictions of a `PreprocessSpec`, found before the first image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.package.preprocess_spec import Interpolation, ResizeMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.package.preprocess_spec import PreprocessSpec, StaticCrop

DTYPES = ("float32", "float16", "uint8")
_FIX = "correct the package's pre-processing configuration"

Fault = tuple[str, str, str]
"""What is wrong, what is needed, what was found."""


def check_spec(spec: PreprocessSpec, *, dtype: str) -> None:
    """Returns nothing when `spec` can be compiled for a graph that takes `dtype`.

    Raises:
        CorruptedModelPackageError: `spec` contradicts itself, or the graph's dtype.
        InvalidParameterError: `dtype` is none that a network input can have.
    """
    if dtype not in DTYPES:
        raise InvalidParameterError(
            f"a network input of dtype {dtype!r} cannot be filled with images.",
            needs=", ".join(DTYPES),
            found=repr(dtype),
            fix="export the graph with a float32 input",
        )
    for summary, needs, found in _faults(spec, dtype):
        raise CorruptedModelPackageError(summary, needs=needs, found=found, fix=_FIX)


def _faults(spec: PreprocessSpec, dtype: str) -> Iterator[Fault]:
    yield from _size_faults(spec)
    yield from _value_faults(spec)
    if dtype == "uint8" and (spec.scaling_factor not in (None, 1) or spec.mean or spec.std):
        yield (
            "the graph takes uint8 pixels, the configuration scales or normalises them.",
            "no scaling_factor, mean or std with a uint8 graph",
            f"scaling_factor={spec.scaling_factor}, mean={spec.mean}, std={spec.std}",
        )
    if spec.static_crop is not None and not _is_crop(spec.static_crop):
        yield ("the static crop keeps nothing.", "0 <= min < max <= 100 on both axes", repr(spec.static_crop))


def _size_faults(spec: PreprocessSpec) -> Iterator[Fault]:
    if spec.size is not None and min(spec.size) < 1:
        yield ("the network size makes no sense.", "a height and width of at least 1", repr(spec.size))
    if spec.dynamic is not None and spec.dynamic.multiple < 1:
        yield ("the size multiple makes no sense.", "a whole number of at least 1", repr(spec.dynamic.multiple))
    needs_edge = spec.resize is ResizeMode.SHORTER_EDGE_CROP
    if needs_edge and (spec.shorter_edge is None or spec.shorter_edge < 1):
        yield ("'shorter-edge-crop' has no edge.", "shorter_edge of at least 1", repr(spec.shorter_edge))


def _value_faults(spec: PreprocessSpec) -> Iterator[Fault]:
    if spec.interpolation not in get_args(Interpolation):
        yield ("the interpolation is unknown.", ", ".join(get_args(Interpolation)), repr(spec.interpolation))
    if not 0 <= spec.pad_value <= 255:
        yield ("the padding value makes no sense.", "0 to 255", repr(spec.pad_value))
    if spec.scaling_factor is not None and not (math.isfinite(spec.scaling_factor) and spec.scaling_factor > 0):
        yield ("pixels cannot be divided by the scaling factor.", "a number above 0", repr(spec.scaling_factor))
    if spec.mean is not None and not (len(spec.mean) == 3 and all(map(math.isfinite, spec.mean))):
        yield ("the mean makes no sense.", "3 numbers", repr(spec.mean))
    if spec.std is not None and not (len(spec.std) == 3 and all(math.isfinite(v) and v > 0 for v in spec.std)):
        yield ("the standard deviation makes no sense.", "3 numbers above 0", repr(spec.std))


def _is_crop(crop: StaticCrop) -> bool:
    return 0 <= crop.x_min < crop.x_max <= 100 and 0 <= crop.y_min < crop.y_max <= 100
