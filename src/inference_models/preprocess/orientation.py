"""Turning a picture the way its camera was held."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.arrays import NumpyArray

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_BY_AVIF_TURN = {
    (0, None): 1, (0, 0): 4, (0, 1): 2,
    (1, None): 8, (1, 0): 5, (1, 1): 7,
    (2, None): 3, (2, 0): 2, (2, 1): 4,
    (3, None): 6, (3, 0): 7, (3, 1): 5,
}  # fmt: skip
"""EXIF orientation by (quarter turns anti-clockwise, then mirrored: 0 top to bottom, 1 left to right)."""


def apply_orientation(pixels: NumpyArray, orientation: int) -> NumpyArray:
    """`pixels` (H, W, 3), turned and mirrored as EXIF `orientation` 1..8 says; sides swap for 5 to 8."""
    import cv2  # noqa: PLC0415

    if orientation == UPRIGHT:
        return pixels
    if orientation in (2, 4):
        return np.asarray(cv2.flip(pixels, 1 if orientation == 2 else 0))
    if orientation in (5, 7):
        swapped = cv2.transpose(pixels)
        return np.asarray(swapped if orientation == 5 else cv2.rotate(swapped, cv2.ROTATE_180))
    turns = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
    return np.asarray(cv2.rotate(pixels, turns[orientation]))


def exif_orientation(exif: bytes) -> int:
    """The orientation 1..8 that an EXIF block (a small TIFF) states; 1 when it states none, or nonsense."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, directory)
        for position in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, position)
            if tag == _ORIENTATION_TAG:
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        return UPRIGHT
    return UPRIGHT


def from_avif_properties(properties: Mapping[bytes, bytes]) -> int:
    """The EXIF orientation that the `irot` and `imir` properties of an AVIF file amount to."""
    turns = properties.get(b"irot", b"\0")[0] & 3
    mirrored = properties[b"imir"][0] & 1 if b"imir" in properties else None
    return _BY_AVIF_TURN[turns, mirrored]
