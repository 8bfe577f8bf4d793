"""Predictions as tables a person reads."""

from __future__ import annotations

from functools import singledispatch

from rich.table import Table
from rich.text import Text

from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.container import Prediction
from inference_models.predictions.detections import Detections

TOP = 5


def prediction_table(title: str, prediction: Prediction) -> Table | Text:
    """`prediction` as a table under `title`, or one line where there is nothing to list."""
    return _table(prediction, title)


@singledispatch
def _table(prediction: Prediction, title: str) -> Table | Text:
    return Text(f"{title}: {prediction!r}")


@_table.register
def _(prediction: Detections, title: str) -> Table | Text:
    if len(prediction) == 0:
        return Text(f"{title}: nothing found")
    table = _new(title, "class", "confidence", "x1", "y1", "x2", "y2")
    plain = prediction.to_dict()["detections"]
    for item in plain:
        name = str(item.get("class_name", item["class_id"]))
        table.add_row(name, f"{item['confidence']:.3f}", *(f"{side:.1f}" for side in item["xyxy"]))
    return table


@_table.register
def _(prediction: ClassificationPrediction, title: str) -> Table | Text:
    table = _new(title, "class", "confidence")
    for name, score in prediction.top(TOP)[0]:
        table.add_row(name, f"{score:.3f}")
    return table


@_table.register
def _(prediction: MultiLabelClassificationPrediction, title: str) -> Table | Text:
    labels = prediction.labels()
    if not labels:
        return Text(f"{title}: nothing found")
    table = _new(title, "class", "confidence")
    for name, score in labels:
        table.add_row(name, f"{score:.3f}")
    return table


def _new(title: str, name: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(name, no_wrap=True)
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table
