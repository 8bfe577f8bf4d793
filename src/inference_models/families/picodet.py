"""PicoDet: object detection.

Source: PaddlePaddle/PaddleDetection, project and weights Apache-2.0. Paper: arXiv 2111.00902; box distributions: arXiv
2006.04388.
Export: PaddleDetection 2.x with `export.benchmark=True`, then paddle2onnx: four outputs of scores, then four of
distances.
"""

from __future__ import annotations

from inference_models.decoders import distribution
from inference_models.families import DetectionGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

PREPROCESS = PreprocessSpec(
    size=None, resize=ResizeMode.STRETCH, scaling_factor=255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)

FAMILY = Family(
    architecture="picodet",
    tasks={"object-detection": DetectionGraph(decoder=distribution.DISTRIBUTION, preprocess=PREPROCESS)},
)
