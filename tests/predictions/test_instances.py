from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from inference_models.errors import InvalidParameterError
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.masks import InstancesRLEMasks
from optional import torch

MASKS = np.zeros((2, 6, 8), bool)
MASKS[0, 1:3, 2:5] = True
MASKS[1, 4:, 6:] = True


def coco_masks() -> list[dict]:
    return [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in MASKS]


def example(**changes: object) -> InstanceDetections:
    instances = InstanceDetections(
        xyxy=np.array([[2, 1, 5, 3], [6, 4, 8, 6]], np.float32),
        class_id=np.array([1, 0], np.int32),
        confidence=np.array([0.75, 0.5], np.float32),
        mask=MASKS,
        bboxes_metadata=[{"tracker_id": 3}, {}],
        class_names=["a", "b"],
    )
    return replace(instances, **changes)


def rle_masks() -> InstancesRLEMasks:
    return InstancesRLEMasks.from_coco_rle_masks((6, 8), coco_masks())


def test_the_fields_are_those_of_the_public_library_and_then_the_names() -> None:
    assert [item.name for item in fields(InstanceDetections)] == [
        "xyxy",
        "class_id",
        "confidence",
        "mask",
        "image_metadata",
        "bboxes_metadata",
        "mask_size",
        "image_size",
        "mask_frame_size",
        "class_names",
    ]
    assert [item.name for item in fields(InstancesRLEMasks)] == ["image_size", "masks", "mask_size"]


def test_the_size_of_the_grid_is_taken_from_the_masks() -> None:
    assert example().mask_size == (6, 8)
    assert example(mask=torch.zeros(2, 5, 7), mask_size=None).mask_size == (5, 7)
    assert example(mask=InstancesRLEMasks((60, 80), [], (6, 8)), mask_size=None).mask_size == (6, 8)
    assert example(mask=None, mask_size=None).mask_size is None


def test_masks_of_pycocotools_go_in_and_come_out() -> None:
    masks = rle_masks()
    assert masks.mask_size == masks.image_size == (6, 8)
    assert masks.to_coco_rle_masks() == coco_masks()
    assert np.array_equal(masks.to_dense(), MASKS)
    assert InstancesRLEMasks.from_dense(MASKS) == InstancesRLEMasks.from_dense(torch.from_numpy(MASKS)) == masks


def test_counts_as_text_or_runs_become_bytes() -> None:
    as_text = [{**mask, "counts": mask["counts"].decode()} for mask in coco_masks()]
    assert InstancesRLEMasks.from_coco_rle_masks((6, 8), as_text) == rle_masks()
    runs = [{"size": [2, 2], "counts": [1, 3]}]
    assert InstancesRLEMasks.from_coco_rle_masks((2, 2), runs).to_dense().tolist() == [[[False, True], [True, True]]]


def test_masks_may_lie_on_another_grid_than_the_image() -> None:
    masks = InstancesRLEMasks.from_coco_rle_masks((60, 80), coco_masks())
    assert (masks.image_size, masks.mask_size) == ((60, 80), (6, 8))
    assert InstancesRLEMasks.from_coco_rle_masks((60, 80), []).mask_size == (60, 80)
    assert InstancesRLEMasks.from_coco_rle_masks((60, 80), []).to_dense().shape == (0, 60, 80)


def test_masks_of_different_sizes_cannot_be_put_together() -> None:
    other = coco.encode(np.asfortranarray(np.zeros((3, 4), np.uint8)))
    with pytest.raises(InvalidParameterError) as caught:
        InstancesRLEMasks.from_coco_rle_masks((6, 8), [*coco_masks(), other])
    assert str(caught.value) == (
        "the masks of one image cannot be put together.\n"
        "needs masks of one size; found: 3 x 4, 6 x 8\n"
        "pass the masks of one image, and mask_size=(height, width) only if it is theirs"
    )
    with pytest.raises(InvalidParameterError, match=r"needs masks of 60 x 80; found: 6 x 8"):
        InstancesRLEMasks.from_coco_rle_masks((60, 80), coco_masks(), mask_size=(60, 80))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_iteration_gives_the_mask_of_each_row(kind: str) -> None:
    rows = list(getattr(example(), kind)())
    assert [len(row) for row in rows] == [7, 7]
    assert type(rows[0][1]) is (torch.Tensor if kind == "torch" else np.ndarray)
    assert np.array_equal(np.asarray(rows[1][1]), MASKS[1])
    assert [row[4] for row in rows] == [3, None]


