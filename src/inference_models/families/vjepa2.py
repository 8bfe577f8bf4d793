"""V-JEPA 2: the action in a clip.

Source: facebookresearch/vjepa2, project MIT; huggingface/transformers (`VJEPA2ForVideoClassification`), whose weights
of Something-Something v2 and Diving-48 are MIT too. Paper: arXiv 2506.09985.
Export: none; the network of transformers takes the frames of one clip (T, 3, h, w), as many as it was trained with,
and gives logits (1, C).
Input: that of `VJEPA2VideoProcessor`, each frame like a picture.
"""

from __future__ import annotations

from inference_models.families import ActionGraph, Family
from inference_models.families.resnet import IMAGENET_EVALUATION
from inference_models.record import replace

FAMILY = Family(
    architecture="vjepa2",
    tasks={
        "action-recognition": ActionGraph(preprocess=replace(IMAGENET_EVALUATION, size=(256, 256), shorter_edge=292))
    },
)
