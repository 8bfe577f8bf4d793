"""PP-OCRv6 detection: the real weights on a page, and the answer of rapidocr 3.10.0 to the same picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import skimage.data

from inference_models import AutoModel, Detections
from inference_models.families import find_graph

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = cv2.cvtColor(skimage.data.page(), cv2.COLOR_GRAY2BGR)
# rapidocr 3.10.0 with the normalisation of PaddleOCR, box_thresh=0.6, unclip_ratio=1.5 and no dilation: corners, which
# it rounds twice, and scores.
CORNERS = [
    [[3, 8], [295, 10], [295, 36], [3, 33]],
    [[2, 45], [378, 47], [378, 67], [2, 65]],
    [[0, 62], [379, 63], [379, 86], [0, 85]],
    [[0, 79], [379, 81], [379, 105], [0, 103]],
    [[3, 114], [173, 121], [172, 139], [3, 133]],
    [[15, 165], [242, 175], [241, 190], [15, 183]],
]
SCORES = [0.871254, 0.773082, 0.637522, 0.634519, 0.8027, 0.608144]


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def model(request: Any, real_weights: Callable[[str], Path]) -> Any:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    weights = real_weights("rapidocr/PP-OCRv6_det_small.onnx")
    return AutoModel.from_pretrained(weights, model_type="pp-ocrv6-det", backend=request.param)


def down_the_page(found: Detections) -> tuple[np.ndarray, Detections]:
    ordered = found[np.argsort(found.xyxy[:, 1])]
    return np.array([facts["polygon"] for facts in ordered.bboxes_metadata]), ordered


@pytest.fixture(scope="module")
def answers(model: Any) -> list[Detections]:
    """To the page, and to an empty picture of another size."""
    return model([PAGE, np.full((300, 320, 3), 255, np.uint8)], confidence=0.5)


def test_the_lines_of_a_page_are_those_of_rapidocr(model: Any, answers: list[Detections]) -> None:
    corners, found = down_the_page(answers[0].above(0.6))
    assert model.class_names == ["text"]
    np.testing.assert_allclose(corners, CORNERS, atol=1.0)
    np.testing.assert_allclose(found.confidence, SCORES, atol=1e-3)
    np.testing.assert_allclose(found.xyxy, np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1))


def test_a_weaker_line_is_found_where_it_is_asked_for(answers: list[Detections]) -> None:
    assert len(answers[0]) == 7
    assert find_graph("pp-ocrv6-det", "object-detection").confidence == 0.6


def test_a_picture_without_text_has_an_empty_answer(answers: list[Detections]) -> None:
    assert (len(answers[1]), answers[1].xyxy.shape, answers[1].bboxes_metadata) == (0, (0, 4), [])


def test_the_answer_is_written_read_and_drawn_with_its_corners(model: Any, answers: list[Detections]) -> None:
    found = answers[0]
    assert Detections.from_json(found.to_json()).bboxes_metadata == found.bboxes_metadata
    drawn = model.annotate(PAGE, found)
    (x, y) = np.mean(found.bboxes_metadata[0]["polygon"][:2], axis=0)
    edge = np.s_[int(y) - 2 : int(y) + 3, int(x)]
    assert (drawn[edge] != PAGE[edge]).any()


@pytest.mark.parametrize("mode", ["BGR", "RGB"])
def test_colours_are_those_of_the_configuration(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "inference.yml"
    path.write_text(
        f"PreProcess:\n  transform_ops:\n  - DecodeImage:\n      channel_first: false\n      img_mode: {mode}\n"
    )
    graph = find_graph("pp-ocrv6-det", "object-detection")
    assert graph.configure(graph, {"config": path}).preprocess.color == mode.lower()
    assert graph.configure(graph, {}) == graph
