"""PP-OCR: the text of a page, from two graphs, or three.

Source: PaddlePaddle/PaddleOCR, project and weights Apache-2.0. Papers: those of `pp-ocrv6-det` and `pp-ocrv6-rec`.
Export: paddle2onnx, as rapidocr 3.10 ships the graphs of versions 4, 5 and 6. That of the orientation takes lines
(B, 3, 48, 192), with zeros at the right, and gives (B, 2) scores of 0 and 180 degrees. Where `inference.yml` was
written beside a graph, its name begins here with that of the graph, as in `rec.yml`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.families import Family, PageGraph, pp_ocrv6_det, pp_ocrv6_rec
from inference_models.families.pp_ocrv6_det import DETECTOR
from inference_models.families.pp_ocrv6_rec import LINE, READER
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def configured(graph: PageGraph, files: Mapping[str, Path]) -> PageGraph:
    """`graph` for what the configurations of detection and recognition state."""
    detector = pp_ocrv6_det.configured(graph.detector, _config(files, "detection_config"))
    reader = pp_ocrv6_rec.configured(graph.reader, _config(files, "config"))
    return replace(graph, detector=detector, reader=reader, preprocess=detector.preprocess)


def _config(files: Mapping[str, Path], role: str) -> dict[str, Path]:
    return {"config": files[role]} if role in files else {}


FAMILY = Family(
    architecture="pp-ocrv6",
    tasks={
        "structured-ocr": PageGraph(
            detector=DETECTOR,
            reader=READER,
            confidence=0.5,
            orientation=replace(LINE, size=(48, 192)),
            files={
                "detection": "*det*",
                "recognition": "*rec*",
                "orientation": "*cls*",
                "config": "*rec*.yml",
                "detection_config": "*det*.yml",
            },
            optional_files=frozenset({"orientation", "config", "detection_config"}),
            configure=configured,
            preprocess=DETECTOR.preprocess,
        )
    },
)
