"""RT-DETR, RT-DETRv2 and PP-DocLayout v2 and v3: object detection.

Source: lyuwenyu/RT-DETR, project and weights Apache-2.0. Papers: arXiv 2304.08069 and 2407.17140.
Export: transformers 5.24 models: `logits` (B, Q, C) before the sigmoid, `pred_boxes` (B, Q, 4) cx cy w h as parts of
the input, and further outputs behind them, which are not read. What Ultralytics exports is `rt_detr_ultralytics`.
"""

from __future__ import annotations

from inference_models.decoders.queries import QUERIES_OR_ROWS
from inference_models.families import DetectionGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

DETECTION = DetectionGraph(
    decoder=QUERIES_OR_ROWS,
    preprocess=PreprocessSpec(size=(640, 640), antialias=True, scaling_factor=255),
    instead_of_fit_longer_edge=ResizeMode.STRETCH,
)
"""Pictures are stretched and scaled, without mean and deviation, as `RTDetrImageProcessor` does."""

FAMILY = Family(architecture="rt-detr", tasks={"object-detection": DETECTION})
