"""Depth on the pixels of the picture, against `interpolate` of PyTorch 2.13, within 1e-4 of the largest depth."""

from __future__ import annotations

import numpy as np
import pytest

from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError
from map_graphs import BACKENDS, FRAME, bare, package, upsampled

PICTURE = np.full((120, 110, 3), 90, np.uint8)
DEPTH = np.random.default_rng(5).uniform(0.5, 40, (1, 1, *FRAME)).astype(np.float32)
CROP = {"static-crop": {"enabled": True, "x_min": 10, "x_max": 60, "y_min": 25, "y_max": 75}}


def load(folder, output=DEPTH, **network):
    return AutoModel.from_pretrained(
        package(folder, output, architecture="depth-anything-v2", task="depth-estimation", **network)
    )


@BACKENDS
def test_yolo26_gives_metres_as_its_authors_resize_them(tmp_path, backend):
    model = bare(tmp_path, DEPTH, architecture="yolo26", backend=backend, task_type="depth-estimation")
    (depth,) = model(PICTURE)
    assert (depth.dtype, depth.shape, model.unit) == (np.float32, (120, 110), "metres")
    np.testing.assert_allclose(depth, upsampled(DEPTH[0, 0], (120, 110), "bilinear", align_corners=True), atol=4e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (64, 96), (31, 17)])
def test_depth_comes_in_the_size_of_any_picture(tmp_path, size):
    model = bare(tmp_path, DEPTH, architecture="yolo26", backend="onnx", task_type="depth-estimation")
    (depth,) = model(np.zeros((*size, 3), np.uint8))
    np.testing.assert_allclose(depth, upsampled(DEPTH[0, 0], size, "bilinear", align_corners=True), atol=4e-3)


@BACKENDS
def test_padding_has_no_part_in_the_depth(tmp_path, backend):
    model = load(tmp_path, resize_mode="letterbox")
    (depth,) = model(PICTURE)
    # 120 x 110 becomes 64 x 59, with 18 columns on the left.
    seen = DEPTH[0, 0, :, 18 : 18 + 59]
    np.testing.assert_allclose(depth, upsampled(seen, (120, 110), "bicubic", align_corners=False), atol=4e-3)


def test_there_is_no_depth_outside_of_a_static_crop(tmp_path):
    (depth,) = load(tmp_path, steps=CROP)(PICTURE)
    inside = upsampled(DEPTH[0, 0], (60, 55), "bicubic", align_corners=False)
    np.testing.assert_allclose(depth[30:90, 11:66], inside, atol=4e-3)
    depth[30:90, 11:66] = 0
    assert not depth.any()


def test_pictures_of_a_batch_keep_their_order_and_stages_give_the_same(tmp_path):
    model = load(tmp_path)
    pictures = [np.zeros((*size, 3), np.uint8) for size in ((40, 50), (70, 30), (9, 8))]
    found = model(pictures)
    inputs, meta = model.pre_process(pictures)
    staged = model.post_process(model.forward(inputs), meta)
    assert [depth.shape for depth in found] == [(40, 50), (70, 30), (9, 8)]
    for first, second in zip(found, staged, strict=True):
        np.testing.assert_array_equal(first, second)


def test_depth_comes_as_the_kind_of_array_that_was_asked_for(tmp_path):
    path = package(tmp_path, DEPTH, architecture="dpt", task="depth-estimation")
    (depth,) = AutoModel.from_pretrained(path, arrays="torch")(PICTURE)
    assert str(depth.dtype) == "torch.float32"


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((1, 19, 64, 96), r"needs one output .* of depths; found: \(None, 19, 64, 96\)"),
        ((1, 64), r"needs one output .* of depths; found: \(None, 64\)"),
        ((1, 1, 64, 64), r"needs .*64x96 .*; found: 64x64"),
        ((1, 1, 96), r"needs .*64x96 .*; found: 1x96"),
    ],
)
def test_a_graph_that_gives_no_depth_is_refused_when_it_is_loaded(tmp_path, shape, text):
    with pytest.raises(CorruptedModelPackageError, match=text):
        load(tmp_path, np.zeros(shape, np.float32))
