"""Boxes, masks and their labels."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inference_models.arrays import to_numpy
from inference_models.drawing.style import MASK_OPACITY, Style, color_of
from inference_models.drawing.text import measure, place, write
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.labels import name_or_number
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference_models.arrays import NumpyArray
    from inference_models.drawing.style import Color, Picture
    from inference_models.drawing.text import Label, Rectangle
    from inference_models.predictions.detections import Detections


def draw(picture: Picture, prediction: Any, class_names: Sequence[str] | None, _: object) -> None:
    """Draw masks, then boxes, then labels of `Detections`, `InstanceDetections` or `OrientedDetections`."""
    objects = DrawnObjects.of(prediction, class_names, picture.shape[:2])
    style = Style.of(picture.shape[:2])
    colors = [color_of(int(class_id)) for class_id in objects.class_ids]
    for mask, color in zip(objects.masks(), colors, strict=False):
        blend(picture, mask, color, style)
    for box, color in zip(objects.xyxy if objects.polygons is None else (), colors, strict=False):
        draw_box(picture, box, color, style)
    for polygon, color in zip(() if objects.polygons is None else objects.polygons, colors, strict=False):
        draw_polygon(picture, polygon, color, style)
    labels = [measure(text, style, room=picture.shape[1]) for text in objects.labels]
    places = _places(picture, objects, labels)
    for label, where, color in zip(labels, places, colors, strict=True):
        if label.text:
            write(picture, label, where, color, style)


class DrawnObjects(Record, frozen=True):
    """The objects of one picture, worst first, so that the best are drawn on top."""

    xyxy: npt.NDArray[np.int64]
    """(n, 4) whole pixels inside the picture, the second corner inclusive."""
    class_ids: npt.NDArray[np.int64]
    """(n,); 0 where the predictions have none."""
    labels: list[str]
    source: InstanceDetections | None
    """The instances in the same order, with a mask each; None where there are no masks, or they do not fit."""
    polygons: NumpyArray | None
    """(n, 4, 2) corners of rotated boxes and of regions of text, in pixels; None where the boxes are upright."""

    @classmethod
    def of(
        cls, prediction: Detections | InstanceDetections, class_names: Sequence[str] | None, size: tuple[int, ...]
    ) -> DrawnObjects:
        """The objects of `prediction` in a picture of (height, width)."""
        sure = prediction.confidence
        # Ties are drawn in reverse, so that the first of equals is on top.
        order = np.arange(len(prediction))[::-1] if sure is None else np.argsort(-to_numpy(sure), kind="stable")[::-1]
        prediction = dataclasses.replace(prediction[order], class_names=class_names)
        instances = prediction if isinstance(prediction, InstanceDetections) else None
        boxes = to_numpy(prediction.xyxy) if instances is None else instances.boxes_on_image()
        ids = np.zeros(len(order)) if prediction.class_id is None else to_numpy(prediction.class_id)
        fits = instances is not None and instances.mask is not None and instances.canvas() == tuple(size[:2])
        return cls(
            xyxy=_whole_pixels(boxes, size),
            class_ids=ids.astype(np.int64),
            labels=[_label(prediction, row) for row in range(len(order))],
            source=instances if fits else None,
            polygons=getattr(prediction, "polygons", _corners(prediction)),
        )

    def masks(self) -> Iterator[npt.NDArray[np.bool_]]:
        """One (H, W) bool mask per object; none where there are no masks."""
        return iter(()) if self.source is None else self.source.masks_on_image()


def draw_box(picture: Picture, box: npt.NDArray[np.int64], color: Color, style: Style) -> None:
    """Draw the outline of a box; the line lies inside the box and thus inside the picture, with square corners."""
    x1, y1, x2, y2 = (int(side) for side in box)
    for near in range(style.line):
        picture[[min(y1 + near, y2), max(y2 - near, y1)], x1 : x2 + 1] = color
        picture[y1 : y2 + 1, [min(x1 + near, x2), max(x2 - near, x1)]] = color


def draw_polygon(picture: Picture, polygon: NumpyArray, color: Color, style: Style) -> None:
    """Draw the outline of a rotated box (4, 2); corners far outside the picture are held where OpenCV can draw."""
    import cv2  # noqa: PLC0415

    limit = 4 * max(picture.shape[:2])
    whole = np.rint(np.clip(np.nan_to_num(polygon), -limit, limit)).astype(np.int32)
    cv2.polylines(picture, [whole], isClosed=True, color=color, thickness=style.line, lineType=cv2.LINE_AA)


def blend(picture: Picture, mask: npt.NDArray[np.bool_], color: Color, style: Style) -> None:
    """Tint the pixels of a mask and outline it."""
    import cv2  # noqa: PLC0415

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return
    area = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part, inside = picture[area], np.ascontiguousarray(mask[area]).view(np.uint8)
    tint = cv2.addWeighted(part, 1 - MASK_OPACITY, np.full_like(part, color), MASK_OPACITY, 0)
    np.copyto(part, tint, where=inside[..., None] > 0)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    offset = (int(columns[0]), int(rows[0]))
    cv2.drawContours(picture, outlines, -1, color, max(1, style.line // 2), cv2.LINE_AA, offset=offset)


def _places(picture: Picture, objects: DrawnObjects, labels: list[Label]) -> list[Rectangle]:
    """The best object, which is last, chooses first."""
    size = (picture.shape[0], picture.shape[1])
    places: list[Rectangle] = []
    boxes = objects.xyxy.copy()
    if objects.polygons is not None and len(boxes):
        # The label of a rotated box begins at its highest corner, not at that of the upright box around it.
        highest = objects.polygons[np.arange(len(boxes)), objects.polygons[..., 1].argmin(axis=1), 0]
        boxes[:, 0] = np.clip(np.nan_to_num(highest), boxes[:, 0], boxes[:, 2])
    for label, box in zip(reversed(labels), boxes[::-1], strict=True):
        x1, y1, x2, y2 = (int(side) for side in box)
        places.append(place(label, (x1, y1, x2 + 1, y2 + 1), places, size))
    return places[::-1]


def _corners(prediction: Detections | InstanceDetections) -> NumpyArray | None:
    """(n, 4, 2) corners in the metadata of regions of text; None where an object has none."""
    found: list[Any] = [(facts or {}).get("polygon") for facts in prediction.bboxes_metadata or ()]
    fits = bool(found) and all(np.shape(corners) == (4, 2) for corners in found)
    return np.array(found, np.float32) if fits else None


def _whole_pixels(xyxy: NumpyArray, size: tuple[int, ...]) -> npt.NDArray[np.int64]:
    finite = np.nan_to_num(xyxy.astype(np.float64).reshape(-1, 4))
    limit = np.array([size[1] - 1, size[0] - 1] * 2)
    # The second corner of a box is a coordinate, the pixel left and above it is the last one that belongs to the box.
    corners = np.rint(finite) - np.array([0, 0, 1, 1])
    pixels: npt.NDArray[np.int64] = np.clip(corners, 0, limit).astype(np.int64)
    return pixels


def _label(prediction: Detections | InstanceDetections, row: int) -> str:
    metadata: dict[str, Any] = (prediction.bboxes_metadata or {row: None})[row] or {}
    if metadata.get("text"):
        return str(metadata["text"])
    tracker = metadata.get("tracker_id")
    parts = [] if tracker is None else [f"#{tracker}"]
    if prediction.class_id is not None:
        parts.append(name_or_number(int(prediction.class_id[row]), prediction.class_names, metadata))
    if prediction.confidence is not None:
        parts.append(f"{float(prediction.confidence[row]):.2f}")
    return " ".join(parts)
