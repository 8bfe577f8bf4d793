"""YOLO26: object detection without suppression.

Source: ultralytics/ultralytics, project and weights AGPL-3.0 (no code of it is here); no paper.
Export: (B, M, 6) x1 y1 x2 y2, score, class; the graph holds the one-to-one head, so a fused export is the same.
"""

from __future__ import annotations

from inference_models.decoders import boxes
from inference_models.families import DetectionGraph, Family
from inference_models.families.yolov8 import LETTERBOX

FAMILY = Family(
    architecture="yolo26",
    tasks={
        "object-detection": DetectionGraph(
            decoder=boxes.FINAL, fused=boxes.FINAL, confidence=0.25, preprocess=LETTERBOX
        )
    },
)
