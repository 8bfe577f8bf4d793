"""Vision Transformer: classification, with one label or several.

Source: huggingface/transformers (`ViTForImageClassification`), project and the google/vit weights Apache-2.0. Paper:
arXiv 2010.11929.
Export: `torch.onnx.export`: (B, C) logits, or scores when the activation was exported too.
Input of a bare file: that of `ViTImageProcessor`.
"""

from __future__ import annotations

from inference_models.decoders import classes
from inference_models.families import ClassificationGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec

PREPROCESS = PreprocessSpec(size=None, antialias=True, scaling_factor=255, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))

FAMILY = Family(
    architecture="vit",
    tasks={
        "classification": ClassificationGraph(decoder=classes.SOFTMAX, preprocess=PREPROCESS),
        "multi-label-classification": ClassificationGraph(decoder=classes.SIGMOID, preprocess=PREPROCESS),
    },
)
