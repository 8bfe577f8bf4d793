"""SegFormer: semantic segmentation.

Source: transformers (`SegformerForSemanticSegmentation`), Apache-2.0; weights of NVlabs/SegFormer for non-commercial
use. Paper: arXiv 2105.15203.
Export: `torch.onnx.export`: `logits` (B, C, H / 4, W / 4).
Input of a bare file: that of `SegformerImageProcessor`.
"""

from __future__ import annotations

from inference_models.families import Family, SemanticGraph
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="segformer",
    tasks={
        "semantic-segmentation": SemanticGraph(
            preprocess=PreprocessSpec(
                size=(512, 512),
                antialias=True,
                scaling_factor=255,
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            )
        )
    },
)
