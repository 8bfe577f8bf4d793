"""YOLOv5: object detection, instance segmentation.

Source: ultralytics/yolov5, project and weights AGPL-3.0 (no code of it is here); no paper.
Export: `export.py --include onnx` of version 7.0: (B, N, 5 + C) cx cy w h in network pixels, objectness, class
probabilities; of segmenters with 32 coefficients behind them, and prototypes (B, 32, h, w). The score of a box is
objectness x class probability, as in the training project, which resizes the scores of pixels of masks.
"""

from __future__ import annotations

from inference_models.decoders import boxes, prototypes
from inference_models.families import DetectionGraph, Family, InstanceGraph
from inference_models.families.yolov8 import LETTERBOX, NORMALIZED_IN

INSTANCES = InstanceGraph(
    decoder=prototypes.ANCHOR_BASED_PROTOTYPES,
    preprocess=LETTERBOX,
    normalized_in=NORMALIZED_IN,
    smooth=True,
    with_pixels=False,
)

FAMILY = Family(
    architecture="yolov5",
    tasks={
        "instance-segmentation": INSTANCES,
        "object-detection": DetectionGraph(
            decoder=boxes.ANCHOR_BASED, preprocess=LETTERBOX, normalized_in=NORMALIZED_IN
        ),
    },
)
