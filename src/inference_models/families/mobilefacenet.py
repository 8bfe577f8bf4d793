"""MobileFaceNet: the vector of a face, by which two pictures of one person are told from those of two.

Source: deepinsight/insightface (`recognition/arcface_torch`), project MIT, weights for research only; other weights by
their own licence. Paper: arXiv 1804.07573.
Export: `torch.onnx.export` of the network, or a LiteRT file: (B, D) vectors, which are brought to length 1 here.
Input of a bare file: a face crop of 112 x 112 pixels, upright, (pixel - 127.5) / 128.
"""

from __future__ import annotations

from inference_models.families import EmbeddingGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="mobilefacenet",
    tasks={
        "embedding": EmbeddingGraph(
            unit_length=True, preprocess=PreprocessSpec(size=(112, 112), mean=(127.5,) * 3, std=(128.0,) * 3)
        )
    },
)
