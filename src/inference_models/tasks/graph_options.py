"""Per-call options of models that are one graph: their names, their checks, their meaning."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypedDict, cast

from inference_models.decoders.types import BoxLimits
from inference_models.entities import PreProcessingOverrides
from inference_models.errors import InvalidParameterError, nearest_hint, refuse_unknown_options
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference_models.arrays import NumpyArray
    from inference_models.entities import ColorFormat, Confidence, RecommendedParameters
    from inference_models.preprocess.pixels import InputRange


class ImageOptions(TypedDict, total=False):
    """Options of every call that takes images."""

    image_size: int | tuple[int, int] | None
    """Network size for this call, a number or (width, height); only for networks that take other sizes."""
    pre_processing_overrides: PreProcessingOverrides | None
    input_color_format: ColorFormat | None
    """Channel order of arrays and tensors; files, bytes and PIL images know their own."""
    input_range: InputRange | None
    """Value range of float images; uint8 needs none."""
    disable_cuda_graphs: bool
    """Only means something on TensorRT; accepted everywhere so that one call fits every backend."""


class DetectionOptions(ImageOptions, total=False):
    """Options of a detection call."""

    confidence: Confidence | None
    """Least score in [0, 1]; "default" or None: the family's; "best": recommended with the model."""
    iou_threshold: float | None
    max_detections: int | None
    class_agnostic_nms: bool | None
    class_filter: Sequence[int | str] | None
    """Ids or names of the only classes that are looked for; None: all."""


class KeyPointOptions(DetectionOptions, total=False):
    """Options of a call that looks for key points."""

    key_points_threshold: float | None
    """Points that are less sure than this count as not found; None: the family's."""


class ReadingOptions(ImageOptions, total=False):
    """Options of a call that reads a page."""

    confidence: Confidence | None
    """Least score of the text of a line, in [0, 1]; "default" or None: the family's."""


class CropPointOptions(TypedDict, total=False):
    """Options of a call that looks for the key points of objects that were found before."""

    boxes: Sequence[Any] | None
    """Per image (n, 4) x1 y1 x2 y2 in its pixels; None: the whole image."""
    class_ids: Sequence[Any] | None
    """Per image (n,) classes of the boxes; None: the first."""
    detection_confidences: Sequence[Any] | None
    """Per image (n,) scores of the boxes; None: 1."""
    key_points_threshold: float | None
    """Points that are less sure than this count as not found; None: the family's."""
    input_color_format: ColorFormat | None
    input_range: InputRange | None
    disable_cuda_graphs: bool
    """Only means something on TensorRT; accepted everywhere so that one call fits every backend."""


class SemanticOptions(ImageOptions, total=False):
    """Options of a semantic segmentation call."""

    confidence: Confidence | None
    """Pixels that are less sure, in [0, 1], are background; "default" or None: the family's."""
    class_filter: Sequence[int | str] | None
    """Ids or names of the only classes that are kept, all others are background; None: all."""


class MultiLabelOptions(ImageOptions, total=False):
    """Options of a multi-label classification call."""

    confidence: Confidence | None


class AnomalyOptions(ImageOptions, total=False):
    """Options of a call that looks for anomalies."""

    confidence: Confidence | None
    """Least score in [0, 1] of an anomaly; "best" or None: recommended with the model, else 0.5, which is "default"."""
    include_anomaly_map: bool
    """Whether `images_metadata` holds the map of each image."""


class ImageRequest(Record, frozen=True):
    """Checked `ImageOptions`."""

    image_size: int | tuple[int, int] | None = None
    overrides: PreProcessingOverrides | None = None
    input_color_format: ColorFormat | None = None
    input_range: InputRange | None = None


