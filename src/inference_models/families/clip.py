"""CLIP: images and texts in one space.

Source: openai/CLIP, project and weights MIT; also mlfoundations/open_clip. Paper: arXiv 2103.00020.
Export: `visual.onnx`, pixels (B, 3, s, s) to (B, D), and `textual.onnx`, tokens (B, 77) to (B, D), as
`torch.onnx.export` of `encode_image` and `encode_text`; or `vision_model.onnx` and `text_model.onnx` of transformers'
`CLIPVisionModelWithProjection` and `CLIPTextModelWithProjection`. Vectors are not scaled.
Scores of texts: cosines times what the package says, else 100, where all published networks of the project ended.
Texts: the tokens of `clip.tokenize`; where the package holds a `tokenizer.json`, those of transformers.
Input: the shorter side to that of the network by Pillow, then the middle, as `_transform` of the project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.families import EmbeddingGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode
from inference_models.package.text_tokens import ROLES, TextTokens, clip_tokens, read_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _tokens(files: Mapping[str, Path]) -> TextTokens:
    return read_tokens(files, length=77, pad="<|endoftext|>") if "tokenizer" in files else clip_tokens()


FAMILY = Family(
    architecture="clip",
    tasks={
        "embedding": EmbeddingGraph(
            tokens=_tokens,
            logit_scale=100.0,
            files={"visual": "*vis*", "textual": "*text*", **ROLES},
            optional_files=frozenset(ROLES),
            preprocess=PreprocessSpec(
                size=(224, 224),
                resize=ResizeMode.SHORTER_EDGE_CROP,
                interpolation="cubic",
                antialias=True,
                scaling_factor=255,
                mean=(0.48145466, 0.4578275, 0.40821073),
                std=(0.26862954, 0.26130258, 0.27577711),
            ),
        )
    },
)
