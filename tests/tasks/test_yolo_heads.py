"""The whole call on made-up outputs of YOLO heads, against `yolo predict` on the same graphs (see tools/)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphs
from inference_models import AutoModel

RECORDED = json.loads((Path(__file__).parent.parent / "decoders" / "recorded" / "yolo_heads.json").read_text())
SIDE, POINTS = RECORDED["side"], 4
OPTIONS = {"confidence": RECORDED["confidence"], "iou_threshold": RECORDED["iou"]}


def answer(folder: Path, task: str, backend: str) -> Any:
    if backend == "openvino":
        pytest.importorskip("openvino")
    metadata = {"description": f"Ultralytics YOLOv8n-{task} model", "task": task, "names": "{0: 'a', 1: 'b', 2: 'c'}"}
    metadata |= {"kpt_shape": f"[{POINTS}, 3]"} if task == "pose" else {}
    path = graphs.constant_outputs(
        folder / "m.onnx",
        size=(SIDE, SIDE),
        outputs={"output0": np.array(RECORDED[task]["output"], np.float32)},
        metadata=metadata,
    )
    picture = np.full((*RECORDED[task]["picture"], 3), 90, np.uint8)
    return AutoModel.from_pretrained(path, backend=backend)(picture, **OPTIONS)


def recorded(task: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, coordinates in pixels and scores, best first."""
    rows = sorted(RECORDED[task]["found"], key=lambda row: -row[-1])
    table = np.array(rows)
    return table[:, 0], table[:, 1:-1], table[:, -1]


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_key_points_are_those_of_the_upstream_call(tmp_path: Path, backend: str) -> None:
    (points,), (boxes,) = answer(tmp_path, "pose", backend)
    classes, parts, scores = recorded("pose")
    height, width = RECORDED["pose"]["picture"]
    np.testing.assert_array_equal(boxes.class_id, classes)
    np.testing.assert_allclose(boxes.confidence, scores, atol=1e-4)
    centre, size = (boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2, boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    np.testing.assert_allclose(np.concatenate([centre, size], 1), parts[:, :4] * ([width, height] * 2), atol=0.01)
    wanted = parts[:, 4:].reshape(-1, POINTS, 3)
    # The upstream moves points outside the picture to its edge.
    inside = np.clip(points.xy, 0, [width, height])
    np.testing.assert_allclose(inside, wanted[..., :2] * [width, height], atol=0.01)
    np.testing.assert_allclose(points.confidence, wanted[..., 2], atol=1e-4)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_oriented_boxes_are_those_of_the_upstream_call(tmp_path: Path, backend: str) -> None:
    (found,) = answer(tmp_path, "obb", backend)
    classes, parts, scores = recorded("obb")
    height, width = RECORDED["obb"]["picture"]
    np.testing.assert_array_equal(found.class_id, classes)
    np.testing.assert_allclose(found.confidence, scores, atol=1e-4)
    # The upstream goes round the other way.
    corners = parts.reshape(-1, 4, 2)[:, ::-1] * [width, height]
    for ours, theirs in zip(found.polygons, corners, strict=True):
        assert min(np.abs(np.roll(ours, step, axis=0) - theirs).max() for step in range(4)) < 0.01