def test_iteration_gives_coco_dictionaries_for_run_lengths() -> None:
    instances = example(mask=rle_masks())
    assert [row.mask for row in instances] == coco_masks()
    assert instances[1].mask == coco_masks()[1]


@pytest.mark.parametrize("make", [lambda: MASKS, lambda: torch.from_numpy(MASKS), rle_masks])
def test_masks_follow_the_rows(make: Callable[[], object]) -> None:
    mask = make()
    chosen = example(mask=mask)[[1]]
    assert chosen.class_id.tolist() == [0]
    assert chosen.bboxes_metadata == [{}]
    dense = chosen.mask.to_dense() if isinstance(mask, InstancesRLEMasks) else np.asarray(chosen.mask)
    assert np.array_equal(dense, MASKS[1:])
    assert chosen.mask_size == (6, 8)
    assert len(example(mask=mask)[[]].mask) == 0


def test_repr_never_shows_masks() -> None:
    assert repr(example()) == "InstanceDetections(2: b 0.75 [2 1 5 3], a 0.50 [6 4 8 6])"
    assert repr(rle_masks()) == "InstancesRLEMasks(2 of 6x8)"


def test_instances_that_differ_in_one_pixel_are_unequal() -> None:
    changed = MASKS.copy()
    changed[0, 0, 0] = True
    assert example() == example(mask=torch.from_numpy(MASKS))
    assert example() != example(mask=changed)
    assert example() != example(mask=rle_masks())
    assert example(mask=rle_masks()) == example(mask=rle_masks())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mask": MASKS.astype(np.uint8)},
        {"mask": MASKS.astype(np.float32)},
        {"mask": torch.from_numpy(MASKS)},
        {"mask": rle_masks(), "image_size": (6, 8)},
        {"mask": InstancesRLEMasks.from_coco_rle_masks((60, 80), coco_masks()), "mask_frame_size": (50, 80)},
        {"mask": None},
        {"bboxes_metadata": None, "class_names": None},
    ],
    ids=str,
)
def test_json_brings_masks_back(changes: dict[str, object]) -> None:
    for instances in (example(**changes), example(**changes)[[]]):
        back = InstanceDetections.from_json(instances.to_json())
        assert back == instances


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9)).flatmap(lambda s: hnp.arrays(np.bool_, s)))
def test_any_masks_survive_json(masks: np.ndarray) -> None:
    n = len(masks)
    instances = InstanceDetections(np.zeros((n, 4), np.float32), np.zeros(n, np.int32), np.zeros(n, np.float32), masks)
    assert InstanceDetections.from_json(instances.to_json()) == instances
    assert InstanceDetections.from_json(instances.to_json()).mask.shape == masks.shape


def test_the_masks_in_json_are_what_pycocotools_reads() -> None:
    rows = json.loads(example().to_json())["detections"]
    assert [int(coco.area(row["mask"])) for row in rows] == MASKS.sum(axis=(1, 2)).tolist()


def test_soft_masks_cannot_be_written() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        example(mask=MASKS.astype(np.float32) * 0.5).to_dict()
    assert str(caught.value) == (
        "masks cannot be written as run lengths.\n"
        "needs masks of bool, or of 0 and 1; found: float32 values from 0 to 0.5\n"
        "threshold them first: mask > 0.5"
    )
