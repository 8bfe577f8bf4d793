from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
from PIL import Image

from inference_models import drawing
from inference_models.drawing.style import PALETTE
from inference_models.errors import InvalidParameterError
from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.detections import Detections
from inference_models.predictions.gaze import GazeDetection
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.key_points import KeyPoints
from inference_models.predictions.masks import InstancesRLEMasks
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult
from inference_models.tasks import painters
from optional import torch

GREY = 100
IMAGE = np.full((150, 200, 3), GREY, np.uint8)
NAMES = ["face", "dog"]
annotate = partial(drawing.annotate, painters=painters())


def boxes(*rows: tuple[float, ...], **more: object) -> Detections:
    n = len(rows)
    scores = np.linspace(0.9, 0.5, n).astype(np.float32)
    return Detections(
        np.array(rows, np.float32).reshape(n, 4), np.arange(n, dtype=np.int32), scores, class_names=NAMES, **more
    )


def changed(picture: np.ndarray) -> np.ndarray:
    return (picture != GREY).any(axis=-1)


def test_the_image_is_not_written_to_and_the_picture_is_bgr_uint8() -> None:
    image = IMAGE.copy()
    picture = annotate(image, boxes((20, 40, 120, 130)))
    assert (image == GREY).all()
    assert picture.shape == (150, 200, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous


def test_a_box_is_outlined_in_the_colour_of_its_class() -> None:
    picture = annotate(IMAGE, boxes((20, 40, 120, 130))[[0]])
    assert (picture[129, 21:119] == PALETTE[0]).all()
    assert (picture[41:129, 119] == PALETTE[0]).all()
    inside = picture[70:125, 30:110]
    assert (inside == GREY).all()


def test_the_label_stands_on_the_box() -> None:
    mask = changed(annotate(IMAGE, boxes((20, 40, 120, 130))))
    assert mask[30:39, 25:60].all()
    assert not mask[:20].any()


def test_nothing_found_leaves_the_image_as_it_is() -> None:
    assert np.array_equal(annotate(IMAGE, boxes()), IMAGE)
    assert np.array_equal(annotate(IMAGE, [boxes()]), IMAGE)


@pytest.mark.parametrize("size", [(150, 200), (1, 1), (3, 500), (600, 10)])
def test_odd_boxes_are_drawn_without_an_error(size: tuple[int, int]) -> None:
    odd = boxes((0, 0, size[1], size[0]), (-50, -50, 1e9, 5), (9, 9, 2, 2), (np.nan, np.inf, -np.inf, 1), (5, 5, 5, 5))
    picture = annotate(np.full((*size, 3), GREY, np.uint8), odd)
    assert changed(picture).any()


def test_a_box_that_fills_the_picture_is_seen_on_all_sides() -> None:
    picture = annotate(np.full((600, 800, 3), GREY, np.uint8), boxes((0, 0, 800, 600)))
    for side in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert changed(side).all()


def test_fields_that_are_missing_are_left_out_of_the_label() -> None:
    bare = Detections(np.array([[20, 40, 120, 130]], np.float32), None, None)
    assert changed(annotate(IMAGE, bare)).any()


def test_the_best_box_is_on_top() -> None:
    same = boxes((20, 40, 120, 130), (20, 40, 120, 130))
    for detections in (same, same[::-1]):
        assert (annotate(IMAGE, detections)[129, 21:119] == PALETTE[0]).all()


def test_texts_and_trackers_are_written_in_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    from inference_models.drawing.objects import DrawnObjects

    found = boxes((0, 0, 5, 5), (0, 0, 5, 5), (0, 0, 5, 5), bboxes_metadata=[{"text": "hello"}, {"tracker_id": 7}, {}])
    labels = DrawnObjects.of(found, NAMES, (150, 200)).labels
    assert labels == ["class 2 0.50", "#7 dog 0.70", "hello"]


@pytest.mark.parametrize("masks", [False, True])
def test_detections_of_supervision_are_drawn_like_our_own(masks: bool) -> None:
    supervision = pytest.importorskip("supervision")
    box, ids, scores = np.array([[20, 20, 80, 70]], np.float32), np.array([1]), np.array([0.8], np.float32)
    mask = np.zeros((1, 150, 200), bool)
    mask[0, 30:60, 30:70] = True
    facts = [{"tracker_id": 4, "class_name": "dog"}]
    own = (
        InstanceDetections(box, ids, scores, mask, None, facts) if masks else Detections(box, ids, scores, None, facts)
    )
    names = {"class_name": np.array(["dog"])}
    theirs = supervision.Detections(box, mask if masks else None, scores, ids, np.array([4]), names)
    np.testing.assert_array_equal(annotate(IMAGE, theirs), annotate(IMAGE, own))
    assert changed(annotate(IMAGE, supervision.Detections(box))).any()


@pytest.mark.parametrize("form", ["dense", "torch", "rle", "coarse"])
def test_masks_are_tinted(form: str) -> None:
    mask = np.zeros((1, 150, 200), bool)
    mask[0, 60:100, 60:100] = True
    held = {
        "dense": mask,
        "torch": torch.from_numpy(mask),
        "rle": InstancesRLEMasks.from_dense(mask),
        "coarse": mask[:, ::10, ::10],
    }[form]
    box = np.array([[60, 60, 100, 100]], np.float32) / (10 if form == "coarse" else 1)
    found = InstanceDetections(box, np.zeros(1, np.int32), np.ones(1, np.float32), held, image_size=(150, 200))
    picture = annotate(IMAGE, found)
    expected = 0.55 * GREY + 0.45 * np.array(PALETTE[0])
    np.testing.assert_allclose(picture[70:90, 70:90].reshape(-1, 3), np.tile(expected, (400, 1)), atol=1)
    assert (picture[105:, 105:] == GREY).all()


def test_masks_that_do_not_fit_the_picture_are_left_out() -> None:
    found = InstanceDetections(
        np.array([[60, 60, 100, 100]], np.float32),
        np.zeros(1, np.int32),
        np.ones(1, np.float32),
        np.ones((1, 9, 9), bool),
    )
    assert (annotate(IMAGE, found)[75:95, 65:95] == GREY).all()


def test_key_points_and_skeletons_are_drawn_where_they_were_found() -> None:
    points = KeyPoints(
        np.array([[[40, 50], [120, 50], [0, 0]]], np.float32),
        np.ones(1, np.int32),
        np.array([[0.9, 0.8, 0]], np.float32),
    )
    picture = annotate(IMAGE, points, skeletons=[[], [(0, 1), (1, 2)]])
    # Lines are smoothed, so that one of a single pixel is mixed with what is beside it.
    np.testing.assert_allclose(picture[50, 50:110].astype(int), np.tile(PALETTE[1], (60, 1)), atol=25)
    assert (picture[:30, :30] == GREY).all()
    lone = annotate(IMAGE, points.torch())
    assert (lone[50, 60:100] == GREY).all()
    assert (lone[50, 40] == PALETTE[1]).all()


def test_the_parts_of_one_answer_are_drawn_together() -> None:
    points = KeyPoints(np.array([[[40, 50]]], np.float32), np.zeros(1, np.int32), np.ones((1, 1), np.float32))
    found = boxes((20, 40, 120, 130))
    both = annotate(IMAGE, ([points], [found]))
    assert np.array_equal(annotate(IMAGE, ([points], None)), annotate(IMAGE, points))
    assert np.array_equal(annotate(IMAGE, (["some text"], [found])), annotate(IMAGE, found))
    assert (both[50, 40] == PALETTE[0]).all()
    assert (both[129, 21:119] == PALETTE[0]).all()


def test_classes_are_listed_in_the_corner() -> None:
    one = ClassificationPrediction(np.array([1]), np.array([[0.2, 0.8]], np.float32))
    several = MultiLabelClassificationPrediction(np.array([1, 0]), np.array([0.2, 0.8], np.float32))
    picture = annotate(IMAGE, one, class_names=NAMES)
    assert np.array_equal(picture, annotate(IMAGE, [several], class_names=NAMES))
    assert np.array_equal(picture, annotate(IMAGE, one.torch(), class_names=NAMES))
    mask = changed(picture)
    assert mask[:25, :40].all()
    assert not mask[60:].any()
    nothing = MultiLabelClassificationPrediction(np.zeros(0, np.int64), np.array([0.2, 0.1], np.float32))
    assert np.array_equal(annotate(IMAGE, nothing), IMAGE)


@pytest.mark.parametrize("size", [(20, 30), (1, 1), (40, 1000)])
def test_classes_are_listed_in_tiny_pictures_too(size: tuple[int, int]) -> None:
    one = ClassificationPrediction(np.array([1]), np.full((1, 9), 0.1, np.float32))
    assert changed(annotate(np.full((*size, 3), GREY, np.uint8), one)).any()


def test_regions_are_tinted_and_background_is_not() -> None:
    ids = np.zeros((150, 200), np.int64)
    ids[:, 100:] = 1
    found = SemanticSegmentationResult(ids, np.ones((150, 200), np.float32), class_names=["background", "sky"])
    picture = annotate(IMAGE, found)
    assert (picture[60:, :100] == GREY).all()
    expected = 0.55 * GREY + 0.45 * np.array(PALETTE[1])
    np.testing.assert_allclose(picture[60:, 100:].mean(axis=(0, 1)), expected, atol=1)
    assert changed(annotate(IMAGE, found.torch(), class_names=["road", "sky"]))[60:, :100].all()


def test_any_kind_of_image_can_be_drawn_on() -> None:
    rgb = np.zeros((150, 200, 3), np.uint8)
    rgb[..., 0] = 255
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "png")
    expected = annotate(rgb[..., ::-1], boxes((20, 40, 120, 130)))
    for image in (Image.fromarray(rgb), file.getvalue(), torch.from_numpy(rgb).permute(2, 0, 1)):
        assert np.array_equal(annotate(image, boxes((20, 40, 120, 130))), expected)
    assert np.array_equal(annotate(rgb, boxes((20, 40, 120, 130)), input_color_format="rgb"), expected)
    floats = rgb[..., ::-1].astype(np.float32) / 255
    assert np.array_equal(annotate(floats, boxes((20, 40, 120, 130)), input_range="0-1"), expected)


