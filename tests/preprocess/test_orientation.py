from __future__ import annotations

import numpy as np
import pytest

from inference_models.preprocess.orientation import apply_orientation, exif_orientation, from_avif_properties

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_avif_turns_anticlockwise_and_then_mirrors(turns: int, axis: int | None) -> None:
    properties = {b"irot": bytes([turns])} | ({} if axis is None else {b"imir": bytes([axis])})
    expected = np.rot90(PIXELS, turns)
    expected = expected if axis is None else np.flip(expected, axis)  # 0: top to bottom, 1: left to right
    np.testing.assert_array_equal(apply_orientation(PIXELS, from_avif_properties(properties)), expected)


def test_an_avif_without_turns_is_upright() -> None:
    assert from_avif_properties({}) == 1


@pytest.mark.parametrize("block", [b"", b"II", b"XX*\0", b"MM\0*\0\0\0\x08\0\x05", b"II*\0\xff\xff\xff\xff"])
def test_a_damaged_exif_block_means_upright(block: bytes) -> None:
    assert exif_orientation(block) == 1
