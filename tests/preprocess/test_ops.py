from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from inference_models.package.preprocess_spec import StaticCrop
from inference_models.preprocess import ops

RGB = skimage.data.astronaut()[:37, :53]


@pytest.mark.parametrize(
    ("crop", "size", "window"),
    [
        (StaticCrop(10, 90, 0, 100), (100, 200), (20, 0, 180, 100)),
        (StaticCrop(33, 66, 33, 66), (10, 101), (33, 3, 66, 6)),
        (StaticCrop(29, 58, 0, 100), (1, 100), (28, 0, 57, 1)),
        (StaticCrop(99, 100, 99, 100), (1, 1), (0, 0, 1, 1)),
        (StaticCrop(0, 1, 0, 1), (5, 5), (0, 0, 1, 1)),
    ],
)
def test_a_crop_truncates_to_whole_pixels_and_keeps_at_least_one(
    crop: StaticCrop, size: tuple[int, int], window: tuple[int, int, int, int]
) -> None:
    assert ops.crop_window(crop, size) == window


def test_cropping_copies_nothing() -> None:
    cropped = ops.crop_pixels(RGB, (3, 5, 20, 30))
    assert np.shares_memory(cropped, RGB)
    np.testing.assert_array_equal(cropped, RGB[5:30, 3:20])


def test_grey_is_the_one_of_opencv_in_all_channels() -> None:
    expected = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
    for pixels, color in ((RGB, "rgb"), (RGB[..., ::-1].copy(), "bgr")):
        grey = ops.to_grayscale(pixels, color)
        assert grey.shape == RGB.shape
        for channel in range(3):
            np.testing.assert_array_equal(grey[..., channel], expected)


def test_floats_are_rounded_and_limited_to_eight_bits() -> None:
    np.testing.assert_array_equal(ops.to_uint8(np.float32([-3, 0.5, 1.5, 254.6, 300])), [0, 0, 2, 255, 255])
    assert ops.to_uint8(RGB) is RGB
