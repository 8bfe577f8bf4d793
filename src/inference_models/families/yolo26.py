"""YOLO26: the tasks of YOLOv8.

Source: ultralytics/ultralytics, project and weights AGPL-3.0 (no code of it is here); no paper.
Export: by default the layouts of YOLOv8, which need suppression; with `end2end=True` the final rows of its one-to-one
head: (B, M, 6) x1 y1 x2 y2, score, class, and behind them the numbers of other tasks. A fused export is the same.
Depth, of ultralytics 8.4: (B, 1, H, W) metres, of a picture that was stretched. Semantic segmentation: (B, H, W) class
ids, or logits (B, C, h, w).
"""

from __future__ import annotations

from inference_models.families import DepthGraph, Family, SemanticGraph
from inference_models.families.yolov8 import CLASSIFICATION, DETECTION, INSTANCES, KEY_POINTS, LETTERBOX, ORIENTED
from inference_models.package.preprocess_spec import ResizeMode
from inference_models.record import replace

FAMILY = Family(
    architecture="yolo26",
    tasks={
        "classification": CLASSIFICATION,
        "depth-estimation": DepthGraph(
            preprocess=replace(LETTERBOX, resize=ResizeMode.STRETCH), unit="metres", resize="corners"
        ),
        "instance-segmentation": replace(INSTANCES, confidence=0.25),
        "keypoint-detection": replace(KEY_POINTS, confidence=0.25, key_points_threshold=0.3),
        "object-detection": replace(DETECTION, confidence=0.25),
        "oriented-object-detection": ORIENTED,
        "semantic-segmentation": SemanticGraph(preprocess=LETTERBOX, confidence=0.25),
    },
)
