"""D-FINE: object detection.

Source: Peterande/D-FINE, project and weights Apache-2.0. Paper: arXiv 2410.13842.
Export: transformers 5.24 models: the outputs and the pre-processing of RT-DETR.
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.rt_detr import DETECTION

FAMILY = Family(architecture="d-fine", tasks={"object-detection": DETECTION})
