"""Selfie segmentation of MediaPipe: the person in front of a camera.

Source: google-ai-edge/mediapipe, project and weights Apache-2.0; no paper, but a model card.
Export: `selfie_segmentation.tflite` and `_landscape`: (B, H, W, 3) RGB 0..1 to (B, H, W, 1) scores of the person. It
holds an operator of MediaPipe's own, `Convolution2DTransposeBias`, which other runtimes know as a transposed
convolution: a conversion that replaces it runs here.
"""

from __future__ import annotations

from inference_models.families import Family, SemanticGraph
from inference_models.package.preprocess_spec import PreprocessSpec

FAMILY = Family(
    architecture="selfie-segmentation",
    tasks={
        "semantic-segmentation": SemanticGraph(
            confidence=0.5,
            scores=True,
            class_names=("background", "person"),
            preprocess=PreprocessSpec(size=(256, 256), scaling_factor=255, layout="nhwc"),
        )
    },
)
