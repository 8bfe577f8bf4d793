"""PP-OCRv6: the text of a page with the real weights; rapidocr 3.10.0 reads the same lines."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import skimage.data

from inference_models import AutoModel, Detections, StructuredOCRModel
from inference_models.cli import main
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = cv2.cvtColor(skimage.data.page(), cv2.COLOR_GRAY2BGR)
LINES = [
    "Region-based segmentation",
    "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label",
    "unambiguously as either object or background. Here,",
    "histogram of grey values:",
]
NAMES = {
    "det": "PP-OCRv6_det_small.onnx",
    "rec": "PP-OCRv6_rec_small.onnx",
    "cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
}
Package = "Callable[..., Path]"


@pytest.fixture(scope="module")
def package(real_weights: Callable[[str], Path], tmp_path_factory: Any) -> Package:
    """A folder with a graph per role, of which some may be those of others."""

    def made(**graphs: str) -> Path:
        folder: Path = tmp_path_factory.mktemp("package")
        for role, name in graphs.items():
            shutil.copy(real_weights(f"rapidocr/{NAMES[name]}"), folder / f"{role}.onnx")
        stated = {"model_architecture": "pp-ocrv6", "task_type": "structured-ocr", "backend_type": "onnx"}
        (folder / "model_config.json").write_text(json.dumps(stated))
        return folder

    return made


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def model(request: Any, package: Package) -> Any:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    return AutoModel.from_pretrained(package(det="det", rec="rec", cls="cls"), backend=request.param)


@pytest.fixture(scope="module")
def answer(model: Any) -> Any:
    """To the page, and to an empty one."""
    return model([PAGE, np.full((300, 320, 3), 255, np.uint8)])


def test_a_page_is_read_word_for_word_from_top_to_bottom(model: Any, answer: Any) -> None:
    (text, _), (lines, _) = answer
    assert isinstance(model, StructuredOCRModel)
    assert text.split("\n")[:5] == LINES
    assert [facts["text"] for facts in lines.bboxes_metadata] == text.split("\n")
    assert (lines.confidence[:5] > 0.95).all()
    words = lines.bboxes_metadata[1]["words"]
    assert [word["text"] for word in words] == LINES[1].split()
    middles = [np.mean(word["polygon"], axis=0) for word in words]
    assert (np.diff([x for x, _ in middles]) > 0).all()


def test_an_empty_page_and_one_pixel_have_no_text_and_no_boxes(model: Any, answer: Any) -> None:
    for (text,), (lines,) in ((answer[0][1:], answer[1][1:]), model(np.zeros((1, 1, 3), np.uint8))):
        assert (text, len(lines), lines.xyxy.shape, lines.bboxes_metadata) == ("", 0, (0, 4), [])


def test_lines_that_are_read_less_surely_than_asked_for_are_left_out(model: Any, answer: Any) -> None:
    sure = float(np.sort(answer[1][0].confidence)[1])
    assert len(model(PAGE, confidence=sure)[1][0]) == len(answer[1][0]) - 1
    with pytest.raises(InvalidParameterError, match="confidence=2"):
        model(PAGE, confidence=2)


def test_stages_give_what_the_call_gives(model: Any, answer: Any) -> None:
    pictures, sizes = model.pre_process(PAGE)
    assert sizes == [PAGE.shape[:2]]
    texts, (lines,) = model.post_process(model.forward(pictures), sizes)
    assert texts == answer[0][:1]
    assert lines.to_dict() == answer[1][0].to_dict()
    with pytest.raises(InvalidParameterError, match="not of the same images"):
        model.post_process([], sizes)


def test_answers_are_written_read_again_and_drawn(model: Any, answer: Any) -> None:
    lines = answer[1][0]
    assert Detections.from_json(lines.to_json()).to_dict() == lines.to_dict()
    drawn = model.annotate(PAGE, (answer[0][:1], [lines]))
    assert drawn.shape == PAGE.shape
    assert (drawn != PAGE).any()


def test_the_command_line_prints_the_text_and_with_json_the_lines_too(
    package: Package, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "page.png"), PAGE)
    typed = ["predict", str(package(det="det", rec="rec")), str(tmp_path / "page.png")]
    assert main(typed) == 0
    assert "\n".join(LINES) in capsys.readouterr().out
    assert main([*typed, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["text"].split("\n")[:5] == LINES
    assert [facts["text"] for facts in Detections.from_dict(told["prediction"]).bboxes_metadata][:5] == LINES


def turned(degrees: float) -> np.ndarray:
    height, width = PAGE.shape[:2]
    way = cv2.getRotationMatrix2D((0, 0), degrees, 1.0)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ way[:, :2].T
    way[:, 2] = -corners.min(axis=0)
    size = np.ceil(np.ptp(corners, axis=0)).astype(int).tolist()
    return cv2.warpAffine(PAGE, way, size, borderMode=cv2.BORDER_REPLICATE, flags=cv2.INTER_CUBIC)


@pytest.mark.parametrize("with_orientation", [True, False])
@pytest.mark.parametrize("degrees", [8, -14, 90, 180])
def test_a_turned_page_is_read_as_well(package: Package, degrees: float, with_orientation: bool) -> None:
    roles = {"det": "det", "rec": "rec"} | ({"cls": "cls"} if with_orientation else {})
    (text,), _ = AutoModel.from_pretrained(package(**roles))(turned(degrees))
    assert text.split("\n")[:5] == LINES


@pytest.mark.parametrize(
    ("graphs", "said"),
    [
        ({"det": "rec", "rec": "rec"}, "one output (B, 1, H, W)"),
        ({"det": "det", "rec": "det"}, "does not say which characters it reads"),
        ({"det": "det", "rec": "cls"}, "does not say which characters it reads"),
        ({"det": "det", "rec": "rec", "cls": "rec"}, "outputs"),
        ({"det": "det"}, "rec"),
    ],
)
def test_a_graph_in_the_wrong_place_is_refused_when_it_is_loaded(
    package: Package, graphs: dict[str, str], said: str
) -> None:
    with pytest.raises(CorruptedModelPackageError) as refused:
        AutoModel.from_pretrained(package(**graphs))
    assert said in str(refused.value)
