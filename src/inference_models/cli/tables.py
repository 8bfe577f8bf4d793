"""Predictions as tables a person reads, or as lines where a table does not fit."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from rich.table import Table

from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.container import Prediction
from inference_models.predictions.detections import Detections
from inference_models.record import Record
from inference_models.text import plain

if TYPE_CHECKING:
    from rich.console import Console

TOP = 5
NARROWEST = 64
"""Columns of the terminal below which a table would be cut."""


class Listing(Record, frozen=True):
    """A table of a prediction: a header and rows of text, the first column being a name."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def print_prediction(console: Console, title: str, prediction: Prediction) -> None:
    """Print `prediction` under `title`."""
    listing = list_prediction(prediction)
    if listing is None:
        console.print(plain(f"{title}: {prediction!r}"), soft_wrap=True)
    elif not listing.rows:
        console.print(plain(f"{title}: nothing found"), soft_wrap=True)
    elif console.width < NARROWEST:
        for row in listing.rows:
            console.print(plain(f"{title}: {' '.join(row)}"), soft_wrap=True)
    else:
        console.print(plain(title), soft_wrap=True)
        console.print(_table(listing))


@singledispatch
def list_prediction(_: Prediction) -> Listing | None:
    """The rows of a prediction; None for kinds that are told in one line."""
    return None


@list_prediction.register
def _(prediction: Detections) -> Listing:
    rows = [
        (
            str(item.get("class_name", item["class_id"])),
            f"{item['confidence']:.3f}",
            *(f"{side:.1f}" for side in item["xyxy"]),
        )
        for item in prediction.to_dict()["detections"]
    ]
    return Listing(("class", "confidence", "x1", "y1", "x2", "y2"), rows)


@list_prediction.register
def _(prediction: ClassificationPrediction) -> Listing:
    return Listing(("class", "confidence"), [(name, f"{score:.3f}") for name, score in prediction.top(TOP)[0]])


@list_prediction.register
def _(prediction: MultiLabelClassificationPrediction) -> Listing:
    return Listing(("class", "confidence"), [(name, f"{score:.3f}") for name, score in prediction.labels()])


def _table(listing: Listing) -> Table:
    table = Table()
    table.add_column(listing.header[0], no_wrap=True)
    for header in listing.header[1:]:
        table.add_column(header, justify="right", no_wrap=True)
    for name, *numbers in listing.rows:
        table.add_row(plain(name), *numbers)
    return table
