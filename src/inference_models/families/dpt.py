"""DPT: relative depth of any picture.

Source: isl-org/DPT, MIT, and transformers (`DPTForDepthEstimation`), Apache-2.0. Paper: arXiv 2103.13413.
Export: `torch.onnx.export` of the transformers module: `predicted_depth` (B, H, W) at the size of the input. Relative
inverse depth: larger is nearer.
Input of a bare file: that of `DPTImageProcessor`.
"""

from __future__ import annotations

from inference_models.families import DepthGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="dpt",
    tasks={
        "depth-estimation": DepthGraph(
            unit="relative inverse depth",
            resize="cubic",
            preprocess=PreprocessSpec(
                size=(384, 384),
                interpolation="cubic",
                antialias=True,
                scaling_factor=255,
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
            ),
        )
    },
)
