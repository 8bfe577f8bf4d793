from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError

NAMES = ["person", "dog", "ball"]
PICTURE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
DETECTIONS = {
    "num_detections:0": np.array([3], np.float32),
    "detection_boxes:0": np.array(
        [[[0.1, 0.2, 0.5, 0.6], [0, 0.25, 1, 0.75], [0.5, 0.5, 0.9, 1.2], [0, 0, 1, 1]]], np.float32
    ),
    "detection_scores:0": np.array([[0.9, 0.8, 0.5, 0.7]], np.float32),
    "detection_classes:0": np.array([[1, 3, 2, 1]], np.float32),
}
"""As the API documents them; the last row is behind `num_detections`."""


def load(path, outputs, *, labels=NAMES, backend="onnx"):
    """A graph of uint8 pictures whose outputs have nothing to do with them."""
    nodes = [
        helper.make_node("Cast", ["image_tensor:0"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        *(helper.make_node("Add", ["nothing", f"value_{name}"], [name]) for name in outputs),
    ]
    weights = {"zero": np.float32(0), **{f"value_{name}": value for name, value in outputs.items()}}
    inputs = {"image_tensor:0": [1, "height", "width", 3]}
    shapes = {name: list(value.shape) for name, value in outputs.items()}
    graphs.save(
        path / "m.onnx", nodes, inputs=inputs, outputs=shapes, weights={k: np.asarray(v) for k, v in weights.items()}
    )
    model = onnx.load(path / "m.onnx")
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, path / "m.onnx")
    return AutoModel.from_pretrained(
        path / "m.onnx", model_type="ssd", task_type="object-detection", labels=labels, backend=backend
    )


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("order", [list(DETECTIONS), sorted(DETECTIONS)], ids=["TensorFlow 1", "TensorFlow 2"])
def test_rows_are_parts_of_the_picture_and_classes_count_from_one(tmp_path, order, backend):
    model = load(tmp_path, {name: DETECTIONS[name] for name in order}, backend=backend)
    (ours,) = model(PICTURE, confidence=0.5)
    np.testing.assert_allclose(ours.xyxy, [[16, 6, 48, 30], [20, 0, 60, 60], [40, 30, 80, 54]], atol=1e-3)
    np.testing.assert_allclose(ours.confidence, [0.9, 0.8, 0.5], atol=1e-6)
    assert ours.labels() == ["person", "ball", "dog"]


def test_the_graph_is_fed_the_pixels_of_the_picture_red_first(tmp_path):
    inputs, _ = load(tmp_path, DETECTIONS).pre_process(PICTURE)
    assert inputs.dtype == np.uint8
    np.testing.assert_array_equal(inputs, PICTURE[None, ..., ::-1])


def test_classes_of_coco_are_its_category_numbers(tmp_path):
    outputs = DETECTIONS | {"detection_classes:0": np.array([[1, 18, 90, 1]], np.float32)}
    model = load(tmp_path, outputs, labels="coco")
    (found,) = model(PICTURE, confidence=0.5)
    assert found.labels() == ["person", "dog", "toothbrush"]
    (dogs,) = model(PICTURE, confidence=0.5, class_filter=["dog"])
    assert dogs.class_id.tolist() == [16]


def test_a_class_without_a_name_is_refused_with_its_number(tmp_path):
    outputs = DETECTIONS | {"detection_classes:0": np.array([[1, 7, 2, 1]], np.float32)}
    model = load(tmp_path, outputs)
    with pytest.raises(CorruptedModelPackageError, match="7"):
        model(PICTURE, confidence=0.5)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("num_detections:0", None, "(1, 4, 4), (1, 4), (1, 4)"),
        ("detection_scores:0", np.zeros((1, 4, 2), np.float32), "(1, 4, 2)"),
        ("detection_boxes:0", np.zeros((1, 4, 5), np.float32), "(1, 4, 5)"),
    ],
    ids=["missing", "rank", "columns"],
)
def test_a_graph_with_other_outputs_is_refused_when_it_is_loaded(tmp_path, name, value, found):
    outputs = {key: output for key, output in {**DETECTIONS, name: value}.items() if output is not None}
    with pytest.raises(CorruptedModelPackageError) as caught:
        load(tmp_path, outputs)
    assert "detection_boxes" in str(caught.value)
    assert found in str(caught.value)


def test_outputs_without_their_names_are_refused_when_the_graph_is_loaded(tmp_path):
    outputs = {f"output{place}": output for place, output in enumerate(DETECTIONS.values())}
    with pytest.raises(CorruptedModelPackageError, match="detection_scores"):
        load(tmp_path, outputs)