@pytest.mark.parametrize("torch_too", [False, True], ids=["numpy", "torch"])
def test_depths_are_brighter_the_larger_they_are_and_unseen_pixels_stay(torch_too: bool) -> None:
    depth = np.linspace(1, 9, 200, dtype=np.float32)[None].repeat(150, 0)
    depth[-20:] = 0
    depth[100, 100] = np.nan
    picture = annotate(IMAGE, [torch.from_numpy(depth) if torch_too else depth])
    brightness = picture[60:90].astype(int).sum(axis=(0, 2))
    assert (np.diff(brightness[::10]) > 0).all()
    assert not changed(picture)[-20:].any()
    assert (picture[100, 100] == GREY).all()


@pytest.mark.parametrize("depth", [0.0, np.nan, 3.0], ids=["unseen", "no number", "flat"])
def test_depths_without_any_difference_are_drawn(depth: float) -> None:
    picture = annotate(IMAGE, np.full((150, 200), depth, np.float32))
    assert changed(picture).any() == (depth == 3.0)


@pytest.mark.parametrize(
    ("yaw", "pitch", "toward"),
    [(0.8, 0.0, "left"), (-0.8, 0.0, "right"), (0.0, 0.8, "up"), (0.0, -0.8, "down")],
)
def test_a_gaze_is_an_arrow_from_the_middle_of_the_face(yaw: float, pitch: float, toward: str) -> None:
    gaze = GazeDetection(np.array([yaw], np.float32), np.array([pitch], np.float32))
    drawn = changed(annotate(IMAGE, gaze))
    assert drawn[75, 100]
    sides = {"left": drawn[:, :65], "right": drawn[:, 136:], "up": drawn[:40], "down": drawn[111:]}
    assert [side for side, part in sides.items() if part.any()] == [toward]


