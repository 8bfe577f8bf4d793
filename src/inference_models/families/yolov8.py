"""YOLOv8: object detection, classification.

Source: ultralytics/ultralytics, project and weights AGPL-3.0 (no code of it is here); no paper.
Export: `yolo export format=onnx` of ultralytics 8.x: detection (B, 4 + C, N) cx cy w h and class probabilities, or with
`nms=True` (B, M, 6); classification (B, C). A plain classification export ends in softmax: such a package says `fused`.
"""

from __future__ import annotations

from inference_models.decoders import boxes, classes
from inference_models.families import ClassificationGraph, DetectionGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

LETTERBOX = PreprocessSpec(size=None, resize=ResizeMode.LETTERBOX, pad_value=114, scaling_factor=255)
"""Also of other architectures trained with this recipe."""

NORMALIZED_IN = ("litert",)
"""The exporter divides boxes by the input size there, so that their bytes can be quantised."""

DETECTION = DetectionGraph(
    decoder=boxes.FINAL_OR_RAW, fused=boxes.FINAL, preprocess=LETTERBOX, normalized_in=NORMALIZED_IN
)

CLASSIFICATION = ClassificationGraph(
    decoder=classes.SOFTMAX,
    preprocess=PreprocessSpec(size=(224, 224), resize=ResizeMode.SHORTER_EDGE_CROP, antialias=True, scaling_factor=255),
)

FAMILY = Family(architecture="yolov8", tasks={"classification": CLASSIFICATION, "object-detection": DETECTION})
