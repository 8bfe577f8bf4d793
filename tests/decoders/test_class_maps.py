"""Class maps computed near their borders: exactly those of every pixel, which are PyTorch's but for ties and 3e-5."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inference_models.decoders import class_maps
from inference_models.decoders.class_maps import Classes, class_map, every_pixel
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


def classes_of(count: int, *, least: float | list[float] = 0.0, activation: str | None = "softmax") -> Classes:
    thresholds = np.broadcast_to(np.asarray(least, np.float32), count)
    return Classes(ids=np.arange(count) * 2, least=thresholds, unsure=-1, activation=activation)


def check(logits: np.ndarray, size: tuple[int, int], least: float | list[float] = 0.0) -> None:
    """Of softmax scores."""
    classes = classes_of(len(logits), least=least)
    found, at_once = class_map(logits, size, classes)
    ids, scores = every_pixel(logits, size, classes)
    assert (found.dtype, ids.dtype, scores.dtype, found.shape, scores.shape) == (
        *(np.int64, np.int64, np.float32),
        *(size, size),
    )
    np.testing.assert_array_equal(found, ids)
    assert at_once is None or np.array_equal(at_once, scores)
    number, sure = softmax_of(logits, size)
    passes = sure >= classes.least[number]
    wanted = np.where(passes, number * 2, -1)
    near = np.abs(sure - classes.least[number]) < 3e-5
    assert ((found != wanted) & ~near).mean() <= 1e-5  # ties
    np.testing.assert_allclose(scores[~near], np.where(passes, sure, 0)[~near], atol=3e-5)


@pytest.mark.parametrize("size", [(300, 500), (64, 48), (63, 47), (1000, 70)])
@pytest.mark.parametrize("cells", [(64, 48), (33, 33), (40, 90)])
@pytest.mark.parametrize("classes", [2, 19])
def test_classes_are_those_of_every_pixel(classes, cells, size):
    check(regions(classes, cells, margin=10), size)


@pytest.mark.parametrize("least", [0.3, 0.5, 0.9, [0.2, 0.6, 0.0, 2.0, 0.5] + [0.4] * 14])
def test_pixels_that_are_not_sure_enough_are_those_of_every_pixel(least):
    for seed in range(3):
        check(regions(19, (64, 48), margin=8, seed=seed), (300, 500), least)


@pytest.mark.parametrize("least", [0.0, 0.5])
def test_only_borders_are_computed_pixel_by_pixel(monkeypatch, least):
    logits, classes = regions(19, (64, 48), margin=12), classes_of(19, least=least)
    ids, _ = every_pixel(logits, (300, 500), classes)
    monkeypatch.setattr(class_maps, "_computed", None)
    found, scores = class_map(logits, (300, 500), classes)
    np.testing.assert_array_equal(found, ids)
    assert scores is None


@pytest.mark.parametrize("least", [0.0, 0.4])
@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_scores_of_each_class_alone_are_interpolated_values(activation, least):
    made = regions(5, (24, 32), margin=4) - 1
    values = torch.sigmoid(torch.from_numpy(made)).numpy() if activation is None else made
    classes = classes_of(5, least=least, activation=activation)
    found, _ = class_map(values, (240, 250), classes)
    ids, scores = every_pixel(values, (240, 250), classes)
    np.testing.assert_array_equal(found, ids)
    best = torch.nn.functional.interpolate(torch.from_numpy(values)[None], (240, 250), mode="bilinear")[0].amax(0)
    wanted = (best if activation is None else torch.sigmoid(best)).numpy()
    np.testing.assert_allclose(scores[ids >= 0], wanted[ids >= 0], atol=3e-5)
    assert (scores[ids < 0] == 0).all()
    assert (wanted[ids < 0] < least + 3e-5).all()


@pytest.mark.parametrize("cells", [(1, 1), (1, 9), (7, 1), (2, 2), (3, 2)])
def test_maps_of_few_cells_are_those_of_every_pixel(cells):
    check(np.random.default_rng(0).normal(0, 4, (3, *cells)).astype(np.float32), (90, 70), 0.5)


@pytest.mark.parametrize("least", [0.0, 0.5])
@pytest.mark.parametrize("logits", ["unsure", "equal", "nearly equal", "one class"])
def test_maps_without_a_sure_class_are_those_of_every_pixel(logits, least):
    random = np.random.default_rng(0)
    made = {
        "unsure": random.normal(0, 1, (5, 16, 24)),
        "equal": np.zeros((4, 16, 24)),
        "nearly equal": 3 + random.normal(0, 1e-7, (4, 16, 24)),
        "one class": random.normal(0, 1, (1, 16, 24)),
    }[logits].astype(np.float32)
    classes = classes_of(len(made), least=least)
    np.testing.assert_array_equal(class_map(made, (120, 110), classes)[0], every_pixel(made, (120, 110), classes)[0])
    if logits != "nearly equal":
        check(made, (120, 110), least)


def test_no_class_of_thousands_overflows():
    logits = regions(3, (32, 32), margin=1e4)
    for least in (0.0, 0.5):
        found, _ = class_map(logits, (200, 200), classes_of(3, least=least))
        ids, scores = every_pixel(logits, (200, 200), classes_of(3, least=least))
        np.testing.assert_array_equal(found, ids)
        assert np.isfinite(scores).all()
    np.testing.assert_array_equal(
        class_map(logits, (200, 200), classes_of(3))[0], 2 * softmax_of(logits, (200, 200))[0]
    )


def test_a_class_that_is_ruled_out_is_never_found():
    logits = regions(4, (32, 32), margin=8)
    logits[2] = -np.inf
    found, _ = class_map(logits, (200, 200), classes_of(4))
    expected, _ = softmax_of(logits[[0, 1, 3]], (200, 200))
    np.testing.assert_array_equal(found, 2 * np.array([0, 1, 3])[expected])
