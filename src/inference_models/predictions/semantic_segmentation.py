"""`SemanticSegmentationResult`: the class of every pixel of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.predictions.container import Prediction
from inference_models.predictions.labels import known_name, name_or_number, short_list
from inference_models.predictions.plain import pack_array, unpack_array
from inference_models.predictions.rows import LISTED_IN_REPR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Self

    from inference_models.arrays import Array, NumpyArray
    from inference_models.predictions.comparison import Comparison
    from inference_models.predictions.plain import Plain

_LATER = "_later"
"""Among the attributes of an answer, what computes its confidence, until it was asked for."""


@dataclass(eq=False, repr=False)
class SemanticSegmentationResult(Prediction):
    """The class of every pixel of one image, and how sure the model is of it.

    As a dictionary and in JSON:
    ```
    {"type": "SemanticSegmentationResult", "schema_version": 1,
     "classes": [{"class_id": 7, "class_name": "road", "pixels": 120000}],
     "segmentation_map": {"size": [480, 640], "dtype": "int64", "class_ids": [7, 0], "runs": [120000, 187200]},
     "confidence": {"dtype": "float32", "shape": [480, 640], "zlib_base64": "..."} or null,
     "class_names": [...] or null, "image_metadata": {...} or null}
    ```
    The map is written row by row: `runs[i]` pixels of `class_ids[i]`. The confidence is raw little-endian numbers,
    row by row, through zlib and base64.
    """

    segmentation_map: Array
    """(H, W) int64 class ids, on the pixels of the original image."""
    confidence: Array
    """(H, W) float32 in 0..1. Of a model with a map per class it is computed when it is asked for first."""
    image_metadata: dict[str, Any] | None = None
    """Facts about the image."""
    class_names: Sequence[str] | None = None
    """Name of class 0, 1, ...; used by `repr`, JSON and drawing."""

    KEYS: ClassVar[tuple[str, ...]] = ("classes", "segmentation_map", "confidence", "class_names", "image_metadata")

    @classmethod
    def with_confidence_on_demand(
        cls, segmentation_map: Array, confidence: Callable[[], Array], class_names: Sequence[str] | None = None
    ) -> Self:
        """The answer whose confidence is the result of `confidence`, called when it is asked for first."""
        made = cls(segmentation_map, None, class_names=class_names)
        del made.confidence
        vars(made)[_LATER] = confidence
        return made

    def __getattr__(self, name: str) -> Any:
        later = vars(self).get(_LATER) if name == "confidence" else None
        if later is None:
            return object.__getattribute__(self, name)
        self.confidence = later()
        vars(self).pop(_LATER, None)
        return self.confidence

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def _convert(self, change: Callable[[Array], Array]) -> Self:
        later = vars(self).get(_LATER)
        if later is None:
            return super()._convert(change)
        made = type(self).with_confidence_on_demand(change(self.segmentation_map), lambda: change(later()))
        made.image_metadata, made.class_names = self.image_metadata, self.class_names
        return made

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
            for class_id, pixels in areas[:LISTED_IN_REPR]
        ]
        return f"SemanticSegmentationResult({height}x{width}{short_list(listed, total=len(areas))})"

    def _to_plain(self) -> dict[str, Plain]:
        return {
            "classes": [self._describe(class_id, pixels) for class_id, pixels in self.areas()],
            "segmentation_map": _runs_of(to_numpy(self.segmentation_map)),
            "confidence": None if self.confidence is None else pack_array(self.confidence),
        }

    @classmethod
    def _from_plain(cls, data: dict[str, Plain]) -> dict[str, Any]:
        runs, packed = data["segmentation_map"], data["confidence"]
        pixels = np.repeat(np.array(runs["class_ids"], dtype=runs["dtype"]), np.array(runs["runs"], dtype=np.int64))
        confidence = None if packed is None else unpack_array(packed)
        return {"segmentation_map": pixels.reshape(runs["size"]), "confidence": confidence}

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
