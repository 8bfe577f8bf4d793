"""From the grid that masks were computed on to the pixels of the original image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray
    from inference_models.predictions.masks import MaskSize

Mask = npt.NDArray[np.bool_]


class MaskGrid(NamedTuple):
    """Where masks lie; every size is (height, width)."""

    size: MaskSize
    """Of the grid."""
    frame: MaskSize
    """Of the part of the image, from its top left corner, that the grid covers."""
    image: MaskSize
    """Of the original image."""

    def boxes_on_image(self, xyxy: NumpyArray) -> NumpyArray:
        """(n, 4) boxes in pixels of the original image, clamped to it; untouched where the grid is the image."""
        if self.size == self.frame == self.image:
            return xyxy
        scale = np.array([self.frame[1] / self.size[1], self.frame[0] / self.size[0]] * 2)
        moved: NumpyArray = np.clip(xyxy * scale, 0, np.array([self.image[1], self.image[0]] * 2))
        return moved.astype(np.float32)

    def mask_on_image(self, mask: Mask) -> Mask:
        """A mask of any size that fills the frame, on the pixels of the original image."""
        if mask.shape == self.frame == self.image:
            return mask
        canvas = np.zeros(self.image, dtype=np.bool_)
        height, width = min(self.frame[0], self.image[0]), min(self.frame[1], self.image[1])
        # The pixel of the grid under the centre of each pixel of the image.
        rows = ((np.arange(height) + 0.5) * mask.shape[0] / self.frame[0]).astype(np.int64)
        places = ((np.arange(width) + 0.5) * mask.shape[1] / self.frame[1]).astype(np.int64)
        canvas[:height, :width] = mask[rows[:, None], places]
        return canvas
