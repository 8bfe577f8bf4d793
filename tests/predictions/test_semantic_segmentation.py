from __future__ import annotations

import numpy as np

from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult


def test_areas_count_pixels_largest_first_and_the_repr_says_what_fills_the_picture() -> None:
    ids = np.zeros((4, 5), np.int64)
    ids[:, 2:] = 2
    ids[3, 4] = 9
    regions = SemanticSegmentationResult(ids, np.full((4, 5), 0.93, np.float32), None, ["road", "sky", "car"])
    assert regions.areas() == regions.torch().areas() == [(2, 11), (0, 8), (9, 1)]
    assert repr(regions) == "SemanticSegmentationResult(4x5: car 55%, road 40%, class 9 5%)"
