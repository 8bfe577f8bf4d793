"""Class maps computed near their borders, against PyTorch: classes but for ties, scores within 2e-3, most 1e-3."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inference_models.decoders import class_maps
from inference_models.decoders.class_maps import class_map
from optional import torch


def regions(classes: int, size: tuple[int, int], *, margin: float, noise: float = 1, seed: int = 0) -> np.ndarray:
    """(C, h, w) logits of regions around random points, as a trained network gives them: sure but at their borders."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    points = random.uniform(0, 1, (max(3, size[0] * size[1] // 500), 2)) * size
    distance = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2
    labels = random.integers(0, classes, len(points))[distance.argmin(-1)]
    sure = [cv2.blur((labels == number) * np.float32(margin), (3, 3)) for number in range(classes)]
    unsure = random.normal(0, noise, (classes, 5, 5)).astype(np.float32)
    return np.stack([one + cv2.resize(other, size[::-1]) for one, other in zip(sure, unsure, strict=True)])


def softmax_of(logits: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    resized = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], size, mode="bilinear")[0]
    scores, numbers = torch.softmax(resized, 0).max(0)
    return numbers.numpy(), scores.numpy()


def check(logits: np.ndarray, size: tuple[int, int]) -> None:
    numbers, scores = class_map(logits, size)
    expected, sure = softmax_of(logits, size)
    assert (numbers.dtype, scores.dtype, numbers.shape, scores.shape) == (np.int64, np.float32, size, size)
    assert (numbers != expected).mean() <= 1e-5  # ties
    np.testing.assert_allclose(scores, sure, atol=2e-3)
    assert (np.abs(scores - sure) > 1e-3).mean() <= 1e-3


@pytest.mark.parametrize("size", [(300, 500), (64, 48), (63, 47), (1000, 70)])
@pytest.mark.parametrize("cells", [(64, 48), (33, 33), (40, 90)])
@pytest.mark.parametrize("classes", [2, 19])
def test_sure_maps_are_those_of_every_pixel(classes, cells, size):
    check(regions(classes, cells, margin=10), size)


def test_only_borders_are_computed_pixel_by_pixel(monkeypatch):
    monkeypatch.setattr(class_maps, "every_class", None)
    for seed in range(3):
        check(regions(19, (64, 48), margin=12, seed=seed), (300, 500))


@pytest.mark.parametrize("cells", [(1, 1), (1, 9), (7, 1), (2, 2), (3, 2)])
def test_maps_of_few_cells_are_those_of_every_pixel(cells):
    check(np.random.default_rng(0).normal(0, 4, (3, *cells)).astype(np.float32), (90, 70))


@pytest.mark.parametrize("logits", ["unsure", "equal", "one class"])
def test_maps_without_a_sure_class_are_those_of_every_pixel(logits):
    made = {
        "unsure": np.random.default_rng(0).normal(0, 1, (5, 16, 24)),
        "equal": np.zeros((4, 16, 24)),
        "one class": np.random.default_rng(0).normal(0, 1, (1, 16, 24)),
    }[logits]
    check(made.astype(np.float32), (120, 110))


def test_no_class_of_thousands_overflows():
    logits = regions(3, (32, 32), margin=1e4)
    numbers, scores = class_map(logits, (200, 200))
    np.testing.assert_array_equal(numbers, softmax_of(logits, (200, 200))[0])
    assert np.isfinite(scores).all()


def test_a_class_that_is_ruled_out_is_never_found():
    logits = regions(4, (32, 32), margin=8)
    logits[2] = -np.inf
    numbers, _ = class_map(logits, (200, 200))
    expected, _ = softmax_of(logits[[0, 1, 3]], (200, 200))
    np.testing.assert_array_equal(numbers, np.array([0, 1, 3])[expected])
