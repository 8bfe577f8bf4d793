"""ZoeDepth: depth in metres.

Source: isl-org/ZoeDepth, project and weights MIT, and transformers (`ZoeDepthForDepthEstimation`), Apache-2.0.
Paper: arXiv 2302.12288.
Export: `torch.onnx.export` of the transformers 5.24 module: `predicted_depth` (B, h, w) over the input, and further
outputs behind it, which are not read.
Input of a bare file: that of `ZoeDepthImageProcessor`: a mirrored margin, then the nearer edge, without smoothing.
"""

from __future__ import annotations

from inference_models.families import DepthGraph, Family
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode

FAMILY = Family(
    architecture="zoedepth",
    tasks={
        "depth-estimation": DepthGraph(
            unit="metres",
            resize="cubic",
            preprocess=PreprocessSpec(
                size=(384, 512),
                resize=ResizeMode.NEARER_EDGE,
                interpolation="corners",
                as_float=True,
                margin=True,
                scaling_factor=255,
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
                dynamic=DynamicSize(multiple=32),
            ),
        )
    },
)
