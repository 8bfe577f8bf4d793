"""GLPN: depth in metres.

Source: vinvino02/GLPDepth, GPL-3.0 (no code of it is here), and transformers (`GLPNForDepthEstimation`), Apache-2.0;
weights by their own licence. Paper: arXiv 2201.07436.
Export: `torch.onnx.export` of the transformers 5.24 module: `predicted_depth` (B, H, W) at the size of the input.
Input of a bare file: that of `GLPNImageProcessor`: sides are reduced to multiples of 32.
"""

from __future__ import annotations

from inference_models.families import DepthGraph, Family
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode

FAMILY = Family(
    architecture="glpn",
    tasks={
        "depth-estimation": DepthGraph(
            unit="metres",
            resize="cubic",
            preprocess=PreprocessSpec(
                size=(480, 640),
                resize=ResizeMode.WHOLE_MULTIPLES,
                antialias=True,
                scaling_factor=255,
                dynamic=DynamicSize(multiple=32),
            ),
        )
    },
)
