from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.onnx_file import read_onnx_file
from inference_models.package.onnx_shapes import with_free_input_dims
from package.onnx_models import small_model


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "weights.onnx"
    path.write_bytes(small_model().SerializeToString())
    return read_onnx_file(path)


def test_only_shapes_change(good):
    changed = onnx.load_from_string(with_free_input_dims(good, {"x": (None, 3, None, None)}))
    changed.DiscardUnknownFields()
    expected = small_model()
    shape = expected.graph.input[0].type.tensor_type.shape
    for dimension, value in zip(shape.dim, (None, 3, None, None), strict=True):
        if value is None and dimension.HasField("dim_value"):
            dimension.Clear()
    for value_info in (expected.graph.output[0], expected.graph.value_info[0]):
        value_info.type.tensor_type.ClearField("shape")
    assert changed == expected


def test_nothing_to_change_in_the_inputs_leaves_them(good):
    changed = onnx.load_from_string(with_free_input_dims(good, {}))
    assert list(changed.graph.input) == list(small_model().graph.input)


def test_centerface_takes_other_sizes_then(centerface_onnx):
    data = centerface_onnx.read_bytes()
    changed = with_free_input_dims(read_onnx_file(centerface_onnx), {"input.1": (None, 3, None, None)})
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(changed, options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"input.1": np.zeros((2, 3, 640, 640), np.float32)})
    assert [output.shape for output in outputs] == [(2, channels, 160, 160) for channels in (1, 2, 2, 10)]
    before, after = onnx.load_from_string(data), onnx.load_from_string(changed)
    after.DiscardUnknownFields()
    for model in (before, after):
        for value in (*model.graph.input[:1], *model.graph.output):
            value.type.tensor_type.ClearField("shape")
    assert before == after


@pytest.mark.parametrize(
    ("dims", "needs"),
    [({"y": (1,)}, "an input 'y' with 1 sides"), ({"x": (1, 3)}, "an input 'x' with 2 sides")],
)
def test_dims_that_do_not_fit_are_refused(good, dims, needs):
    with pytest.raises(CorruptedModelPackageError) as caught:
        with_free_input_dims(good, dims)
    assert str(caught.value) == (
        f"weights.onnx: free_input_dims does not fit the graph.\nneeds {needs}; found: 'x' with 4 sides"
    )
