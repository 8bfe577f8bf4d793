"""Pictures made by arithmetic: the same pixels on every machine, and no file to ship.

They are no photographs, so a model may find little in them. What they do is to drive it through every size and kind of
input: both orientations, 1:8, tiny, grey, smooth, textured, noisy, blurred, shapes, faces, and pages with text.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import NumpyArray

Colour: TypeAlias = tuple[float, float, float]
"""Blue, green, red in 0..255."""
_Part: TypeAlias = tuple[slice, slice]

_WHITE: Colour = (248, 249, 250)
_INK: Colour = (38, 34, 32)
_SKIN: Colour = (138, 170, 222)


def probe_images(count: int | None = None) -> list[NumpyArray]:
    """Sixteen (H, W, 3) uint8 BGR pictures, or the first `count` of them: the same on every machine."""
    recipes: tuple[Callable[[], NumpyArray], ...] = (
        partial(_shapes, 480, 640),
        partial(_faces, 640, 480, ((0.48, 0.45, 0.30),)),
        partial(_faces, 480, 720, ((0.40, 0.18, 0.16), (0.55, 0.50, 0.26), (0.35, 0.83, 0.10))),
        partial(_street, 540, 960),
        partial(_page, 800, 600),
        lambda: np.rot90(_page(800, 600)),
        partial(_strokes, 96, 768),
        lambda: np.rot90(_shapes(96, 768)),
        lambda: _shapes(17, 24),
        lambda: _grey(_street(360, 480)),
        partial(_texture, 400, 400),
        partial(_smooth, 300, 500),
        partial(_noise, 256, 320),
        lambda: _blurred(_shapes(333, 517), 7),
        lambda: _faces(320, 320, ((0.5, 0.5, 0.33),)) // 5 + 8,
        lambda: np.full((224, 224, 3), 255, np.uint8),
    )
    return [np.ascontiguousarray(make()) for make in recipes[:count]]


class _Canvas:
    """A picture in float64 that shapes with soft edges are laid on."""

    def __init__(self, pixels: NumpyArray) -> None:
        self.pixels = pixels.astype(np.float64)
        self.height, self.width = pixels.shape[:2]
        self.y, self.x = np.mgrid[: self.height, : self.width] + 0.5

    def ellipse(self, centre: tuple[float, float], radii: tuple[float, float], colour: Colour) -> None:
        """`centre` and `radii` are (vertical, horizontal) in pixels."""
        part = self.part(centre[0] - radii[0], centre[1] - radii[1], centre[0] + radii[0], centre[1] + radii[1])
        dy, dx = (self.y[part] - centre[0]) / radii[0], (self.x[part] - centre[1]) / radii[1]
        self.lay(part, (np.sqrt(dy * dy + dx * dx) - 1) * min(radii), colour)

    def box(self, top: float, left: float, bottom: float, right: float, colour: Colour) -> None:
        """Edges in pixels."""
        part = self.part(top, left, bottom, right)
        vertical = np.maximum(top - self.y[part], self.y[part] - bottom)
        self.lay(part, np.maximum(vertical, np.maximum(left - self.x[part], self.x[part] - right)), colour)

    def triangle(self, top: tuple[float, float], bottom: float, slope: float, colour: Colour) -> None:
        """`top` is its upper corner, `slope` the pixels it grows to each side per row."""
        half = (bottom - top[0]) * slope
        part = self.part(top[0], top[1] - half, bottom, top[1] + half)
        sides = np.abs(self.x[part] - top[1]) - (self.y[part] - top[0]) * slope
        self.lay(part, np.maximum(sides, self.y[part] - bottom), colour)

    def lay(self, part: _Part, distance: NumpyArray, colour: Colour) -> None:
        """Paint where `distance`, in pixels to the edge, is negative; the edge is one pixel soft."""
        pixels = self.pixels[part]
        pixels += np.clip(0.5 - distance, 0, 1)[..., None] * (np.array(colour) - pixels)

    def part(self, top: float, left: float, bottom: float, right: float) -> _Part:
        """Rows and columns that a shape within these edges can touch."""
        return slice(max(int(top) - 2, 0), max(int(bottom) + 3, 0)), slice(
            max(int(left) - 2, 0), max(int(right) + 3, 0)
        )

    def done(self) -> NumpyArray:
        return np.clip(np.rint(self.pixels), 0, 255).astype(np.uint8)


def _shapes(height: int, width: int) -> NumpyArray:
    canvas = _Canvas(_smooth(height, width))
    side = min(height, width)
    canvas.ellipse((0.35 * height, 0.2 * width), (0.25 * side, 0.25 * side), (40, 60, 210))
    canvas.ellipse((0.35 * height, 0.2 * width), (0.12 * side, 0.12 * side), (235, 235, 235))
    canvas.box(0.2 * height, 0.45 * width, 0.8 * height, 0.62 * width, (60, 170, 50))
    canvas.box(0.3 * height, 0.49 * width, 0.5 * height, 0.58 * width, (20, 30, 30))
    canvas.triangle((0.25 * height, 0.82 * width), 0.85 * height, 0.4, (190, 90, 30))
    canvas.ellipse((0.85 * height, 0.3 * width), (0.07 * side, 0.18 * side), (30, 200, 230))
    return canvas.done()


def _faces(height: int, width: int, places: tuple[tuple[float, float, float], ...]) -> NumpyArray:
    """Heads with hair, eyes, nose and mouth; a place is (vertical, horizontal, half height) as shares."""
    canvas = _Canvas(_smooth(height, width) // 2 + 60)
    for vertical, horizontal, share in places:
        _face(canvas, (vertical * height, horizontal * width), share * min(height, width))
    grain = (_hashed(height, width, seed=5)[..., None] % 9).astype(np.float64) - 4
    canvas.pixels += grain
    return _blurred(canvas.done(), 1)


def _face(canvas: _Canvas, centre: tuple[float, float], half: float) -> None:
    y, x = centre
    canvas.box(y + 0.7 * half, x - 0.35 * half, y + 1.5 * half, x + 0.35 * half, (112, 140, 190))
    canvas.box(y + 1.2 * half, x - 1.3 * half, y + 4 * half, x + 1.3 * half, (120, 70, 50))
    canvas.ellipse((y - 0.25 * half, x), (half, 0.86 * half), (24, 32, 44))
    canvas.ellipse((y, x), (half, 0.74 * half), _SKIN)
    shade = np.clip((canvas.x - x) / (0.74 * half), 0, 1) ** 2 * 34
    inside = ((canvas.y - y) / half) ** 2 + ((canvas.x - x) / (0.74 * half)) ** 2 < 1
    canvas.pixels -= (shade * inside)[..., None]
    for side in (-1, 1):
        eye = x + side * 0.3 * half
        canvas.ellipse((y - 0.34 * half, eye), (0.05 * half, 0.19 * half), (40, 50, 66))
        canvas.ellipse((y - 0.15 * half, eye), (0.085 * half, 0.16 * half), (238, 240, 242))
        canvas.ellipse((y - 0.15 * half, eye), (0.08 * half, 0.08 * half), (40, 30, 24))
    canvas.ellipse((y + 0.1 * half, x), (0.24 * half, 0.07 * half), (150, 184, 234))
    canvas.ellipse((y + 0.3 * half, x), (0.06 * half, 0.15 * half), (92, 120, 178))
    canvas.ellipse((y + 0.56 * half, x), (0.09 * half, 0.3 * half), (88, 84, 178))
    canvas.ellipse((y + 0.55 * half, x), (0.02 * half, 0.27 * half), (50, 44, 104))


def _street(height: int, width: int) -> NumpyArray:
    """Sky, houses, a road, two cars and two people, in flat colours."""
    canvas = _Canvas(_smooth(height, width) // 4 + 150)
    canvas.box(0.62 * height, 0, height, width, (92, 92, 96))
    for number in range(5):
        left = (0.02 + 0.2 * number) * width
        top = (0.16 + 0.05 * (number * 3 % 4)) * height
        canvas.box(top, left, 0.62 * height, left + 0.17 * width, (70 + 20 * number, 110, 150 - 15 * number))
        for window in range(6):
            y, x = top + (0.05 + 0.13 * (window // 2)) * height, left + (0.025 + 0.075 * (window % 2)) * width
            canvas.box(y, x, y + 0.07 * height, x + 0.045 * width, (210, 200, 170))
    _car(canvas, 0.70 * height, 0.16 * width, 0.26 * width, (50, 40, 190))
    _car(canvas, 0.66 * height, 0.62 * width, 0.17 * width, (160, 150, 60))
    _person(canvas, 0.50 * height, 0.50 * width, 0.36 * height)
    _person(canvas, 0.52 * height, 0.90 * width, 0.30 * height)
    return canvas.done()


def _car(canvas: _Canvas, top: float, left: float, length: float, colour: Colour) -> None:
    canvas.box(top - 0.14 * length, left + 0.2 * length, top + 0.1 * length, left + 0.78 * length, colour)
    canvas.box(top - 0.10 * length, left + 0.25 * length, top + 0.02 * length, left + 0.48 * length, (220, 210, 190))
    canvas.box(top - 0.10 * length, left + 0.52 * length, top + 0.02 * length, left + 0.73 * length, (220, 210, 190))
    canvas.box(top + 0.04 * length, left, top + 0.24 * length, left + length, colour)
    for place in (0.22, 0.78):
        wheel = top + 0.25 * length, left + place * length
        canvas.ellipse(wheel, (0.09 * length, 0.09 * length), (26, 26, 28))
        canvas.ellipse(wheel, (0.045 * length, 0.045 * length), (170, 170, 172))


def _person(canvas: _Canvas, top: float, middle: float, tall: float) -> None:
    canvas.ellipse((top + 0.07 * tall, middle), (0.075 * tall, 0.055 * tall), _SKIN)
    canvas.box(top + 0.15 * tall, middle - 0.10 * tall, top + 0.52 * tall, middle + 0.10 * tall, (140, 60, 40))
    for side in (-1, 1):
        arm, leg = middle + side * 0.125 * tall, middle + side * 0.05 * tall
        canvas.box(top + 0.16 * tall, arm - 0.025 * tall, top + 0.5 * tall, arm + 0.025 * tall, (120, 50, 30))
        canvas.box(top + 0.52 * tall, leg - 0.04 * tall, top + tall, leg + 0.04 * tall, (60, 50, 44))


def _page(height: int, width: int) -> NumpyArray:
    """A printed page: heading, paragraphs in two columns, a figure, and a table with rules."""
    canvas = _Canvas(np.full((height, width, 3), _WHITE, np.float64))
    _write(canvas, 0.05 * height, (0.2 * width, 0.8 * width), 1, 0.028 * height)
    _write(canvas, 0.13 * height, (0.08 * width, 0.47 * width), 14, 0.011 * height)
    _write(canvas, 0.13 * height, (0.53 * width, 0.92 * width), 8, 0.011 * height)
    top, left = int(0.33 * height), int(0.53 * width)
    figure = _shapes(int(0.17 * height), int(0.39 * width))
    canvas.pixels[top : top + figure.shape[0], left : left + figure.shape[1]] = figure
    _write(canvas, 0.56 * height, (0.08 * width, 0.6 * width), 1, 0.02 * height)
    for row in range(7):
        y = (0.62 + 0.045 * row) * height
        canvas.box(y, 0.08 * width, y + 1.5, 0.92 * width, _INK)
        if row < 6:
            for column in range(4):
                start = (0.1 + 0.21 * column) * width
                _write(canvas, y + 0.014 * height, (start, start + 0.14 * width), 1, 0.012 * height)
    for column in range(5):
        x = (0.08 + 0.21 * column) * width
        canvas.box(0.62 * height, x, 0.89 * height, x + 1.5, _INK)
    return canvas.done()


def _strokes(height: int, width: int) -> NumpyArray:
    canvas = _Canvas(np.full((height, width, 3), _WHITE, np.float64))
    _write(canvas, 0.2 * height, (0.03 * width, 0.97 * width), 2, 0.26 * height)
    return canvas.done()


def _write(canvas: _Canvas, top: float, columns: tuple[float, float], lines: int, size: float) -> None:
    """Lines of strokes that look like words from afar; `size` is the height of a letter in pixels."""
    ink = _hashed(lines, 4096, seed=int(top) + int(columns[0]))
    for line in range(lines):
        y, x = top + line * 1.75 * size, columns[0]
        end = columns[1] - (0.35 * (columns[1] - columns[0]) if lines > 1 and line == lines - 1 else 0)
        for letter in range(int((end - x) / (0.62 * size))):
            kind = int(ink[line, letter])
            if kind % 6:
                _letter(canvas, y, x, size, kind // 6)
            x += 0.62 * size


def _letter(canvas: _Canvas, y: float, x: float, size: float, kind: int) -> None:
    """One to three of six strokes."""
    thick, wide = max(0.13 * size, 0.8), 0.46 * size
    strokes = (
        (y, x, y + size, x + thick),
        (y, x + wide - thick, y + size, x + wide),
        (y, x, y + thick, x + wide),
        (y + 0.45 * size, x, y + 0.45 * size + thick, x + wide),
        (y + size - thick, x, y + size, x + wide),
        (y + 0.2 * size, x + 0.4 * wide, y + size, x + 0.4 * wide + thick),
    )
    for number in sorted({kind % 6, kind // 6 % 6, kind // 36 % 6}):
        canvas.box(*strokes[number], _INK)


def _texture(height: int, width: int) -> NumpyArray:
    """Weave, rings and a checkerboard that gets finer."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    weave = ((y // 6 + x // 9) % 2) * 70
    radius = np.sqrt((y - 0.6 * height) ** 2 + (x - 0.4 * width) ** 2)
    rings = (radius * (1 + radius / 300) % 24) * 4
    board = ((y // (2 + y // 40)) + (x // (2 + x // 40))) % 2 * 90
    pixels: NumpyArray = np.stack([40 + weave + board, 60 + rings, 30 + board + rings], axis=2)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _smooth(height: int, width: int) -> NumpyArray:
    y, x = np.mgrid[:height, :width] / np.array([max(height - 1, 1), max(width - 1, 1)]).reshape(2, 1, 1)
    pixels: NumpyArray = np.stack([220 - 90 * y, 120 + 70 * x * (1 - y), 90 + 60 * y + 70 * x], axis=2)
    return np.rint(pixels).astype(np.uint8)


def _noise(height: int, width: int) -> NumpyArray:
    return np.stack([_hashed(height, width, seed=seed) for seed in (1, 2, 3)], axis=2).astype(np.uint8)


def _grey(pixels: NumpyArray) -> NumpyArray:
    luma = (pixels.astype(np.uint32) @ np.array([29, 150, 77], np.uint32)) >> 8
    return np.repeat(luma.astype(np.uint8)[..., None], 3, axis=2)


def _blurred(pixels: NumpyArray, radius: int) -> NumpyArray:
    """A box blur of `2 * radius + 1` pixels, in whole numbers."""
    size = 2 * radius + 1
    blurred = pixels.astype(np.int64)
    for axis in (0, 1):
        widths = [(radius + 1, radius) if which == axis else (0, 0) for which in range(3)]
        sums = np.cumsum(np.pad(blurred, widths, mode="edge"), axis=axis)
        blurred = (np.take(sums, range(size, sums.shape[axis]), axis) - np.delete(sums, range(-size, 0), axis)) // size
    return blurred.astype(np.uint8)


def _hashed(height: int, width: int, *, seed: int) -> NumpyArray:
    """(height, width) uint32 in 0..255; NumPy does not promise that its own generators stay the same."""
    numbers: NumpyArray = np.arange(height * width, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(
        seed * 40503 + 1
    )
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        numbers = (numbers ^ (numbers >> np.uint32(shift))) * np.uint32(factor)
    numbers = (numbers ^ (numbers >> np.uint32(16))) >> np.uint32(24)
    return numbers.reshape(height, width)
