"""Text regions: a map of how likely each pixel is to lie inside a text that was made smaller (DBNet).

Layout of the exports of PaddleOCR: the first output, (B, 1, H, W) scores over the network input, sigmoid inside.

1. Outlines of what is above `PIXEL_SCORE`, at most `MOST_OUTLINES` of them.
2. The rectangle around each, turned as the text is; at least `LEAST_SIDE` pixels wide.
3. Its score, the mean of the map inside it, is that of the region, and at least the threshold.
4. The rectangle grows on every side by area x `GROWTH` / perimeter: what the network was taught to leave out.
5. The best score first. Regions do not overlap, so nothing is suppressed.

Checked against rapidocr 3.10.0 without dilation, whose offset has whole pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference_models.arrays import namespace, to_numpy
from inference_models.decoders.candidates import as_float32
from inference_models.decoders.layout import Layout, known, unexpected_outputs
from inference_models.decoders.types import BoxDecoder, Boxes

if TYPE_CHECKING:
    from inference_models.arrays import Array, NumpyArray
    from inference_models.decoders.types import BoxLimits, Frame, Outputs, Shapes

PIXEL_SCORE = 0.3
MOST_OUTLINES = 1000
LEAST_SIDE = 3
"""Pixels of a region before it grows; two more after."""
GROWTH = 1.5

_LAYOUT = Layout("one output (B, 1, H, W)", ((None, 1, None, None),))


def _decode(outputs: Outputs, frame: Frame, limits: BoxLimits) -> list[Boxes]:
    (maps,) = _LAYOUT.select(outputs)
    _check([tuple(maps.shape)], frame)
    return [_as_boxes(_regions(_on_host(image), _threshold(limits)), limits, like=maps) for image in maps]


def _on_host(image: Array) -> NumpyArray:
    return np.ascontiguousarray(to_numpy(image)[0], np.float32)


def _threshold(limits: BoxLimits) -> float:
    return float(np.ravel(to_numpy(limits.confidence))[0])


def _regions(scores: NumpyArray, threshold: float) -> list[tuple[float, NumpyArray]]:
    """Score and (4, 2) corners of each region of (H, W) `scores`."""
    import cv2  # noqa: PLC0415

    text = (scores > PIXEL_SCORE).astype(np.uint8)
    outlines, _ = cv2.findContours(text, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines[:MOST_OUTLINES]:
        centre, (width, height), angle = cv2.minAreaRect(outline)
        if min(width, height) < LEAST_SIDE:
            continue
        score = _mean_inside(scores, cv2.boxPoints((centre, (width, height), angle)))
        more = width * height * GROWTH / (width + height)  # on both sides
        if score >= threshold and min(width, height) + more >= LEAST_SIDE + 2:
            found.append((score, _from_top_left(cv2.boxPoints((centre, (width + more, height + more), angle)))))
    return found


def _mean_inside(scores: NumpyArray, corners: NumpyArray) -> float:
    """The mean of (H, W) `scores` inside a polygon (4, 2), whose corners are cut to whole pixels."""
    import cv2  # noqa: PLC0415

    limit = np.array(scores.shape[::-1]) - 1
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, limit).astype(np.int64)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, limit).astype(np.int64)
    inside = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(inside, [(corners - [left, top]).astype(np.int32)], (1,))
    return float(cv2.mean(scores[top : bottom + 1, left : right + 1], inside)[0])


def _from_top_left(corners: NumpyArray) -> NumpyArray:
    """(4, 2) corners, clockwise from the upper one of the two on the left."""
    across = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = (pair[np.argsort(pair[:, 1], kind="stable")] for pair in (across[:2], across[2:]))
    return np.stack([left[0], right[0], right[1], left[1]])


def _as_boxes(found: list[tuple[float, NumpyArray]], limits: BoxLimits, *, like: Array) -> Boxes:
    scores = np.array([score for score, _ in found], np.float32)
    corners = np.array([region for _, region in found], np.float32).reshape(-1, 4, 2)
    order = np.argsort(-scores, kind="stable")
    xyxy = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    if limits.shows is not None:
        order = order[to_numpy(limits.shows(xyxy))[order]]
    order = order[: max(0, limits.max_detections)]
    xp, score = namespace(like), as_float32(scores[order], like=like)
    return Boxes(
        xyxy=as_float32(xyxy[order], like=like),
        confidence=score,
        class_id=xp.zeros_like(score, dtype=xp.int32),
        anchor=xp.astype(as_float32(order, like=like), xp.int64),
        polygons=as_float32(corners[order], like=like),
    )


def _check(shapes: Shapes, frame: Frame | None) -> None:
    _LAYOUT.check(shapes)
    if known(shapes) and frame is not None and tuple(shapes[0][2:]) != frame and None not in shapes[0][2:]:
        raise unexpected_outputs(f"one output (B, 1, {frame[0]}, {frame[1]}), as large as the input", shapes)


def _count_classes(_shapes: Shapes) -> int:
    return 1


TEXT_REGIONS = BoxDecoder(_decode, _count_classes, check=_check)
"""PP-OCR and others of the kind."""
