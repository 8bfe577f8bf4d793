"""Panoptic segmentation: every pixel belongs to one thing, or to something that cannot be counted, or to nothing.

The answers are those of instance segmentation, whose masks do not overlap here.
"""

from __future__ import annotations

from inference_models.families import SegmentsGraph
from inference_models.predictions.instances import InstanceDetections
from inference_models.tasks import Task
from inference_models.tasks.graph_segments import SegmentFinder
from inference_models.tasks.instance_models import InstanceSegmentationModel

TASK = Task(
    name="panoptic-segmentation",
    model=InstanceSegmentationModel,
    predictions={InstanceDetections: "objects"},
    graph=SegmentsGraph,
    bind=SegmentFinder,
)
