"""Against pycocotools 2.0.11, byte for byte."""

from __future__ import annotations

import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from inference_models.errors import InvalidParameterError
from inference_models.predictions.masks import InstancesRLEMasks
from inference_models.predictions.rle import (
    compress_counts,
    count_runs,
    count_runs_of_part,
    decode_mask,
    decompress_counts,
    paint_runs,
)

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
MASKS = SIZES.flatmap(lambda size: hnp.arrays(np.bool_, size))


def encoded(mask: np.ndarray) -> bytes:
    return compress_counts(count_runs(mask))


@settings(max_examples=200, deadline=None)
@given(part=MASKS, above=st.integers(0, 3), before=st.integers(0, 3), below=st.integers(0, 3), behind=st.integers(0, 3))
def test_a_part_of_an_empty_mask_has_the_runs_of_the_whole(part, above, before, below, behind):
    whole = np.pad(part, ((above, below), (before, behind)))
    np.testing.assert_array_equal(count_runs_of_part(part.T, (above, before), whole.shape), count_runs(whole))


def coco_encode(mask: np.ndarray) -> dict:
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))


def coco_decode(rle: dict) -> np.ndarray:
    with warnings.catch_warnings():
        # pycocotools 2.0.11 gives an object whose __array__ does not know NumPy 2's copy argument.
        warnings.simplefilter("ignore", DeprecationWarning)
        return coco.decode(rle).astype(bool)


def blobs(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Long runs, so that counts need several characters and differences have both signs."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(size, bool)
    for _ in range(6):
        y, x = rng.integers(0, size[0]), rng.integers(0, size[1])
        mask[y : y + rng.integers(1, size[0]), x : x + rng.integers(1, size[1])] ^= True
    return mask


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_any_mask_is_encoded_as_pycocotools_does(mask: np.ndarray) -> None:
    assert encoded(mask) == coco_encode(mask)["counts"]


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_any_mask_survives_the_round_trip(mask: np.ndarray) -> None:
    decoded = decode_mask({"size": mask.shape, "counts": encoded(mask)})
    assert decoded.dtype == np.bool_
    assert np.array_equal(decoded, mask)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (7, 5000), (5000, 7)])
def test_large_blobs_agree_with_pycocotools_both_ways(seed: int, size: tuple[int, int]) -> None:
    mask = blobs(seed, size)
    expected = coco_encode(mask)
    assert encoded(mask) == expected["counts"]
    assert np.array_equal(decode_mask(expected), coco_decode(expected))


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(0, 2**31 - 1)))
def test_counts_up_to_31_bits_survive_compression(counts: np.ndarray) -> None:
    assert np.array_equal(decompress_counts(compress_counts(counts)), counts)


@pytest.mark.parametrize(
    "mask",
    [np.zeros((3, 4), bool), np.ones((3, 4), bool), np.eye(5, dtype=bool), np.zeros((0, 3), bool)],
    ids=["empty", "full", "diagonal", "no pixels"],
)
def test_special_masks_agree_with_pycocotools(mask: np.ndarray) -> None:
    assert encoded(mask) == coco_encode(mask)["counts"]


def test_torch_masks_and_numbers_are_masks_too() -> None:
    torch = pytest.importorskip("torch")
    mask = blobs(3, (40, 60))
    expected = coco_encode(mask)["counts"]
    assert InstancesRLEMasks.from_dense(torch.from_numpy(mask)[None]).masks == [expected]
    assert encoded(mask.astype(np.float32) * 0.5) == expected
    assert encoded(mask[::-1, ::-1]) == coco_encode(mask[::-1, ::-1])["counts"]


def test_counts_are_read_as_bytes_text_or_lists() -> None:
    mask = np.array([[0, 1], [1, 1]], bool)
    for counts in (encoded(mask), encoded(mask).decode(), [1, 3]):
        assert np.array_equal(decode_mask({"size": [2, 2], "counts": counts}), mask)


def test_runs_that_do_not_fill_the_mask_are_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        paint_runs(np.array([1, 3]), (3, 3))
    assert str(caught.value) == (
        "run lengths do not fill a mask of 3 x 3 pixels.\n"
        "needs run lengths of 0 or more that sum to 9; found: a sum of 4, least 1\n"
        "check that 'size' is [height, width] of the mask the counts were made from"
    )


@pytest.mark.parametrize("text", [b"1P", b"12 3", b"\xff", b"o" * 20 + b"0"])
def test_counts_that_are_no_counts_are_refused(text: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="compressed run lengths cannot be read"):
        decompress_counts(text)


def test_the_refusal_of_counts_says_what_was_found() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        decompress_counts(b"1P")
    assert str(caught.value) == (
        "compressed run lengths cannot be read.\n"
        "needs COCO counts: characters from '0' to 'o', every number complete; found: b'1P'\n"
        "pass 'counts' as pycocotools wrote it, or a list of run lengths"
    )
