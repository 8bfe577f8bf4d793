from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
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
