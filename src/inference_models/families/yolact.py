"""YOLACT: instance segmentation.

Source: dbolya/yolact, project and weights MIT. Paper: arXiv 1904.02689.
Export: the raw head of the training platform, for one image at a time: offsets, class scores with the background
first, mask coefficients, priors, prototypes (1, h, w, 32). The project resizes the scores of pixels of masks.
"""

from __future__ import annotations

from inference_models.decoders import yolact
from inference_models.families import Family, InstanceGraph
from inference_models.families.yolov8 import LETTERBOX

FAMILY = Family(
    architecture="yolact",
    tasks={
        "instance-segmentation": InstanceGraph(
            decoder=yolact.YOLACT, preprocess=LETTERBOX, smooth=True, with_pixels=False
        )
    },
)
