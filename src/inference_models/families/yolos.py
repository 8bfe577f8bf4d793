"""YOLOS: object detection.

Source: hustvl/YOLOS, project and weights MIT. Paper: arXiv 2106.00666.
Export: transformers 5.24 models: the outputs of DETR.
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.detr import DETECTION
from inference_models.package.preprocess_spec import DynamicSize
from inference_models.record import replace

GRAPH = replace(DETECTION, preprocess=replace(DETECTION.preprocess, dynamic=DynamicSize(16)))
"""`YolosImageProcessor` cuts sides to whole patches."""

FAMILY = Family(architecture="yolos", tasks={"object-detection": GRAPH})
