from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.errors import InvalidParameterError
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


def empty() -> Detections:
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32), class_names=NAMES)


def test_the_fields_are_those_of_the_public_library_and_then_the_names() -> None:
    assert [item.name for item in fields(Detections)] == [
        "xyxy",
        "class_id",
        "confidence",
        "image_metadata",
        "bboxes_metadata",
        "class_names",
    ]


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


def test_a_whole_number_gives_what_iteration_gives() -> None:
    detections = example()
    assert detections[-1].metadata is detections.bboxes_metadata[2]
    assert detections[1].xyxy.tolist() == [1, 2, 3, 4]
    with pytest.raises(IndexError, match="row 3 of 3"):
        detections[3]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("index", [slice(2, None, -2), [2, 0], [True, False, True]], ids=str)
def test_several_rows_give_detections_with_their_metadata(kind: str, index: object) -> None:
    chosen = getattr(example(), kind)()[index]
    order = [0, 2] if index == [True, False, True] else [2, 0]
    assert type(chosen.xyxy) is (torch.Tensor if kind == "torch" else np.ndarray)
    assert chosen.class_id.tolist() == [[0, 2, 7][row] for row in order]
    assert [bool(entry.get("tracker_id")) for entry in chosen.bboxes_metadata] == [row == 0 for row in order]
    assert chosen.class_names is NAMES
    assert chosen.image_metadata == {"source": "a.jpg"}


def test_a_comparison_selects_rows() -> None:
    for detections in (example(), example().torch()):
        assert detections[detections.confidence > 0.4].class_id.tolist() == [0, 2]


def test_changing_the_kind_of_array_keeps_values_types_and_metadata() -> None:
    there = example().torch("cpu")
    assert (there.xyxy.dtype, there.class_id.dtype) == (torch.float32, torch.int32)
    back = there.numpy()
    assert type(back.xyxy) is np.ndarray
    assert back == example() == there


def test_read_only_memory_becomes_a_tensor_without_a_warning() -> None:
    boxes = np.zeros((1, 4), np.float32)
    boxes.flags.writeable = False
    assert example(xyxy=boxes).torch().xyxy.shape == (1, 4)


def test_bfloat16_becomes_float32_on_the_way_to_numpy() -> None:
    detections = example(confidence=torch.tensor([0.5, 0.25, 0.125], dtype=torch.bfloat16))
    assert detections.numpy().confidence.dtype == np.float32
    assert detections.numpy().confidence.tolist() == [0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    "changes",
    [
        {"xyxy": np.zeros((3, 4), np.float32)},
        {"xyxy": example().xyxy.astype(np.float64)},
        {"class_id": np.array([0, 2, 6], np.int32)},
        {"confidence": None},
        {"image_metadata": None},
        {"bboxes_metadata": [{}, {}, {}]},
        {"class_names": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_difference_in_any_field_makes_detections_unequal(changes: dict[str, object]) -> None:
    assert example() == example()
    assert example() != example(**changes)
    assert example() != "text"


def test_detections_cannot_be_hashed() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(example())


def test_repr_is_short_and_never_shows_arrays() -> None:
    assert repr(example()[:2]) == "Detections(2: face 0.93 [224 64 300.2 172], cat 0.50 [1 2 3 4])"
    many = example()[[0, 1, 2, 0, 1]]
    assert repr(many) == ("Detections(5: face 0.93 [224 64 300.2 172], cat 0.50 [1 2 3 4], owl 0.25 [5 6 7 8.5], ...)")
    assert repr(empty()) == "Detections(0)"
    assert repr(example(class_names=None, bboxes_metadata=None)[2:]) == "Detections(1: class 7 0.25 [5 6 7 8.5])"
    assert repr(example(class_id=None, confidence=None)[:1]) == "Detections(1: [224 64 300.2 172])"


def test_the_json_of_a_detection_is_readable_and_stable() -> None:
    detections = example(image_metadata=None, bboxes_metadata=None, class_names=["face"])[:2]
    assert detections.to_json() == (
        '{"type": "Detections", "schema_version": 1, "detections": ['
        '{"xyxy": [224.0, 64.0, 300.25, 172.0], "class_id": 0, "class_name": "face", "confidence": 0.93}, '
        '{"xyxy": [1.0, 2.0, 3.0, 4.0], "class_id": 2, "confidence": 0.5}], '
        '"class_names": ["face"], "image_metadata": null, "bboxes_metadata": null, '
        '"dtypes": {"xyxy": "float32", "class_id": "int32", "confidence": "float32"}}'
    )


@pytest.mark.parametrize("make", [example, empty, lambda: example().torch(), lambda: example(confidence=None)])
def test_json_brings_everything_back(make: object) -> None:
    back = Detections.from_json(make().to_json(indent=2))
    assert back == make()
    assert back.xyxy.shape == (len(make()), 4)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 4).flatmap(
        lambda n: st.tuples(
            hnp.arrays(st.sampled_from([np.float32, np.float64, np.int32]), (n, 4)),
            hnp.arrays(st.sampled_from([np.int32, np.int64]), n),
            hnp.arrays(st.sampled_from([np.float16, np.float32]), n),
        )
    )
)
def test_any_detections_survive_json(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    detections = Detections(*arrays)
    assert Detections.from_json(detections.to_json()) == detections


def test_lists_of_different_lengths_cannot_be_written() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        example(class_id=np.zeros(2, np.int32), bboxes_metadata=[{}]).to_dict()
    assert str(caught.value) == (
        "this Detections has no rows to write: its fields differ in length.\n"
        "needs fields of one length; found: xyxy 3, class_id 2, confidence 3, bboxes_metadata 1\n"
        "give every field one entry per object"
    )


def test_a_dictionary_of_another_class_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        Detections.from_dict({"type": "KeyPoints", "schema_version": 1})
    assert str(caught.value) == (
        "Detections cannot be read from this dictionary.\n"
        "needs type 'Detections', schema_version 1, detections, class_names, image_metadata, bboxes_metadata, dtypes; "
        "found: type 'KeyPoints', schema_version 1\n"
        "read it with the class that is named in 'type'"
    )


def test_a_dictionary_that_lacks_a_key_is_refused() -> None:
    data = example().to_dict()
    del data["dtypes"]
    with pytest.raises(InvalidParameterError, match="found: no dtypes"):
        Detections.from_dict(data)
    with pytest.raises(InvalidParameterError, match="found: type None"):
        Detections.from_json("[]")


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        Detections.from_json("{")
    assert str(caught.value) == (
        "Detections cannot be read from JSON.\n"
        "needs JSON text as `to_json` writes it; found: text that is no JSON "
        "(Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"
    )


def test_reading_ignores_keys_it_does_not_know() -> None:
    data = json.loads(example().to_json())
    data["later"] = data["detections"][0]["later"] = 1
    assert Detections.from_dict(data) == example()


def test_importing_containers_loads_no_heavy_library() -> None:
    code = (
        "import sys, inference_models.predictions.detections, inference_models.predictions.instances, "
        "inference_models.tasks.object_detection, inference_models.tasks.instance_segmentation, "
        "inference_models.drawing; "
        "print(sorted({'torch', 'cv2', 'supervision', 'PIL', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
