"""SigLIP and SigLIP 2: images and texts in one space.

Source: google-research/big_vision, project and weights Apache-2.0; huggingface/transformers (`SiglipModel`). Papers:
arXiv 2303.15343, 2502.14786.
Export: `torch.onnx.export` of transformers' `SiglipVisionModel` and `SiglipTextModel`: `vision_model.onnx` and
`text_model.onnx`, whose `pooler_output` (B, D) are the vectors, or the same as `visual.onnx` and `textual.onnx`.
Vectors are not scaled.
Texts: those of the `tokenizer.json` of the package, 64 tokens, of which the network sees the filling too.
Input: stretched by Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.families import EmbeddingGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec
from inference_models.package.text_tokens import ROLES, TextTokens, read_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _tokens(files: Mapping[str, Path]) -> TextTokens:
    return read_tokens(files, length=64, pad="</s>", sees_padding=True)


FAMILY = Family(
    architecture="siglip",
    tasks={
        "embedding": EmbeddingGraph(
            tokens=_tokens,
            activation="sigmoid",
            files={"visual": "*vis*", "textual": "*text*", **ROLES},
            optional_files=frozenset({"tokenizer_config"}),
            preprocess=PreprocessSpec(
                size=(224, 224),
                interpolation="cubic",
                antialias=True,
                scaling_factor=255,
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
            ),
        )
    },
)
