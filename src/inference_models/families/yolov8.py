"""YOLOv8: detection of upright and of oriented boxes, instance segmentation, key points, classification.

Source: ultralytics/ultralytics, project and weights AGPL-3.0 (no code of it is here); no paper.
Export: `yolo export` of ultralytics 8.x, raw or with `nms=True`. Detection: (B, 4 + C, N) cx cy w h and class
probabilities, or (B, M, 6); instance segmentation: (B, 4 + C + 32, N), or (B, M, 6 + 32), and prototypes (B, 32, h, w);
key points: (B, 4 + C + 3 K, N), or (B, M, 6 + 3 K); oriented boxes: (B, 4 + C + 1, N), angle last, or (B, M, 7);
classification: (B, C), which a plain export ends in softmax: such a package says `fused`.
"""

from __future__ import annotations

from inference_models.decoders import boxes, classes, key_points, oriented, prototypes
from inference_models.families import (
    ClassificationGraph,
    DetectionGraph,
    Family,
    Graph,
    InstanceGraph,
    KeyPointGraph,
    OrientedDetectionGraph,
)
from inference_models.package.key_point_names import COCO_PERSON
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

LETTERBOX = PreprocessSpec(size=None, resize=ResizeMode.LETTERBOX, pad_value=114, scaling_factor=255)
"""Also of other architectures trained with this recipe."""

NORMALIZED_IN = ("litert",)
"""The exporter divides boxes by the input size there, so that their bytes can be quantised."""

DETECTION = DetectionGraph(
    decoder=boxes.FINAL_OR_RAW, fused=boxes.FINAL, preprocess=LETTERBOX, normalized_in=NORMALIZED_IN
)

ORIENTED = OrientedDetectionGraph(
    decoder=oriented.FINAL_OR_RAW,
    fused=oriented.FINAL,
    confidence=0.25,
    iou=0.7,
    preprocess=LETTERBOX,
    normalized_in=NORMALIZED_IN,
)

INSTANCES = InstanceGraph(
    decoder=prototypes.ANCHOR_FREE_PROTOTYPES,
    fused=prototypes.ANCHOR_FREE_PROTOTYPES,
    preprocess=LETTERBOX,
    normalized_in=NORMALIZED_IN,
)

KEY_POINTS = KeyPointGraph(
    decoder=key_points.FINAL_OR_RAW,
    fused=key_points.FINAL,
    key_points=COCO_PERSON,
    preprocess=LETTERBOX,
    normalized_in=NORMALIZED_IN,
)

CLASSIFICATION = ClassificationGraph(
    decoder=classes.SOFTMAX,
    preprocess=PreprocessSpec(size=(224, 224), resize=ResizeMode.SHORTER_EDGE_CROP, antialias=True, scaling_factor=255),
)

TASKS: dict[str, Graph] = {
    "classification": CLASSIFICATION,
    "instance-segmentation": INSTANCES,
    "keypoint-detection": KEY_POINTS,
    "object-detection": DETECTION,
    "oriented-object-detection": ORIENTED,
}

FAMILY = Family(architecture="yolov8", tasks=TASKS)
