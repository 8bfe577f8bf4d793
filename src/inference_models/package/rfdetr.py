"""Reads the task of a bare RF-DETR export from the names of its outputs; the exporter leaves no metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.package.ultralytics import GraphHints

if TYPE_CHECKING:
    from inference_models.package.graph_facts import GraphFacts

_TASKS = {
    frozenset({"dets", "labels"}): "object-detection",
    frozenset({"dets", "labels", "keypoints"}): "keypoint-detection",
    frozenset({"dets", "labels", "masks"}): "instance-segmentation",
}


def read_rfdetr(model: GraphFacts) -> GraphHints | None:
    """What the outputs of `model` say; None where they are not those of rfdetr 1.11."""
    task = _TASKS.get(frozenset(spec.name for spec in model.outputs))
    return None if task is None else GraphHints(architecture="rfdetr", task_type=task)
