"""Gaze of batches of faces, against the formula of arXiv 2203.03339 in NumPy 2, within 1e-5 radians."""

from __future__ import annotations

import json

import numpy as np
import pytest

import graphs
from inference_models import AutoModel, GazeDetection, GazeDetectionModel
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError

BACKENDS = pytest.mark.parametrize("backend", ["onnx", "openvino"])
FACES = [np.full((20, 30, 3), 90, np.uint8), np.zeros((50, 40, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)]
YAW, PITCH = np.float32([0.31]), np.float32([-0.17])


def load(folder, outputs, backend="onnx", batch="batch", **options):
    if backend == "openvino":
        pytest.importorskip("openvino")
    path = graphs.constant_outputs(folder / "m.onnx", size=(32, 32), outputs=outputs, batch=batch)
    return AutoModel.from_pretrained(path, model_type="l2cs-net", backend=backend, **options)


@BACKENDS
@pytest.mark.parametrize("batch", [1, "batch"])
def test_angles_of_the_graph_are_kept_for_every_face_of_a_batch(tmp_path, backend, batch):
    model = load(tmp_path, {"output": YAW, "1207": PITCH}, backend, batch)
    assert isinstance(model, GazeDetectionModel)
    gaze = model(FACES)
    assert (len(gaze), gaze.yaw.dtype, gaze.pitch.dtype) == (3, np.float32, np.float32)
    np.testing.assert_array_equal(gaze.yaw, np.repeat(YAW, 3))
    np.testing.assert_array_equal(gaze.pitch, np.repeat(PITCH, 3))
    assert model.post_process(model.forward(model.pre_process(FACES))) == gaze


def test_a_package_needs_nothing_but_its_graph_and_what_it_is(tmp_path):
    graphs.constant_outputs(tmp_path / "weights.onnx", size=(32, 32), outputs={"a": YAW, "b": PITCH})
    stated = {"model_architecture": "l2cs-net", "task_type": "gaze-detection", "backend_type": "onnx"}
    (tmp_path / "model_config.json").write_text(json.dumps(stated))
    gaze = GazeDetectionModel.from_pretrained(tmp_path)(FACES[0])
    assert (gaze.yaw, gaze.pitch) == (YAW, PITCH)


def test_names_of_the_outputs_go_before_their_order(tmp_path):
    gaze = load(tmp_path, {"pitch": PITCH, "yaw": YAW})(FACES[0])
    assert (gaze.yaw, gaze.pitch) == (YAW, PITCH)


def test_angles_come_as_the_kind_of_array_that_was_asked_for(tmp_path):
    pytest.importorskip("torch")
    gaze = load(tmp_path, {"a": YAW, "b": PITCH}, arrays="torch")(FACES)
    assert (str(gaze.yaw.dtype), tuple(gaze.pitch.shape)) == ("torch.float32", (3,))


def test_an_unknown_option_is_refused_and_the_next_call_works(tmp_path):
    model = load(tmp_path, {"a": YAW, "b": PITCH})
    with pytest.raises(InvalidParameterError, match="confidence"):
        model(FACES, confidence=0.5)
    assert len(model(FACES)) == 3


@BACKENDS
@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        ([(1,)], r"\((None|1),\)"),
        ([(1, 90)], r"\((None|1), 90\)"),
        ([(1,), (1, 90)], r"\((None|1),\), \((None|1), 90\)"),
        ([(1, 66), (1, 66)], r"\((None|1), 66\), \((None|1), 66\)"),
        ([(1, 90), (1, 28)], r"\((None|1), 90\), \((None|1), 28\)"),
        ([(1, 90, 1), (1, 90, 1)], r"\((None|1), 90, 1\), \((None|1), 90, 1\)"),
    ],
)
def test_a_graph_that_gives_no_gaze_is_refused_when_it_is_loaded(tmp_path, backend, shapes, found):
    outputs = {f"output{place}": np.zeros(shape, np.float32) for place, shape in enumerate(shapes)}
    needs = r"needs two outputs, yaw and pitch: both \(B,\) angles, or both \(B, 90\) or \(B, 28\) logits; found: "
    with pytest.raises(CorruptedModelPackageError, match=needs + found):
        load(tmp_path, outputs, backend)


def test_json_states_the_unit_and_brings_everything_back():
    gaze = GazeDetection(np.float32([0.1, np.nan]), np.float32([-0.2, 1]), [{"face": 1}, {}])
    assert gaze.to_json() == (
        '{"type": "GazeDetection", "schema_version": 1, "unit": "radians", "yaw": [0.1, null], "pitch": [-0.2, 1.0], '
        '"images_metadata": [{"face": 1}, {}], "dtypes": {"yaw": "float32", "pitch": "float32"}}'
    )
    for back in (GazeDetection.from_json(gaze.to_json()), GazeDetection.from_dict(gaze.to_line())):
        assert back == gaze
    nothing = GazeDetection(np.zeros(0, np.float32), np.zeros(0, np.float32))
    assert GazeDetection.from_json(nothing.to_json()) == nothing
    assert repr(gaze) == "GazeDetection(2: yaw 0.10 pitch -0.20, yaw nan pitch 1.00)"
