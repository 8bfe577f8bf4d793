"""PP-OCRv6 detection: where in a picture text is, turned as the text is.

Source: PaddlePaddle/PaddleOCR, project and weights Apache-2.0. Paper: arXiv 1911.08947 (DBNet).
Export: paddle2onnx, as `inference.onnx` beside `inference.yml`, or as rapidocr 3.10 ships it: (B, 3, H, W) to
(B, 1, H, W) scores, sides multiples of 32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.decoders.text_regions import TEXT_REGIONS
from inference_models.families import DetectionGraph, Family
from inference_models.package.paddle_config import read_paddle_input
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def configured(graph: DetectionGraph, files: Mapping[str, Path]) -> DetectionGraph:
    """`graph` for the order of colours that `inference.yml` states."""
    color = read_paddle_input(files.get("config")).color
    return replace(graph, preprocess=replace(graph.preprocess, color=color)) if color else graph


DETECTOR = DetectionGraph(
    decoder=TEXT_REGIONS,
    confidence=0.6,
    max_detections=1000,
    class_names=("text",),
    files={"graph": "*", "config": "inference.yml"},
    optional_files=frozenset({"config"}),
    configure=configured,
    preprocess=PreprocessSpec(
        size=(736, 4000),
        color="bgr",
        resize=ResizeMode.SHORTER_EDGE_AT_LEAST,
        scaling_factor=255,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        dynamic=DynamicSize(multiple=32),
    ),
)
FAMILY = Family(architecture="pp-ocrv6-det", tasks={"object-detection": DETECTOR})
