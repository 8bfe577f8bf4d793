"""Transforms as the preprocessor makes them: there and back, and true to where the pixels went."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode, StaticCrop
from inference_models.preprocess.compile import compile_spec
from inference_models.preprocess.geometry import ImageTransform, plan_image
from inference_models.preprocess.inputs import load_images
from optional import torch

MODES = st.sampled_from(list(ResizeMode))
SIDES = st.integers(1, 10_000)
PERCENT = st.integers(1, 49)


@st.composite
def transforms(draw: st.DrawFn) -> ImageTransform:
    """Made by the same code as in a call, without the pixels: images go up to 100 megapixels here."""
    spec = PreprocessSpec(
        size=(draw(st.integers(1, 1500)), draw(st.integers(1, 1500))),
        resize=draw(MODES),
        shorter_edge=draw(st.integers(1, 1500)),
        pad_at=draw(st.sampled_from(["both", "end"])),
        dynamic=draw(st.sampled_from([None, DynamicSize(1), DynamicSize(32)])),
        static_crop=draw(
            st.none()
            | st.builds(lambda a, b, c, d: StaticCrop(a, 100 - b, c, 100 - d), PERCENT, PERCENT, PERCENT, PERCENT)
        ),
    )
    return plan_image(spec, (draw(SIDES), draw(SIDES))).transform


@given(transforms(), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_points_come_back_to_where_they_were(transform: ImageTransform, parts: list[tuple[float, float]]) -> None:
    points = np.array(parts) * transform.image_size[::-1]
    back = transform.points_to_image(transform.points_to_network(points))
    np.testing.assert_allclose(back, points, atol=1e-3)


@given(transforms())
@settings(max_examples=100, deadline=None)
def test_the_image_lies_where_the_placement_says(transform: ImageTransform) -> None:
    height, width = transform.crop_size or transform.image_size
    left, top = transform.crop_offset
    corners = transform.points_to_network(np.array([[left, top], [left + width, top + height]], np.float64))
    sizes = (corners[1] - corners[0])[::-1]
    assert (np.abs(sizes - np.rint(sizes)) < 1e-6).all()  # whole pixels, at least one
    assert (sizes > 0.5).all()


@given(transforms(), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_boxes_are_clamped_and_torch_agrees_with_numpy(transform: ImageTransform, count: int) -> None:
    boxes = np.random.default_rng(count).uniform(-500, 2000, (count, 4)).astype(np.float32)
    ours = transform.boxes_to_image(boxes)
    height, width = transform.image_size
    assert ours.dtype == np.float32
    assert ours.shape == (count, 4)
    assert (ours >= 0).all()
    assert (ours <= np.array([width, height, width, height], np.float32)).all()
    as_tensor = transform.boxes_to_image(torch.from_numpy(boxes))
    assert as_tensor.dtype == torch.float32
    np.testing.assert_array_equal(as_tensor.numpy(), ours)
    free = transform.boxes_to_image(boxes, clamp=False)
    np.testing.assert_array_equal(free[:, :2], transform.points_to_image(boxes[:, :2]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_no_boxes_stay_no_boxes_of_the_same_dtype(dtype: object) -> None:
    transform = plan_image(PreprocessSpec(size=(10, 10)), (5, 7)).transform
    for empty in (np.zeros((0, 4), dtype), torch.from_numpy(np.zeros((0, 4), dtype))):
        result = transform.boxes_to_image(empty)
        assert tuple(result.shape) == (0, 4)
        assert result.dtype == empty.dtype


def inside_image(transform: ImageTransform) -> np.ndarray:
    """(h, w) bool: network pixels that show the image and not its padding."""
    y, x = np.indices(transform.network_size) + 0.5
    xy = transform.points_to_image(np.stack([x, y], axis=-1)) - transform.crop_offset
    height, width = transform.crop_size or transform.image_size
    return ((xy >= 0) & (xy <= (width, height))).all(axis=-1)


@pytest.mark.parametrize("crop", [None, StaticCrop(5, 95, 10, 100)])
@pytest.mark.parametrize("mode", ResizeMode)
@pytest.mark.parametrize(("height", "width"), [(600, 457), (333, 800), (90, 120)])
def test_a_painted_square_is_found_where_the_transform_says(
    mode: ResizeMode, height: int, width: int, crop: StaticCrop | None
) -> None:
    y, x, side = height // 2 - 11, width // 2 - 17, 24
    image = np.zeros((height, width, 3), np.float32)
    image[y : y + side, x : x + side] = 255
    spec = PreprocessSpec(size=(256, 320), resize=mode, shorter_edge=300, static_crop=crop, interpolation="area")
    prepared = compile_spec(spec)(load_images(image, input_range="0-255"))
    found = prepared.batches[0][0, 0].astype(np.float64)

    expected = prepared.transforms[0].points_to_network(np.array([[x, y], [x + side, y + side]], np.float64))
    (left, top), (right, bottom) = expected
    found = found * inside_image(prepared.transforms[0])  # a mirrored edge shows the square again
    columns, rows = found.sum(0), found.sum(1)
    center = [
        (columns * (np.arange(found.shape[1]) + 0.5)).sum() / found.sum(),
        (rows * (np.arange(found.shape[0]) + 0.5)).sum() / found.sum(),
    ]
    # An error of half a pixel, or a scale without the truncation of the sizes, would show.
    np.testing.assert_allclose(center, [(left + right) / 2, (top + bottom) / 2], atol=0.1)
    area = found.sum() / 255
    assert area == pytest.approx((right - left) * (bottom - top), rel=0.08)


def test_the_scale_is_the_one_that_was_applied_and_not_the_one_that_was_wanted() -> None:
    spec = PreprocessSpec(size=(640, 640), resize=ResizeMode.LETTERBOX)
    transform = plan_image(spec, (427, 640 * 3)).transform
    assert transform.scale == (640 / 1920, 142 / 427)  # 427 / 3 is 142.33
    assert transform.shift == (0.0, 249.0)


def test_center_crop_shifts_are_negative_where_the_image_is_larger() -> None:
    spec = PreprocessSpec(size=(100, 101), resize=ResizeMode.CENTER_CROP)
    assert plan_image(spec, (105, 50)).transform.shift == (25.0, -2.0)


@given(MODES, SIDES, SIDES, st.integers(1, 2000), st.integers(1, 2000))
@settings(max_examples=100, deadline=None)
def test_a_placement_stays_inside_its_frame(mode: ResizeMode, height: int, width: int, rows: int, columns: int) -> None:
    spec = PreprocessSpec(size=(rows, columns), resize=mode, shorter_edge=min(rows, columns))
    for variant in (spec, replace(spec, size=None, dynamic=DynamicSize(32))):
        placement = plan_image(variant, (height, width)).placement
        top, left, kept_rows, kept_columns = placement.window
        assert min(kept_rows, kept_columns) >= 1
        assert top + kept_rows <= placement.resized[0]
        assert left + kept_columns <= placement.resized[1]
        assert placement.at[0] + kept_rows <= placement.network[0]
        assert placement.at[1] + kept_columns <= placement.network[1]
        assert min(*placement.at, top, left) >= 0
