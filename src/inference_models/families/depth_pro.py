"""Depth Pro: depth in metres.

Source: apple/ml-depth-pro and transformers (`DepthProForDepthEstimation`), Apache-2.0; weights under Apple's own
licence. Paper: arXiv 2410.02073.
Export: `torch.onnx.export` of the transformers 5.24 module: `predicted_depth` (B, H, W), which is 1 / depth for a
picture as wide as its focal length, and `field_of_view` (B,), its angle in degrees, where the network has that part.
Input of a bare file: that of `DepthProImageProcessor`.
"""

from __future__ import annotations

from inference_models.families import DepthGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

FAMILY = Family(
    architecture="depth-pro",
    tasks={
        "depth-estimation": DepthGraph(
            unit="metres",
            resize="linear",
            reciprocal=True,
            instead_of_fit_longer_edge=ResizeMode.STRETCH,
            preprocess=PreprocessSpec(
                size=(1536, 1536),
                as_float=True,
                scaling_factor=255,
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
            ),
        )
    },
)
