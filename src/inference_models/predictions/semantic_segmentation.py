"""`SemanticSegmentationResult`: the class of every pixel of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.predictions.container import Prediction, check_head, head
from inference_models.predictions.labels import known_name, name_or_number, short_list
from inference_models.predictions.plain import metadata_from_plain, metadata_to_plain, pack_array, unpack_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from inference_models.arrays import Array, NumpyArray
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain

_LISTED_IN_REPR = 3


@dataclass(eq=False, repr=False)
class SemanticSegmentationResult(Prediction):
    """The class of every pixel of one image, and how sure the model is of it."""

    segmentation_map: Array
    """(H, W) int64 class ids, on the pixels of the original image."""
    confidence: Array
    """(H, W) float32 in 0..1."""
    image_metadata: dict[str, Any] | None = None
    """Facts about the image."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

    def areas(self) -> list[tuple[int, int]]:
        """(class id, number of pixels) of every class that occurs, largest first."""
        ids, pixels = np.unique(to_numpy(self.segmentation_map), return_counts=True)
        pairs = [(int(class_id), int(count)) for class_id, count in zip(ids, pixels, strict=True)]
        return sorted(pairs, key=lambda pair: -pair[1])

    def compare(self, other: Self, found: Comparison) -> None:
        """Add how many pixels of `other` have another class, and how far the scores of the others are from these."""
        if not found.same_shape(self.segmentation_map, other.segmentation_map):
            return
        same = self.segmentation_map == other.segmentation_map
        found.count("pixels", int(same.size))
        found.count("pixel_flips", int(same.size - same.sum()))
        found.count_not_finite(self.confidence, other.confidence)
        if self.confidence is not None and other.confidence is not None:
            found.widen("max_score", (self.confidence.astype(np.float64) - other.confidence)[same])

    def __repr__(self) -> str:
        height, width = self.segmentation_map.shape[-2:]
        areas = self.areas()
        listed = [
            f"{name_or_number(class_id, self.class_names)} {pixels / (height * width):.0%}"
            for class_id, pixels in areas[:_LISTED_IN_REPR]
        ]
        return f"SemanticSegmentationResult({height}x{width}{short_list(listed, total=len(areas))})"

    def to_dict(self) -> dict[str, Plain]:
        """The segmentation as plain values that JSON can hold.

        ```
        {"type": "SemanticSegmentationResult", "schema_version": 1,
         "classes": [{"class_id": 7, "class_name": "road", "pixels": 120000}],
         "segmentation_map": {"size": [480, 640], "dtype": "int64", "class_ids": [7, 0], "runs": [120000, 187200]},
         "confidence": {"dtype": "float32", "shape": [480, 640], "zlib_base64": "..."} or null,
         "class_names": [...] or null, "image_metadata": {...} or null}
        ```
        The map is written row by row: `runs[i]` pixels of `class_ids[i]`. The confidence is raw little-endian numbers,
        row by row, through zlib and base64.

        Raises:
            InvalidParameterError: metadata holds a value without a JSON form.
        """
        return {
            **head(type(self)),
            "classes": [self._describe(class_id, pixels) for class_id, pixels in self.areas()],
            "segmentation_map": _runs_of(to_numpy(self.segmentation_map)),
            "confidence": None if self.confidence is None else pack_array(self.confidence),
            "class_names": None if self.class_names is None else list(self.class_names),
            "image_metadata": metadata_to_plain(self.image_metadata),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Plain]) -> Self:
        """The segmentation of `to_dict`, with NumPy arrays of the types they had.

        Raises:
            InvalidParameterError: the dictionary was not made by `SemanticSegmentationResult.to_dict`.
        """
        check_head(cls, data, "segmentation_map", "confidence", "class_names", "image_metadata")
        runs = data["segmentation_map"]
        pixels = np.repeat(np.array(runs["class_ids"], dtype=runs["dtype"]), np.array(runs["runs"], dtype=np.int64))
        return cls(
            segmentation_map=pixels.reshape(runs["size"]),
            confidence=None if data["confidence"] is None else unpack_array(data["confidence"]),
            image_metadata=metadata_from_plain(data["image_metadata"]),
            class_names=data["class_names"],
        )

    def _describe(self, class_id: int, pixels: int) -> dict[str, Plain]:
        name = known_name(class_id, self.class_names)
        return {"class_id": class_id, **({} if name is None else {"class_name": name}), "pixels": pixels}


def _runs_of(pixels: NumpyArray) -> dict[str, Plain]:
    flat = pixels.reshape(-1)
    starts = np.flatnonzero(np.concatenate((np.ones(min(flat.size, 1), dtype=np.bool_), flat[1:] != flat[:-1])))
    runs = np.diff(np.append(starts, flat.size))
    return {
        "size": list(pixels.shape),
        "dtype": str(pixels.dtype),
        "class_ids": flat[starts].tolist(),
        "runs": runs.tolist(),
    }
