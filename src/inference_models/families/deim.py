"""DEIM and DEIMv2: object detection.

Source: ShihuaHuang95/DEIM and Intellindust-AI-Lab/DEIMv2, Apache-2.0. Papers: arXiv 2412.04234 and 2509.20787.
Export: transformers 5.24 models: the outputs and the pre-processing of RT-DETR. A package of a variant that was trained
with mean and deviation states them in its configuration.
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.rt_detr import DETECTION

FAMILY = Family(architecture="deim", tasks={"object-detection": DETECTION})
