"""PP-OCR: the text of a page, from two graphs, or three.

Source: PaddlePaddle/PaddleOCR, project and weights Apache-2.0. Papers: those of `pp-ocrv6-det` and `pp-ocrv6-rec`.
Export: paddle2onnx, as rapidocr 3.10 ships the graphs of versions 4, 5 and 6. That of the orientation takes lines
(B, 3, 48, 192), with zeros at the right, and gives (B, 2) scores of 0 and 180 degrees.
"""

from __future__ import annotations

from inference_models.families import Family, PageGraph
from inference_models.families.pp_ocrv6_det import DETECTOR
from inference_models.families.pp_ocrv6_rec import READER
from inference_models.record import replace

FAMILY = Family(
    architecture="pp-ocrv6",
    tasks={
        "structured-ocr": PageGraph(
            detector=DETECTOR,
            reader=READER,
            confidence=0.5,
            orientation=replace(READER.preprocess, size=(48, 192)),
            files={"detection": "*det*", "recognition": "*rec*", "orientation": "*cls*", "config": "inference.yml"},
            optional_files=frozenset({"orientation", "config"}),
            preprocess=DETECTOR.preprocess,
        )
    },
)
