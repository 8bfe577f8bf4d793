"""Masks as COCO run lengths: exact, small, and readable by every COCO tool. Needs NumPy and OpenCV only.

The runs go down the columns of the mask and start with zeros. In the compressed form each run from the fourth on is
stored as the difference to the run two places before it, in groups of five bits, least first, one printable
character per group: bit 5 says that another group follows, bit 4 of the last group is the sign. Equal byte for byte
to pycocotools 2.0.11.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import numpy as np

from inference_models.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
Counts: TypeAlias = "npt.NDArray[np.int64]"

_FIRST_CHARACTER = 48
_GROUP_BITS = 5
_GROUPS_OF_INT64 = 13


class CocoRLE(TypedDict):
    """One mask in the compressed form of COCO."""

    size: list[int]
    """[height, width]."""
    counts: bytes


def decode_mask(rle: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """(H, W) bool mask of a COCO dictionary whose counts are bytes, text or a list of run lengths.

    Raises:
        InvalidParameterError: the runs do not fill the mask exactly, or are not run lengths at all.
    """
    height, width = (int(side) for side in rle["size"])
    return paint_runs(read_counts(rle["counts"]), (height, width))


def count_runs(mask: npt.NDArray[Any]) -> Counts:
    """Lengths of the runs of equal pixels, down the columns, starting with zeros (perhaps none); mask is (H, W)."""
    columns = _transposed(mask if mask.dtype == np.bool_ else mask != 0)
    changes = np.flatnonzero(columns[1:] != columns[:-1]) + 1
    starts_inside = columns.size > 0 and bool(columns[0])
    edges = np.concatenate(([0, 0] if starts_inside else [0], changes, [columns.size]))
    return np.diff(edges).astype(np.int64, copy=False)


def count_runs_of_part(columns: npt.NDArray[np.bool_], at: tuple[int, int], size: tuple[int, int]) -> Counts:
    """The same of a mask of `size` (height, width) that is empty but for one part; work grows with the part alone.

    Args:
        columns: (w, h) the part, column by column.
        at: (top, left) of the part.
        size: Of the mask.
    """
    width, height = columns.shape
    # One empty pixel before the part and one below each of its columns: every run starts and ends inside.
    edges = np.zeros(1 + width * (height + 1), np.bool_)
    edges[1:].reshape(width, height + 1)[:, :height] = columns
    places = np.flatnonzero(edges[1:] != edges[:-1])
    places += places // (height + 1) * (size[0] - height - 1) + at[1] * size[0] + at[0]
    # A run that goes on at the top of the next column ends and starts at one place.
    meets = places[1:] == places[:-1]
    if meets.any():
        places = places[~(np.append(meets, False) | np.append(False, meets))]
    end = size[0] * size[1]
    ends = [] if places.size and places[-1] == end else [end]
    return np.asarray(np.diff(np.concatenate(([0], places, ends))), np.int64)


def paint_runs(counts: Counts, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """(H, W) bool mask of run lengths as `count_runs` gives them.

    Raises:
        InvalidParameterError: the runs do not fill the mask exactly.
    """
    height, width = size
    total = int(counts.sum())
    if total != height * width or (counts < 0).any():
        raise InvalidParameterError(
            f"run lengths do not fill a mask of {height} x {width} pixels.",
            needs=f"run lengths of 0 or more that sum to {height * width}",
            found=f"a sum of {total}, least {int(counts.min()) if counts.size else 0}",
            fix="check that 'size' is [height, width] of the mask the counts were made from",
        )
    inside = np.arange(counts.size) % 2 == 1
    columns = np.repeat(inside, counts).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def read_counts(counts: bytes | str | Sequence[int]) -> Counts:
    """Run lengths of compressed counts (bytes or text) or of a plain list.

    Raises:
        InvalidParameterError: a compressed text ends within a number or holds a character outside the code.
    """
    if isinstance(counts, (bytes, str)):
        return decompress_counts(counts.encode("ascii", "replace") if isinstance(counts, str) else counts)
    return np.asarray(counts, dtype=np.int64).reshape(-1)


def compress_counts(counts: Counts) -> bytes:
    """The compressed form of run lengths."""
    return compress_all([counts])[0]


def compress_all(masks: Sequence[Counts]) -> list[bytes]:
    """The compressed forms of the run lengths of several masks, made together."""
    counts = np.concatenate([np.zeros(0, np.int64), *masks]).astype(np.int64, copy=False)
    lengths = np.array([mask.size for mask in masks], np.int64)
    stops = np.cumsum(lengths)
    place = np.arange(counts.size) - np.repeat(stops - lengths, lengths)
    rest = counts.copy()
    rest[2:] -= np.where(place[2:] >= 3, counts[:-2], 0)
    characters = np.zeros((rest.size, _GROUPS_OF_INT64), dtype=np.uint8)
    used = np.zeros(characters.shape, dtype=bool)
    more = np.ones(rest.size, dtype=bool)
    for group_number in range(_GROUPS_OF_INT64):
        if not more.any():
            break
        used[:, group_number] = more
        group = rest & 31
        rest >>= _GROUP_BITS
        more = more & np.where(group & 16, rest != -1, rest != 0)
        characters[:, group_number] = group + 32 * more + _FIRST_CHARACTER
    text = characters[used].tobytes()
    ends = np.concatenate(([0], np.cumsum(used.sum(axis=1))))[np.concatenate(([0], stops)).astype(np.int64)].tolist()
    return [text[start:stop] for start, stop in pairwise(ends)]


def decompress_counts(text: bytes) -> Counts:
    """Run lengths of the compressed form.

    Raises:
        InvalidParameterError: the text ends within a number or holds a character outside the code.
    """
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - _FIRST_CHARACTER
    if not codes.size:
        return np.zeros(0, dtype=np.int64)
    last = codes & 32 == 0
    starts = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1))
    lengths = np.diff(np.append(starts, codes.size))
    if (codes < 0).any() or (codes > 63).any() or not last[-1] or int(lengths.max()) >= _GROUPS_OF_INT64:
        raise InvalidParameterError(
            "compressed run lengths cannot be read.",
            needs="COCO counts: characters from '0' to 'o', every number complete",
            found=repr(text if len(text) <= 40 else text[:40] + b"..."),
            fix="pass 'counts' as pycocotools wrote it, or a list of run lengths",
        )
    shifts = _GROUP_BITS * (np.arange(codes.size) - np.repeat(starts, lengths))
    differences = np.add.reduceat((codes & 31) << shifts, starts)
    negative = codes[starts + lengths - 1] & 16 != 0
    differences[negative] -= np.int64(1) << (_GROUP_BITS * lengths[negative])
    differences[1::2] = np.cumsum(differences[1::2])
    differences[2::2] = np.cumsum(differences[2::2])
    return differences


def _transposed(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pixels down the columns, flat. OpenCV turns a large mask several times faster than NumPy copies it."""
    if not mask.size:
        return mask.reshape(-1)
    import cv2  # noqa: PLC0415

    turned: npt.NDArray[np.uint8] = cv2.transpose(np.ascontiguousarray(mask).view(np.uint8))
    return turned.reshape(-1).view(np.bool_)
