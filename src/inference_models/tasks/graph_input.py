"""Pre-processing made to fit a graph; what cannot fit is refused when the model is loaded, with both values."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from inference_models.backends.session import InputHint
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.preprocess_spec import DynamicSize, ResizeMode

if TYPE_CHECKING:
    from inference_models.arrays import TensorSpec
    from inference_models.backends.session import Session
    from inference_models.package.preprocess_spec import PreprocessSpec, Size

SUBSTITUTE_PAD_VALUE = 127
"""Grey of the letterbox that takes the place of `fit-longer-edge`."""
USUAL_STRIDE = 32
"""Sides of detectors that take any size and do not say their stride are rounded up to a multiple of this."""
_log = logging.getLogger("inference-models")


@dataclass(frozen=True)
class InputHints:
    """What a bare graph says about its input besides its shape."""

    input_size: Size | None = None
    """(height, width) it was exported for."""
    stride: int | None = None


def fit_stated_spec(spec: PreprocessSpec, session: Session, instead_of_fit_longer_edge: ResizeMode) -> PreprocessSpec:
    """The pre-processing a package states, with the size of a graph that takes only one.

    Raises:
        CorruptedModelPackageError: the graph takes something else; the text has both values.
    """
    size = _static_size(spec, _image_input(session, spec.layout))
    spec = _without_fit_longer_edge(spec, instead_of_fit_longer_edge)
    if size is None:
        return spec
    if spec.size is not None and spec.size != size:
        raise CorruptedModelPackageError(
            "inference_config.json and the graph disagree about the network size.",
            needs=f"{size[0]}x{size[1]} (height x width), which input {session.inputs[0].name!r} takes",
            found=f"{spec.size[0]}x{spec.size[1]} in training_input_size",
            fix="set network_input.training_input_size to what the graph takes",
        )
    return replace(spec, size=size, dynamic=None)


def fit_default_spec(spec: PreprocessSpec, session: Session, hints: InputHints) -> PreprocessSpec:
    """The pre-processing of a family for a bare graph: its own size first, then the exported one, then the family's.

    Raises:
        CorruptedModelPackageError: the graph takes no images.
    """
    static = _static_size(spec, _image_input(session, spec.layout))
    size = static or hints.input_size or spec.size
    dynamic = None if static else spec.dynamic or DynamicSize(multiple=hints.stride or USUAL_STRIDE)
    # A family that names no edge crops as little as it can.
    edge = spec.shorter_edge or (min(size) if size else None)
    return replace(spec, size=size, dynamic=dynamic, shorter_edge=edge)


def hint_of_stated_spec(spec: PreprocessSpec, static_batch: int | None) -> InputHint:
    """What the pre-processing a package states says about the input of its graph."""
    return _hint(spec, static_batch, fixed=spec.dynamic is None)


def hint_of_default_spec(spec: PreprocessSpec, hints: InputHints) -> InputHint:
    """What the pre-processing of a family says about the input of a bare graph: a size that fits, among others."""
    return _hint(replace(spec, size=hints.input_size or spec.size), None, fixed=False)


def _hint(spec: PreprocessSpec, batch: int | None, *, fixed: bool) -> InputHint:
    def axes(height: int | None, width: int | None) -> tuple[int | None, ...]:
        return (3, height, width) if spec.layout == "nchw" else (height, width, 3)

    if spec.size is None:
        return InputHint((batch, *axes(None, None)))
    return InputHint(
        (batch, *(axes(*spec.size) if fixed else axes(None, None))), cast("tuple[int, ...]", axes(*spec.size))
    )


def _image_input(session: Session, layout: str) -> TensorSpec:
    names = [spec.name for spec in session.inputs]
    if len(names) != 1:
        raise CorruptedModelPackageError(
            "the graph is not one that takes images and nothing else.",
            needs="one input",
            found=", ".join(names) or "no input",
        )
    spec = session.inputs[0]
    channels = spec.shape[1 if layout == "nchw" else 3] if len(spec.shape) == 4 else 0
    if channels in {None, 3}:
        return spec
    raise CorruptedModelPackageError(
        f"input {spec.name!r} does not take images with 3 channels.",
        needs="(batch, 3, height, width)" if layout == "nchw" else "(batch, height, width, 3)",
        found=str(spec.shape),
        fix='if the channels come last, say "layout": "nhwc" in network_input of inference_config.json',
    )


def _static_size(spec: PreprocessSpec, tensor: TensorSpec) -> Size | None:
    height, width = tensor.shape[2:4] if spec.layout == "nchw" else tensor.shape[1:3]
    return None if height is None or width is None else (height, width)


def _without_fit_longer_edge(spec: PreprocessSpec, instead: ResizeMode) -> PreprocessSpec:
    if spec.resize is not ResizeMode.FIT_LONGER_EDGE or instead is ResizeMode.FIT_LONGER_EDGE:
        return spec
    _log.warning(
        "resize mode %r gives every image another network size, which this architecture does not take; %r is used.",
        spec.resize.value,
        instead.value,
    )
    return replace(spec, resize=instead, pad_value=SUBSTITUTE_PAD_VALUE)
