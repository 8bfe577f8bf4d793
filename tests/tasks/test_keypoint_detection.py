from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import graphs
from inference_models import AutoModel, KeyPoints, KeyPointsDetectionModel
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from optional import supervision, torch

NAMES = ["person", "dog"]
POINTS = [
    {"object_class_id": 1, "keypoints": {"1": "tail", "0": "nose"}, "edges": [{"from": 0, "to": 1}]},
    {"object_class_id": 0, "keypoints": {"0": "head", "1": "hand", "2": "foot"}, "edges": [{"from": 0, "to": 2}]},
]
# cx cy w h, two classes, three points of x y visibility: two anchors of one person, a dog, and nothing.
ANCHORS = np.array(
    [
        [16, 20, 16, 20, 0.9, 0.1, 16, 12, 0.9, 10, 20, 0.1, 16, 28, 0.8],
        [16, 21, 16, 20, 0.8, 0.1, 1, 1, 0.9, 2, 2, 0.9, 3, 3, 0.9],
        [48, 32, 20, 12, 0.1, 0.7, 40, 30, 0.6, 56, 34, 0.7, 9, 9, 0.9],
        [30, 30, 10, 10, 0.1, 0.2, 1, 1, 0.9, 2, 2, 0.9, 3, 3, 0.9],
    ],
    np.float32,
)
RAW = ANCHORS.T[None]
FINAL = np.concatenate(
    [
        ANCHORS[:, :2] - ANCHORS[:, 2:4] / 2,
        ANCHORS[:, :2] + ANCHORS[:, 2:4] / 2,
        ANCHORS[:, 4:6].max(axis=1, keepdims=True),
        ANCHORS[:, 4:6].argmax(axis=1, keepdims=True),
        ANCHORS[:, 6:],
    ],
    axis=1,
)[None, [0, 2, 3]]
IMAGE = np.zeros((64, 128, 3), np.uint8)
"""Twice as wide as high: in a letterbox of 64 x 64 the scale is 1/2, and 16 rows lie above."""
PERSON_XY = [[32, -8], [20, 8], [32, 24]]
DOG_XY = [[80, 28], [112, 36], [0, 0]]
NETWORK = {
    "training_input_size": {"height": 64, "width": 64},
    "dynamic_spatial_size_supported": False,
    "color_mode": "rgb",
    "resize_mode": "letterbox",
    "input_channels": 3,
    "scaling_factor": 255,
}


