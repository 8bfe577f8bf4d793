"""RT-DETR as Ultralytics trains and exports it: object detection.

Source: ultralytics 8.x, licence AGPL-3.0 (no code of it is here). Paper: arXiv 2304.08069.
Export: one output with rows of cx cy w h as parts of the input, and behind them the scores of all classes
(B, 300, 4 + C), or from 8.4 score and number of the best one (B, 300, 6); metadata has `head: RTDETRDecoder`.
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.rt_detr import DETECTION
from inference_models.record import replace

GRAPH = replace(DETECTION, preprocess=replace(DETECTION.preprocess, antialias=False))
"""Its loader stretches without smoothing."""

FAMILY = Family(architecture="rt-detr-ultralytics", tasks={"object-detection": GRAPH})
