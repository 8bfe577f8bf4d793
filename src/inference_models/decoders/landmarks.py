"""Layouts of graphs that look at one object and give its key points: no boxes, and nothing to suppress.

| constant    | outputs                                                        | score of the object    |
|-------------|----------------------------------------------------------------|------------------------|
| `MOVENET`   | (B, 1, K, 3) y x as parts of the input size, score             | mean of its points     |
| `BLAZEPOSE` | (B, 5 L) x y z visibility presence in pixels; (B, 1) score     | as given               |
| `HAND`      | (B, 3 K) x y z in pixels; (B, 1) score; (B, 1) handedness      | as given               |

MoveNet: Google, single pose, Lightning and Thunder. BlazePose and hands: the landmark graphs of MediaPipe 0.10, full;
BlazePose gives six more points than its 33, which place the next crop of a video, as logits. Further outputs (world
coordinates, masks, heat maps) are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.arrays import device_of, namespace
from inference_models.decoders.candidates import sigmoid, threshold_of
from inference_models.decoders.layout import unexpected_outputs
from inference_models.decoders.types import Boxes, KeyPointDecoder, PointSets

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference_models.arrays import Array
    from inference_models.decoders.types import BoxLimits, Frame, KeyPointHead, Outputs, Shapes

    Read = Callable[[list[Array], Frame, int], PointSets]
    Form = tuple[int | None, ...]

_RIGHT = 0.5
"""Handedness above it is a right hand, on a picture that is not mirrored."""


def _movenet(image: list[Array], frame: Frame, _points: int) -> PointSets:
    height, width = frame
    points = image[0][0, ...]
    xp = namespace(points)
    xy = xp.stack([points[:, 1] * width, points[:, 0] * height], axis=-1)
    return _one(xy, points[:, 2], xp.mean(points[:, 2]))


def _blazepose(image: list[Array], _frame: Frame, points: int) -> PointSets:
    xp = namespace(image[0])
    rows = xp.reshape(image[0], (-1, 5))[:points, :]
    return _one(rows[:, :2], sigmoid(rows[:, 3]), image[1][0])


def _hand(image: list[Array], _frame: Frame, points: int) -> PointSets:
    xp = namespace(image[0])
    rows = xp.reshape(image[0], (points, 3))
    side = float(image[2][0])
    found = _one(rows[:, :2], xp.ones_like(rows[:, 0]) * image[1][0], image[1][0])
    facts = {"handedness": "right" if side > _RIGHT else "left", "handedness_confidence": max(side, 1 - side)}
    return PointSets(found.boxes, found.xy, found.confidence, metadata=[facts])


def _one(xy: Array, confidence: Array, score: Array) -> PointSets:
    """One object with these points; its box is the one around them."""
    xp = namespace(xy)
    first = xp.zeros((1,), dtype=xp.int64, device=device_of(xy))
    box = xp.concat([xp.min(xy, axis=0), xp.max(xy, axis=0)])
    boxes = Boxes(box[None, :], xp.reshape(score, (1,)), xp.astype(first, xp.int32), first)
    return PointSets(boxes, xy[None, ...], confidence[None, :])


def _decoder(read: Read, forms: Callable[[int], tuple[Form, ...]]) -> KeyPointDecoder:
    """The decoder of outputs whose shapes behind the batch are `forms(K)`, in this order."""

    def check(shapes: Shapes, head: KeyPointHead) -> None:
        wanted = forms(head.points)
        if len(shapes) >= len(wanted) and all(
            shape[1:] == form or None in shape[1:] for shape, form in zip(shapes, wanted, strict=False)
        ):
            return
        needs = ", ".join(f"(B, {', '.join(map(str, form))})" for form in wanted)
        raise unexpected_outputs(f"{needs} for {head.points} key points", shapes)

    def decode(outputs: Outputs, frame: Frame, limits: BoxLimits, head: KeyPointHead) -> list[PointSets]:
        check([tuple(output.shape) for output in outputs], head)
        xp, parts = namespace(outputs[0]), outputs[: len(forms(head.points))]
        images = zip(*(xp.astype(part, xp.float32) for part in parts), strict=True)
        return [_sure(read(list(image), frame, head.points), limits) for image in images]

    return KeyPointDecoder(decode, check, gives_boxes=False)


def _sure(found: PointSets, limits: BoxLimits) -> PointSets:
    """Nothing where the object is not surer than its threshold."""
    score = found.boxes.confidence
    return found.only(score > threshold_of(found.boxes.class_id, limits))


MOVENET = _decoder(_movenet, lambda points: ((1, points, 3),))
"""One person."""

BLAZEPOSE = _decoder(_blazepose, lambda points: ((5 * (points + 6),), (1,)))
"""One person, 33 points."""

HAND = _decoder(_hand, lambda points: ((3 * points,), (1,), (1,)))
"""One hand, 21 points; `handedness` is in the metadata of the object."""
