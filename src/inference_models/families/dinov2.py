"""DINOv2, with and without registers, and DINOv3 (ViT and ConvNeXt): vectors of images.

Source: facebookresearch/dinov2, project and weights Apache-2.0; facebookresearch/dinov3 by its own licence. Papers:
arXiv 2304.07193, 2309.16588, 2508.10104.
The vector is what transformers 5.24 calls `pooler_output`, and both projects use: the class token behind the last
normalisation; of ConvNeXt the mean over the picture. It is not scaled.
Export: optimum, as `onnx/model.onnx`: `last_hidden_state` (B, T, D), of which the first token is that vector, and
`pooler_output` (B, D) where the export has it.
Input of a bare file: `BitImageProcessor` of facebook/dinov2-base.
"""

from __future__ import annotations

from inference_models.families import EmbeddingGraph, Family
from inference_models.families.efficientnet import EVALUATION
from inference_models.record import replace

FAMILY = Family(
    architecture="dinov2",
    tasks={
        "embedding": EmbeddingGraph(
            class_token=True, preprocess=replace(EVALUATION, size=(224, 224), shorter_edge=256, interpolation="cubic")
        )
    },
)
