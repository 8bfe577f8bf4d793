"""SSD: object detection.

Source: tensorflow/models (object detection API), project and weights Apache-2.0. Papers: arXiv 1512.02325 and
1801.04381.
Export: `exporter_main` of the API, by tf2onnx: uint8 pictures (B, height, width, 3) of any size, which the graph
resizes itself, and outputs with the suppression inside. Classes count from 1; those of COCO are its category numbers.
"""

from __future__ import annotations

from inference_models.decoders.tensorflow import DETECTIONS
from inference_models.families import DetectionGraph, Family
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode

FAMILY = Family(
    architecture="ssd",
    tasks={
        "object-detection": DetectionGraph(
            decoder=DETECTIONS,
            fused=DETECTIONS,
            preprocess=PreprocessSpec(size=None, layout="nhwc", dynamic=DynamicSize()),
            instead_of_fit_longer_edge=ResizeMode.STRETCH,
            classes_from_one=True,
        )
    },
)
