"""YOLOLite: object detection.

Source: Lillthorin/YoloLite-Official-Repo, Apache-2.0; no paper.
Export: `export_onnx.py --format decoded` of version 1: boxes (B, N, 4) x1 y1 x2 y2, objectness logits (B, N, 1) and
class logits (B, N, C); fused exports (B, M, 6).
"""

from __future__ import annotations

from inference_models.decoders import boxes
from inference_models.families import DetectionGraph, Family
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

PREPROCESS = PreprocessSpec(
    size=None,
    resize=ResizeMode.LETTERBOX,
    pad_value=114,
    scaling_factor=255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)

FAMILY = Family(
    architecture="yololite",
    tasks={
        "object-detection": DetectionGraph(
            decoder=boxes.OBJECTNESS_LOGITS, fused=boxes.FINAL, confidence=0.25, preprocess=PREPROCESS
        )
    },
)
