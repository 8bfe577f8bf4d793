"""MediaPipe Hands: 21 key points of the one hand in a picture, and which hand it is.

Source: google-ai-edge/mediapipe, project and weights Apache-2.0. Paper: arXiv 2006.10214.
Export: `hand_landmark_lite` and `_full.tflite`: (B, 224, 224, 3) RGB 0..1 to (B, 63) x y z, (B, 1) score, (B, 1)
handedness, both after the sigmoid, and more. The picture should be a square around one hand, fingers up.
"""

from __future__ import annotations

from inference_models.decoders import landmarks
from inference_models.families import Family, KeyPointGraph
from inference_models.package.key_point_names import KeyPointNames
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

_JOINTS = {
    "thumb": ("cmc", "mcp", "ip", "tip"),
    **dict.fromkeys(("index_finger", "middle_finger", "ring_finger", "pinky"), ("mcp", "pip", "dip", "tip")),
}
_NAMES = ("wrist", *(f"{finger}_{joint}" for finger, joints in _JOINTS.items() for joint in joints))
_LINES = (*tuple((slot - 1 if slot % 4 != 1 else 0, slot) for slot in range(1, 21)), (5, 9), (9, 13), (13, 17))

FAMILY = Family(
    architecture="hands",
    tasks={
        "keypoint-detection": KeyPointGraph(
            decoder=landmarks.HAND,
            confidence=0.5,
            key_points=KeyPointNames.of_one(_NAMES, _LINES),
            preprocess=PreprocessSpec(size=(224, 224), resize=ResizeMode.LETTERBOX, scaling_factor=255, layout="nhwc"),
        )
    },
)