@pytest.mark.parametrize(
    ("image", "predictions", "text"),
    [
        (
            [IMAGE, IMAGE],
            boxes(),
            (
                "predictions cannot be drawn on 2 images at once.\nneeds one image; found: 2 images\n"
                "draw on one after the other: for image, prediction in zip(images, predictions)"
            ),
        ),
        (
            IMAGE,
            [boxes(), boxes()],
            (
                "predictions of 2 images cannot be drawn on one.\n"
                "needs the prediction of one image; found: a list of 2\npass one element: predictions[0]"
            ),
        ),
        (
            IMAGE,
            ClassificationPrediction(np.zeros(2, np.int64), np.zeros((2, 3), np.float32)),
            (
                "classes of 2 images cannot be drawn on one.\n"
                "needs the prediction of one image; found: a batch of 2\n"
                "run the model on one image at a time to draw its answers"
            ),
        ),
        (
            IMAGE,
            {"xyxy": []},
            (
                "a dict cannot be drawn.\n"
                "needs ClassificationPrediction, Detections, FeatureMatches, GazeDetection, InstanceDetections, "
                "KeyPoints, MultiLabelClassificationPrediction, OrientedDetections, SemanticSegmentationResult; "
                "found: dict"
            ),
        ),
        (
            IMAGE,
            SemanticSegmentationResult(np.zeros((3, 4), np.int64), np.zeros((3, 4), np.float32)),
            (
                "the segmentation cannot be drawn on this image.\n"
                "needs a map of 150 x 200, the size of the image; found: a map of 3 x 4\n"
                "pass the image that the model was given"
            ),
        ),
        (
            IMAGE,
            np.zeros((3, 4), np.float32),
            (
                "the depth cannot be drawn on this image.\n"
                "needs a map of 150 x 200, the size of the image; found: a map of 3 x 4\n"
                "pass the image that the model was given"
            ),
        ),
        (
            IMAGE,
            GazeDetection(np.zeros(2, np.float32), np.zeros(2, np.float32)),
            (
                "the gaze of several faces cannot be drawn on one image.\n"
                "needs the gaze of one face; found: those of 2\n"
                "call the model on one crop at a time, and draw on that"
            ),
        ),
    ],
    ids=["images", "list", "batch", "kind", "size", "depth", "faces"],
)
def test_what_cannot_be_drawn_is_refused(image: object, predictions: object, text: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        annotate(image, predictions)
    assert str(caught.value) == text
