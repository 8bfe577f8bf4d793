"""YOLOv5: object detection.

Source: ultralytics/yolov5, project and weights AGPL-3.0 (no code of it is here); no paper.
Export: `export.py --include onnx` of version 7.0: (B, N, 5 + C) cx cy w h in network pixels, objectness, class
probabilities. The score of a box is objectness x class probability, as in the training project.
"""

from __future__ import annotations

from inference_models.decoders import boxes
from inference_models.families import DetectionGraph, Family
from inference_models.families.yolov8 import LETTERBOX, NORMALIZED_IN

FAMILY = Family(
    architecture="yolov5",
    tasks={
        "object-detection": DetectionGraph(
            decoder=boxes.ANCHOR_BASED, preprocess=LETTERBOX, normalized_in=NORMALIZED_IN
        )
    },
)
