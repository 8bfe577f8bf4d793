"""Exports that hold non-maximum suppression: the settings inside them, and the settings a caller takes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from inference_models.errors import InvalidParameterError, nearest_hint
from inference_models.record import Record

FEATURE = "nms_fused"
"""Name among the features of a package."""
Range = tuple[float, float]
"""(smallest, largest), both included."""
_SAME = 1e-5
_LARGEST = 1e15
_NUMBERS = ("max_detections", "confidence_threshold", "iou_threshold")


class NmsPreferences(Record, frozen=True):
    """Settings a caller takes; None: any."""

    max_detections: Range | None = None
    confidence_threshold: Range | None = None
    iou_threshold: Range | None = None
    class_agnostic: bool | None = None

    def misses(self, settings: Mapping[str, float | bool]) -> list[str]:
        """The names of the settings that are not as preferred; `settings` is complete."""
        missed = [name for name, wanted in self._numbers() if not _inside(settings[name], wanted)]
        if self.class_agnostic is not None and settings["class_agnostic"] is not self.class_agnostic:
            missed.append("class_agnostic")
        return missed

    def score(self, settings: Mapping[str, float | bool]) -> float:
        """How near `settings` are to the middle of what is preferred; more is nearer."""
        score = sum(_nearness(settings[name], wanted) for name, wanted in self._numbers())
        return score + (self.class_agnostic is not None and settings["class_agnostic"] is self.class_agnostic)

    def as_argument(self) -> dict[str, float | bool | Range]:
        """The argument `nms_fusion_preferences=` that gives these preferences."""
        numbers = {name: wanted[0] if wanted[0] == wanted[1] else wanted for name, wanted in self._numbers()}
        agnostic = {} if self.class_agnostic is None else {"class_agnostic": self.class_agnostic}
        return {**{name: _plain(value) for name, value in numbers.items()}, **agnostic}

    def _numbers(self) -> list[tuple[str, Range]]:
        pairs = ((name, getattr(self, name)) for name in _NUMBERS)
        return [(name, wanted) for name, wanted in pairs if wanted is not None]


SETTINGS = NmsPreferences.__struct_fields__
USUAL = NmsPreferences((300, 300), (0.25, 0.25), (0.7, 0.7), class_agnostic=False)
"""What `nms_fusion_preferences=True` stands for."""


def read_settings(feature: object) -> dict[str, float | bool] | None:
    """The settings a package states about its suppression; None unless it states all of them, as it should."""
    if not isinstance(feature, Mapping):
        return None
    numbers = {name: number for name in _NUMBERS if (number := _number(feature.get(name))) is not None}
    agnostic = feature.get("class_agnostic")
    if len(numbers) < len(_NUMBERS) or not isinstance(agnostic, bool):
        return None
    return {**numbers, "class_agnostic": agnostic}


def exact_preferences(settings: Mapping[str, float | bool]) -> NmsPreferences:
    """The preference for exactly these settings."""
    ranges = {name: (settings[name], settings[name]) for name in _NUMBERS}
    return NmsPreferences(**ranges, class_agnostic=bool(settings["class_agnostic"]))


def parse_nms_fusion(value: object) -> bool | NmsPreferences | None:
    """`nms_fusion_preferences=` as a value.

    Raises:
        InvalidParameterError: neither a switch nor known settings with values that make sense.
    """
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, Mapping):
        raise _makes_no_sense(value, repr(value))
    for name in value:
        if name not in SETTINGS:
            raise _makes_no_sense(value, f"{name!r}; {nearest_hint(str(name), SETTINGS, limit=1)}")
    agnostic = value.get("class_agnostic")
    if agnostic is not None and not isinstance(agnostic, bool):
        raise _makes_no_sense(value, f"class_agnostic={agnostic!r}")
    ranges = {name: _range(name, value) for name in _NUMBERS if value.get(name) is not None}
    return NmsPreferences(**ranges, class_agnostic=agnostic)


def _range(name: str, value: Mapping[str, object]) -> Range:
    stated = value[name]
    ends = list(stated) if isinstance(stated, list | tuple) else [stated, stated]
    numbers = sorted(number for end in ends if (number := _number(end)) is not None)
    if len(ends) != 2 or len(numbers) != 2:
        raise _makes_no_sense(value, f"{name}={stated!r}")
    return numbers[0], numbers[1]


def _number(value: object) -> float | None:
    """`value` if it is a finite number; whole numbers beyond what a float holds are none of ours either."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _LARGEST and not math.isnan(value) else None


def _inside(value: float, wanted: Range) -> bool:
    return wanted[0] - _SAME < value < wanted[1] + _SAME


def _nearness(value: float, wanted: Range) -> float:
    if not _inside(value, wanted):
        return 0.0
    width = wanted[1] - wanted[0]
    return 1.0 if width < _SAME else 1 - abs(0.5 - (value - wanted[0]) / width)


def _plain(value: float | Range) -> float | Range:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _makes_no_sense(value: object, found: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"nms_fusion_preferences={value!r} makes no sense.",
        needs=f"True, False, or any of {', '.join(SETTINGS)} with a number or (smallest, largest)",
        found=found,
        fix='nms_fusion_preferences={"iou_threshold": (0.5, 0.7)}',
    )
