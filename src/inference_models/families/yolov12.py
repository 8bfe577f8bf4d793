"""YOLOv12: object detection, instance segmentation, classification.

Source: sunsmarterjie/yolov12, project and weights AGPL-3.0 (no code of it is here). Paper: arXiv 2502.12524.
Export: the output layouts of YOLOv8.
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.yolov8 import CLASSIFICATION, DETECTION, INSTANCES

FAMILY = Family(
    architecture="yolov12",
    tasks={"classification": CLASSIFICATION, "instance-segmentation": INSTANCES, "object-detection": DETECTION},
)
