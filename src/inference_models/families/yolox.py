"""YOLOX: object detection.

Source: Megvii-BaseDetection/YOLOX, project and weights Apache-2.0. Paper: arXiv 2107.08430.
Export: `tools/export_onnx.py` of version 0.3 without `--decode_in_inference`: (B, N, 5 + C) relative to the grids of
strides 8, 16, 32. Input: BGR 0..255, fitted into the top left corner, the rest filled with 114.
"""

from __future__ import annotations

from inference_models.decoders import grid
from inference_models.families import DetectionGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

PREPROCESS = PreprocessSpec(size=None, color="bgr", resize=ResizeMode.LETTERBOX, pad_value=114, pad_at="end")

FAMILY = Family(
    architecture="yolox", tasks={"object-detection": DetectionGraph(decoder=grid.YOLOX, preprocess=PREPROCESS)}
)
