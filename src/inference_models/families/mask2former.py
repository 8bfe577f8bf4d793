"""Mask2Former: instance, panoptic and semantic segmentation.

Source: facebookresearch/Mask2Former, MIT (weights by their own licence), and transformers
(`Mask2FormerForUniversalSegmentation`), Apache-2.0. Paper: arXiv 2112.01527.
Export: `torch.onnx.export` of the transformers 5.24 module: `class_queries_logits` (B, Q, C + 1), whose last class
stands for nothing, and `masks_queries_logits` (B, Q, h, w), which are brought to 384 x 384 before anything else.
Input of a bare file: that of `Mask2FormerImageProcessor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.decoders.segments import QueryMaps
from inference_models.families import Family, SegmentsGraph, SemanticGraph
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.families import Graph

PREPROCESS = PreprocessSpec(
    size=(800, 1333),
    resize=ResizeMode.SHORTER_EDGE_ROUNDED_UP,
    antialias=True,
    dynamic=DynamicSize(32),
    scaling_factor=255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def tasks_of(
    queries: QueryMaps, preprocess: PreprocessSpec = PREPROCESS, confidence: float = 0.5
) -> Mapping[str, Graph]:
    """What networks whose queries are read so can do."""
    instances = SegmentsGraph(queries=queries, preprocess=preprocess, confidence=confidence)
    return {
        "instance-segmentation": instances,
        "panoptic-segmentation": SegmentsGraph(
            queries=queries, preprocess=preprocess, confidence=confidence, panoptic=True
        ),
        "semantic-segmentation": SemanticGraph(queries=queries, preprocess=preprocess, scores=True),
    }


QUERIES = QueryMaps(needs="class_queries_logits and masks_queries_logits", canvas=(384, 384))

FAMILY = Family(architecture="mask2former", tasks=tasks_of(QUERIES))
