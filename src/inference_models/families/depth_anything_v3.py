"""Depth Anything V3: relative depth of one picture.

Source: ByteDance-Seed/Depth-Anything-3, project Apache-2.0; weights of the small, base and mono models Apache-2.0, of
the others CC-BY-NC-4.0. Paper: arXiv 2511.10647.
Export: `torch.onnx.export` of the network for one picture at a time: depth (B, 1, H, W) or (B, H, W) first, sides
multiples of 14. Larger is farther; inference-models 0.39.6 turns it round (smallest + largest - depth), which depends
on the rest of the batch.
Input of a bare file: that of its processor, of a picture stretched to the size of the export.
"""

from __future__ import annotations

from inference_models.families import DepthGraph, Family
from inference_models.package.preprocess_spec import DynamicSize, PreprocessSpec

FAMILY = Family(
    architecture="depth-anything-v3",
    tasks={
        "depth-estimation": DepthGraph(
            unit="relative depth",
            resize="linear",
            preprocess=PreprocessSpec(
                size=(504, 504),
                interpolation="area",
                scaling_factor=255,
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
                dynamic=DynamicSize(multiple=14),
            ),
        )
    },
)
