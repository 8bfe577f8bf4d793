from __future__ import annotations

import numpy as np
import pytest

from inference_models.arrays import TensorSpec
from inference_models.backends.feeds import check_feeds, dtype_name
from inference_models.errors import ModelRuntimeError

IMAGES = TensorSpec("images", (None, 3, 8, 8), "float32")
SCALE = TensorSpec("scale", (1, 2), "int64")


def refused(specs: list[TensorSpec], feeds: dict[str, object]) -> str:
    with pytest.raises(ModelRuntimeError) as caught:
        check_feeds(specs, feeds)
    return str(caught.value)


def images(batch: int = 1, dtype: type = np.float32) -> np.ndarray:
    return np.zeros((batch, 3, 8, 8), dtype)


def test_feeds_that_fit_pass_in_any_order() -> None:
    check_feeds([IMAGES, SCALE], {"scale": np.zeros((1, 2), np.int64), "images": images(5)})


@pytest.mark.parametrize(
    ("feed", "found"),
    [
        (np.zeros((1, 3, 8), np.float32), "(1, 3, 8) float32"),
        (np.zeros((1, 3, 8, 9), np.float32), "(1, 3, 8, 9) float32"),
        (np.zeros((), np.float32), "() float32"),
        (np.zeros((1, 4, 8, 8), np.float64), "(1, 4, 8, 8) float64"),
    ],
)
def test_another_shape_is_refused(feed: np.ndarray, found: str) -> None:
    assert refused([IMAGES], {"images": feed}) == (
        f"the feed for input 'images' does not fit.\nneeds (None, 3, 8, 8) float32; found: {found}"
    )


@pytest.mark.parametrize("dtype", ["float64", "float16", "uint8", "int32", "bool"])
def test_another_dtype_is_refused(dtype: str) -> None:
    assert refused([IMAGES], {"images": images().astype(dtype)}) == (
        "the feed for input 'images' does not fit.\n"
        f"needs (None, 3, 8, 8) float32; found: (1, 3, 8, 8) {dtype}\n"
        "convert the feed to float32"
    )


def test_a_missing_feed_is_refused() -> None:
    assert refused([IMAGES, SCALE], {"images": images()}) == (
        "the feed for input 'scale' does not fit.\nneeds (1, 2) int64; found: nothing"
    )


def test_an_unknown_feed_is_refused() -> None:
    feeds = {"images": images(), "image_size": np.zeros(2), "scale": np.zeros((1, 2), np.int64)}
    assert refused([IMAGES, SCALE], feeds) == (
        "the graph has no input 'image_size'.\nneeds images, scale; found: images, image_size, scale"
    )


def test_texts_and_formats_only_the_runtime_knows_are_left_to_it() -> None:
    texts = TensorSpec("words", (None,), "str")
    check_feeds([texts], {"words": np.array(["a", "b"])})
    check_feeds([texts], {"words": np.array(["a", "b"], object)})


def test_tensors_are_judged_like_arrays() -> None:
    torch = pytest.importorskip("torch")
    check_feeds([IMAGES], {"images": torch.zeros(2, 3, 8, 8)})
    check_feeds([IMAGES], {"images": torch.zeros(2, 3, 8, 8, dtype=torch.bfloat16)})
    assert refused([IMAGES], {"images": torch.zeros(2, 3, 8, 8, dtype=torch.float64)}).splitlines()[1] == (
        "needs (None, 3, 8, 8) float32; found: (2, 3, 8, 8) float64"
    )
    assert dtype_name(torch.zeros(1, dtype=torch.bfloat16)) == "float32"
