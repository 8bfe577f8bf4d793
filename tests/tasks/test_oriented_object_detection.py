from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphs
from inference_models import AutoModel, OrientedDetections, OrientedObjectDetectionModel
from inference_models.errors import CorruptedModelPackageError
from inference_models.parity.compare import FP32, compare_predictions
from optional import supervision

NAMES = ["small ship", "plane"]
TURN = math.pi / 6
# cx cy w h, two classes, angle: two anchors of one ship, a plane on its side, and nothing.
ANCHORS = np.array(
    [
        [16, 24, 20, 8, 0.9, 0.1, TURN],
        [16.5, 24, 20, 8, 0.8, 0.1, TURN],
        [48, 32, 8, 16, 0.1, 0.7, math.pi / 2],
        [30, 30, 10, 10, 0.1, 0.2, 0],
    ],
    np.float32,
)
RAW = ANCHORS.T[None]
FINAL = np.concatenate(
    [
        ANCHORS[:, :4],
        ANCHORS[:, 4:6].max(axis=1, keepdims=True),
        ANCHORS[:, 4:6].argmax(axis=1, keepdims=True),
        ANCHORS[:, 6:],
    ],
    axis=1,
)[None, [0, 2, 3]]
IMAGE = np.zeros((64, 128, 3), np.uint8)
"""Twice as wide as high: in a letterbox of 64 x 64 the scale is 1/2, and 16 rows lie above."""
SHIP, PLANE = [32, 16, 40, 16, TURN], [96, 32, 32, 16, 0]
METADATA = {"description": "Ultralytics YOLO11n-obb model", "task": "obb", "names": "{0: 'small ship', 1: 'plane'}"}


def bare(folder: Path, *, output: np.ndarray = RAW, **metadata: str) -> Path:
    said = {**METADATA, **metadata}
    return graphs.constant_outputs(
        folder / "m.onnx", size=(64, 64), outputs={"output0": output}, metadata=said, batch="n"
    )


