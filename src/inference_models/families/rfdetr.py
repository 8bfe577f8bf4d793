"""RF-DETR: object detection, instance segmentation, key points, semantic segmentation.

Source: roboflow/rf-detr, project and weights of the sizes up to large Apache-2.0. Paper: arXiv 2511.09554.
Export: `model.export()` of rfdetr 1.11: `dets` (B, Q, 4) cx cy w h as parts of the input, `labels` (B, Q, C) logits,
and `masks` (B, Q, h, w) logits over the whole input; transformers 5.24 (`RfDetrFor*`) gives the same as `logits`,
`pred_boxes` and `pred_masks`. The file names nothing; a class may have no name: C is one more
than the classes, and 91 for COCO. Key points: `keypoints` (B, Q, C K, 8) for the first C columns. Semantic: packages
of the training platform, (B, C, h, w) logits of every class or of all but `background`, each with a sigmoid of its own.
Weights: `.pth` files of rfdetr 1.11, of every size, and packages of `weights.pth` and `model_type.json`.
"""

from __future__ import annotations

from typing import Any

from inference_models.decoders import queries
from inference_models.decoders.query_points import QUERY_POINTS
from inference_models.families import DetectionGraph, Family, InstanceGraph, KeyPointGraph, SemanticGraph
from inference_models.package.key_point_names import COCO_PERSON
from inference_models.package.preprocess_spec import PreprocessSpec, ResizeMode

PREPROCESS = PreprocessSpec(
    size=None, as_float=True, scaling_factor=255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
"""`predict` of rfdetr 1.11 stretches tensors without smoothing."""

VARIANT = frozenset({"dec_layers", "num_queries", "num_select", "num_windows", "patch_size", "resolution"})
"""Features of networks that were searched for; the graph has them inside."""

_INPUT: dict[str, Any] = {
    "preprocess": PREPROCESS,
    "instead_of_fit_longer_edge": ResizeMode.STRETCH,
    "stretches": True,
    "features": VARIANT,
    "module": "inference_models.networks.rfdetr:build",
}
_RECIPE: dict[str, Any] = {**_INPUT, "extra_columns": True}

FAMILY = Family(
    architecture="rfdetr",
    tasks={
        "instance-segmentation": InstanceGraph(
            decoder=queries.QUERIES_WITH_MASKS, in_boxes=False, with_pixels=False, **_RECIPE
        ),
        "keypoint-detection": KeyPointGraph(
            decoder=QUERY_POINTS,
            key_points=COCO_PERSON,
            key_points_threshold=0.3,
            clamp=True,
            **{**_RECIPE, "module": None},
        ),
        "object-detection": DetectionGraph(decoder=queries.QUERIES, **_RECIPE),
        "semantic-segmentation": SemanticGraph(confidence=0.4, activation="sigmoid", **_INPUT),
    },
)
