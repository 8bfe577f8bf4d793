"""MobileNetV2: classification, with one label or several; vectors of images where the classifier was taken away.

Source: pytorch/vision, project BSD-3-Clause and its ImageNet weights too; other weights by their own licence (those of
huggingface/pytorch-image-models are Apache-2.0). Paper: arXiv 1801.04381.
Export: the `state_dict` of torchvision's `mobilenet_v2` at width 1.0, its TorchScript, or `torch.onnx.export` of it:
(B, C) logits, or scores when the activation was exported too. Without the classifier: (B, 1280) features, not scaled.
Input of a bare file: the usual ImageNet evaluation.
"""

from __future__ import annotations

from inference_models.decoders import classes
from inference_models.families import ClassificationGraph, EmbeddingGraph, Family
from inference_models.families.resnet import IMAGENET_EVALUATION

MODULE = "inference_models.networks.mobilenet_v2:build"

FAMILY = Family(
    architecture="mobilenetv2",
    tasks={
        "classification": ClassificationGraph(decoder=classes.SOFTMAX, preprocess=IMAGENET_EVALUATION, module=MODULE),
        "multi-label-classification": ClassificationGraph(
            decoder=classes.SIGMOID, preprocess=IMAGENET_EVALUATION, module=MODULE
        ),
        "embedding": EmbeddingGraph(preprocess=IMAGENET_EVALUATION),
    },
)
