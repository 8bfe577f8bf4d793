"""MaskFormer: instance, panoptic and semantic segmentation.

Source: facebookresearch/MaskFormer, CC-BY-NC-4.0 (no code of it is here; weights by their own licence), and
transformers (`MaskFormerForInstanceSegmentation`), Apache-2.0. Paper: arXiv 2107.06278.
Export: transformers 5.24: the outputs and the input of Mask2Former, whose maps are read as they are.
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.mask2former import QUERIES, tasks_of
from inference_models.record import replace

FAMILY = Family(architecture="maskformer", tasks=tasks_of(replace(QUERIES, canvas=None)))
