"""Detectors of the TensorFlow object detection API, whose graph holds the suppression.

Outputs, by name: `detection_boxes` (B, M, 4) y1 x1 y2 x2 as parts of the input size, `detection_scores` (B, M),
`detection_classes` (B, M) from 1 on, `num_detections` (B,): rows behind it are none. Scores pass from the threshold on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.arrays import namespace
from inference_models.decoders.candidates import Candidates, as_float32, best_rows, lowest_threshold, threshold_of
from inference_models.decoders.layout import Layout, known, unexpected_outputs
from inference_models.decoders.types import BoxDecoder

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.decoders.types import Boxes, BoxLimits, Frame, Outputs, Shapes

_NAMES = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")
_LAYOUT = Layout(
    f"four outputs {', '.join(_NAMES)} of (B, M, 4), (B, M), (B, M), (B,)",
    ((None, None, 4), (None, None), (None, None), (None,)),
    words=tuple((name,) for name in _NAMES),
)


def _candidates(image: tuple[Array, ...], frame: Frame, limits: BoxLimits) -> Candidates:
    box, score, class_id, count = image
    xp = namespace(box)
    score = xp.astype(score[: int(count)], xp.float32)
    class_id = xp.astype(class_id[: int(count)], xp.int64)
    anchor = xp.nonzero(score >= lowest_threshold(limits, like=score))[0]
    anchor = anchor[score[anchor] >= threshold_of(class_id[anchor], limits)]
    height, width = frame
    y1, x1, y2, x2 = (xp.astype(box[anchor, side], xp.float32) for side in range(4))
    part = xp.stack([x1, y1, x2, y2], axis=-1) * as_float32([width, height, width, height], like=box)
    return Candidates(anchor, score[anchor], class_id[anchor], part)


def _decoder(layout: Layout) -> BoxDecoder:
    def decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
        images = zip(*layout.select(outputs), strict=True)
        return [best_rows(_candidates(image, frame, limits), limits) for image in images]

    def count_classes(shapes: Shapes) -> None:
        # Scores and classes have one shape: only names tell them apart.
        if not layout.order or (known(shapes) and layout.order not in layout.orders(shapes)):
            raise unexpected_outputs(layout.needs, shapes)

    return BoxDecoder(decode, count_classes, named=lambda names: _decoder(layout.named(names)))


DETECTIONS = _decoder(_LAYOUT)
"""SSD, and others of the same exporter."""
