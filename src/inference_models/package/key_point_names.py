"""`keypoints_metadata.json`: names of the key points of each class, and the lines between them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.text_files import convert, parse_json_object, wrong_value
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FILE_NAME = "keypoints_metadata.json"


class KeyPointNames(Record, frozen=True):
    """The key points of every class of a model."""

    classes: tuple[tuple[str, ...], ...]
    """Per class, names in the order of the slots."""
    skeletons: tuple[tuple[tuple[int, int], ...], ...]
    """Per class, pairs of slots, numbered from 0, that a line joins."""

    @classmethod
    def of_one(cls, names: Sequence[str], skeleton: Iterable[tuple[int, int]] = ()) -> KeyPointNames:
        """Those of a model of one class."""
        return cls((tuple(names),), (tuple(skeleton),))

    def for_classes(self, count: int) -> KeyPointNames:
        """The same points for each of `count` classes, where these are those of one class."""
        return KeyPointNames(self.classes * count, self.skeletons * count) if len(self.classes) == 1 else self

    def of_classes(self, ids: Iterable[int]) -> KeyPointNames:
        """Those of some of the classes, in this order."""
        numbers = list(ids)
        return KeyPointNames(
            tuple(self.classes[number] for number in numbers), tuple(self.skeletons[number] for number in numbers)
        )

    def check_classes(self, class_names: Sequence[str]) -> None:
        """Raise when these are the points of another number of classes.

        Raises:
            CorruptedModelPackageError: with both numbers.
        """
        if len(self.classes) == len(class_names):
            return
        raise CorruptedModelPackageError(
            f"{FILE_NAME} does not describe the classes of the model.",
            needs=f"key points of {len(class_names)} classes, as many as there are names",
            found=f"of {len(self.classes)}",
            fix=f"describe every class in {FILE_NAME}; one without key points has none there",
        )

    @property
    def slots(self) -> int:
        """Key points of the class that has most."""
        return max(map(len, self.classes), default=0)


_PAIRS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_CHAINS = ((15, 13, 11, 12, 14, 16), (11, 5, 6, 12), (9, 7, 5, 3, 1, 0, 2, 4, 6, 8, 10), (1, 2))
COCO_PERSON = KeyPointNames(
    (("nose", *(f"{side}_{part}" for part in _PAIRS for side in ("left", "right"))),),
    (tuple(line for chain in _CHAINS for line in pairwise(chain)),),
)
"""The 17 points of persons in COCO, and its lines between them."""


class _Edge(msgspec.Struct, rename={"start": "from", "end": "to"}):
    start: int
    end: int


class _Class(msgspec.Struct):
    object_class_id: int
    keypoints: dict[str, str]
    edges: list[_Edge]


class _Classes(msgspec.Struct):
    classes: list[_Class]


def parse_key_point_names(text: str, *, where: str = FILE_NAME) -> KeyPointNames:
    """The names in `text`: a list with one entry per class, in any order.

    Raises:
        CorruptedModelPackageError: a class is missing or comes twice, a slot has no name, or a line leads nowhere.
    """
    # A list is read as the one value of an object, so that the checks of JSON texts are those of all others.
    stated = convert(_Classes, parse_json_object(f'{{"classes": {text}}}', where=where), where=where).classes
    by_id = {item.object_class_id: item for item in stated}
    if sorted(by_id) != list(range(len(stated))):
        found = [item.object_class_id for item in stated]
        raise wrong_value(where, "object_class_id", f"each class from 0 to {len(stated) - 1} once", found)
    ordered = [by_id[number] for number in range(len(stated))]
    return KeyPointNames(
        tuple(_names(item, where) for item in ordered), tuple(_skeleton(item, where) for item in ordered)
    )


def format_key_point_names(names: KeyPointNames) -> str:
    """The text that `parse_key_point_names` reads as `names`."""
    entries = [
        {
            "object_class_id": number,
            "keypoints": {str(slot): name for slot, name in enumerate(points)},
            "edges": [{"from": start, "to": end} for start, end in skeleton],
        }
        for number, (points, skeleton) in enumerate(zip(names.classes, names.skeletons, strict=True))
    ]
    return json.dumps(entries, ensure_ascii=False)


def _names(item: _Class, where: str) -> tuple[str, ...]:
    slots = [str(slot) for slot in range(len(item.keypoints))]
    if sorted(item.keypoints) != sorted(slots):
        needs = f"each number from 0 to {len(slots) - 1} once" if slots else "numbers from 0 on"
        raise wrong_value(where, f"keypoints of class {item.object_class_id}", needs, sorted(item.keypoints))
    return tuple(item.keypoints[slot] for slot in slots)


def _skeleton(item: _Class, where: str) -> tuple[tuple[int, int], ...]:
    count = len(item.keypoints)
    for edge in item.edges:
        if not (0 <= edge.start < count and 0 <= edge.end < count):
            path = f"edges of class {item.object_class_id}"
            raise wrong_value(where, path, f"key points from 0 to {count - 1}", [edge.start, edge.end])
    return tuple((edge.start, edge.end) for edge in item.edges)
