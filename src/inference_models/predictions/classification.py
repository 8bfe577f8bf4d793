"""Which class an image shows: one for each image of a batch, or several for one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.predictions.container import Prediction
from inference_models.predictions.labels import name_or_number, short_list
from inference_models.predictions.plain import array_from_plain, array_to_plain
from inference_models.predictions.rows import LISTED_IN_REPR, rows_from_plain, rows_to_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from inference_models.arrays import Array
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain

_COLUMNS = ("class_id", "class_name", "confidence")
"""Of a row in JSON."""


@dataclass(eq=False, repr=False)
class ClassificationPrediction(Prediction):
    """The best class of every image of a batch, and the scores of all classes.

    As a dictionary and in JSON:
    ```
    {"type": "ClassificationPrediction", "schema_version": 1,
     "images": [{"class_id": 0, "class_name": "cat", "confidence": [0.93, 0.07]}],
     "class_names": ["cat", "dog"] or null, "images_metadata": [{...}] or null,
     "classes": 2, "dtypes": {"class_id": "int64", "confidence": "float32"}}
    ```
    `confidence` has one score per class; `class_name` is left out where nobody knows it.
    """

    class_id: Array
    """(B,) int64, the class with the highest score."""
    confidence: Array
    """(B, C) float32, the score of every class."""
    images_metadata: list[dict[str, Any]] | None = None
    """Facts about each image."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

    KEYS: ClassVar[tuple[str, ...]] = ("images", "class_names", "images_metadata", "classes", "dtypes")
    ARRAYS: ClassVar[tuple[str, ...]] = ("class_id", "confidence")

    def __len__(self) -> int:
        return len(self.class_id)

    def top(self, k: int = 5) -> list[list[tuple[str, float]]]:
        """Per image the `k` best (name, score) pairs, best first; `class 7` where no name is known."""
        rows = to_numpy(self.confidence)
        best = np.argsort(-rows, axis=-1, kind="stable")[:, :k]  # equal scores in the order of the classes
        return [
            [(name_or_number(int(number), self.class_names), float(row[number])) for number in numbers]
            for row, numbers in zip(rows, best, strict=True)
        ]

    def compare(self, other: Self, found: Comparison) -> None:
        """Add how far the scores of `other` are from these, and how many images have another best class."""
        if not found.same_shape(self.confidence, other.confidence):
            return
        found.count_not_finite(self.confidence, other.confidence)
        same = self.class_id == other.class_id
        found.count("classified", len(self.class_id))
        found.count("top1_flips", int((~same).sum()))
        found.widen("max_score", self.confidence.astype(np.float64) - other.confidence)
        sure = np.maximum(self.confidence.max(axis=-1), other.confidence.max(axis=-1)) > found.least_score
        found.count("labels_same", int((sure & same).sum()))
        found.count("labels_different", int((sure & ~same).sum()))

    def __repr__(self) -> str:
        pairs = zip(to_numpy(self.class_id), to_numpy(self.confidence), strict=False)
        listed = [
            f"{name_or_number(int(class_id), self.class_names)} {float(scores[class_id]):.2f}"
            for class_id, scores in list(pairs)[:LISTED_IN_REPR]
        ]
        return f"ClassificationPrediction({len(self)}{short_list(listed, total=len(self))})"

    def to_line(self, *, top: int = 5) -> dict[str, Plain]:
        """The `top` best classes of each image, best first, in the place of the scores of all."""
        rows = to_numpy(self.confidence)
        best = np.argsort(-rows, axis=-1, kind="stable")[:, : max(0, top)]
        scored = [
            ClassificationPrediction(ids, row[ids], None, self.class_names) for ids, row in zip(best, rows, strict=True)
        ]
        line = {key: value for key, value in super().to_line().items() if key != "images"}
        return {**line, "top": [rows_to_plain(image, _COLUMNS) for image in scored]}

    def _to_plain(self) -> dict[str, Plain]:
        rows = rows_to_plain(self, _COLUMNS)
        return {"images": rows, "classes": int(self.confidence.shape[-1])}

    @classmethod
    def _from_plain(cls, data: dict[str, Plain]) -> dict[str, Any]:
        shapes = {"class_id": (0,), "confidence": (0, data["classes"])}
        return rows_from_plain(data["images"], data["dtypes"], shapes)


@dataclass(eq=False, repr=False)
class MultiLabelClassificationPrediction(Prediction):
    """The classes of one image that passed their threshold, and the scores of all classes.

    As a dictionary and in JSON:
    ```
    {"type": "MultiLabelClassificationPrediction", "schema_version": 1,
     "labels": [{"class_id": 0, "class_name": "sky", "confidence": 0.93}],
     "confidence": [0.93, 0.07], "class_names": ["sky", "sea"] or null, "image_metadata": {...} or null,
     "dtypes": {"class_ids": "int64", "confidence": "float32"}}
    ```
    `labels` are the classes that passed, in their order; the outer `confidence` has one score per class.
    """

    class_ids: Array
    """(k,) int64, the classes that passed."""
    confidence: Array
    """(C,) float32, the score of every class."""
    image_metadata: dict[str, Any] | None = None
    """Facts about the image."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

    KEYS: ClassVar[tuple[str, ...]] = ("labels", "confidence", "class_names", "image_metadata", "dtypes")
    ARRAYS: ClassVar[tuple[str, ...]] = ("class_ids", "confidence")

    def labels(self) -> list[tuple[str, float]]:
        """(name, score) of the classes that passed, best first; `class 7` where no name is known."""
        scores = to_numpy(self.confidence)
        pairs = [(int(class_id), float(scores[class_id])) for class_id in to_numpy(self.class_ids)]
        pairs.sort(key=lambda pair: -pair[1])
        return [(name_or_number(class_id, self.class_names), score) for class_id, score in pairs]

    def compare(self, other: Self, found: Comparison) -> None:
        """Add how far the scores of `other` are from these, and how many labels only one of the two has."""
        if not found.same_shape(self.confidence, other.confidence):
            return
        found.count_not_finite(self.confidence, other.confidence)
        found.count("classified", 1)
        found.count("label_flips", len(set(self.class_ids.tolist()) ^ set(other.class_ids.tolist())))
        found.widen("max_score", self.confidence.astype(np.float64) - other.confidence)
        first, second = self.confidence > found.least_score, other.confidence > found.least_score
        found.count("labels_same", int((first & second).sum()))
        found.count("labels_different", int((first ^ second).sum()))

    def __repr__(self) -> str:
        labels = self.labels()
        listed = [f"{name} {score:.2f}" for name, score in labels[:LISTED_IN_REPR]]
        return f"MultiLabelClassificationPrediction({len(labels)}{short_list(listed, total=len(labels))})"

    def to_line(self, *, top: int = 5) -> dict[str, Plain]:
        """The labels that passed, without the scores of all classes."""
        return {key: value for key, value in super().to_line(top=top).items() if key != "confidence"}

    def _to_plain(self) -> dict[str, Plain]:
        passed = ClassificationPrediction(self.class_ids, self.confidence[self.class_ids], None, self.class_names)
        return {"labels": rows_to_plain(passed, _COLUMNS), "confidence": array_to_plain(self.confidence)}

    @classmethod
    def _from_plain(cls, data: dict[str, Plain]) -> dict[str, Any]:
        ids = [label["class_id"] for label in data["labels"]]
        values = {"class_ids": ids, "confidence": data["confidence"]}
        return {name: array_from_plain(values[name], data["dtypes"][name]) for name in cls.ARRAYS}
