"""FoundAD: whether a picture shows something that normal ones do not, and where.

Source: ymxlzgy/FoundAD, which states no licence (no code of it is here); its encoder is that of timm, Apache-2.0.
Paper: arXiv 2510.01934.
Export: none; packages of the training platform hold `weights.pth` and an `inference_config.json` of a form of its own,
which says where the border between the two classes lies.
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
