"""RF-DETR key points in two stages: a package of nothing but a configuration and two models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch")

import crop_heads
import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError
from torch_graphs import network_input

if TYPE_CHECKING:
    from pathlib import Path

DOT = (130.0, 84.0)
BOXES = [(100, 60, 150, 120), (10, 10, 60, 50)]
"""Of a person, and of a ball, which the head does not know."""


def detector(folder: Path) -> Path:
    folder.mkdir()
    boxes = np.array([[(x1 + x2) / 600, (y1 + y2) / 400, (x2 - x1) / 300, (y2 - y1) / 200] for x1, y1, x2, y2 in BOXES])
    logits = np.full((2, 3), -9.0)
    logits[0, 2], logits[1, 1] = 2, 1
    outputs = {"dets": boxes[None], "labels": logits[None]}
    graphs.constant_outputs(folder / "weights.onnx", size=(96, 96), outputs=outputs)
    (folder / "inference_config.json").write_text(json.dumps({"network_input": network_input((96, 96))}))
    (folder / "class_names.txt").write_text("cat\nball\nperson")
    stated = {"model_architecture": "rfdetr", "task_type": "object-detection", "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(stated))
    return folder


def package(folder: Path, parts: dict[str, Path]) -> Path:
    folder.mkdir()
    stated = {
        "model_architecture": "rfdetr-keypoint-two-stage",
        "task_type": "keypoint-detection",
        "backend_type": "onnx",
        "model_dependencies": [{"name": name, "model_id": f"local:{path}"} for name, path in parts.items()],
    }
    (folder / "model_config.json").write_text(json.dumps(stated))
    (folder / "two_stage_config.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parts")
    return {"detector": detector(folder / "d"), "keypointHead": crop_heads.package(folder / "h")}


@pytest.fixture(scope="module")
def model(parts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoModel.from_pretrained(package(tmp_path_factory.mktemp("m") / "p", parts))


def picture() -> np.ndarray:
    y, x = np.mgrid[:200, :300]
    light = np.exp(-((x - DOT[0]) ** 2 + (y - DOT[1]) ** 2) / 18) * 255
    return np.repeat(light[..., None], 3, axis=2).astype(np.uint8)


def test_each_object_has_a_row_of_points_and_what_the_head_does_not_know_has_none(model: Any) -> None:
    (points,), (found,) = model(picture())
    assert model.class_names == ["cat", "ball", "person"]
    assert model.key_points_classes == [[], [], ["centre", "share"]]
    assert found.labels() == ["person", "ball"]
    np.testing.assert_array_equal(points.class_id, found.class_id)
    np.testing.assert_allclose(found.xyxy, BOXES, atol=1e-3)
    np.testing.assert_allclose(points.xy[0, 0], DOT, atol=0.1)
    np.testing.assert_array_equal(points.xy[1], 0)
    np.testing.assert_array_equal(points.confidence[1], 0)
    assert np.isnan(points.covariance[1]).all()
    scores = 1 / (1 + np.exp(-np.array([2.0, 1.0])))
    np.testing.assert_allclose(found.confidence, scores * [0.5, 1], rtol=1e-5)


def test_options_go_to_the_stage_they_are_for(model: Any) -> None:
    (points,), (found,) = model(picture(), confidence=0.8, key_points_threshold=0.5)
    assert (len(found), points.confidence.tolist()) == (1, [[pytest.approx(0.8), 0.0]])
    (none,), (empty,) = model(picture(), confidence=0.99)
    assert (len(empty), none.xy.shape, none.covariance.shape) == (0, (0, 2, 2), (0, 2, 2, 2))


def test_stages_give_the_same_and_answers_are_drawn(model: Any) -> None:
    pictures = [picture(), picture()[:150]]
    inputs, sizes = model.pre_process(pictures)
    points, found = model.post_process(model.forward(inputs), sizes)
    again, _ = model(pictures)
    assert (sizes, len(points), len(found)) == ([(200, 300), (150, 300)], 2, 2)
    np.testing.assert_array_equal(points[0].xy, again[0].xy)
    assert (model.annotate(pictures[0], (points[0], found[0])) != pictures[0]).any()
    assert model.resolved_model.model_id.endswith("p")


def test_parts_that_are_missing_or_of_another_kind_are_refused(parts: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CorruptedModelPackageError) as missing:
        AutoModel.from_pretrained(package(tmp_path / "m", {"detector": parts["detector"]}))
    assert "needs model_dependencies 'detector' and 'keypointHead'; found: 'detector'" in str(missing.value)
    swapped = {"detector": parts["keypointHead"], "keypointHead": parts["detector"]}
    with pytest.raises(CorruptedModelPackageError) as other:
        AutoModel.from_pretrained(package(tmp_path / "s", swapped))
    assert "dependency 'detector' is a model of another kind.\nneeds an object detector; found: Crop" in str(
        other.value
    )
