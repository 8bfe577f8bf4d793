"""MODNet: how much of every pixel is a person.

Source: ZHKKKe/MODNet, project and weights Apache-2.0. Paper: arXiv 2011.11961.
Export: `onnx/export_onnx.py` of the project: `input` (B, 3, H, W), sides multiples of 32, to `output` (B, 1, H, W), the
matte 0..1 itself. The shorter side is 512, as `inference_onnx.py` has it for pictures whose sides are not on both sides
of that.
"""

from __future__ import annotations

from inference_models.families import Family, SemanticGraph
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode

FAMILY = Family(
    architecture="modnet",
    tasks={
        "semantic-segmentation": SemanticGraph(
            confidence=0.5,
            scores=True,
            matte=True,
            class_names=("background", "person"),
            preprocess=PreprocessSpec(
                size=(512, 4096),
                resize=ResizeMode.SHORTER_EDGE,
                interpolation="area",
                scaling_factor=255,
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
                dynamic=DynamicSize(multiple=32),
            ),
        )
    },
)
