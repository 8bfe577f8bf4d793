"""Predictions as objects of Supervision, for its annotators, trackers, zones and metrics."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.errors import MissingDependencyError
from inference_models.predictions.boxes import columns
from inference_models.predictions.indexing import entry
from inference_models.predictions.labels import name_or_number
from inference_models.predictions.mask_grid import boxes_on_image, canvas_of, masks_on_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    import supervision

    from inference_models.arrays import NumpyArray
    from inference_models.predictions.boxes import BoxPrediction
    from inference_models.predictions.detections import Detections
    from inference_models.predictions.instances import InstanceDetections
    from inference_models.predictions.key_points import KeyPoints


def import_supervision() -> Any:  # a module
    """The module `supervision`.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import supervision  # noqa: PLC0415
    except ImportError as exc:
        raise MissingDependencyError(
            "predictions cannot be turned into objects of Supervision.",
            needs="supervision",
            found="not installed",
            fix='pip install "supervision>=0.29"',
        ) from exc
    return supervision


def detections_to_supervision(detections: Detections) -> supervision.Detections:
    """Boxes, classes and confidences of `detections`, and their names where they are known."""
    return import_supervision().Detections(**columns(detections), data=_names_of_boxes(detections))


def instances_to_supervision(instances: InstanceDetections) -> supervision.Detections:
    """The same with masks, everything in pixels of the original image."""
    values = {**columns(instances), "xyxy": boxes_on_image(instances)}
    pixels = (
        np.stack([*masks_on_image(instances)]) if len(instances) else np.zeros((0, *canvas_of(instances)), np.bool_)
    )
    return import_supervision().Detections(**values, mask=pixels, data=_names_of_boxes(instances))


def key_points_to_supervision(key_points: KeyPoints) -> supervision.KeyPoints:
    """Points, classes and confidences; a point is visible when its confidence is above 0."""
    module = import_supervision()
    if "keypoint_confidence" not in {item.name for item in fields(module.KeyPoints)}:
        raise MissingDependencyError(
            "key points cannot be turned into objects of Supervision.",
            needs="supervision >= 0.29",
            found=f"supervision {module.__version__}",
            fix='pip install "supervision>=0.29"',
        )
    confidence, sure = to_numpy(key_points.confidence), key_points.detection_confidence
    class_ids = to_numpy(key_points.class_id)
    data: dict[str, Any] = {}
    if key_points.covariance is not None:
        data["covariance"] = to_numpy(key_points.covariance)
    if key_points.class_names is not None:
        data["class_name"] = _names(class_ids, key_points.class_names, key_points.key_points_metadata)
    return module.KeyPoints(
        xy=to_numpy(key_points.xy).astype(np.float32, copy=False),
        class_id=class_ids,
        keypoint_confidence=confidence,
        visible=confidence > 0,
        detection_confidence=None if sure is None else to_numpy(sure),
        data=data or None,
    )


def _names_of_boxes(boxes: BoxPrediction) -> dict[str, NumpyArray]:
    if boxes.class_names is None or boxes.class_id is None:
        return {}
    return {"class_name": _names(boxes.class_id, boxes.class_names, boxes.bboxes_metadata)}


def _names(class_ids: Any, class_names: Sequence[str], metadata: list[dict[str, Any]] | None) -> NumpyArray:
    names = [name_or_number(int(number), class_names, entry(metadata, row)) for row, number in enumerate(class_ids)]
    return np.array(names, dtype=np.str_)
