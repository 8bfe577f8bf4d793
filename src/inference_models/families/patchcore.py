"""PatchCore: whether a picture shows something that normal ones do not, and where.

Source: amazon-science/patchcore-inspection, Apache-2.0 (no code of it is here). Paper: arXiv 2106.08265.
Export: none; packages of the training platform hold `weights.pth` and an `inference_config.json` of a form of its own,
which says where the border between the two classes lies.
"""

from __future__ import annotations

from inference_models.families import AnomalyGraph, Family
from inference_models.families.resnet import IMAGENET_EVALUATION

FAMILY = Family(
    architecture="patchcore",
    tasks={
        "classification": AnomalyGraph(
            preprocess=IMAGENET_EVALUATION, module="inference_models.networks.patchcore:build"
        )
    },
)
