"""Depth Anything V2: relative depth of any picture.

Source: DepthAnything/Depth-Anything-V2 and transformers (`DepthAnythingForDepthEstimation`), projects Apache-2.0;
weights of the small model Apache-2.0, of the others CC-BY-NC-4.0. Paper: arXiv 2406.09414.
Export: `torch.onnx.export` of the transformers module: `predicted_depth` (B, H, W) at the size of the input, whose
sides are multiples of 14; (B, 1, H, W) from other scripts. Relative inverse depth: larger is nearer.
Input of a bare file: that of its `DPTImageProcessor`, of a picture stretched to the size of the export.
"""

from __future__ import annotations

from inference_models.families import DepthGraph, Family
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec

FAMILY = Family(
    architecture="depth-anything-v2",
    tasks={
        "depth-estimation": DepthGraph(
            unit="relative inverse depth",
            resize="cubic",
            preprocess=PreprocessSpec(
                size=(518, 518),
                interpolation="cubic",
                antialias=True,
                scaling_factor=255,
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
                dynamic=DynamicSize(multiple=14),
            ),
        )
    },
)
