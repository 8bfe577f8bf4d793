"""ResNet: classification, with one label or several.

Source: huggingface/pytorch-image-models, project Apache-2.0; weights by their own licence. Paper: arXiv 1512.03385.
Export: `torch.onnx.export`: (B, C) logits, or scores when the activation was exported too; or the `state_dict` of timm
or torchvision.
Input of a bare file: the usual ImageNet evaluation, resized by Pillow.
"""

from __future__ import annotations

from inference_models.decoders import classes
from inference_models.families import ClassificationGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

IMAGENET_EVALUATION = PreprocessSpec(
    size=(224, 224),
    resize=ResizeMode.SHORTER_EDGE_CROP,
    shorter_edge=256,
    antialias=True,
    scaling_factor=255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)

MODULE = "inference_models.networks.resnet:build"

FAMILY = Family(
    architecture="resnet",
    tasks={
        "classification": ClassificationGraph(decoder=classes.SOFTMAX, preprocess=IMAGENET_EVALUATION, module=MODULE),
        "multi-label-classification": ClassificationGraph(
            decoder=classes.SIGMOID, preprocess=IMAGENET_EVALUATION, module=MODULE
        ),
    },
)
