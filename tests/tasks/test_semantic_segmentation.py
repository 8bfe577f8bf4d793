"""Class maps on the pixels of the picture, against PyTorch 2.13: scores within 1e-5, of the classes all but ties."""

from __future__ import annotations

import numpy as np
import pytest

from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.parity.compare import compare_predictions
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult
from map_graphs import BACKENDS, FRAME, package, upsampled
from optional import torch

PICTURE = np.full((120, 110, 3), 90, np.uint8)
NAMES = ["Background", "road", "sky", "car"]
RANDOM = np.random.default_rng(8)
LOGITS = RANDOM.normal(0, 2, (1, 4, 16, 24)).astype(np.float32)
IDS = RANDOM.integers(0, 4, (1, *FRAME)).astype(np.float32)
CROP = {"static-crop": {"enabled": True, "x_min": 10, "x_max": 60, "y_min": 25, "y_max": 75}}


def load(folder, output=LOGITS, *, backend="onnx", names=NAMES, architecture="deep-lab-v3-plus", **network):
    if backend == "openvino":
        pytest.importorskip("openvino")
    made = package(folder, output, architecture=architecture, task="semantic-segmentation", names=names, **network)
    return AutoModel.from_pretrained(made, backend=backend)


def softmax_of(logits, size):
    """(H, W) class ids and scores."""
    best = torch.softmax(torch.from_numpy(upsampled(logits, size, "bilinear", align_corners=False)), 0).max(0)
    return best.indices.numpy(), best.values.numpy()


def check(found, ids, scores):
    assert (found.segmentation_map.dtype, found.confidence.dtype) == (np.int64, np.float32)
    assert found.segmentation_map.shape == found.confidence.shape == ids.shape
    np.testing.assert_allclose(found.confidence, scores, atol=1e-5)
    assert (found.segmentation_map == ids).mean() > 0.9995


@BACKENDS
def test_logits_are_resized_before_the_best_class_is_chosen(tmp_path, backend):
    (found,) = load(tmp_path, backend=backend)(PICTURE, confidence=0.0)
    check(found, *softmax_of(LOGITS[0], (120, 110)))


def test_unsure_pixels_are_background(tmp_path):
    ids, scores = softmax_of(LOGITS[0], (120, 110))
    (found,) = load(tmp_path)(PICTURE)
    check(found, np.where(scores < 0.5, 0, ids), np.where(scores < 0.5, 0, scores))


