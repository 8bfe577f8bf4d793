"""DINOv3 with a linear layer on its class token: classification, with one label or several.

Source: huggingface/pytorch-image-models (`vit_small_patch16_dinov3`), project Apache-2.0; weights by their
own licence. Paper: arXiv 2508.10104.
Export: `torch.onnx.export`: (B, C) logits, or scores when the activation was exported too; or the weights of the
backbone of timm and of the layer.
Input of a bare file: the evaluation of timm 1.0 for its `lvd1689m` weights, the middle square as 256 pixels, bicubic.
"""

from __future__ import annotations

from inference_models.decoders import classes
from inference_models.families import ClassificationGraph, Family
from inference_models.families.efficientnet import EVALUATION
from inference_models.record import replace

MODULE = "inference_models.networks.dinov3_probe:build"
SQUARE = replace(EVALUATION, size=(256, 256), shorter_edge=256)

FAMILY = Family(
    architecture="dinov3-probe",
    tasks={
        "classification": ClassificationGraph(decoder=classes.SOFTMAX, preprocess=SQUARE, module=MODULE),
        "multi-label-classification": ClassificationGraph(
            decoder=classes.SIGMOID, preprocess=SQUARE, confidence=0.5, module=MODULE
        ),
    },
)
