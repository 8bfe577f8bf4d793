"""YOLOv7: instance segmentation.

Source: WongKinYiu/yolov7, branch `u7`, project and weights GPL-3.0 (no code of it is here). Paper: arXiv 2207.02696.
Export: `export.py` of that branch: the rows of YOLOv5, three raw heads that are not read, prototypes (B, 32, h, w).
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.yolov5 import INSTANCES

FAMILY = Family(architecture="yolov7", tasks={"instance-segmentation": INSTANCES})
