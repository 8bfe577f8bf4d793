"""Masks and boxes of instances, from the grid they were computed on to the pixels of the original image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inference_models.arrays import to_numpy
from inference_models.predictions.instances import InstancesRLEMasks
from inference_models.predictions.rle import decode_mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.arrays import NumpyArray
    from inference_models.predictions.instances import InstanceDetections, MaskSize

Mask = npt.NDArray[np.bool_]


def canvas_of(instances: InstanceDetections) -> MaskSize:
    """(height, width) of the original image; of the mask grid where nobody said; (0, 0) where there is no mask."""
    return instances.image_size or instances.mask_size or (0, 0)


def boxes_on_image(instances: InstanceDetections) -> NumpyArray:
    """(n, 4) boxes in pixels of the original image, clamped to it; untouched where the grid is the image."""
    xyxy, grid = to_numpy(instances.xyxy), instances.mask_size
    image_size = canvas_of(instances)
    frame = instances.mask_frame_size or image_size
    if grid is None or grid == frame == image_size:
        return xyxy
    scale = np.array([frame[1] / grid[1], frame[0] / grid[0]] * 2)
    moved: NumpyArray = np.clip(xyxy * scale, 0, np.array([image_size[1], image_size[0]] * 2))
    return moved.astype(np.float32)


def masks_on_image(instances: InstanceDetections) -> Iterator[Mask]:
    """One (H, W) bool mask after the other, on the pixels of the original image (the nearest pixel of the grid)."""
    image_size = canvas_of(instances)
    frame = instances.mask_frame_size or image_size
    for mask in _masks(instances):
        yield mask if mask.shape == frame == image_size else _on_image(mask, frame, image_size)


def _masks(instances: InstanceDetections) -> Iterator[Mask]:
    if isinstance(instances.mask, InstancesRLEMasks):
        yield from map(decode_mask, instances.mask)
        return
    for mask in instances.mask:
        yield to_numpy(mask).astype(np.bool_, copy=False)


def _on_image(mask: Mask, frame: MaskSize, image_size: MaskSize) -> Mask:
    canvas = np.zeros(image_size, dtype=np.bool_)
    height, width = min(frame[0], image_size[0]), min(frame[1], image_size[1])
    # The pixel of the grid under the centre of each pixel of the image.
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / frame[0]).astype(np.int64)
    places = ((np.arange(width) + 0.5) * mask.shape[1] / frame[1]).astype(np.int64)
    canvas[:height, :width] = mask[rows[:, None], places]
    return canvas
