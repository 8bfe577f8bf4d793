"""YOLOv9: object detection, instance segmentation.

Source: WongKinYiu/yolov9, project and weights GPL-3.0, exported through ultralytics 8.x (AGPL-3.0); no code of
either is here. Paper: arXiv 2402.13616.
Export: the output layouts of YOLOv8.
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.yolov8 import DETECTION, INSTANCES

FAMILY = Family(architecture="yolov9", tasks={"instance-segmentation": INSTANCES, "object-detection": DETECTION})
