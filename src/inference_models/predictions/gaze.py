"""`GazeDetection`: where the faces of a batch look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from inference_models.arrays import to_numpy
from inference_models.predictions.container import Prediction
from inference_models.predictions.labels import short_list
from inference_models.predictions.plain import array_from_plain, array_to_plain
from inference_models.predictions.rows import LISTED_IN_REPR

if TYPE_CHECKING:
    from inference_models.arrays import Array
    from inference_models.predictions.plain import Plain


@dataclass(eq=False, repr=False)
class GazeDetection(Prediction):
    """The direction in which each face of a batch looks, one face per image.

    As a dictionary and in JSON:
    ```
    {"type": "GazeDetection", "schema_version": 1, "unit": "radians", "yaw": [0.1], "pitch": [-0.2],
     "images_metadata": [{...}] or null, "dtypes": {"yaw": "float32", "pitch": "float32"}}
    ```
    """

    yaw: Array
    """(B,) float32 radians: the angle to the side."""
    pitch: Array
    """(B,) float32 radians: the angle up or down."""
    images_metadata: list[dict[str, Any]] | None = None
    """Facts about each image."""

    KEYS: ClassVar[tuple[str, ...]] = ("unit", "yaw", "pitch", "images_metadata", "dtypes")
    ARRAYS: ClassVar[tuple[str, ...]] = ("yaw", "pitch")

    def __len__(self) -> int:
        return len(self.yaw)

    def __repr__(self) -> str:
        angles = list(zip(to_numpy(self.yaw), to_numpy(self.pitch), strict=True))
        listed = [f"yaw {yaw:.2f} pitch {pitch:.2f}" for yaw, pitch in angles[:LISTED_IN_REPR]]
        return f"GazeDetection({len(self)}{short_list(listed, total=len(self))})"

    def _to_plain(self) -> dict[str, Plain]:
        return {"unit": "radians", **{name: array_to_plain(getattr(self, name)) for name in self.ARRAYS}}

    @classmethod
    def _usual(cls, data: dict[str, Plain]) -> dict[str, Plain]:  # noqa: ARG003 - of every dictionary the same
        return {"dtypes": dict.fromkeys(cls.ARRAYS, "float32")}

    @classmethod
    def _from_plain(cls, data: dict[str, Plain]) -> dict[str, Any]:
        return {name: array_from_plain(data[name], data["dtypes"][name]) for name in cls.ARRAYS}
