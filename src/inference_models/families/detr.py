"""DETR and Table Transformer: object detection.

Source: facebookresearch/detr, project and weights Apache-2.0. Paper: arXiv 2005.12872.
Export: transformers 5.24 models: `logits` (B, Q, C + 1) before the softmax, whose last class stands for no object,
`pred_boxes` (B, Q, 4) cx cy w h as parts of the input, and further outputs behind them, which are not read. Behind the
pictures there may be an input `pixel_mask`, which is filled with ones: pictures are never padded to run together.
"""

from __future__ import annotations

from inference_models.decoders.queries import ONE_CLASS
from inference_models.families import DetectionGraph, Family
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec, ResizeMode

DETECTION = DetectionGraph(
    decoder=ONE_CLASS,
    preprocess=PreprocessSpec(
        size=(800, 1333),
        resize=ResizeMode.SHORTER_EDGE,
        antialias=True,
        dynamic=DynamicSize(),
        scaling_factor=255,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    instead_of_fit_longer_edge=ResizeMode.STRETCH,
    extra_columns=True,
)
"""As `DetrImageProcessor` prepares pictures; a graph of one size is fed pictures stretched to it."""

FAMILY = Family(architecture="detr", tasks={"object-detection": DETECTION})
