"""FoundAD: whether a picture shows something that normal ones do not, and where.

Source: ymxlzgy/FoundAD (no code of it is here). Paper: arXiv 2510.01934.
Weights: packages of the training platform, `weights.pth` and an `inference_config.json` of its own form, which says
where the border between the two classes lies.
"""

from __future__ import annotations

from inference_models.families import AnomalyGraph, Family
from inference_models.families.resnet import IMAGENET_EVALUATION

FAMILY = Family(
    architecture="foundad",
    tasks={
        "classification": AnomalyGraph(preprocess=IMAGENET_EVALUATION, module="inference_models.networks.foundad:build")
    },
)
