from __future__ import annotations

import itertools

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from inference_models.drawing.style import PALETTE, Style, color_of, text_color_on

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)


def linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def seen_by(matrix: np.ndarray) -> np.ndarray:
    rgb = np.array(PALETTE[:7])[:, ::-1] / 255
    seen = np.clip(linear(rgb) @ matrix.T, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))


def test_the_first_seven_colours_differ_for_every_colour_vision() -> None:
    for matrix in (np.eye(3), DEUTERANOPIA, PROTANOPIA):
        lab = seen_by(matrix)
        # A difference of 2 is just seen side by side; 10 is plain at a glance.
        assert min(deltaE_ciede2000(a, b) for a, b in itertools.combinations(lab, 2)) > 10


def test_a_class_always_has_the_same_colour_and_neighbours_have_others() -> None:
    assert len(set(PALETTE)) == len(PALETTE) == 21
    assert color_of(3) == color_of(3 + len(PALETTE)) == PALETTE[3]
    assert color_of(-1) == PALETTE[-1]


def test_text_is_read_on_every_colour() -> None:
    for color in [*PALETTE, (0, 0, 0), (255, 255, 255), (119, 119, 119)]:
        ground, text = (
            float(linear(np.array(c)[::-1] / 255) @ [0.2126, 0.7152, 0.0722]) for c in (color, text_color_on(color))
        )
        # WCAG 2 asks for 4.5; the better of black and white always has it.
        assert (max(ground, text) + 0.05) / (min(ground, text) + 0.05) >= 4.5


def test_sizes_grow_with_the_picture() -> None:
    small, middle, large = Style.of((150, 200)), Style.of((480, 640)), Style.of((3000, 4000))
    assert small.line == 1
    assert (middle.line, large.line) == (3, 17)
    assert small.text_scale == 0.35
    np.testing.assert_allclose(large.text_scale / middle.text_scale, 6.25)
