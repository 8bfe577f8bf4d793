"""Semantic segmentation: every class tinted, and a legend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.drawing.panel import Line, draw_panel
from inference_models.drawing.style import MASK_OPACITY, color_of
from inference_models.errors import InvalidParameterError
from inference_models.predictions.labels import name_or_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.drawing.style import Picture
    from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult

_LEGEND_LINES = 8


def draw(picture: Picture, result: SemanticSegmentationResult, class_names: Sequence[str] | None, _: object) -> None:
    """Tint each pixel in the colour of its class and list the largest classes; `background` stays as it is.

    Raises:
        InvalidParameterError: the map has another size than the picture.
    """
    import cv2  # noqa: PLC0415

    ids = result.numpy().segmentation_map
    if ids.shape != picture.shape[:2]:
        raise InvalidParameterError(
            "the segmentation cannot be drawn on this image.",
            needs=f"a map of {picture.shape[0]} x {picture.shape[1]}, the size of the image",
            found=f"a map of {ids.shape[0]} x {ids.shape[1]}",
            fix="pass the image that the model was given",
        )
    areas = [(class_id, pixels) for class_id, pixels in result.areas() if not _is_background(class_id, class_names)]
    shown, position = np.unique(ids, return_inverse=True)
    colors = np.array([color_of(int(class_id)) for class_id in shown], dtype=np.uint8)
    tint = cv2.addWeighted(picture, 1 - MASK_OPACITY, colors[position.reshape(ids.shape)], MASK_OPACITY, 0)
    tinted = np.isin(ids, [class_id for class_id, _ in areas])
    np.copyto(picture, tint, where=tinted[..., None])
    lines = [
        Line(f"{name_or_number(class_id, class_names)} {pixels / ids.size:.0%}", color_of(class_id))
        for class_id, pixels in areas[:_LEGEND_LINES]
    ]
    draw_panel(picture, lines)


def _is_background(class_id: int, class_names: Sequence[str] | None) -> bool:
    return name_or_number(class_id, class_names).lower() == "background"
