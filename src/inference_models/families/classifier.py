"""Any graph whose only output is class scores: classification, with one label or several.

Source: none of its own; for classifiers whose architecture makes no difference to how they are run (ConvNeXt, Swin,
MobileNet, ...), as huggingface/transformers (`*ForImageClassification`, project Apache-2.0) exports them; weights by
their own licence. Papers: those of each architecture.
Export: any exporter with one output: (B, C) logits, or scores when the activation was exported too.
Input of a bare file: the usual ImageNet evaluation.
"""

from __future__ import annotations

from inference_models.decoders import classes
from inference_models.families import ClassificationGraph, Family
from inference_models.families.resnet import IMAGENET_EVALUATION

FAMILY = Family(
    architecture="classifier",
    tasks={
        "classification": ClassificationGraph(decoder=classes.SOFTMAX, preprocess=IMAGENET_EVALUATION),
        "multi-label-classification": ClassificationGraph(decoder=classes.SIGMOID, preprocess=IMAGENET_EVALUATION),
    },
)
