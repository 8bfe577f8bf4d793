"""Against supervision 0.31."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from inference_models.errors import MissingDependencyError
from inference_models.predictions.detections import Detections
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.key_points import KeyPoints
from inference_models.predictions.masks import InstancesRLEMasks
from optional import torch

supervision = pytest.importorskip("supervision")

BOXES = np.array([[1, 2, 3.5, 4], [5, 6, 7, 8]], np.float32)


def detections(kind: str = "numpy", names: list[str] | None = None) -> Detections:
    made = Detections(BOXES, np.array([1, 0], np.int32), np.array([0.75, 0.5], np.float32), class_names=names)
    return getattr(made, kind)()


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_boxes_become_those_of_supervision(kind: str) -> None:
    made = detections(kind, ["a", "b"]).to_supervision()
    expected = supervision.Detections(
        xyxy=BOXES,
        class_id=np.array([1, 0]),
        confidence=np.array([0.75, 0.5], np.float32),
        data={"class_name": np.array(["b", "a"])},
    )
    assert made == expected
    assert (made.xyxy.dtype, made.confidence.dtype) == (np.float32, np.float32)


def test_without_names_there_is_no_class_name() -> None:
    assert detections().to_supervision().data == {}


def test_no_boxes_become_no_boxes() -> None:
    made = detections(names=["a", "b"])[[]].to_supervision()
    assert len(made) == 0
    assert made.xyxy.shape == (0, 4)


@pytest.mark.parametrize("form", ["numpy", "torch", "rle"])
def test_masks_on_the_image_go_over_unchanged(form: str) -> None:
    masks = np.random.default_rng(0).random((2, 9, 12)) > 0.5
    held = {"numpy": masks, "torch": torch.from_numpy(masks), "rle": InstancesRLEMasks.from_dense(masks)}[form]
    base = detections()
    made = InstanceDetections(base.xyxy, base.class_id, base.confidence, held).to_supervision()
    assert made.mask.dtype == np.bool_
    assert np.array_equal(made.mask, masks)
    assert np.array_equal(made.xyxy, BOXES)


def test_a_coarse_grid_is_brought_to_the_image_as_opencv_does() -> None:
    masks = np.random.default_rng(1).random((2, 4, 6)) > 0.5
    base = detections()
    boxes = np.array([[1, 1, 3, 2], [0, 0, 6, 4]], np.float32)
    made = InstanceDetections(
        boxes, base.class_id, base.confidence, masks, image_size=(25, 33), mask_frame_size=(20, 30)
    ).to_supervision()
    expected = np.zeros((2, 25, 33), bool)
    for row, mask in enumerate(masks):
        # INTER_NEAREST_EXACT takes the pixel under the centre.
        resized = cv2.resize(mask.astype(np.uint8), (30, 20), interpolation=cv2.INTER_NEAREST_EXACT)
        expected[row, :20, :30] = resized > 0
    assert np.array_equal(made.mask, expected)
    assert made.xyxy.tolist() == [[5, 5, 15, 10], [0, 0, 30, 20]]


def test_a_frame_larger_than_the_image_is_cut_off() -> None:
    base = detections()
    made = InstanceDetections(
        np.array([[0, 0, 4, 4]] * 2, np.float32),
        base.class_id,
        base.confidence,
        np.ones((2, 4, 4), bool),
        image_size=(6, 7),
        mask_frame_size=(8, 8),
    ).to_supervision()
    assert made.mask.shape == (2, 6, 7)
    assert made.mask.all()
    assert made.xyxy.tolist() == [[0, 0, 7, 6]] * 2


def test_no_instances_keep_the_canvas() -> None:
    none = InstanceDetections(
        np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32), InstancesRLEMasks((5, 6), [])
    )
    assert none.to_supervision().mask.shape == (0, 5, 6)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_key_points_become_those_of_supervision(kind: str) -> None:
    key_points = KeyPoints(
        xy=np.array([[[1, 2], [0, 0]]], np.int32),
        class_id=np.array([0], np.int32),
        confidence=np.array([[0.9, 0]], np.float32),
        covariance=np.zeros((1, 2, 2, 2), np.float32),
        detection_confidence=np.array([0.8], np.float32),
        class_names=["person"],
    )
    made = getattr(key_points, kind)().to_supervision()
    assert made.xy.dtype == np.float32
    assert made.xy.tolist() == [[[1, 2], [0, 0]]]
    assert made.visible.tolist() == [[True, False]]
    assert np.array_equal(made.keypoint_confidence, key_points.confidence)
    assert np.array_equal(made.detection_confidence, key_points.detection_confidence)
    assert made.data["covariance"].shape == (1, 2, 2, 2)
    assert list(made.data["class_name"]) == ["person"]


def test_without_supervision_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingDependencyError) as caught:
        detections().to_supervision()
    assert str(caught.value) == (
        "predictions cannot be turned into objects of Supervision.\n"
        "needs supervision; found: not installed\n"
        'pip install "supervision>=0.29"'
    )
    assert isinstance(caught.value, ImportError)


def test_a_supervision_that_cannot_be_imported_is_told_from_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "supervision.py").write_text("import no_such_module_of_supervision")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "supervision", raising=False)
    with pytest.raises(MissingDependencyError) as caught:
        detections().to_supervision()
    assert caught.value.found == (
        "installed, but its import ends in ModuleNotFoundError: No module named 'no_such_module_of_supervision'"
    )


def test_an_old_supervision_cannot_take_key_points(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class KeyPointsOfOld:
        xy: np.ndarray
        confidence: np.ndarray | None = None

    old = ModuleType("supervision")
    old.KeyPoints, old.__version__ = KeyPointsOfOld, "0.26.1"
    monkeypatch.setitem(sys.modules, "supervision", old)
    key_points = KeyPoints(np.zeros((1, 1, 2)), np.zeros(1, np.int32), np.zeros((1, 1)))
    with pytest.raises(MissingDependencyError) as caught:
        key_points.to_supervision()
    assert str(caught.value) == (
        "key points cannot be turned into objects of Supervision.\n"
        "needs supervision >= 0.29; found: supervision 0.26.1\n"
        'pip install "supervision>=0.29"'
    )
