"""The order of reading, and the words of a line, on corners whose answer can be seen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inference_models.decoders.text_lines import Letters, TextLine, reading_order
from inference_models.preprocess.crops import straighten


def box(x: float, y: float, width: float, height: float = 20) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float64)


PAGE = [box(0, 60, 100), box(150, 3, 80), box(0, 0, 120), box(130, 62, 90, 24), box(0, 90, 300, 16)]
ROWS = [[2, 1], [0, 3], [4]]


@pytest.mark.parametrize("degrees", [0, 10, -15, 90, 180, 261])
def test_rows_are_read_from_top_to_bottom_however_the_page_lies(degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((0, 0), degrees, 1.0)[:, :2]
    assert reading_order([corners @ turn.T for corners in PAGE]) == ROWS


def test_a_page_without_lines_has_no_rows_and_one_without_size_has_one() -> None:
    assert reading_order([]) == []
    assert reading_order([np.zeros((4, 2))]) == [[0]]


def test_a_word_lies_between_the_middles_of_the_gaps_around_it() -> None:
    places = np.array([0.05, 0.15, 0.25, 0.35, 0.75], np.float32)
    letters = Letters("ab  c", np.array([1, 0.5, 1, 1, 0.25], np.float32), places)
    first, second = TextLine(box(10, 0, 100), letters).words()
    assert (first["text"], first["confidence"]) == ("ab", 0.75)
    np.testing.assert_allclose(first["polygon"], box(10, 0, 20), atol=1e-4)
    assert (second["text"], second["confidence"]) == ("c", 0.25)
    np.testing.assert_allclose(second["polygon"], box(65, 0, 45), atol=1e-4)
    assert TextLine(box(0, 0, 9), Letters("", places[:0], places[:0])).words() == []


def test_a_region_is_cut_out_as_it_looks_from_straight_ahead() -> None:
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[20:40, 30:70] = (10, 20, 30)
    picture[20:40, 30:40] = (200, 20, 30)
    region = np.array([[30, 20], [70, 20], [70, 40], [30, 40]], np.float32)
    np.testing.assert_array_equal(straighten(picture, region)[1:-1, 1:-1], picture[21:39, 31:69])
    upside_down = straighten(picture, np.roll(region, 2, axis=0))
    assert upside_down.shape == (20, 40, 3)
    assert upside_down[10, 35].tolist() == [200, 20, 30]


@pytest.mark.parametrize("size", [(1, 1, 3), (3, 40_000, 3)])
def test_regions_outside_a_picture_and_in_very_long_ones_are_cut_out(size: tuple[int, ...]) -> None:
    height, width, _ = size
    picture = np.full(size, 7, np.uint8)
    assert (straighten(picture, np.array([[-5, -5], [width, -5], [width, height], [-5, height]])) == 7).all()
