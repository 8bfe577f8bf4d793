"""EfficientNet: classification, with one label or several.

Source: huggingface/pytorch-image-models (`efficientnet_b0`), project Apache-2.0; weights by their own licence.
Paper: arXiv 1905.11946.
Export: `torch.onnx.export`: (B, C) logits, or scores when the activation was exported too; or the `state_dict` of an
EfficientNet-Lite under the names that its first PyTorch weights have.
Input of a bare file: the evaluation of timm for its `ra_in1k` weights, 224 pixels of a shorter edge of 256, bicubic.
"""

from __future__ import annotations

from inference_models.decoders import classes
from inference_models.families import ClassificationGraph, Family
from inference_models.families.resnet import IMAGENET_EVALUATION
from inference_models.record import replace

EVALUATION = replace(IMAGENET_EVALUATION, interpolation="cubic")
MODULE = "inference_models.networks.efficientnet_lite:build"

FAMILY = Family(
    architecture="efficientnet",
    tasks={
        "classification": ClassificationGraph(decoder=classes.SOFTMAX, preprocess=EVALUATION, module=MODULE),
        "multi-label-classification": ClassificationGraph(
            decoder=classes.SIGMOID, preprocess=EVALUATION, module=MODULE
        ),
    },
)
