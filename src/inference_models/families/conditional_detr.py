"""Conditional DETR, DAB-DETR, Deformable DETR and LW-DETR: object detection.

Source: transformers (`*ForObjectDetection`), Apache-2.0; Atten4Vis/ConditionalDETR and LW-DETR, IDEA-Research/DAB-DETR
and fundamentalvision/Deformable-DETR, projects and weights Apache-2.0. Papers: arXiv 2108.06152, 2201.12329, 2010.04159
and 2406.03459.
Export: transformers 5.24 models: inputs and outputs of DETR, but for `logits` (B, Q, C), which are before a sigmoid and
have no class that stands for nothing. `post_process_object_detection` keeps the 100 best scores.
"""

from __future__ import annotations

from inference_models.decoders.queries import QUERIES
from inference_models.families import Family
from inference_models.families.detr import DETECTION
from inference_models.record import replace

GRAPH = replace(DETECTION, decoder=QUERIES, max_detections=100)

FAMILY = Family(architecture="conditional-detr", tasks={"object-detection": GRAPH})
