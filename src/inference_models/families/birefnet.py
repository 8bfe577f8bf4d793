"""BiRefNet: how much of every pixel is foreground.

Source: ZhengPeng7/BiRefNet, project and weights MIT. Paper: arXiv 2401.03407.
Export: `torch.onnx.export` of the last map of the network: logits (B, 1, H, W) at the size of the input.
"""

from __future__ import annotations

from inference_models.families import Family, SemanticGraph
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="birefnet",
    tasks={
        "semantic-segmentation": SemanticGraph(
            confidence=0.5,
            matte=True,
            class_names=("background", "foreground"),
            preprocess=PreprocessSpec(
                size=(1024, 1024),
                antialias=True,
                scaling_factor=255,
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            ),
        )
    },
)
