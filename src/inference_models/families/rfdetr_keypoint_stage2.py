"""RF-DETR key points, the second stage: the points of one object in a crop around its box.

Source: roboflow/rf-detr (the first stage), project Apache-2.0; the head is trained by its platform. Paper: none of its
own; crops as in arXiv 1911.07524 (unbiased data processing).
Export: packages of the platform, ONNX: `pixels` (B, 3, h, w) and `s_norm` (B,) to `keypoints` and `sigmas` (B, S, 2) as
parts of the window, `presence` and `scores` (B, S). Checked against inference-models 0.39.6.
"""

from __future__ import annotations

from inference_models.families import CropPointGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="rfdetr-keypoint-stage2",
    tasks={
        "keypoint-detection": CropPointGraph(
            further_inputs=("s_norm",),
            key_points_threshold=0.2,
            preprocess=PreprocessSpec(
                size=None, scaling_factor=255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
            ),
        )
    },
)
