from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from inference_models.predictions.detections import Detections
from optional import torch

NAMES = ["face", "dog", "cat"]


def example(**changes: object) -> Detections:
    detections = Detections(
        xyxy=np.array([[224, 64, 300.25, 172], [1, 2, 3, 4], [5, 6, 7, 8.5]], np.float32),
        class_id=np.array([0, 2, 7], np.int32),
        confidence=np.array([0.93, 0.5, 0.25], np.float32),
        image_metadata={"source": "a.jpg"},
        bboxes_metadata=[{"tracker_id": 5}, {}, {"class_name": "owl", "polygon": np.ones((2, 2), np.float32)}],
        class_names=NAMES,
    )
    return replace(detections, **changes)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_iteration_gives_tuples_of_seven_with_scalars_of_the_same_kind(kind: str) -> None:
    detections = getattr(example(), kind)()
    rows = list(detections)
    assert len(rows) == len(detections) == 3
    xyxy, mask, class_id, confidence, tracker_id, metadata, image_metadata = rows[0]
    expected = torch.Tensor if kind == "torch" else np.generic
    assert isinstance(class_id, expected)
    assert isinstance(confidence, expected)
    assert xyxy.tolist() == [224, 64, 300.25, 172]
    assert (mask, int(class_id), tracker_id) == (None, 0, 5)
    assert float(confidence) == np.float32(0.93)
    assert metadata == {"tracker_id": 5}
    assert image_metadata == {"source": "a.jpg"}


def test_rows_without_metadata_have_empty_metadata() -> None:
    row = next(iter(example(image_metadata=None, bboxes_metadata=None)))
    assert (row.tracker_id, row.metadata, row.image_metadata) == (None, {}, {})


@pytest.mark.parametrize("index", [2, -1, np.int64(2), np.array(2), torch.tensor(2)], ids=repr)
def test_a_whole_number_gives_what_iteration_gives(index: object) -> None:
    detections = example()
    assert detections[index].metadata is detections.bboxes_metadata[2]
    assert detections[index].xyxy.tolist() == [5, 6, 7, 8.5]


@pytest.mark.parametrize("index", [3, -4])
def test_a_row_that_does_not_exist_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError, match=f"^row {index} of 3$"):
        example()[index]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize(
    "index",
    [
        *(slice(None), slice(1, 3), slice(None, None, -2), [2, 0, 0], [], [True, False, True], np.array([-1, 1])),
        *(
            np.array([], dtype=np.int64),
            np.array([False] * 3),
            torch.tensor([2, -3]),
            torch.tensor([True, True, False]),
        ),
    ],
    ids=str,
)
def test_several_rows_are_copies_of_those_numpy_gives_with_their_metadata(kind: str, index: object) -> None:
    detections = getattr(example(), kind)()
    host = index.numpy() if isinstance(index, torch.Tensor) else index
    rows = np.arange(3)[np.asarray(host, dtype=np.int64) if isinstance(host, list) and not host else host].tolist()
    chosen = detections[index]
    assert type(chosen.xyxy) is type(detections.xyxy)
    assert chosen.class_id.tolist() == [[0, 2, 7][row] for row in rows]
    assert chosen.bboxes_metadata == [detections.bboxes_metadata[row] for row in rows]
    assert chosen.class_names is NAMES
    assert chosen.image_metadata == {"source": "a.jpg"}
    chosen.xyxy[:] = 0
    assert detections == example()


@pytest.mark.parametrize("index", [[4], [True], np.zeros((2, 2), bool), [0.5], "ab", np.array([[1]]), 1.0], ids=repr)
def test_an_index_of_another_form_is_an_index_error(index: object) -> None:
    with pytest.raises(IndexError):
        example()[index]


def test_read_only_memory_becomes_a_tensor_without_a_warning() -> None:
    boxes = np.zeros((1, 4), np.float32)
    boxes.flags.writeable = False
    assert example(xyxy=boxes).torch().xyxy.shape == (1, 4)


def test_bfloat16_becomes_float32_on_the_way_to_numpy() -> None:
    detections = example(confidence=torch.tensor([0.5, 0.25, 0.125], dtype=torch.bfloat16))
    assert detections.numpy().confidence.dtype == np.float32
    assert detections.numpy().confidence.tolist() == [0.5, 0.25, 0.125]


def test_repr_is_short_and_never_shows_arrays() -> None:
    assert repr(example()[:2]) == "Detections(2: face 0.93 [224 64 300.2 172], cat 0.50 [1 2 3 4])"
    many = example()[[0, 1, 2, 0, 1]]
    assert repr(many) == ("Detections(5: face 0.93 [224 64 300.2 172], cat 0.50 [1 2 3 4], owl 0.25 [5 6 7 8.5], ...)")
    assert repr(example()[[]]) == "Detections(0)"
    assert repr(example(class_names=None, bboxes_metadata=None)[2:]) == "Detections(1: class 7 0.25 [5 6 7 8.5])"
    assert repr(example(class_id=None, confidence=None)[:1]) == "Detections(1: [224 64 300.2 172])"


def test_importing_containers_loads_no_heavy_library() -> None:
    code = (
        "import sys, inference_models.predictions.detections, inference_models.predictions.instances, "
        "inference_models.tasks.object_detection, inference_models.tasks.instance_segmentation, "
        "inference_models.drawing; "
        "print(sorted({'torch', 'cv2', 'supervision', 'PIL', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
