"""YOLO-NAS: object detection.

Source: Deci-AI/super-gradients, project Apache-2.0; the published weights have a licence of their own that forbids
commercial use. No paper.
Export: two outputs, boxes (B, N, 4) x1 y1 x2 y2 in network pixels and class probabilities (B, N, C).
"""

from __future__ import annotations

from inference_models.decoders import boxes
from inference_models.families import DetectionGraph, Family
from inference_models.families.yolov8 import LETTERBOX

FAMILY = Family(
    architecture="yolonas",
    tasks={"object-detection": DetectionGraph(decoder=boxes.BOXES_AND_SCORES, preprocess=LETTERBOX)},
)
