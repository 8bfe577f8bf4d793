"""YOLOv10: object detection.

Source: THU-MIG/yolov10, project and weights AGPL-3.0 (no code of it is here). Paper: arXiv 2405.14458.
Export: (B, M, 6) x1 y1 x2 y2, score, class, from the one-to-one head, so a fused export is the same; with
`end2end=False` the layout of YOLOv8, which needs suppression.
"""

from __future__ import annotations

from inference_models.decoders import boxes
from inference_models.families import DetectionGraph, Family
from inference_models.families.yolov8 import LETTERBOX, NORMALIZED_IN

FAMILY = Family(
    architecture="yolov10",
    tasks={
        "object-detection": DetectionGraph(
            decoder=boxes.FINAL_STRICT_OR_RAW,
            fused=boxes.FINAL_STRICT,
            preprocess=LETTERBOX,
            normalized_in=NORMALIZED_IN,
        )
    },
)
