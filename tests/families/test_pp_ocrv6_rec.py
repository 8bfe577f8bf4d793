"""PP-OCRv6 recognition: the real weights on the lines of a page, and tiny graphs whose columns are known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import skimage.data
from onnx import helper

import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = cv2.cvtColor(skimage.data.page(), cv2.COLOR_GRAY2BGR)
LINES = {
    (8, 36, 3, 295): "Region-based segmentation",
    (45, 67, 2, 378): "Let us first determine markers of the coins and the",
    (62, 86, 0, 379): "background. These markers are pixels that we can label",
    (79, 105, 0, 379): "unambiguously as either object or background. Here,",
    (114, 139, 3, 173): "histogram of grey values:",
}
"""Rows and columns of each line, and what it says; rapidocr 3.10.0 reads the same."""
CHARACTERS = ["\u3000", "a", "'", '"', "\\", "-"]
YAML = """Global:
  model_name: tiny
PreProcess:
  transform_ops:
  - DecodeImage:
      img_mode: BGR
PostProcess:
  name: CTCLabelDecode
  character_dict:
  - \u3000
  - a
  - ''''
  - '"'
  - \\
  - "\\x2d"
"""
COLUMNS = [0, 2, 2, 0, 2, 7, 3, 4, 5, 6, 0, 1]
TEXT = "aa '\"\\-\u3000"


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def reader(request: Any, real_weights: Callable[[str], Path]) -> Any:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    weights = real_weights("rapidocr/PP-OCRv6_rec_small.onnx")
    return AutoModel.from_pretrained(weights, model_type="pp-ocrv6-rec", backend=request.param)


def crops() -> list[np.ndarray]:
    return [PAGE[top:bottom, left:right] for top, bottom, left, right in LINES]


def test_every_line_of_a_page_is_read_word_for_word(reader: Any) -> None:
    assert reader(crops()) == list(LINES.values())


def test_the_order_of_lines_does_not_matter_and_stages_give_the_same(reader: Any) -> None:
    backwards = reader(crops()[::-1])
    assert backwards[::-1] == list(LINES.values())
    assert reader.post_process(reader.forward(reader.pre_process(crops()))) == list(LINES.values())


def tiny(folder: Path, *, yaml: str | None = YAML, characters: int = len(CHARACTERS), **metadata: str) -> Path:
    """A package whose graph answers `COLUMNS` to every line, however wide."""
    scores = np.eye(characters + 2, dtype=np.float32)[np.minimum(COLUMNS, characters + 1)][None]
    graphs.save(
        folder / "inference.onnx",
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2], keepdims=0),
            helper.make_node("ReduceMax", ["mean"], ["most"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["most", "zero"], ["none"]),
            helper.make_node("Unsqueeze", ["none", "last"], ["cell"]),
            helper.make_node("Add", ["cell", "scores"], ["y"]),
        ],
        inputs={"x": ["n", 3, 48, "w"]},
        outputs={"y": ["n", len(COLUMNS), characters + 2]},
        weights={"scores": scores, "zero": np.zeros(1, np.float32), "last": np.array([2], np.int64)},
        metadata=metadata,
    )
    if yaml is not None:
        (folder / "inference.yml").write_text(yaml, encoding="utf-8")
    stated = {"model_architecture": "pp-ocrv6-rec", "task_type": "text-only-ocr", "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(stated))
    return folder


def test_characters_are_read_from_the_configuration_of_the_project(tmp_path: Path) -> None:
    model = AutoModel.from_pretrained(tiny(tmp_path / "p"))
    assert model([np.zeros((20, width, 3), np.uint8) for width in (30, 900, 10)]) == [TEXT] * 3


def test_characters_are_read_from_the_metadata_of_the_graph(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "p", yaml=None, character="\n".join(CHARACTERS))
    path = folder / "inference.onnx"
    for model in (AutoModel.from_pretrained(folder), AutoModel.from_pretrained(path, model_type="pp-ocrv6-rec")):
        assert model(np.zeros((20, 30, 3), np.uint8)) == [TEXT]


def test_lines_go_to_the_graph_together_filled_with_zeros_to_the_widest(tmp_path: Path) -> None:
    model = AutoModel.from_pretrained(tiny(tmp_path / "p"))
    session, seen = model._runner.session, []
    run = session.run
    session.run = lambda feeds: seen.append(feeds["x"].copy()) or run(feeds)
    widths = [900, 20, 40, 10, 10, 10, 10, 10, 10, 30]
    model([np.full((24, width, 3), 255, np.uint8) for width in widths])
    assert [batch.shape for batch in seen] == [(8, 3, 48, 320), (2, 3, 48, 1800)]
    narrow = seen[1][0]
    assert (narrow[..., :80] == 1).all()
    assert (narrow[..., 80:] == 0).all()


@pytest.mark.parametrize("shape", ["[3, 48, 640]", "\n      - 3\n      - 48\n      - 640"])
@pytest.mark.parametrize("mode", ["BGR", "RGB"])
def test_colours_and_least_width_are_those_of_the_configuration(tmp_path: Path, mode: str, shape: str) -> None:
    stated = f"img_mode: {mode}\n  - RecResizeImg:\n      image_shape: {shape}"
    model = AutoModel.from_pretrained(tiny(tmp_path / "p", yaml=YAML.replace("img_mode: BGR", stated)))
    blue = np.zeros((24, 40, 3), np.uint8)
    blue[..., 0] = 255
    (line,) = model.pre_process(blue)
    assert line[0 if mode == "BGR" else 2].min() == 1
    session, widths = model._runner.session, []
    run = session.run
    session.run = lambda feeds: widths.append(feeds["x"].shape[3]) or run(feeds)
    assert model(blue) == [TEXT]
    assert widths == [640]


@pytest.mark.parametrize("stated", ["img_mode: GRAY", "img_mode: BGR\n      image_shape: [1, 48, 320]"])
def test_a_configuration_of_grey_pictures_is_refused(tmp_path: Path, stated: str) -> None:
    with pytest.raises(CorruptedModelPackageError, match="needs img_mode BGR or RGB"):
        AutoModel.from_pretrained(tiny(tmp_path / "p", yaml=YAML.replace("img_mode: BGR", stated)))


def test_characters_of_another_model_and_none_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptedModelPackageError) as other:
        AutoModel.from_pretrained(tiny(tmp_path / "other", characters=9))
    assert str(other.value).startswith(
        "the characters are not those of output 'y'.\n"
        "needs (batch, columns, 8): nothing, 6 characters, the space; found: (None, 12, 11)"
    )
    of_a_graph_that_says_no_shape = np.zeros((1, 12, 11), np.float32)
    with pytest.raises(CorruptedModelPackageError, match=r"needs \(batch, columns, 8\).*found: \(1, 12, 11\)"):
        AutoModel.from_pretrained(tiny(tmp_path / "right"))._decoder.tokens([of_a_graph_that_says_no_shape])
    for number, yaml in enumerate((None, "PostProcess:\n  name: CTCLabelDecode\n")):
        with pytest.raises(CorruptedModelPackageError, match="does not say which characters it reads"):
            AutoModel.from_pretrained(tiny(tmp_path / f"none{number}", yaml=yaml))
