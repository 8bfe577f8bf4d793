"""Predictions drawn on a copy of the image.

Boxes, masks and their labels are drawn by Supervision where it is installed, in the same colours and sizes as by our
own code where it is not. Key points, regions and classes are always drawn here: Supervision has one colour and one
skeleton for all objects, and nothing for the others.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.errors import InvalidParameterError
from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.detections import Detections
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.key_points import KeyPoints
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.drawing.style import Picture
    from inference_models.entities import ColorFormat
    from inference_models.preprocess.inputs import InputRange

_DRAWABLE = (
    Detections,
    InstanceDetections,
    SemanticSegmentationResult,
    ClassificationPrediction,
    MultiLabelClassificationPrediction,
    KeyPoints,
)
"""In the order in which the parts of one answer are drawn, the last on top."""


def annotate(
    image: Any,
    predictions: Any,
    *,
    class_names: Sequence[str] | None = None,
    input_color_format: ColorFormat | None = None,
    input_range: InputRange | None = None,
    skeletons: Sequence[Sequence[tuple[int, int]]] | None = None,
) -> Picture:
    """(H, W, 3) uint8 BGR copy of `image` with `predictions` drawn on it.

    Args:
        image: anything a model takes as one image.
        predictions: what a model answers to one image: a prediction, a list with one, or the tuple of a model that
            answers with several things, such as key points and boxes.
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
    for prediction in sorted(_flatten(predictions), key=_layer):
        _draw(picture, prediction, prediction.class_names if class_names is None else class_names, skeletons)
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
        return [_checked(predictions)]
    if len(predictions) == 1:
        return [_checked(predictions[0])]
    raise InvalidParameterError(
        f"predictions of {len(predictions)} images cannot be drawn on one.",
        needs="the prediction of one image",
        found=f"a list of {len(predictions)}",
        fix="pass one element: predictions[0]",
    )


def _checked(prediction: Any) -> Any:
    if not isinstance(prediction, _DRAWABLE):
        raise InvalidParameterError(
            f"a {type(prediction).__name__} cannot be drawn.",
            needs=", ".join(sorted(kind.__name__ for kind in _DRAWABLE)),
            found=type(prediction).__name__,
        )
    if isinstance(prediction, ClassificationPrediction) and len(prediction) != 1:
        raise InvalidParameterError(
            f"classes of {len(prediction)} images cannot be drawn on one.",
            needs="the prediction of one image",
            found=f"a batch of {len(prediction)}",
            fix="run the model on one image at a time to draw its answers",
        )
    return prediction


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, list) and all(isinstance(item, str) for item in part))


def _layer(prediction: Any) -> int:
    return next(layer for layer, kind in enumerate(_DRAWABLE) if isinstance(prediction, kind))


def _draw(
    picture: Picture, prediction: Any, class_names: Sequence[str] | None, skeletons: Sequence[Any] | None
) -> None:
    if isinstance(prediction, KeyPoints):
        from inference_models.drawing.points import draw_key_points  # noqa: PLC0415

        draw_key_points(picture, prediction.numpy(), skeletons)
    elif isinstance(prediction, SemanticSegmentationResult):
        from inference_models.drawing.regions import draw_regions  # noqa: PLC0415

        draw_regions(picture, prediction.numpy(), class_names)
    elif isinstance(prediction, (ClassificationPrediction, MultiLabelClassificationPrediction)):
        from inference_models.drawing.scores import draw_scores  # noqa: PLC0415

        draw_scores(picture, prediction.numpy(), class_names)
    else:
        _draw_objects(picture, prediction, class_names)


def _draw_objects(
    picture: Picture, prediction: Detections | InstanceDetections, class_names: Sequence[str] | None
) -> None:
    from inference_models.drawing.objects import DrawnObjects  # noqa: PLC0415

    objects = DrawnObjects.of(prediction, class_names, picture.shape[:2])
    if importlib.util.find_spec("supervision") is None:
        from inference_models.drawing.own import draw_objects  # noqa: PLC0415
    else:
        from inference_models.drawing.with_supervision import draw_objects  # noqa: PLC0415
    draw_objects(picture, objects)