def package(folder: Path, *, output: np.ndarray = RAW, points: Any = POINTS, **config: Any) -> Path:
    graphs.constant_outputs(folder / "weights.onnx", size=(64, 64), outputs={"output0": output}, batch="n")
    (folder / "class_names.txt").write_text("\n".join(config.pop("names", NAMES)))
    architecture = config.pop("architecture", "yolov8")
    stated = {"model_architecture": architecture, "task_type": "keypoint-detection", "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(stated))
    fused = output is FINAL
    inference = {
        "network_input": {**NETWORK, **config.pop("network", {})},
        "post_processing": {"type": "nms", "fused": fused},
        **config,
    }
    (folder / "inference_config.json").write_text(json.dumps(inference))
    if points is not None:
        (folder / "keypoints_metadata.json").write_text(json.dumps(points))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return AutoModel.from_pretrained(package(tmp_path / "p"))


class TestAnswer:
    @pytest.mark.parametrize("backend", ["onnx", "openvino"])
    @pytest.mark.parametrize("output", [RAW, FINAL], ids=["raw", "final"])
    def test_points_and_boxes_are_on_the_pixels_of_the_image(self, tmp_path: Path, output: Any, backend: str) -> None:
        if backend == "openvino":
            pytest.importorskip("openvino")
        model = AutoModel.from_pretrained(package(tmp_path, output=output), backend=backend)
        assert isinstance(model, KeyPointsDetectionModel)
        (points,), (boxes,) = model(IMAGE)
        np.testing.assert_allclose(points.xy, [PERSON_XY, DOG_XY], atol=1e-3)
        np.testing.assert_allclose(points.confidence, [[0.9, 0.1, 0.8], [0.6, 0.7, 0]], atol=1e-6)
        np.testing.assert_allclose(boxes.xyxy, [[16, 0, 48, 28], [76, 20, 116, 44]], atol=1e-3)
        np.testing.assert_array_equal(points.class_id, [0, 1])
        assert points.detection_confidence is boxes.confidence
        assert (points.xy.dtype, points.confidence.dtype, points.class_id.dtype) == (np.float32, np.float32, np.int32)
        assert boxes.labels() == NAMES

    def test_a_torchscript_archive_gives_the_same_points(self, tmp_path: Path) -> None:
        torch_graphs = pytest.importorskip("torch_graphs")
        folder = package(tmp_path, forward_pass={"static_batch_size": 2})
        (folder / "weights.onnx").unlink()
        rows = torch_graphs.Rows(torch.from_numpy(RAW))
        torch_graphs.save_archive(rows, folder / "weights.torchscript", example=(2, 3, 64, 64))
        stated = json.loads((folder / "model_config.json").read_text())
        (folder / "model_config.json").write_text(json.dumps({**stated, "backend_type": "torch-script"}))
        model = AutoModel.from_pretrained(folder, arrays="numpy", **torch_graphs.consent(folder))
        assert model.resolved_model.backend == "torch-script"
        points, boxes = model([IMAGE] * 3)
        for found, around in zip(points, boxes, strict=True):
            np.testing.assert_allclose(found.xy, [PERSON_XY, DOG_XY], atol=1e-3)
            np.testing.assert_allclose(around.xyxy, [[16, 0, 48, 28], [76, 20, 116, 44]], atol=1e-3)

    def test_names_and_lines_are_those_of_the_package(self, model: Any) -> None:
        assert model.key_points_classes == [["head", "hand", "foot"], ["nose", "tail"]]
        assert model.skeletons == [[(0, 2)], [(0, 1)]]
        assert model.class_names == NAMES

    def test_a_point_below_the_threshold_is_not_found(self, model: Any) -> None:
        (points,), _ = model(IMAGE, key_points_threshold=0.65)
        np.testing.assert_allclose(points.xy, [[PERSON_XY[0], [0, 0], PERSON_XY[2]], [[0, 0], DOG_XY[1], [0, 0]]])
        np.testing.assert_allclose(points.confidence, [[0.9, 0, 0.8], [0, 0.7, 0]], atol=1e-6)
        with pytest.raises(InvalidParameterError, match=r"key_points_threshold=2 makes no sense"):
            model(IMAGE, key_points_threshold=2)

    def test_points_that_are_no_numbers_are_not_found(self, tmp_path: Path) -> None:
        broken = RAW.copy()
        broken[0, 6, 0] = np.nan
        (points,), _ = AutoModel.from_pretrained(package(tmp_path, output=broken))(IMAGE)
        np.testing.assert_allclose(points.xy[0], [[0, 0], *PERSON_XY[1:]])
        assert points.confidence[0, 0] == 0

    def test_nothing_found_keeps_shapes_types_and_names(self, model: Any) -> None:
        (points,), (boxes,) = model(IMAGE, confidence=1.0)
        assert (points.xy.shape, points.confidence.shape, boxes.xyxy.shape) == ((0, 3, 2), (0, 3), (0, 4))
        assert (points.xy.dtype, points.class_id.dtype) == (np.float32, np.int32)
        assert points.class_names == boxes.class_names == tuple(NAMES)
        assert KeyPoints.from_json(points.to_json()).xy.shape == (0, 3, 2)
        assert len(points.to_supervision()) == 0

    def test_a_batch_answers_image_by_image_in_any_order(self, model: Any) -> None:
        images = [IMAGE, np.zeros((64, 64, 3), np.uint8), np.zeros((32, 16, 3), np.uint8)] * 4
        points, boxes = model(images)
        alone = [model(image) for image in images]
        assert points == [answer[0][0] for answer in alone]
        assert boxes == [answer[1][0] for answer in alone]
        assert model(images[::-1])[0] == points[::-1]

    def test_the_stages_give_the_answer_of_the_call(self, model: Any) -> None:
        inputs, meta = model.pre_process([IMAGE, IMAGE])
        assert model.post_process(model.forward(inputs), meta) == model([IMAGE, IMAGE])

    def test_a_class_filter_leaves_the_others_out(self, model: Any) -> None:
        everything, _ = model(IMAGE)
        (points,), (boxes,) = model(IMAGE, class_filter=["dog"])
        assert points == everything[0][everything[0].class_id == 1]
        assert list(boxes.class_id) == [1]

    def test_a_picture_on_its_side_is_turned_upright_first(self, model: Any) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        stream = io.BytesIO()
        Image.fromarray(np.zeros((128, 64, 3), np.uint8)).save(stream, "JPEG", exif=exif)
        (points,), _ = model(stream.getvalue())
        np.testing.assert_allclose(points.xy, [PERSON_XY, DOG_XY], atol=1e-3)

    @pytest.mark.parametrize(
        ("network", "steps", "expected"),
        [
            ({"resize_mode": "stretch"}, {}, [[32, 12], [20, 20], [32, 28]]),
            ({"resize_mode": "letterbox-reflect-edges"}, {}, PERSON_XY),
            ({"resize_mode": "center-crop"}, {}, [[48, 12], [42, 20], [48, 28]]),
            ({"resize_mode": "fit-longer-edge"}, {}, PERSON_XY),
            (
                {"resize_mode": "stretch"},
                {"static-crop": {"enabled": True, "x_min": 50, "x_max": 100, "y_min": 50, "y_max": 100}},
                [[80, 38], [74, 42], [80, 46]],
            ),
        ],
    )
    def test_points_find_their_way_back_from_every_resize(
        self, tmp_path: Path, network: Any, steps: Any, expected: Any
    ) -> None:
        folder = package(tmp_path, network=network, image_pre_processing=steps)
        (points,), _ = AutoModel.from_pretrained(folder)(IMAGE)
        np.testing.assert_allclose(points.xy[0], expected, atol=1e-3)

    def test_answers_are_tensors_where_they_are_asked_for(self, tmp_path: Path) -> None:
        (points,), (boxes,) = AutoModel.from_pretrained(package(tmp_path), arrays="torch")(IMAGE)
        assert isinstance(points.xy, torch.Tensor)
        assert isinstance(boxes.xyxy, torch.Tensor)

    def test_the_picture_shows_points_joined_as_the_class_says(self, model: Any) -> None:
        answer = model(IMAGE)
        drawn = model.annotate(IMAGE, answer)
        middle_of_the_dog = drawn[32, 96]
        assert drawn.shape == IMAGE.shape
        assert middle_of_the_dog.any()  # on the line from nose to tail
        assert not drawn[60, 4].any()

    def test_supervision_gets_the_points_that_were_found(self, model: Any) -> None:
        (points,), _ = model(IMAGE)
        given = points.to_supervision()
        assert isinstance(given, supervision.KeyPoints)
        np.testing.assert_array_equal(given.xy, points.xy)
        np.testing.assert_array_equal(given.visible, points.confidence > 0)

    def test_json_brings_every_bit_back(self, model: Any) -> None:
        (points,), _ = model(IMAGE)
        assert KeyPoints.from_json(points.to_json()).to_json() == points.to_json()


METADATA = {"description": "Ultralytics YOLO11n-pose model", "task": "pose", "names": "{0: 'person', 1: 'dog'}"}


class TestBareFile:
    def load(self, folder: Path, **metadata: str) -> Any:
        said = {**METADATA, **metadata}
        return AutoModel.from_pretrained(
            graphs.constant_outputs(folder / "m.onnx", size=(64, 64), outputs={"output0": RAW}, metadata=said)
        )

    def test_the_metadata_of_the_exporter_is_enough(self, tmp_path: Path) -> None:
        named = "{0: ['head', 'hand', 'foot'], 1: ['nose', 'tail', 'paw']}"
        model = self.load(tmp_path, kpt_shape="[3, 3]", kpt_names=named)
        assert model.key_points_classes == [["head", "hand", "foot"], ["nose", "tail", "paw"]]
        (points,), _ = model(IMAGE)
        np.testing.assert_allclose(points.xy, [PERSON_XY, [*DOG_XY[:2], [18, -14]]], atol=1e-3)

    def test_points_without_names_have_numbers(self, tmp_path: Path) -> None:
        assert self.load(tmp_path, kpt_shape="[3, 3]").key_points_classes == [["0", "1", "2"]] * 2

    @pytest.mark.parametrize("shape", ["[17, 3]", "[4, 2]", "[0, 3]", "['a']"])
    def test_a_number_of_points_that_the_graph_does_not_have_is_refused(self, tmp_path: Path, shape: str) -> None:
        with pytest.raises(CorruptedModelPackageError, match=r"2 classes, \d+ key points; found: \(1, 15, 4\)"):
            self.load(tmp_path, kpt_shape=shape)

    def test_points_without_visibility_are_all_found(self, tmp_path: Path) -> None:
        rows = [*range(6), 6, 7, 9, 10, 12, 13]
        path = graphs.constant_outputs(
            tmp_path / "m.onnx",
            size=(64, 64),
            outputs={"output0": RAW[:, rows]},
            metadata={**METADATA, "kpt_shape": "[3, 2]"},
        )
        (points,), _ = AutoModel.from_pretrained(path)(IMAGE)
        np.testing.assert_allclose(points.xy[0], PERSON_XY, atol=1e-3)
        assert (points.confidence == 1).all()


class TestBadPackage:
    """Refused when it is loaded, with both values."""

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"names": ["person"]}, r"needs key points of 1 classes, as many as there are names; found: of 2"),
            ({"points": POINTS[1:]}, r"needs key points of 2 classes, as many as there are names; found: of 1"),
            ({"points": None}, r"needs .*\(B, 57, N\).*2 classes, 17 key points; found: \(None, 15, 4\)"),
            (
                {"names": ["a"], "points": [{**POINTS[1], "keypoints": {"0": "a"}, "edges": []}]},
                r"1 classes, 1 key points; found: \(None, 15, 4\)",
            ),
            ({"output": RAW[0]}, r"2 classes, 3 key points; found: \(15, 4\)"),
            ({"output": RAW[:, :6]}, r"needs one output \(B, 15, N\).*2 classes, 3 key points; found: \(None, 6, 4\)"),
            ({"points": {"object_class_id": 0}}, r"keypoints_metadata.json: .* has a wrong value"),
            ({"points": [POINTS[1], POINTS[1]]}, r"needs each class from 0 to 1 once; found: \[0, 0\]"),
            (
                {"points": [POINTS[0], {**POINTS[1], "edges": [{"from": 0, "to": 3}]}]},
                r"edges of class 0 has a wrong value.\nneeds key points from 0 to 2; found: \[0, 3\]",
            ),
            (
                {"points": [POINTS[0], {**POINTS[1], "keypoints": {"0": "a", "2": "b"}}]},
                r"keypoints of class 0 has a wrong value.\nneeds each number from 0 to 1 once; found: \[.0., .2.\]",
            ),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, tmp_path: Path, changes: Any, said: str) -> None:
        with pytest.raises(CorruptedModelPackageError, match=said):
            AutoModel.from_pretrained(package(tmp_path, **changes))

    def test_a_fused_export_has_final_rows(self, tmp_path: Path) -> None:
        fused = {"post_processing": {"type": "nms", "fused": True}}
        with pytest.raises(CorruptedModelPackageError, match=r"needs one output \(B, M, 15\).*found: \(None, 15, 4\)"):
            AutoModel.from_pretrained(package(tmp_path, **fused))
