"""What every kind of prediction promises: its fields, its JSON, what makes two equal, and what cannot be read."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from inference_models.errors import InvalidParameterError
from inference_models.predictions.classification import ClassificationPrediction, MultiLabelClassificationPrediction
from inference_models.predictions.detections import Detections
from inference_models.predictions.instances import InstanceDetections
from inference_models.predictions.key_points import KeyPoints
from inference_models.predictions.masks import InstancesRLEMasks
from inference_models.predictions.oriented import OrientedDetections
from inference_models.predictions.semantic_segmentation import SemanticSegmentationResult

if TYPE_CHECKING:
    from inference_models.predictions.container import Prediction

FLOATS = st.sampled_from([np.float16, np.float32, np.float64])
MASKS = np.zeros((2, 6, 8), bool)
MASKS[0, 1:3, 2:5] = True
MASKS[1, 4:, 6:] = True
RUNS = InstancesRLEMasks.from_dense(MASKS, (60, 80))
NAMES = ["face", "dog"]
COVARIANCE = np.array([[[[4, 1], [1, 9]], [[np.nan] * 2] * 2]], np.float32)
DETECTIONS = Detections(
    xyxy=np.array([[224, 64, 300.25, 172], [1, 2, 3, 4]], np.float32),
    class_id=np.array([0, 7], np.int32),
    confidence=np.array([0.93, np.inf], np.float32),
    image_metadata={"source": "a.jpg"},
    bboxes_metadata=[{"tracker_id": 5}, {"polygon": np.ones((1, 2), np.float32), "pair": (1, np.float32(0.1))}],
    class_names=NAMES,
)
INSTANCES = InstanceDetections(
    xyxy=np.array([[2, 1, 5, 3], [6, 4, 8, 6]], np.float32),
    class_id=np.array([1, 0], np.int32),
    confidence=np.array([0.75, 0.5], np.float32),
    mask=MASKS,
    class_names=NAMES,
)
KEY_POINTS = KeyPoints(
    xy=np.array([[[1, 2], [0, 0]]], np.float32),
    class_id=np.array([0], np.int32),
    confidence=np.array([[0.9, 0]], np.float32),
    covariance=COVARIANCE,
    class_names=["person"],
)
ORIENTED = OrientedDetections(
    xyxy=np.array([[0, 1, 4, 5]], np.float32),
    class_id=np.array([1], np.int32),
    confidence=np.array([0.75], np.float32),
    xywhr=np.array([[2, 3, 4, 1, 0.5]], np.float32),
    class_names=NAMES,
)
ONE_LABEL = ClassificationPrediction(np.array([0]), np.array([[0.93, 0.07]], np.float32), [{"page": 1}], ["cat", "dog"])
LABELS = MultiLabelClassificationPrediction(np.array([1]), np.array([0.1, 0.7], np.float32), None, ["cat", "dog"])
REGIONS = SemanticSegmentationResult(
    np.array([[0, 0, 2], [2, 2, 2]]), np.full((2, 3), 0.93, np.float32), None, ["road", "sky", "car"]
)
ALL = [DETECTIONS, INSTANCES, KEY_POINTS, ORIENTED, ONE_LABEL, LABELS, REGIONS]
PACKED = base64.b64encode(zlib.compress(REGIONS.confidence.tobytes())).decode()
KINDS = [type(item).__name__ for item in ALL]
JSON = [
    (
        '"detections": [{"xyxy": [224.0, 64.0, 300.25, 172.0], "class_id": 0, "class_name": "face", '
        '"confidence": 0.93}, '
        '{"xyxy": [1.0, 2.0, 3.0, 4.0], "class_id": 7, "confidence": "Infinity"}], "class_names": ["face", "dog"], '
        '"image_metadata": {"source": "a.jpg"}, "bboxes_metadata": [{"tracker_id": 5}, {"polygon": {"array": '
        '[[1.0, 1.0]], "dtype": "float32", "shape": [1, 2]}, "pair": [1, 0.1]}], '
        '"dtypes": {"xyxy": "float32", "class_id": "int32", "confidence": "float32"}}'
    ),
    (
        '"detections": [{"xyxy": [2.0, 1.0, 5.0, 3.0], "class_id": 1, "class_name": "dog", "confidence": 0.75, '
        '"mask": {"size": [6, 8], "counts": "=24000a0"}}, {"xyxy": [6.0, 4.0, 8.0, 6.0], "class_id": 0, '
        '"class_name": "face", "confidence": 0.5, "mask": {"size": [6, 8], "counts": "X1240"}}], '
        '"class_names": ["face", "dog"], "image_metadata": null, "bboxes_metadata": null, '
        '"dtypes": {"xyxy": "float32", "class_id": "int32", "confidence": "float32"}, '
        '"masks": {"format": "dense", "size": [6, 8], "dtype": "bool"}, '
        '"mask_size": [6, 8], "image_size": null, "mask_frame_size": null}'
    ),
    (
        '"objects": [{"class_name": "person", "class_id": 0, "xy": [[1.0, 2.0], [0.0, 0.0]], "confidence": [0.9, 0.0], '
        '"covariance": [[[4.0, 1.0], [1.0, 9.0]], [[null, null], [null, null]]]}], "key_points_per_object": 2, '
        '"class_names": ["person"], "image_metadata": null, "key_points_metadata": null, '
        '"dtypes": {"class_id": "int32", "detection_confidence": null, "xy": "float32", "confidence": "float32", '
        '"covariance": "float32"}}'
    ),
    (
        '"detections": [{"xyxy": [0.0, 1.0, 4.0, 5.0], "xywhr": [2.0, 3.0, 4.0, 1.0, 0.5], "class_id": 1, '
        '"class_name": "dog", "confidence": 0.75}], "class_names": ["face", "dog"], "image_metadata": null, '
        '"bboxes_metadata": null, '
        '"dtypes": {"xyxy": "float32", "class_id": "int32", "confidence": "float32", "xywhr": "float32"}}'
    ),
    (
        '"images": [{"class_id": 0, "class_name": "cat", "confidence": [0.93, 0.07]}], "class_names": ["cat", "dog"], '
        '"images_metadata": [{"page": 1}], "classes": 2, "dtypes": {"class_id": "int64", "confidence": "float32"}}'
    ),
    (
        '"labels": [{"class_id": 1, "class_name": "dog", "confidence": 0.7}], "confidence": [0.1, 0.7], '
        '"class_names": ["cat", "dog"], "image_metadata": null, '
        '"dtypes": {"class_ids": "int64", "confidence": "float32"}}'
    ),
    (
        '"classes": [{"class_id": 2, "class_name": "car", "pixels": 4}, '
        '{"class_id": 0, "class_name": "road", "pixels": 2}], '
        '"segmentation_map": {"size": [2, 3], "dtype": "int64", "class_ids": [0, 2], "runs": [2, 4]}, '
        f'"confidence": {{"dtype": "float32", "shape": [2, 3], "zlib_base64": "{PACKED}"}}, '
        '"class_names": ["road", "sky", "car"], "image_metadata": null}'
    ),
]
"""Behind the type and the version; every character of it is public."""
FIELDS = [
    "xyxy class_id confidence image_metadata bboxes_metadata class_names",
    "xyxy class_id confidence mask image_metadata bboxes_metadata mask_size image_size mask_frame_size class_names",
    "xy class_id confidence image_metadata key_points_metadata covariance detection_confidence class_names",
    "xyxy class_id confidence xywhr image_metadata bboxes_metadata class_names",
    "class_id confidence images_metadata class_names",
    "class_ids confidence image_metadata class_names",
    "segmentation_map confidence image_metadata class_names",
]
"""Those of the public library, in its order, and then the names."""
every_kind = pytest.mark.parametrize("prediction", ALL, ids=KINDS)


@pytest.mark.parametrize(("prediction", "names"), [*zip(ALL, FIELDS, strict=True)], ids=KINDS)
def test_the_fields_keep_their_order(prediction: Prediction, names: str) -> None:
    assert [item.name for item in fields(prediction)] == names.split()


@pytest.mark.parametrize(("prediction", "text"), [*zip(ALL, JSON, strict=True)], ids=KINDS)
def test_the_json_is_readable_and_stable(prediction: Prediction, text: str) -> None:
    wanted = f'{{"type": "{type(prediction).__name__}", "schema_version": 1, {text}'
    assert prediction.to_json() == prediction.torch().to_json() == wanted


@pytest.mark.parametrize(
    "prediction",
    [
        *ALL,
        DETECTIONS[[]],
        replace(DETECTIONS, confidence=None),
        replace(DETECTIONS, class_names=None, bboxes_metadata=None, image_metadata=None),
        INSTANCES[[]],
        replace(INSTANCES, mask=MASKS.astype(np.float32)),
        replace(INSTANCES, mask=RUNS, image_size=(60, 80), mask_frame_size=(50, 80)),
        replace(INSTANCES, mask=RUNS)[[]],
        replace(INSTANCES, mask=None),
        KEY_POINTS[[]],
        replace(KEY_POINTS, covariance=None, detection_confidence=np.ones(1, np.float16), key_points_metadata=[{}]),
        ORIENTED[[]],
        replace(ONE_LABEL, class_id=np.zeros(0, np.int64), confidence=np.zeros((0, 2), np.float32), images_metadata=[]),
        replace(LABELS, class_ids=np.zeros(0, np.int64), class_names=None),
        replace(REGIONS, confidence=None),
    ],
    ids=repr,
)
def test_json_brings_everything_back(prediction: Any) -> None:
    assert repr(prediction.torch()) == repr(prediction)
    for written in (prediction, prediction.torch()):
        back = type(prediction).from_json(written.to_json(indent=2))
        assert back == prediction == written.numpy()
        shapes = [
            {name: value.shape for name, value in vars(item).items() if isinstance(value, np.ndarray)}
            for item in (back, prediction)
        ]
        assert shapes[0] == shapes[1]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 4).flatmap(
        lambda n: st.tuples(
            FLOATS.flatmap(lambda kind: hnp.arrays(kind, (n, 4))),
            hnp.arrays(st.sampled_from([np.int32, np.int64, np.uint64]), n),
            FLOATS.flatmap(lambda kind: hnp.arrays(kind, n)),
            hnp.arrays(np.bool_, st.tuples(st.just(n), st.integers(1, 9), st.integers(1, 9))),
        )
    )
)
def test_any_numbers_and_masks_survive_json_bit_for_bit(arrays: tuple[np.ndarray, ...]) -> None:
    back = InstanceDetections.from_json(InstanceDetections(*arrays).to_json())
    for given_array, read in zip(arrays, (back.xyxy, back.class_id, back.confidence, back.mask), strict=True):
        assert (read.dtype, read.shape) == (given_array.dtype, given_array.shape)
        numbers = given_array == given_array
        assert read[numbers].tobytes() == given_array[numbers].tobytes()
        assert not (read == read)[~numbers].any()


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).flatmap(
        lambda size: st.tuples(
            hnp.arrays(st.sampled_from([np.int64, np.uint8]), size, elements=st.integers(0, 3)),
            hnp.arrays(np.float32, size),
        )
    )
)
def test_any_regions_survive_json_and_can_be_written_to(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    result = SemanticSegmentationResult(*arrays)
    back = SemanticSegmentationResult.from_json(result.to_json())
    assert back == result
    back.confidence[...] = 0


def test_floats_are_written_in_their_shortest_form_and_json_has_no_nan() -> None:
    scores = np.array([[0.93, 1 / 3, 1e-45, 16777216, -0.0, np.nan, -np.inf]], np.float32)
    text = replace(ONE_LABEL, confidence=scores).to_json()
    assert '"confidence": [0.93, 0.33333334, 1e-45, 16777216.0, -0.0, null, "-Infinity"]' in text


def test_the_masks_in_json_are_what_pycocotools_reads() -> None:
    rows = json.loads(INSTANCES.to_json())["detections"]
    assert [int(coco.area(row["mask"])) for row in rows] == MASKS.sum(axis=(1, 2)).tolist()


def test_metadata_comes_back_as_json_has_it_and_arrays_as_arrays() -> None:
    metadata = {"none": np.zeros((0, 2), np.int32), "pair": (1, 2.5), 3: {"deep": [None, True, "text"]}}
    back = Detections.from_json(replace(DETECTIONS, image_metadata=metadata).to_json()).image_metadata
    assert (back["none"].shape, back["none"].dtype) == ((0, 2), np.int32)
    assert {key: back[key] for key in ("pair", "3")} == {"pair": [1, 2.5], "3": {"deep": [None, True, "text"]}}


@every_kind
def test_a_difference_in_any_field_makes_predictions_unequal(prediction: Prediction) -> None:
    assert prediction == replace(prediction) == prediction.torch()
    assert prediction != "text"
    for item in fields(prediction):
        value = getattr(prediction, item.name)
        if isinstance(value, np.ndarray):
            # One number, the number format, the shape, or nothing at all.
            others: list[Any] = [value.astype(np.float64), value[..., None], None]
            changed = value.copy()
            changed.flat[0] = 1 - changed.flat[0]
            others.append(changed)
        else:
            others = [{"other": 1}] if value is None or isinstance(value, tuple) else [None]
        for other in others:
            assert prediction != replace(prediction, **{item.name: other}), item.name


@every_kind
def test_predictions_cannot_be_hashed(prediction: Prediction) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(prediction)


@pytest.mark.parametrize(
    "prediction", [DETECTIONS, INSTANCES, KEY_POINTS, ORIENTED], ids=lambda item: type(item).__name__
)
@pytest.mark.parametrize("rows", [slice(None), slice(0)], ids=["found", "nothing found"])
def test_a_line_of_json_brings_what_was_found_back(prediction: Any, rows: slice) -> None:
    found = prediction[rows]
    line = json.loads(json.dumps(found.to_line()))
    assert not {"dtypes", "class_names"} & line.keys()
    assert None not in line.values()
    back = type(prediction).from_dict(line)
    for name in ("xyxy", "xy", "class_id", "confidence"):
        np.testing.assert_array_equal(getattr(back, name, None), getattr(found, name, None))
    assert back.to_line() == line


def test_a_line_of_scores_has_the_best_and_is_no_whole_prediction() -> None:
    line = ONE_LABEL.to_line(top=1)
    assert line["top"] == [[{"class_id": 0, "class_name": "cat", "confidence": 0.93}]]
    assert LABELS.to_line()["labels"] == [{"class_id": 1, "class_name": "dog", "confidence": 0.7}]
    for kind, part, missing in ((ONE_LABEL, line, "images"), (LABELS, LABELS.to_line(), "confidence")):
        with pytest.raises(InvalidParameterError, match=f"found: no {missing}"):
            type(kind).from_dict(part)


@every_kind
def test_reading_ignores_keys_it_does_not_know_and_misses_those_it_needs(prediction: Prediction) -> None:
    data = json.loads(prediction.to_json())
    assert type(prediction).from_dict({**data, "later": 1}) == prediction
    needed = type(prediction).KEYS[0]
    del data[needed]
    with pytest.raises(InvalidParameterError, match=f"found: no {needed}"):
        type(prediction).from_dict(data)


def test_what_is_no_such_prediction_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        Detections.from_dict({"type": "KeyPoints", "schema_version": 1})
    assert str(caught.value) == (
        "Detections cannot be read from this dictionary.\n"
        "needs type 'Detections', schema_version 1, detections, class_names, image_metadata, bboxes_metadata, dtypes; "
        "found: type 'KeyPoints', schema_version 1\n"
        "read it with the class that is named in 'type'"
    )
    with pytest.raises(InvalidParameterError, match="found: type None"):
        Detections.from_json("[]")
    with pytest.raises(InvalidParameterError) as caught:
        Detections.from_json("{")
    assert str(caught.value) == (
        "Detections cannot be read from JSON.\n"
        "needs JSON text as `to_json` writes it; found: text that is no JSON "
        "(Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"
    )


@pytest.mark.parametrize(
    ("prediction", "changes", "text"),
    [
        (
            DETECTIONS,
            {"class_id": np.zeros(3, np.int32), "bboxes_metadata": [{}]},
            (
                "this Detections has no rows to write: its fields differ in length.\n"
                "needs fields of one length; found: xyxy 2, class_id 3, confidence 2, bboxes_metadata 1\n"
                "give every field one entry per object"
            ),
        ),
        (
            DETECTIONS,
            {"image_metadata": {"when": {1}}},
            (
                "metadata value {1} has no JSON form.\n"
                "needs None, bool, number, text, list, tuple, dict or array; found: set\n"
                "convert it before it goes into the metadata"
            ),
        ),
        (
            INSTANCES,
            {"mask": MASKS.astype(np.float32) * 0.5},
            (
                "masks cannot be written as run lengths.\n"
                "needs masks of bool, or of 0 and 1; found: float32 values from 0 to 0.5\n"
                "threshold them first: mask > 0.5"
            ),
        ),
    ],
    ids=["lengths", "metadata", "soft masks"],
)
def test_what_has_no_json_form_is_refused(prediction: Prediction, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        replace(prediction, **changes).to_dict()
    assert str(caught.value) == text
