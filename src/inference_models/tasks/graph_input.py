"""Pre-processing made to fit a graph; what cannot fit is refused when the model is loaded, with both values."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from inference_models.backends.session import PIXEL_MASK, InputHint
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.preprocess_spec import SIZED_BY_IMAGE, DynamicSize, ResizeMode
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import TensorSpec
    from inference_models.backends.session import Session
    from inference_models.families import Graph
    from inference_models.package.graph_facts import InputHints
    from inference_models.package.inference_config import InferenceConfig
    from inference_models.package.preprocess_spec import PreprocessSpec, Size

SUBSTITUTE_PAD_VALUE = 127
"""Grey of the letterbox that takes the place of `fit-longer-edge`."""
USUAL_STRIDE = 32
"""Sides of detectors that take any size and do not say their stride are rounded up to a multiple of this."""
_log = logging.getLogger("inference-models")


def hint_of_input(
    graph: Graph, stated: PreprocessSpec | None, hints: InputHints, static_batch: int | None = None
) -> InputHint:
    """What is known about the input of a graph before it is opened.

    Args:
        graph: What the family says: of a bare graph a size that fits, among others.
        stated: What the package states; None: nothing.
        hints: What a bare graph says.
        static_batch: The batch size that the package states.
    """
    spec = stated or graph.preprocess
    size = spec.size if stated else hints.input_size or spec.size
    planar, channels = spec.layout == "nchw", spec.channels
    if size is None:
        return InputHint((static_batch, *((channels, None, None) if planar else (None, None, channels))))
    sides = (channels, *size) if planar else (*size, channels)
    if hints.only if stated is None else stated.dynamic is None:
        return InputHint((static_batch, *sides), sides)
    return InputHint((static_batch, *((channels, None, None) if planar else (None, None, channels))), sides)


def fit_spec(graph: Graph, session: Session, stated: PreprocessSpec | None, hints: InputHints) -> PreprocessSpec:
    """The pre-processing a package states, else that of its family, with the size that the graph takes.

    Of a bare graph its own size comes first, then the one it was exported for, then that of the family.

    Raises:
        CorruptedModelPackageError: the graph takes something else; the text has both values.
    """
    spec = stated or _as_the_graph_takes_it(graph.preprocess, session)
    sides = _image_input(session, spec, graph.further_inputs).shape
    height, width = sides[2:4] if spec.layout == "nchw" else sides[1:3]
    static = None if height is None or width is None else (height, width)
    if stated is not None:
        return _fit_stated(stated, session, static, graph)
    size = static or hints.input_size or (spec.size and (height or spec.size[0], width or spec.size[1]))
    dynamic = None if static else spec.dynamic or DynamicSize(multiple=hints.stride or USUAL_STRIDE)
    edge = spec.shorter_edge
    if edge and size and spec.size:  # the same part of another size is cut out
        edge = edge * min(size) // min(spec.size)
    if static and spec.resize in SIZED_BY_IMAGE:
        spec = replace(spec, resize=ResizeMode.STRETCH)
    return replace(spec, size=size, dynamic=dynamic, shorter_edge=edge)


def stated_spec(graph: Graph, config: InferenceConfig) -> PreprocessSpec:
    """What a package states of its pre-processing, as graphs of its family take it."""
    if not graph.stretches or config.preprocess.as_float:  # which that platform does not write
        return config.preprocess
    spec = replace(config.preprocess, antialias=True)  # of whole grey levels, as its own loader
    one_step = spec.resize in {ResizeMode.STRETCH, ResizeMode.FIT_LONGER_EDGE} or config.dataset_size is None
    return replace(spec, resize=ResizeMode.STRETCH) if one_step else replace(spec, frame=config.dataset_size)


def _as_the_graph_takes_it(spec: PreprocessSpec, session: Session) -> PreprocessSpec:
    """`spec` of a family, with the place and number of channels that the input of a bare graph shows."""
    shape = session.inputs[0].shape if session.inputs else ()
    if len(shape) != 4:
        return spec
    if shape[1] not in {1, 3} and shape[3] in {1, 3}:
        spec = replace(spec, layout="nhwc")
    grey = shape[1 if spec.layout == "nchw" else 3] == 1
    # Values that differ by channel say nothing about grey.
    return replace(spec, channels=1) if grey and all(len(set(v or ())) < 2 for v in (spec.mean, spec.std)) else spec


def _fit_stated(spec: PreprocessSpec, session: Session, static: Size | None, graph: Graph) -> PreprocessSpec:
    instead = graph.instead_of_fit_longer_edge
    fixed = static is not None and spec.resize in SIZED_BY_IMAGE
    if fixed:
        instead, spec = ResizeMode.STRETCH, replace(spec, size=static)
    if fixed or (spec.resize is ResizeMode.FIT_LONGER_EDGE and instead is not ResizeMode.FIT_LONGER_EDGE):
        _log.warning(
            "resize mode %r gives every image another network size, which this architecture does not take; %r is used.",
            spec.resize.value,
            instead.value,
        )
        spec = replace(spec, resize=instead, pad_value=SUBSTITUTE_PAD_VALUE)
    if static is None:
        return spec
    if spec.size is not None and spec.size != static and graph.stretches:
        _log.warning("the graph takes %dx%d (height x width), not the %dx%d of its package.", *static, *spec.size)
    elif spec.size is not None and spec.size != static:
        raise CorruptedModelPackageError(
            "inference_config.json and the graph disagree about the network size.",
            needs=f"{static[0]}x{static[1]} (height x width), which input {session.inputs[0].name!r} takes",
            found=f"{spec.size[0]}x{spec.size[1]} in training_input_size",
            fix="set network_input.training_input_size to what the graph takes",
        )
    return replace(spec, size=static, dynamic=None)


def _image_input(session: Session, wanted: PreprocessSpec, others: Sequence[str]) -> TensorSpec:
    names = [spec.name for spec in session.inputs]
    if not names or [name for name in names[1:] if name != PIXEL_MASK] != [*others]:
        raise CorruptedModelPackageError(
            "the inputs of the graph are not those of its architecture.",
            needs=" and ".join(["one input of images", *map(repr, others)]),
            found=", ".join(names) or "no input",
        )
    spec = session.inputs[0]
    planar, needs = wanted.layout == "nchw", wanted.channels
    channels = spec.shape[1 if planar else 3] if len(spec.shape) == 4 else 0
    if channels in {None, needs}:
        return spec
    raise CorruptedModelPackageError(
        f"input {spec.name!r} does not take images with {needs} channel{'s' if needs > 1 else ''}.",
        needs=f"(batch, {needs}, height, width)" if planar else f"(batch, height, width, {needs})",
        found=str(spec.shape),
        fix='if the channels come last, say "layout": "nhwc" in network_input of inference_config.json',
    )
