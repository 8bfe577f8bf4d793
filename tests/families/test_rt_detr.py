from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError

RECORDED = Path(__file__).parent / "recorded"
NAMES = ["person", "dog", "ball"]
PICTURE = np.random.default_rng(0).integers(0, 255, (125, 200, 3), np.uint8)[..., ::-1]
ULTRALYTICS = {"task": "detect", "head": "RTDETRDecoder", "stride": "32", "end2end": "False"}


@pytest.fixture(scope="module")
def recorded():
    """Made by tools/record_queries.py with transformers 5.24.0, of a processor for RT-DETR, D-FINE and DEIMv2."""
    return np.load(RECORDED / "queries.npz")


@pytest.fixture(scope="module")
def rows():
    """Made by tools/record_queries.py with ultralytics 8.4.190."""
    return np.load(RECORDED / "query_rows.npz")


def exported(path, data, *, order=("logits", "pred_boxes"), **changes):
    outputs = {name: data[f"RTDetr_{name}"] for name in order} | changes
    outputs["last_hidden_state"] = np.zeros((1, 20, 8), np.float32)
    return graphs.constant_outputs(path, size=(64, 96), outputs={k: v for k, v in outputs.items() if v is not None})


def by_ultralytics(path, output, names=NAMES):
    metadata = {**ULTRALYTICS, "names": str(dict(enumerate(names)))}
    return graphs.constant_outputs(path, size=(64, 96), outputs={"output0": output}, metadata=metadata)


def assert_found(ours, found):
    np.testing.assert_allclose(ours.xyxy, np.clip(found[:, :4], 0, [200, 125, 200, 125]), atol=1e-3)
    np.testing.assert_allclose(ours.confidence, found[:, 4], atol=1e-6)
    np.testing.assert_array_equal(ours.class_id, found[:, 5])


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("order", [("logits", "pred_boxes"), ("pred_boxes", "logits")], ids="-".join)
@pytest.mark.parametrize("architecture", ["rt-detr", "rt_detr_v2", "d-fine", "deim"])
def test_objects_are_those_of_transformers(tmp_path, recorded, architecture, order, backend):
    path = exported(tmp_path / "m.onnx", recorded, order=order)
    model = AutoModel.from_pretrained(
        path, model_type=architecture, task_type="object-detection", labels=NAMES, backend=backend
    )
    (ours,) = model(PICTURE, confidence=0.3)
    assert_found(ours, recorded["RTDetr_found"])
    assert len(ours) > 10


def test_pictures_are_prepared_as_transformers_does(tmp_path, recorded):
    outputs = {name: recorded[f"RTDetr_{name}"] for name in ("logits", "pred_boxes")}
    path = graphs.constant_outputs(tmp_path / "m.onnx", size=(640, 640), outputs=outputs)
    model = AutoModel.from_pretrained(path, model_type="rt-detr", task_type="object-detection", labels=NAMES)
    inputs, _ = model.pre_process(PICTURE)
    np.testing.assert_allclose(inputs[0][:, :4, :4], recorded["RTDetr_corner"], atol=1e-6)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_an_export_of_ultralytics_says_what_it_is_and_gives_its_objects(tmp_path, rows, backend):
    (ours,) = AutoModel.from_pretrained(by_ultralytics(tmp_path / "m.onnx", rows["rows"]), backend=backend)(
        PICTURE, confidence=0.3
    )
    assert_found(ours, rows["found"])
    assert len(ours) > 10


@pytest.mark.parametrize("classes", [2, 3])
def test_rows_of_scores_are_read_by_their_best_class(tmp_path, rows, classes):
    """Rows of two scores are as wide as those of score and class."""
    scores = np.random.default_rng(3).uniform(0, 1, (20, classes)).astype(np.float32)
    output = np.concatenate([rows["rows"][0, :, :4], scores], 1)[None]
    (ours,) = AutoModel.from_pretrained(by_ultralytics(tmp_path / "m.onnx", output, NAMES[:classes]))(
        PICTURE, confidence=0.6
    )
    best = scores.max(1)
    order = np.argsort(-best)[: (best > 0.6).sum()]
    np.testing.assert_array_equal(ours.class_id, scores.argmax(1)[order])
    np.testing.assert_allclose(ours.confidence, best[order], atol=1e-6)


def test_ultralytics_stretches_pictures_without_smoothing(tmp_path, rows):
    inputs, _ = AutoModel.from_pretrained(by_ultralytics(tmp_path / "m.onnx", rows["rows"])).pre_process(PICTURE)
    expected = cv2.resize(np.ascontiguousarray(PICTURE[..., ::-1]), (96, 64)) / 255
    np.testing.assert_allclose(inputs[0].transpose(1, 2, 0), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"logits": np.zeros((1, 20, 5), np.float32)}, ["3", "5"]),
        ({"pred_boxes": None}, ["(B, Q, 4), (B, Q, C)", "(1, 20, 3)"]),
        ({"logits": np.zeros((1, 20), np.float32)}, ["(B, Q, 4), (B, Q, C)", "(1, 20)"]),
        ({"logits": np.zeros((1, 19, 3), np.float32)}, ["(1, 19, 3)", "(1, 20, 4)", "same queries"]),
    ],
    ids=["classes", "no boxes", "rank", "queries"],
)
def test_a_graph_that_does_not_fit_is_refused_when_it_is_loaded(tmp_path, recorded, changes, words):
    path = exported(tmp_path / "m.onnx", recorded, **changes)
    with pytest.raises(CorruptedModelPackageError) as caught:
        AutoModel.from_pretrained(path, model_type="rt-detr", task_type="object-detection", labels=NAMES)
    assert all(word in str(caught.value) for word in words), str(caught.value)
