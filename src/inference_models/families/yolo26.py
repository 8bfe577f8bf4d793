"""YOLO26: object detection, instance segmentation, classification.

Source: ultralytics/ultralytics, project and weights AGPL-3.0 (no code of it is here); no paper.
Export: (B, M, 6) x1 y1 x2 y2, score, class, from the one-to-one head, so a fused export is the same; with
`end2end=False` the layout of YOLOv8, which needs suppression.
"""

from __future__ import annotations

from dataclasses import replace

from inference_models.decoders import boxes
from inference_models.families import DetectionGraph, Family
from inference_models.families.yolov8 import CLASSIFICATION, INSTANCES, LETTERBOX, NORMALIZED_IN

FAMILY = Family(
    architecture="yolo26",
    tasks={
        "classification": CLASSIFICATION,
        "instance-segmentation": replace(INSTANCES, confidence=0.25),
        "object-detection": DetectionGraph(
            decoder=boxes.FINAL_OR_RAW,
            fused=boxes.FINAL,
            confidence=0.25,
            preprocess=LETTERBOX,
            normalized_in=NORMALIZED_IN,
        ),
    },
)
