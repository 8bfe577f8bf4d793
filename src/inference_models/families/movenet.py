"""MoveNet: the key points of the one person in a picture.

Source: Google, MoveNet SinglePose Lightning (192 pixels) and Thunder (256), Apache-2.0; no paper, but a model card.
Export: the published `.tflite` files and conversions of them: (B, H, W, 3) RGB 0..255, whole numbers or float32, to
(B, 1, 17, 3) y x score. The picture should be of one person, padded to a square.
"""

from __future__ import annotations

from inference_models.decoders import landmarks
from inference_models.families import Family, KeyPointGraph
from inference_models.package.key_point_names import COCO_PERSON
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

FAMILY = Family(
    architecture="movenet",
    tasks={
        "keypoint-detection": KeyPointGraph(
            decoder=landmarks.MOVENET,
            confidence=0.1,
            key_points=COCO_PERSON,
            preprocess=PreprocessSpec(size=(192, 192), resize=ResizeMode.LETTERBOX, layout="nhwc"),
        )
    },
)
