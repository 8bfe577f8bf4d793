"""Which class an image shows: one for each image of a batch, or several for one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.predictions.container import Prediction, check_head, head
from inference_models.predictions.labels import known_name, name_or_number, short_list
from inference_models.predictions.plain import (
    array_from_plain,
    array_to_plain,
    dtype_name,
    metadata_from_plain,
    metadata_to_plain,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from inference_models.arrays import Array, NumpyArray
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain

_LISTED_IN_REPR = 3


@dataclass(eq=False, repr=False)
class ClassificationPrediction(Prediction):
    """The best class of every image of a batch, and the scores of all classes."""

    class_id: Array
    """(B,) int64, the class with the highest score."""
    confidence: Array
    """(B, C) float32, the score of every class."""
    images_metadata: list[dict[str, Any]] | None = None
    """Facts about each image."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

    def __len__(self) -> int:
        return len(self.class_id)

    def top(self, k: int = 5) -> list[list[tuple[str, float]]]:
        """Per image the `k` best (name, score) pairs, best first; `class 7` where no name is known."""
        return [best_scores(row, self.class_names, k) for row in to_numpy(self.confidence)]

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
            for class_id, scores in list(pairs)[:_LISTED_IN_REPR]
        ]
        return f"ClassificationPrediction({len(self)}{short_list(listed, total=len(self))})"

    def to_dict(self) -> dict[str, Plain]:
        """The prediction as plain values that JSON can hold.

        ```
        {"type": "ClassificationPrediction", "schema_version": 1,
         "images": [{"class_id": 0, "class_name": "cat", "confidence": [0.93, 0.07]}],
         "class_names": ["cat", "dog"] or null, "images_metadata": [{...}] or null,
         "classes": 2, "dtypes": {"class_id": "int64", "confidence": "float32"}}
        ```
        `confidence` has one score per class; `class_name` is left out where nobody knows it.

        Raises:
            InvalidParameterError: metadata holds a value without a JSON form.
        """
        class_ids, scores = array_to_plain(self.class_id), array_to_plain(self.confidence)
        return {
            **head(type(self)),
            "images": [
                {**_identity(class_id, self.class_names), "confidence": row}
                for class_id, row in zip(class_ids, scores, strict=True)
            ],
            "class_names": None if self.class_names is None else list(self.class_names),
            "images_metadata": metadata_to_plain(self.images_metadata),
            "classes": int(self.confidence.shape[-1]),
            "dtypes": {"class_id": dtype_name(self.class_id), "confidence": dtype_name(self.confidence)},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Plain]) -> Self:
        """The prediction of `to_dict`, with NumPy arrays of the types they had.

        Raises:
            InvalidParameterError: the dictionary was not made by `ClassificationPrediction.to_dict`.
        """
        check_head(cls, data, "images", "class_names", "images_metadata", "classes", "dtypes")
        images, dtypes = data["images"], data["dtypes"]
        return cls(
            class_id=array_from_plain([image["class_id"] for image in images], dtypes["class_id"]),
            confidence=array_from_plain(
                [image["confidence"] for image in images],
                dtypes["confidence"],
                empty=(len(images), data["classes"]),
            ),
            images_metadata=metadata_from_plain(data["images_metadata"]),
            class_names=data["class_names"],
        )


@dataclass(eq=False, repr=False)
class MultiLabelClassificationPrediction(Prediction):
    """The classes of one image that passed their threshold, and the scores of all classes."""

    class_ids: Array
    """(k,) int64, the classes that passed."""
    confidence: Array
    """(C,) float32, the score of every class."""
    image_metadata: dict[str, Any] | None = None
    """Facts about the image."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

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
        listed = [f"{name} {score:.2f}" for name, score in labels[:_LISTED_IN_REPR]]
        return f"MultiLabelClassificationPrediction({len(labels)}{short_list(listed, total=len(labels))})"

    def to_dict(self) -> dict[str, Plain]:
        """The prediction as plain values that JSON can hold.

        ```
        {"type": "MultiLabelClassificationPrediction", "schema_version": 1,
         "labels": [{"class_id": 0, "class_name": "sky", "confidence": 0.93}],
         "confidence": [0.93, 0.07], "class_names": ["sky", "sea"] or null, "image_metadata": {...} or null,
         "dtypes": {"class_ids": "int64", "confidence": "float32"}}
        ```
        `labels` are the classes that passed, in their order; the outer `confidence` has one score per class.

        Raises:
            InvalidParameterError: metadata holds a value without a JSON form.
        """
        scores = array_to_plain(self.confidence)
        return {
            **head(type(self)),
            "labels": [
                {**_identity(class_id, self.class_names), "confidence": scores[class_id]}
                for class_id in array_to_plain(self.class_ids)
            ],
            "confidence": scores,
            "class_names": None if self.class_names is None else list(self.class_names),
            "image_metadata": metadata_to_plain(self.image_metadata),
            "dtypes": {"class_ids": dtype_name(self.class_ids), "confidence": dtype_name(self.confidence)},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Plain]) -> Self:
        """The prediction of `to_dict`, with NumPy arrays of the types they had.

        Raises:
            InvalidParameterError: the dictionary was not made by `MultiLabelClassificationPrediction.to_dict`.
        """
        check_head(cls, data, "labels", "confidence", "class_names", "image_metadata", "dtypes")
        dtypes = data["dtypes"]
        return cls(
            class_ids=array_from_plain([label["class_id"] for label in data["labels"]], dtypes["class_ids"]),
            confidence=array_from_plain(data["confidence"], dtypes["confidence"]),
            image_metadata=metadata_from_plain(data["image_metadata"]),
            class_names=data["class_names"],
        )


def best_scores(scores: NumpyArray, class_names: Sequence[str] | None, k: int) -> list[tuple[str, float]]:
    """The `k` best (name, score) pairs of (C,) scores, best first; equal scores in the order of the classes."""
    best = np.argsort(-scores, kind="stable")[:k]
    return [(name_or_number(int(class_id), class_names), float(scores[class_id])) for class_id in best]


def _identity(class_id: int, class_names: Sequence[str] | None) -> dict[str, Plain]:
    name = known_name(class_id, class_names)
    return {"class_id": class_id} if name is None else {"class_id": class_id, "class_name": name}
