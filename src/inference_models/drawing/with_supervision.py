"""Boxes, masks and labels with the annotators of Supervision, in our colours and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.drawing.own import MASK_OPACITY
from inference_models.drawing.style import PALETTE, Style, text_color_on
from inference_models.drawing.text import measure
from inference_models.predictions.to_supervision import import_supervision

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inference_models.drawing.objects import DrawnObjects
    from inference_models.drawing.style import Color, Picture


def draw_objects(picture: Picture, objects: DrawnObjects) -> None:
    """Draw masks, then boxes, then labels."""
    if not len(objects.labels):
        return
    module, style = import_supervision(), Style.of(picture.shape[:2])
    masks = [*objects.masks()]
    detections = module.Detections(
        xyxy=objects.xyxy.astype(np.float32),
        mask=np.stack(masks) if masks else None,
        class_id=objects.class_ids % len(PALETTE),
    )
    colors = _palette(module, PALETTE)
    if masks:
        module.MaskAnnotator(color=colors, opacity=MASK_OPACITY).annotate(picture, detections)
    module.BoxAnnotator(color=colors, thickness=style.line).annotate(picture, detections)
    module.LabelAnnotator(
        color=colors,
        text_color=_palette(module, map(text_color_on, PALETTE)),
        text_scale=style.text_scale,
        text_thickness=style.text_line,
        text_padding=style.padding,
        smart_position=True,
    ).annotate(
        picture, detections, labels=[measure(text, style, room=picture.shape[1]).text for text in objects.labels]
    )


def _palette(module: Any, colors: Iterable[Color]) -> Any:
    return module.ColorPalette([module.Color(r=red, g=green, b=blue) for blue, green, red in colors])