def package(folder: Path, resize: str, **steps: Any) -> Path:
    graphs.constant_outputs(folder / "weights.onnx", size=(64, 64), outputs={"output0": RAW}, batch="n")
    stated = {"model_architecture": "yolov8", "task_type": "oriented-object-detection", "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(stated))
    (folder / "class_names.txt").write_text("\n".join(NAMES))
    network = {"training_input_size": {"height": 64, "width": 64}, "dynamic_spatial_size_supported": False}
    network |= {"color_mode": "rgb", "resize_mode": resize, "input_channels": 3}
    config = {"network_input": network, "image_pre_processing": steps}
    (folder / "inference_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return AutoModel.from_pretrained(bare(tmp_path))


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize(("output", "fused"), [(RAW, "False"), (FINAL, "True")], ids=["raw", "final"])
def test_boxes_are_rotated_on_the_pixels_of_the_image(tmp_path: Path, output: Any, fused: str, backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    model = AutoModel.from_pretrained(bare(tmp_path, output=output, end2end=fused), backend=backend)
    assert isinstance(model, OrientedObjectDetectionModel)
    (found,) = model(IMAGE)
    np.testing.assert_allclose(found.xywhr, [SHIP, PLANE], atol=1e-3)
    np.testing.assert_allclose(found.confidence, [0.9, 0.7], atol=1e-6)
    assert (found.xywhr.dtype, found.xyxy.dtype, found.class_id.dtype) == (np.float32, np.float32, np.int32)
    assert found.labels() == NAMES
    np.testing.assert_allclose(found.xyxy[1], [80, 24, 112, 40], atol=1e-3)
    assert found.xyxy[0, 1] == 0  # the ship reaches beyond the upper edge


def test_corners_go_round_the_box(model: Any) -> None:
    (found,) = model(IMAGE)
    np.testing.assert_allclose(found.polygons[1], [[80, 24], [112, 24], [112, 40], [80, 40]], atol=1e-3)
    sides = np.linalg.norm(np.roll(found.polygons[0], -1, axis=0) - found.polygons[0], axis=1)
    np.testing.assert_allclose(sides, [40, 16, 40, 16], atol=1e-3)


@pytest.mark.parametrize(
    ("resize", "steps", "plane"),
    [
        ("letterbox", {}, PLANE),
        ("letterbox-reflect-edges", {}, PLANE),
        ("fit-longer-edge", {}, PLANE),
        ("stretch", {}, [96, 32, 32, 8, 0]),
        ("center-crop", {}, [80, 32, 16, 8, 0]),
        (
            "stretch",
            {"static-crop": {"enabled": True, "x_min": 50, "x_max": 100, "y_min": 50, "y_max": 100}},
            [112, 48, 16, 4, 0],
        ),
    ],
)
def test_boxes_find_their_way_back_from_every_resize(tmp_path: Path, resize: str, steps: Any, plane: Any) -> None:
    (found,) = AutoModel.from_pretrained(package(tmp_path, resize, **steps))(IMAGE)
    np.testing.assert_allclose(found.xywhr[found.class_id == 1], [plane], atol=1e-3)


def test_nothing_found_keeps_shapes_types_and_names(model: Any) -> None:
    (found,) = model(IMAGE, confidence=1.0)
    assert (found.xywhr.shape, found.polygons.shape, found.xywhr.dtype) == ((0, 5), (0, 4, 2), np.float32)
    assert found.class_names == tuple(NAMES)
    assert OrientedDetections.from_json(found.to_json()) == found
    assert (found.to_coco(), found.to_dota(), len(found.to_supervision())) == ([], "", 0)
    np.testing.assert_array_equal(model.annotate(IMAGE, found), IMAGE)


def test_a_batch_answers_image_by_image_and_stage_by_stage(model: Any) -> None:
    images = [IMAGE, np.zeros((40, 30, 3), np.uint8), IMAGE]
    assert model(images) == [model(image)[0] for image in images]
    inputs, meta = model.pre_process(images)
    assert model.post_process(model.forward(inputs), meta) == model(images)


def test_options_are_those_of_detection(model: Any) -> None:
    assert len(model(IMAGE, iou_threshold=1.0)[0]) == 3
    assert list(model(IMAGE, class_filter=["plane"])[0].class_id) == [1]
    assert len(model(IMAGE, max_detections=1)[0]) == 1


def test_supervision_gets_the_corners(model: Any) -> None:
    (found,) = model(IMAGE)
    given = found.to_supervision()
    np.testing.assert_array_equal(given.data["xyxyxyxy"], found.polygons)
    drawn = supervision.OrientedBoxAnnotator().annotate(IMAGE.copy(), given)
    assert drawn[24, 96].any()  # the upper side of the plane


def test_the_picture_shows_the_rotated_outline(model: Any) -> None:
    (found,) = model(IMAGE)
    drawn = model.annotate(IMAGE, found)
    assert drawn[24, 90].any()
    assert drawn[40, 104].any()
    assert not drawn[32, 96].any()


def test_the_text_of_dota_has_eight_coordinates_a_word_and_a_difficulty(model: Any) -> None:
    first, second = model(IMAGE)[0].to_dota().splitlines()
    assert first.split()[8:] == ["small-ship", "0"]
    assert second == "80.0 24.0 112.0 24.0 112.0 40.0 80.0 40.0 plane 0"


def test_results_of_coco_are_plain_json(model: Any) -> None:
    plane = json.loads(json.dumps(model(IMAGE)[0].to_coco(image_id=7)))[1]
    assert (plane["image_id"], plane["category_id"]) == (7, 1)
    np.testing.assert_allclose(plane["bbox"], [80, 24, 32, 16], atol=1e-3)
    np.testing.assert_allclose(plane["segmentation"], [[80, 24, 112, 24, 112, 40, 80, 40]], atol=1e-3)
    assert plane["score"] == pytest.approx(0.7)


def turned(found: OrientedDetections, by: float) -> OrientedDetections:
    xywhr = found.xywhr.copy()
    xywhr[:, 4] += by
    return OrientedDetections(found.xyxy, found.class_id, found.confidence, xywhr, class_names=found.class_names)


def test_parity_compares_corners_whatever_way_a_box_is_described(model: Any) -> None:
    (found,) = model(IMAGE)
    assert compare_predictions([found], [turned(found, math.pi)]).beyond(FP32) == ()
    apart = compare_predictions([found], [turned(found, 0.1)])
    assert apart.max_box_px == pytest.approx(2 * math.sin(0.05) * math.hypot(20, 8), abs=1e-3)


@pytest.mark.parametrize(
    ("output", "names", "said"),
    [
        (RAW, "{0: 'ship'}", r"1 name of classes, but output 'output0' has 2"),
        (RAW[0], METADATA["names"], r"needs one output \(B, 4 \+ C \+ 1, N\); found: \(7, 4\)"),
        (RAW[:, :6], METADATA["names"], r"2 names of classes, but output 'output0' has 1"),
    ],
)
def test_what_contradicts_itself_is_refused_when_it_is_loaded(
    tmp_path: Path, output: Any, names: str, said: str
) -> None:
    with pytest.raises(CorruptedModelPackageError, match=said):
        AutoModel.from_pretrained(bare(tmp_path, output=output, names=names))


def test_boxes_as_parts_of_the_input_size_are_pixels_before_they_are_compared(tmp_path: Path) -> None:
    parts = RAW.copy()
    parts[:, :4] /= 64
    folder = package(tmp_path, "letterbox")
    graphs.constant_outputs(folder / "weights.onnx", size=(64, 64), outputs={"output0": parts}, batch="n")
    config = json.loads((folder / "inference_config.json").read_text())
    config["post_processing"] = {"type": "nms", "fused": False, "boxes": "normalized"}
    (folder / "inference_config.json").write_text(json.dumps(config))
    np.testing.assert_allclose(AutoModel.from_pretrained(folder)(IMAGE)[0].xywhr, [SHIP, PLANE], atol=1e-3)
