"""PP-YOLOE: object detection.

Source: PaddlePaddle/PaddleDetection, project and weights Apache-2.0. Paper: arXiv 2203.16250.
Export: libreyolo 1.6 (MIT) and super-gradients 3 write two outputs, boxes (B, N, 4) x1 y1 x2 y2 in network pixels and
class probabilities (B, N, C), without suppression. The defaults are those of super-gradients.
"""

from __future__ import annotations

from inference_models.decoders import boxes
from inference_models.families import DetectionGraph, Family
from inference_models.families.picodet import PREPROCESS

FAMILY = Family(
    architecture="pp-yoloe",
    tasks={
        "object-detection": DetectionGraph(
            decoder=boxes.BOXES_AND_SCORES, confidence=0.5, iou=0.7, preprocess=PREPROCESS
        )
    },
)
