"""BlazePose: 33 key points of the one person in a picture.

Source: google-ai-edge/mediapipe, project and weights Apache-2.0. Paper: arXiv 2006.10204.
Export: `pose_landmark_lite`, `_full` and `_heavy.tflite`: (B, 256, 256, 3) RGB 0..1 to (B, 195) x y z visibility
presence, (B, 1) score after the sigmoid, and more. The picture should be a square around one upright person.
"""

from __future__ import annotations

from itertools import pairwise

from inference_models.decoders import landmarks
from inference_models.families import Family, KeyPointGraph
from inference_models.package.key_point_names import KeyPointNames
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

_EYES = tuple(f"{side}_eye{part}" for side in ("left", "right") for part in ("_inner", "", "_outer"))
_BODY = ("shoulder", "elbow", "wrist", "pinky", "index", "thumb", "hip", "knee", "ankle", "heel", "foot_index")
_PAIRS = ("left_ear", "right_ear", "mouth_left", "mouth_right")
_NAMES = ("nose", *_EYES, *_PAIRS, *(f"{side}_{part}" for part in _BODY for side in ("left", "right")))
_HEAD = ((8, 6, 5, 4, 0, 1, 2, 3, 7), (9, 10), (11, 12, 24, 23, 11))
_LEFT = ((11, 13, 15, 17, 19, 15, 21), (23, 25, 27, 29, 31, 27))
_CHAINS = (*_HEAD, *_LEFT, *(tuple(slot + 1 for slot in chain) for chain in _LEFT))
"""Slots that lines join one after the other."""

FAMILY = Family(
    architecture="blazepose",
    tasks={
        "keypoint-detection": KeyPointGraph(
            decoder=landmarks.BLAZEPOSE,
            confidence=0.5,
            key_points=KeyPointNames.of_one(_NAMES, [line for chain in _CHAINS for line in pairwise(chain)]),
            preprocess=PreprocessSpec(size=(256, 256), resize=ResizeMode.LETTERBOX, scaling_factor=255, layout="nhwc"),
        )
    },
)
