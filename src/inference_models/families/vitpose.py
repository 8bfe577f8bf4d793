"""ViTPose: the key points of one person at a time, in a crop around its box.

Source: ViTAE-Transformer/ViTPose and transformers (`VitPoseForPoseEstimation`), Apache-2.0, weights Apache-2.0.
Papers: arXiv 2204.12484 and 2212.04246; of the experts of ViTPose++ the one of COCO answers.
Export: transformers 5.24: `heatmaps` (B, K, h / 4, w / 4).
"""

from __future__ import annotations

from inference_models.families import CropPointGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="vitpose",
    tasks={
        "keypoint-detection": CropPointGraph(
            heatmaps=True,
            key_points_threshold=0.3,
            preprocess=PreprocessSpec(
                size=(256, 192), scaling_factor=255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
            ),
        )
    },
)