class ConfidenceRule(Record, frozen=True):
    """What `confidence=` means for one loaded model."""

    default: float
    class_names: tuple[str, ...] = ()
    recommended: RecommendedParameters | None = None

    def resolve(self, value: object) -> float | NumpyArray:
        """The threshold for a value of `confidence=`: one number, or (C,) float32 one per class.

        Raises:
            InvalidParameterError: the value is no threshold.
        """
        if value is None or value == "default":
            return self.default
        if isinstance(value, str) and value == "best":
            return self._best()
        return _fraction("confidence", value, also=", 'default' or 'best'")

    def only(self, thresholds: float | NumpyArray, classes: object) -> float | NumpyArray:
        """`thresholds`, which no class passes that is not among `classes`, a value of `class_filter=`.

        Raises:
            InvalidParameterError: it is no list, or names a class that the model does not have.
        """
        if classes is None:
            return thresholds
        import numpy as np  # noqa: PLC0415

        if isinstance(classes, str | bytes) or not isinstance(classes, Iterable):
            raise InvalidParameterError(
                f"class_filter={classes!r} makes no sense.",
                needs="a list of class ids or names",
                found=repr(classes),
                fix=f"pass class_filter=[{classes!r}]",
            )
        closed = np.full(len(self.class_names), np.inf, np.float32)
        wanted = [self._class_id(item) for item in classes]
        closed[wanted] = np.broadcast_to(thresholds, closed.shape)[wanted]
        return closed

    def _class_id(self, item: object) -> int:
        if isinstance(item, str) and item in self.class_names:
            return self.class_names.index(item)
        if not isinstance(item, bool) and isinstance(item, Integral) and 0 <= int(item) < len(self.class_names):
            return int(item)
        raise InvalidParameterError(
            f"class_filter: the model has no class {item!r}; {nearest_hint(str(item), self.class_names)}.",
            needs=f"names, or ids from 0 to {len(self.class_names) - 1}",
            found=repr(item),
        )

    def _best(self) -> float | NumpyArray:
        recommended = self.recommended
        if recommended is None or recommended.confidence is None:
            return self.default
        per_class = recommended.per_class_confidence
        if not per_class:
            return recommended.confidence
        values = [per_class.get(name, recommended.confidence) for name in self.class_names]
        import numpy as np  # noqa: PLC0415 - this module is imported before there is anything to compute

        return np.asarray(values, np.float32)


def check_option_names(options: Mapping[str, object], allowed: type, *, model: str) -> None:
    """Raise for an option that no field of the `TypedDict` `allowed` names.

    Raises:
        UnknownOptionError: with the nearest known name.
    """
    refuse_unknown_options(options, allowed.__annotations__, where=model)


def parse_image_options(options: Mapping[str, object]) -> ImageRequest:
    """The image part of `options`; sizes, colour order and range are checked where they are used.

    Raises:
        InvalidParameterError: a value makes no sense.
    """
    overrides = options.get("pre_processing_overrides")
    if overrides is not None and not isinstance(overrides, PreProcessingOverrides):
        raise InvalidParameterError(
            "pre_processing_overrides makes no sense.", needs="a PreProcessingOverrides", found=repr(overrides)
        )
    return ImageRequest(
        image_size=cast("int | tuple[int, int] | None", options.get("image_size")),
        overrides=overrides,
        input_color_format=cast("ColorFormat | None", options.get("input_color_format")),
        input_range=cast("InputRange | None", options.get("input_range")),
    )


def parse_box_limits(options: Mapping[str, object], defaults: BoxLimits, rule: ConfidenceRule) -> BoxLimits:
    """The thresholds of a detection call, checked; what is not given is the default.

    Raises:
        InvalidParameterError: a value makes no sense.
    """
    maximum = options.get("max_detections")
    return BoxLimits(
        confidence=rule.only(rule.resolve(options.get("confidence")), options.get("class_filter")),
        iou=parse_share(options, "iou_threshold", defaults.iou),
        max_detections=defaults.max_detections if maximum is None else _count("max_detections", maximum),
        class_agnostic=parse_switch(options, "class_agnostic_nms", default=defaults.class_agnostic),
    )


def parse_share(options: Mapping[str, object], name: str, default: float) -> float:
    """A number in [0, 1] of a call, checked; the default where it is not given.

    Raises:
        InvalidParameterError: the value makes no sense.
    """
    value = options.get(name)
    return default if value is None else _fraction(name, value)


def _fraction(name: str, value: object, *, also: str = "") -> float:
    if not isinstance(value, bool) and isinstance(value, Real):
        number = float(value)
        if math.isfinite(number) and 0.0 <= number <= 1.0:
            return number
    number = float(value) if isinstance(value, Real) else math.nan
    raise InvalidParameterError(
        f"{name}={value!r} makes no sense.",
        needs=f"a number in [0, 1]{also}",
        found=repr(value),
        fix=f"pass {name}={number / 100:g}" if 2 <= number <= 100 else None,
    )


def parse_switch(options: Mapping[str, object], name: str, *, default: bool) -> bool:
    """True or False of a call, checked; the default where it is not given.

    Raises:
        InvalidParameterError: the value is something else.
    """
    import numpy as np  # noqa: PLC0415

    value = options.get(name)
    if value is None:
        return default
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InvalidParameterError(f"{name}={value!r} makes no sense.", needs="True or False", found=repr(value))


def _count(name: str, value: object) -> int:
    if not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 0:
        return int(value)
    raise InvalidParameterError(
        f"{name}={value!r} makes no sense.", needs="a whole number of at least 0", found=repr(value)
    )
