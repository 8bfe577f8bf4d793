"""EoMT, of DINOv2 and DINOv3: instance, panoptic and semantic segmentation.

Source: tue-mps/eomt, MIT, and transformers (`EomtForUniversalSegmentation`), Apache-2.0; weights by their own licence.
Paper: arXiv 2503.19108.
Export: transformers 5.24: the outputs of Mask2Former; maps are brought to the size of the input, and lose its padding.
Input of a bare file: that of `EomtImageProcessor` with padding at the end.
"""

from __future__ import annotations

from inference_models.decoders.segments import QueryMaps
from inference_models.families import Family
from inference_models.families.mask2former import PREPROCESS, QUERIES, tasks_of
from inference_models.package.preprocess_spec import ResizeMode
from inference_models.record import replace

PADDED = replace(PREPROCESS, size=(640, 640), resize=ResizeMode.SHORTER_EDGE_PADDED, dynamic=None)

FAMILY = Family(
    architecture="eomt",
    tasks=tasks_of(
        QueryMaps(needs=QUERIES.needs, canvas="input", of_pixels=True, trimmed=True), PADDED, confidence=0.8
    ),
)
