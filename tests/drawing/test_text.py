from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.drawing.style import Style
from inference_models.drawing.text import Label, measure, place, write

SIZE = (300, 400)
LABEL = Label("face 0.93", 80, 20, 5)
SIDES = st.integers(-50, 450)


@settings(max_examples=100, deadline=None)
@given(st.tuples(SIDES, SIDES, SIDES, SIDES))
def test_a_label_is_always_inside_the_picture(box: tuple[int, int, int, int]) -> None:
    x1, y1, x2, y2 = place(LABEL, box, [], SIZE)
    assert (x2 - x1, y2 - y1) == (80, 20)
    assert 0 <= x1 < x2 <= 400
    assert 0 <= y1 < y2 <= 300


def test_a_label_stands_on_its_box() -> None:
    assert place(LABEL, (50, 60, 150, 160), [], SIZE) == (50, 40, 130, 60)


def test_a_label_of_a_box_at_the_top_is_inside_a_large_box_and_below_a_small_one() -> None:
    assert place(LABEL, (50, 5, 250, 160), [], SIZE) == (50, 5, 130, 25)
    assert place(LABEL, (50, 5, 90, 30), [], SIZE) == (50, 30, 130, 50)


def test_a_label_goes_where_no_other_one_is() -> None:
    box = (50, 60, 250, 160)
    taken: list[tuple[int, int, int, int]] = []
    for _ in range(5):
        taken.append(place(LABEL, box, taken, SIZE))
    overlaps = [
        (a, b)
        for number, a in enumerate(taken)
        for b in taken[:number]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]
    assert overlaps == []


def test_a_label_without_a_free_place_takes_the_first_one() -> None:
    assert place(LABEL, (50, 60, 150, 160), [(0, 0, 400, 300)], SIZE) == (50, 40, 130, 60)


def test_a_text_is_cut_to_its_room() -> None:
    style = Style.of((150, 200))
    label = measure("a very long name of a class that nobody wants to read 0.93", style, room=200)
    assert label.width <= 200
    assert label.text.startswith("a very long")
    assert label.text.endswith("..")
    assert measure("face 0.93", style, room=200).text == "face 0.93"


def test_lines_become_one() -> None:
    assert measure("two\nlines  here", Style.of(SIZE), room=400).text == "two lines here"


@pytest.mark.parametrize(("text", "expected"), [("café", "cafe"), ("猫 0.9", "? 0.9")])
def test_letters_an_old_opencv_cannot_draw_are_replaced(
    text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "__version__", "4.10.0")
    assert measure(text, Style.of(SIZE), room=400).text == expected
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    assert measure(text, Style.of(SIZE), room=400).text == text


@pytest.mark.parametrize("size", [(150, 200), (480, 640), (3000, 4000)])
def test_all_of_the_text_is_on_its_background(size: tuple[int, int]) -> None:
    style = Style.of(size)
    label = measure("gjpqy|ÅÉ 0.93", style, room=size[1])
    picture = np.full((*size, 3), 77, np.uint8)
    where = place(label, (20, size[0] // 2, size[1] - 20, size[0] - 1), [], size)
    write(picture, label, where, (0, 255, 255), style)
    x1, y1, x2, y2 = where
    inside = picture[y1:y2, x1:x2].copy()
    picture[y1:y2, x1:x2] = 77
    assert (picture == 77).all()
    assert inside.max(axis=-1).min() < 16
    # A row of background below and left of the letters.
    assert (inside[-1] == (0, 255, 255)).all()
    assert (inside[:, 0] == (0, 255, 255)).all()
