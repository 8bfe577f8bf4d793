"""Predictions drawn on a copy of the image.

Each kind has a module with a function `draw(picture, prediction, class_names, skeletons)`; the tasks say which.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference_models.drawing.style import Picture
    from inference_models.entities import ColorFormat
    from inference_models.preprocess.inputs import InputRange


def annotate(
    image: Any,
    predictions: Any,
    painters: Mapping[type, str],
    *,
    class_names: Sequence[str] | None = None,
    input_color_format: ColorFormat | None = None,
    input_range: InputRange | None = None,
    skeletons: Sequence[Sequence[tuple[int, int]]] | None = None,
) -> Picture:
    """(H, W, 3) uint8 BGR copy of `image` with `predictions` drawn on it.

    Args:
        image: anything a model takes as one image.
        predictions: what a model answers to one image: a prediction, (H, W) depths, a list with one, or the tuple of a
            model that answers with several things, such as key points and boxes: the first of them is drawn last, on
            top. Or `supervision.Detections`.
        painters: kind of prediction to the module of this package that draws it.
        class_names: name of class 0, 1, ...; default: those of the predictions.
        input_color_format: order of the channels of `image` where it is not the usual one.
        input_range: range of the values of `image` where they are floats.
        skeletons: per class the pairs of key points, numbered from 0, that a line joins.

    Raises:
        ModelInputError: the image cannot be read.
        InvalidParameterError: there is more than one image, the predictions are of several images, or they are of a
            kind that cannot be drawn.
    """
    picture = _copy_of(image, input_color_format, input_range)
    for prediction in map(_ours, reversed(_flatten(predictions))):
        painter = importlib.import_module(f"{__name__}.{_painter_of(prediction, painters)}")
        names = getattr(prediction, "class_names", None) if class_names is None else class_names
        painter.draw(picture, prediction, names, skeletons)
    return picture


def _copy_of(image: Any, input_color_format: ColorFormat | None, input_range: InputRange | None) -> Picture:
    from inference_models.preprocess.inputs import load_images  # noqa: PLC0415 - reads what is drawn on

    sources = load_images(image, input_color_format=input_color_format, input_range=input_range)
    if len(sources) != 1:
        raise InvalidParameterError(
            f"predictions cannot be drawn on {len(sources)} images at once.",
            needs="one image",
            found=f"{len(sources)} images",
            fix="draw on one after the other: for image, prediction in zip(images, predictions)",
        )
    pixels = sources[0].pixels
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels).astype(np.uint8)
    return np.array(pixels[..., ::-1] if sources[0].color == "rgb" else pixels, dtype=np.uint8, order="C")


def _flatten(predictions: Any) -> list[Any]:
    if type(predictions) is tuple:
        # Texts and absent parts of an answer have nothing to draw.
        parts = [part for part in predictions if part is not None and not _is_text(part)]
        return [drawable for part in parts for drawable in _flatten(part)]
    if not isinstance(predictions, list):
        return [predictions]
    if len(predictions) == 1:
        return predictions
    raise InvalidParameterError(
        f"predictions of {len(predictions)} images cannot be drawn on one.",
        needs="the prediction of one image",
        found=f"a list of {len(predictions)}",
        fix="pass one element: predictions[0]",
    )


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, list) and all(isinstance(item, str) for item in part))


def _ours(prediction: Any) -> Any:
    """`supervision.Detections`, of a tracker or filter for example, as our own; anything else as it is."""
    if type(prediction).__name__ != "Detections" or type(prediction).__module__.partition(".")[0] != "supervision":
        return prediction
    from inference_models.predictions.detections import Detections  # noqa: PLC0415 - only when there is one to draw
    from inference_models.predictions.instances import InstanceDetections  # noqa: PLC0415

    columns = {"tracker_id": prediction.tracker_id, "class_name": prediction.data.get("class_name")}
    known = {name: values for name, values in columns.items() if values is not None}
    facts = [dict(zip(known, row, strict=True)) for row in zip(*known.values(), strict=True)] or None
    arrays = (prediction.xyxy, prediction.class_id, prediction.confidence)
    if prediction.mask is None:
        return Detections(*arrays, bboxes_metadata=facts)
    return InstanceDetections(*arrays, np.asarray(prediction.mask), bboxes_metadata=facts)


def _painter_of(prediction: Any, painters: Mapping[type, str]) -> str:
    for kind, painter in painters.items():
        if isinstance(prediction, kind):
            return painter
    if getattr(prediction, "ndim", 0) == 2:
        return "depth"
    raise InvalidParameterError(
        f"a {type(prediction).__name__} cannot be drawn.",
        needs=", ".join(sorted(kind.__name__ for kind in painters)),
        found=type(prediction).__name__,
    )
