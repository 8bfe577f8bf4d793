"""The second stage of RF-DETR's key points: a dot of light, which the head finds in the crop, is where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch")

from crop_heads import NAMES, POINTS, package
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError, ModelInputError

if TYPE_CHECKING:
    from pathlib import Path

DOT = (130.0, 84.0)
BOX = (100.0, 60.0, 150.0, 120.0)


def picture(dot: tuple[float, float] = DOT) -> np.ndarray:
    """(200, 300, 3) with a soft dot whose centre is that of pixel `dot`."""
    y, x = np.mgrid[:200, :300]
    light = np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / 18) * 255
    return np.repeat(light[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def head(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    return AutoModel.from_pretrained(package(tmp_path_factory.mktemp("head")), backend=request.param)


def test_a_point_is_where_the_crop_shows_it(head: Any) -> None:
    (points,), (found,) = head(picture(), boxes=[[BOX]], class_ids=[[0]], detection_confidences=[[0.8]])
    np.testing.assert_allclose(points.xy[0, 0], DOT, atol=0.1)
    np.testing.assert_allclose(points.confidence, [[0.8, 0.3]])
    np.testing.assert_array_equal(found.xyxy, [BOX])
    np.testing.assert_allclose([found.confidence, points.detection_confidence], 0.8 * 0.5)
    assert (head.class_names, head.key_points_classes) == (NAMES, POINTS)


def test_the_head_is_told_how_much_of_its_window_a_box_is(head: Any) -> None:
    (points,), _ = head(picture(), boxes=[[BOX]])
    # 50 x 60, padded by 1.25 and widened to the 3:4 of the crops, is 62.5 x 83.3 around (125, 90).
    share = (50 * 60 / (62.5 * 62.5 / 0.75)) ** 0.5
    corner = np.array([125 - 62.5 / 2, 90 - 62.5 / 0.75 / 2])
    np.testing.assert_allclose(points.xy[0, 1], corner + share * np.array([62.5, 62.5 / 0.75]), atol=1e-3)
    np.testing.assert_allclose(points.covariance[0, 0], np.diag([6.25**2, (6.25 / 0.75) ** 2]), rtol=1e-5)


@pytest.mark.parametrize(("aspect", "udp", "off"), [(True, False, 0.1), (False, False, 0.6)])
def test_other_ways_to_cut_lead_back_to_the_same_place(tmp_path: Path, aspect: bool, udp: bool, off: float) -> None:
    # Without an aspect the crop is stretched between edges of pixels: half a pixel from their centres.
    model = AutoModel.from_pretrained(package(tmp_path, aspect=aspect, udp=udp))
    (points,), _ = model(picture(), boxes=[[BOX]])
    np.testing.assert_allclose(points.xy[0, 0], DOT, atol=off)


def test_a_class_has_its_own_slots_and_the_rest_is_not_found(head: Any) -> None:
    (points,), _ = head(picture(), boxes=[[BOX, BOX]], class_ids=[[1, 0]], key_points_threshold=0.5)
    np.testing.assert_allclose(points.confidence, [[0.9, 0], [0.8, 0]])
    np.testing.assert_array_equal(points.xy[:, 1], 0)
    assert np.isnan(points.covariance[:, 1]).all()
    assert points.class_id.tolist() == [1, 0]


def test_images_without_boxes_are_whole_or_empty_and_order_does_not_matter(head: Any) -> None:
    (whole,), (found,) = head(picture())
    np.testing.assert_allclose(whole.xy[0, 0], DOT, atol=0.6)
    np.testing.assert_array_equal(found.xyxy, [[0, 0, 300, 200]])
    others = [picture((60, 40)), picture(), picture()]
    boxes = [[(40, 20, 80, 70)], [], [BOX] * 40]
    points, _ = head(others, boxes=boxes)
    assert [len(item) for item in points] == [1, 0, 40]
    assert (points[1].xy.shape, points[1].xy.dtype) == ((0, 2, 2), np.float32)
    np.testing.assert_allclose(points[0].xy[0, 0], (60, 40), atol=0.1)
    np.testing.assert_allclose(points[2].xy[:, 0], [DOT] * 40, atol=0.1)
    backwards, _ = head(others[::-1], boxes=boxes[::-1])
    np.testing.assert_allclose(backwards[2].xy, points[0].xy, atol=1e-4)
    inputs, crops = head.pre_process(others, boxes=boxes)
    staged, _ = head.post_process(head.forward(inputs), crops)
    np.testing.assert_allclose(staged[2].xy, points[2].xy, atol=1e-4)


@pytest.mark.parametrize("box", [(-50, -50, -20, -20), (400, 10, 500, 60), (120, 80, 120, 80), (150, 120, 100, 60)])
def test_a_box_outside_the_picture_or_without_an_area_is_answered(head: Any, box: tuple[float, ...]) -> None:
    (points,), _ = head(picture(), boxes=[[box]])
    assert np.isfinite(points.xy).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"boxes": [[BOX], [BOX]]},
            "boxes cannot be used.\nneeds a list with one entry for each of 1 images; found: 2",
        ),
        (
            {"boxes": [[(1, 2, 3)]]},
            "image 1: boxes cannot be used.\nneeds (n, 4) finite x1 y1 x2 y2; found: shape (1, 3)",
        ),
        ({"boxes": [[(1, 2, 3, float("nan"))]]}, "image 1: boxes cannot be used.\nneeds (n, 4) finite"),
        ({"boxes": [[BOX]], "class_ids": [[2]]}, "image 1: the model has no class 2.\nneeds class_ids from 0 to 1"),
        ({"boxes": [[BOX]], "class_ids": [[0, 0]]}, "image 1: boxes, class_ids and detection_confidences are not of"),
        ({"boxes": [["a box"]]}, "image 1: boxes are no numbers."),
    ],
)
def test_boxes_that_cannot_be_used_are_refused(head: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelInputError) as caught:
        head(picture(), **options)
    assert str(caught.value).startswith(words)
    with pytest.raises(InvalidParameterError, match="confidence"):
        head(picture(), confidence=0.5)
    assert len(head(picture())[0]) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outputs": ["keypoints", "sigmas", "presence", "other"]}, ["'scores' ('B', 3)", "'other' (None, 3)"]),
        ({"keypoint_classes": [{"name": "dog", "offset": 0, "count": 1}]}, ["class 'person'", "found: none"]),
        (
            {"keypoint_classes": [{"name": name, "offset": 0, "count": 1} for name in NAMES]},
            ["class 'person'", "count 2", "found: count 1"],
        ),
        (
            {"keypoint_classes": [{"name": n, "offset": 4, "count": c} for n, c in zip(NAMES, (2, 1), strict=True)]},
            ["'presence' ('B', 6)", "'presence' (None, 3)"],
        ),
        ({"context_padding": 0}, ["top_down.context_padding", "0"]),
    ],
)
def test_a_head_that_contradicts_its_package_is_refused_when_it_is_loaded(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        AutoModel.from_pretrained(package(tmp_path, **changes))
    assert all(word in str(caught.value) for word in words), str(caught.value)