@pytest.mark.parametrize("size", [(120, 80), (64, 40)], ids=["whole cells", "parts of cells"])
def test_padding_has_no_part_in_the_map(tmp_path, size):
    height, width = size
    (found,) = load(tmp_path, resize_mode="letterbox")(np.zeros((*size, 3), np.uint8), confidence=0.0)
    seen = round(width * 64 / height)
    left = (96 - seen) // 2
    in_pixels = upsampled(LOGITS[0], FRAME, "bilinear", align_corners=False)[:, :, left : left + seen]
    cells = LOGITS[0][:, :, left // 4 : (left + seen) // 4] if left % 4 == seen % 4 == 0 else in_pixels
    check(found, *softmax_of(cells, size))


def test_outside_of_a_static_crop_is_background(tmp_path):
    (found,) = load(tmp_path, steps=CROP)(PICTURE, confidence=0.0)
    ids, scores = np.zeros((120, 110), np.int64), np.zeros((120, 110), np.float32)
    ids[30:90, 11:66], scores[30:90, 11:66] = softmax_of(LOGITS[0], (60, 55))
    check(found, ids, scores)


def test_a_graph_without_a_map_of_the_background_keeps_its_place_free(tmp_path):
    ids, scores = softmax_of(LOGITS[0, :3], (120, 110))
    (found,) = load(tmp_path, LOGITS[:, :3], names=["road", "background", "sky", "car"])(PICTURE, confidence=0.4)
    wanted = np.where(scores < 0.4, 1, np.array([0, 2, 3])[ids])
    check(found, wanted, np.where(scores < 0.4, 0, scores))


@pytest.mark.parametrize("names", [["background", "person"], ["person"]])
def test_one_map_is_the_foreground(tmp_path, names):
    model = load(tmp_path, LOGITS[:, :1], names=names)
    (found,) = model(PICTURE)
    scores = torch.sigmoid(torch.from_numpy(upsampled(LOGITS[0, 0], (120, 110), "bilinear"))).numpy()
    check(found, (scores >= 0.5).astype(int), np.where(scores < 0.5, 0, scores))
    assert model.class_names == ["background", "person"]


@BACKENDS
def test_ready_class_ids_are_those_of_the_nearest_cell(tmp_path, backend):
    (found,) = load(tmp_path, IDS, backend=backend, architecture="yolo26", resize_mode="letterbox")(PICTURE)
    # 120 x 110 becomes 64 x 59, with 18 columns on the left.
    check(found, upsampled(IDS[0, :, 18 : 18 + 59], (120, 110), "nearest").astype(int), np.ones((120, 110)))


def test_without_a_background_pixels_may_have_no_class(tmp_path):
    names = ["a", "b", "c", "d"]
    (found,) = load(tmp_path, names=names, architecture="segformer")(PICTURE, confidence=0.6)
    ids, scores = softmax_of(LOGITS[0], (120, 110))
    check(found, np.where(scores < 0.6, -1, ids), np.where(scores < 0.6, 0, scores))
    back = SemanticSegmentationResult.from_dict(found.to_dict())
    np.testing.assert_array_equal(back.segmentation_map, found.segmentation_map)


def test_only_the_classes_of_a_filter_are_kept(tmp_path):
    model = load(tmp_path)
    (found,) = model(PICTURE, confidence=0.0, class_filter=["sky", 3])
    assert set(np.unique(found.segmentation_map)) == {0, 2, 3}
    with pytest.raises(InvalidParameterError, match="no class 'moon'"):
        model(PICTURE, class_filter=["moon"])


def test_answers_are_compared_and_drawn_and_keep_the_order_of_the_pictures(tmp_path):
    model = load(tmp_path)
    pictures = [np.zeros((*size, 3), np.uint8) for size in ((40, 50), (1, 1), (9, 8))]
    found = model(pictures)
    assert [result.segmentation_map.shape for result in found] == [(40, 50), (1, 1), (9, 8)]
    deviation = compare_predictions(found, model(pictures))
    assert (deviation.pixels, deviation.pixel_flips, deviation.beyond(None)) == (2073, 0, ())
    assert model.annotate(pictures[0], found[0]).shape == (40, 50, 3)


def test_maps_come_as_the_kind_of_array_that_was_asked_for(tmp_path):
    path = package(tmp_path, IDS, architecture="yolo26", task="semantic-segmentation", names=NAMES)
    (found,) = AutoModel.from_pretrained(path, arrays="torch")(PICTURE)
    assert (str(found.segmentation_map.dtype), str(found.confidence.dtype)) == ("torch.int64", "torch.float32")


@pytest.mark.parametrize(
    ("shape", "names", "text"),
    [
        ((1, 6, 16, 24), NAMES, "needs 6 names.*found: 4"),
        ((1, 1, 16, 24), ["cat", "dog"], "needs 1 name; found: 2"),
        ((1, 4), NAMES, r"needs class ids .*; found: \(None, 4\)"),
        ((1, 4, 16, 16), NAMES, "needs .*64x96 .*; found: 16x16"),
    ],
)
def test_a_graph_of_other_maps_is_refused_when_it_is_loaded(tmp_path, shape, names, text):
    with pytest.raises(CorruptedModelPackageError, match=text):
        load(tmp_path, np.zeros(shape, np.float32), names=names)


def test_a_class_without_a_name_is_refused(tmp_path):
    with pytest.raises(CorruptedModelPackageError, match=r"needs class ids from 0 to 1, .*; found: 0 to 3"):
        load(tmp_path, IDS, names=["a", "b"], architecture="yolo26")(PICTURE)
