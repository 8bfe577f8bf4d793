"""YOLO11: the tasks of YOLOv8.

Source: ultralytics/ultralytics, project and weights AGPL-3.0 (no code of it is here); no paper.
Export: the output layouts of YOLOv8.
"""

from __future__ import annotations

from inference_models.families import Family
from inference_models.families.yolov8 import TASKS

FAMILY = Family(architecture="yolov11", tasks=TASKS)
