"""How far the answers of one package are from those of another one.

Pass predictions that were made with a threshold *below* `least_score`: then an object that one side scores just above
it and the other just below it is a pair whose scores differ a little. Where predictions were cut at `least_score`
itself, such an object has no partner; it is *borderline* when its score is within the gate's score tolerance of
`least_score`, and a borderline object does not count against a gate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.arrays import to_numpy
from inference_models.errors import InvalidParameterError
from inference_models.parity.deviation import LEAST_SCORE, Deviation
from inference_models.parity.gates import FP16, FP32, GATES, Gate, gate_between
from inference_models.parity.matching import Objects, match_objects
from inference_models.predictions.boxes import BoxPrediction
from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.container import Prediction
from inference_models.predictions.key_points import KeyPoints
from inference_models.predictions.rle import decode_mask
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference_models.arrays import NumpyArray

__all__ = ["FP16", "FP32", "GATES", "Deviation", "Gate", "compare_predictions", "gate_between", "predictions_in"]


def compare_predictions(
    reference: Sequence[Prediction],
    other: Sequence[Prediction],
    *,
    least_score: float = LEAST_SCORE,
    box_px: float = FP32.box_px,
) -> Deviation:
    """How far `other` is from `reference`, over all images.

    Args:
        reference: Predictions of the images, in their order; see `predictions_in`.
        other: The same images, in the same order, answered by something else.
        least_score: Objects and key points that neither side scores higher are not compared.
        box_px: Boxes no edge of which is farther off are in the same place, also where they overlap by less than 0.9;
            take that of the gate.

    Raises:
        InvalidParameterError: the two are not of equally many images.
    """
    if len(reference) != len(other):
        raise InvalidParameterError(
            "the answers cannot be compared.",
            needs=f"{len(reference)} predictions, as many as the reference has",
            found=str(len(other)),
        )
    tally = _Tally(least_score, box_px)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is counted
        for number, (first, second) in enumerate(zip(reference, other, strict=True)):
            tally.add(number, first, second)
    return tally.deviation(len(reference))


def predictions_in(answer: object) -> Iterator[Prediction]:
    """Every prediction in what a model returned, in order: it may be one, a list, or a tuple of lists."""
    if isinstance(answer, Prediction):
        yield answer
    elif isinstance(answer, list | tuple):
        for part in answer:
            yield from predictions_in(part)


@dataclass
class _Tally:
    """Counts and maxima while predictions are compared one by one."""

    least_score: float
    box_px: float
    numbers: dict[str, Any] = field(default_factory=dict)
    """Counts and maxima, by field of `Deviation`."""
    unmatched: list[float] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    incomparable: list[str] = field(default_factory=list)

    def add(self, number: int, reference: Prediction, other: Prediction) -> None:
        first, second = reference.numpy(), other.numpy()
        if type(first) is not type(second):
            self.incomparable.append(f"answer {number} is {_name(second)}, that of the reference {_name(first)}")
        elif isinstance(first, BoxPrediction):
            self._add_objects(first, second, _objects_of_boxes)
        elif isinstance(first, KeyPoints):
            self._add_objects(first, second, _objects_of_points)
        elif isinstance(first, ClassificationPrediction):
            self._add_classes(number, first, second)
        elif isinstance(first, MultiLabelClassificationPrediction):
            self._add_labels(number, first, second)
        elif isinstance(first, SemanticSegmentationResult):
            self._add_map(number, first, second)

    def deviation(self, images: int) -> Deviation:
        masks = self.overlaps
        return Deviation(
            images=images,
            least_score=self.least_score,
            unmatched_scores=tuple(self.unmatched),
            mean_mask_iou=float(np.mean(masks)) if masks else None,
            min_mask_iou=min(masks) if masks else None,
            incomparable=tuple(self.incomparable),
            **self.numbers,
        )

    def _add_objects(self, first: Any, second: Any, read: Any) -> None:
        reference, other = read(first), read(second)
        self._count_not_finite(*_numbers_of(first), *_numbers_of(second))
        above = reference.score > self.least_score, other.score > self.least_score
        matches = match_objects(reference, other, self.box_px)
        same, moved, renamed = (
            pairs[above[0][pairs[:, 0]] | above[1][pairs[:, 1]]]
            for pairs in (matches.same, matches.moved, matches.renamed)
        )
        self._count("objects", int(above[0].sum()))
        self._count("matched", len(same))
        self._count("class_flips", len(renamed))
        for side, scores in enumerate((reference.score, other.score)):
            alone = above[side].copy()
            alone[same[:, side]] = False
            self.unmatched += [float(score) for score in scores[alone]]
        known = np.concatenate([same, moved])
        left, right = known[:, 0], known[:, 1]
        self._widen("max_score", reference.score[left] - other.score[right])
        if isinstance(first, KeyPoints):
            self._add_points(first, second, known)
            return
        self._widen("max_box_px", reference.xyxy[left] - other.xyxy[right])
        if getattr(first, "mask", None) is not None and getattr(second, "mask", None) is not None:
            self.overlaps += [_mask_iou(first.mask[row], second.mask[column]) for row, column in same.tolist()]

    def _add_points(self, first: KeyPoints, second: KeyPoints, pairs: NumpyArray) -> None:
        left, right = pairs[:, 0], pairs[:, 1]
        scores = first.confidence[left], second.confidence[right]
        if scores[0].shape != scores[1].shape:
            self.incomparable.append(
                f"{scores[1].shape[1]} key points per object, {scores[0].shape[1]} in the reference"
            )
            return
        found = scores[0] > self.least_score, scores[1] > self.least_score
        away = np.hypot(*np.moveaxis(first.xy[left].astype(np.float64) - second.xy[right], -1, 0))
        self._widen("max_point_px", away[found[0] & found[1]])
        # A point that one side lost has no place there; its score tells.
        self._widen("max_score", (scores[0].astype(np.float64) - scores[1])[found[0] | found[1]])

    def _add_classes(self, number: int, first: Any, second: Any) -> None:
        if not self._same_shape(number, first.confidence, second.confidence):
            return
        self._count_not_finite(first.confidence, second.confidence)
        self._count("classified", len(first.class_id))
        self._count("top1_flips", int((first.class_id != second.class_id).sum()))
        self._widen("max_score", first.confidence.astype(np.float64) - second.confidence)

    def _add_labels(self, number: int, first: Any, second: Any) -> None:
        if not self._same_shape(number, first.confidence, second.confidence):
            return
        self._count_not_finite(first.confidence, second.confidence)
        self._count("classified", 1)
        self._count("label_flips", len(set(first.class_ids.tolist()) ^ set(second.class_ids.tolist())))
        self._widen("max_score", first.confidence.astype(np.float64) - second.confidence)

    def _add_map(self, number: int, first: Any, second: Any) -> None:
        if not self._same_shape(number, first.segmentation_map, second.segmentation_map):
            return
        same = first.segmentation_map == second.segmentation_map
        self._count("pixels", int(same.size))
        self._count("pixel_flips", int(same.size - same.sum()))
        stated = [item.confidence for item in (first, second) if item.confidence is not None]
        self._count_not_finite(*stated)
        if len(stated) == 2:
            self._widen("max_score", (first.confidence.astype(np.float64) - second.confidence)[same])

    def _same_shape(self, number: int, first: NumpyArray, second: NumpyArray) -> bool:
        if first.shape == second.shape:
            return True
        self.incomparable.append(f"answer {number} has the shape {second.shape}, that of the reference {first.shape}")
        return False

    def _count(self, name: str, number: int) -> None:
        self.numbers[name] = self.numbers.get(name, 0) + number

    def _widen(self, name: str, differences: NumpyArray) -> None:
        if differences.size:
            # NaN is counted apart; a maximum that is NaN would hide the rest.
            largest = float(np.nan_to_num(np.abs(differences), nan=0.0).max())
            self.numbers[name] = max(self.numbers.get(name, 0.0), largest)

    def _count_not_finite(self, *arrays: NumpyArray) -> None:
        self._count("not_finite", sum(int((~np.isfinite(array)).sum()) for array in arrays))


def _numbers_of(objects: Any) -> list[NumpyArray]:
    """What must be finite: places and scores."""
    if not isinstance(objects, KeyPoints):
        return [objects.xyxy, objects.confidence]
    sure = objects.detection_confidence
    return [objects.xy, objects.confidence, *(() if sure is None else (to_numpy(sure),))]


def _objects_of_boxes(boxes: BoxPrediction) -> Objects:
    return Objects(
        np.asarray(boxes.xyxy, np.float64).reshape(-1, 4),
        np.asarray(boxes.class_id, np.int64),
        np.asarray(boxes.confidence, np.float64),
    )


def _objects_of_points(points: KeyPoints) -> Objects:
    """The box around the points of each object that were found, and how sure the model is of it."""
    count = len(points)
    found = np.asarray(points.confidence) > 0
    xy = np.asarray(points.xy, np.float64)
    low = np.where(found[..., None], xy, np.inf).min(axis=1, initial=np.inf)
    high = np.where(found[..., None], xy, -np.inf).max(axis=1, initial=-np.inf)
    some = np.isfinite(low).all(axis=1, keepdims=True)
    boxes = np.where(some, np.concatenate([low, high], axis=1), 0.0).reshape(count, 4)
    sure = points.detection_confidence
    if sure is None:
        sure = np.asarray(points.confidence).max(axis=1, initial=0.0)
    return Objects(boxes, np.asarray(points.class_id, np.int64), np.asarray(sure, np.float64))


def _mask_iou(first: Any, second: Any) -> float:
    """Of two masks on one grid; 0 where the grids differ, 1 where both are empty."""
    left, right = (decode_mask(mask) if isinstance(mask, dict) else to_numpy(mask) > 0 for mask in (first, second))
    if left.shape != right.shape:
        return 0.0
    covered = int((left | right).sum())
    return int((left & right).sum()) / covered if covered else 1.0


def _name(prediction: Prediction) -> str:
    return type(prediction).__name__
