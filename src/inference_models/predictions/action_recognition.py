"""`ActionRecognitionPrediction`: one action in a span of video frames."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from inference_models.errors import InvalidParameterError
from inference_models.record import Record

if TYPE_CHECKING:
    from typing_extensions import Self


class ActionRecognitionPrediction(Record, frozen=True):
    """One action and the frames it was seen in."""

    start_frame_idx: int
    """First frame of the action, from 0."""
    end_frame_idx: int
    """Last frame of the action, or the one after it when `end_exclusive`."""
    class_name: str
    confidence: float | None = None
    """0..1, or None when the model does not say."""
    end_exclusive: bool = False
    """Whether `end_frame_idx` is the first frame that does not belong to the action any more."""

    def __repr__(self) -> str:
        end = f"{self.end_frame_idx}{')' if self.end_exclusive else ']'}"
        sure = "" if self.confidence is None else f" {self.confidence:.2f}"
        return f"ActionRecognitionPrediction({self.class_name}{sure} frames [{self.start_frame_idx}, {end})"

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The prediction of `to_dict`; keys it does not know are ignored.

        Raises:
            InvalidParameterError: a field without a default is missing.
        """
        known = {item.name: data[item.name] for item in fields(cls) if item.name in data}
        missing = [name for name in ("start_frame_idx", "end_frame_idx", "class_name") if name not in known]
        if missing:
            raise InvalidParameterError(
                "ActionRecognitionPrediction cannot be read from this dictionary.",
                needs="start_frame_idx, end_frame_idx and class_name",
                found=f"no {', '.join(missing)}",
            )
        return cls(**known)
