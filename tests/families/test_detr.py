from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError
from inference_models.families import find_graph
from inference_models.preprocess.geometry import plan_image

RECORDED = Path(__file__).parent / "recorded" / "queries.npz"
NAMES = ["person", "dog", "ball"]
PICTURE = np.random.default_rng(0).integers(0, 255, (125, 200, 3), np.uint8)[..., ::-1]
PROCESSORS = {"detr": "Detr", "yolos": "Yolos"}


@pytest.fixture(scope="module")
def recorded():
    """Made by tools/record_queries.py with transformers 5.24.0."""
    return np.load(RECORDED)


def load(path, recorded, architecture, *, size=("height", "width"), labels=NAMES, backend="onnx", **changes):
    names = ("logits", "pred_boxes")
    outputs = {name: recorded[f"{PROCESSORS[architecture]}_{name}"] for name in names} | changes
    outputs = {name: output for name, output in outputs.items() if output is not None}
    graphs.constant_outputs(path / "m.onnx", size=size, outputs=outputs)
    return AutoModel.from_pretrained(
        path / "m.onnx", model_type=architecture, task_type="object-detection", labels=labels, backend=backend
    )


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("size", [("height", "width"), (64, 96)], ids=["any size", "one size"])
@pytest.mark.parametrize("architecture", list(PROCESSORS))
def test_objects_are_those_of_transformers(tmp_path, recorded, architecture, size, backend):
    (ours,) = load(tmp_path, recorded, architecture, size=size, backend=backend)(PICTURE, confidence=0.3)
    found = recorded[f"{PROCESSORS[architecture]}_found"]
    np.testing.assert_allclose(ours.xyxy, np.clip(found[:, :4], 0, [200, 125, 200, 125]), atol=1e-3)
    np.testing.assert_allclose(ours.confidence, found[:, 4], atol=1e-6)
    np.testing.assert_array_equal(ours.class_id, found[:, 5])
    assert len(ours) > 10


@pytest.mark.parametrize("architecture", list(PROCESSORS))
def test_pictures_are_prepared_as_transformers_does(tmp_path, recorded, architecture):
    inputs, _ = load(tmp_path, recorded, architecture).pre_process(PICTURE)
    assert inputs.shape[2:] == tuple(recorded[f"{PROCESSORS[architecture]}_size"])
    np.testing.assert_allclose(inputs[0][:, :4, :4], recorded[f"{PROCESSORS[architecture]}_corner"], atol=1e-5)


# get_size_with_aspect_ratio and get_size_with_aspect_ratio_yolos of transformers 5.24.0, for 800 and 1333.
SIZES = [
    ((480, 640), (800, 1066), (800, 1056)),
    ((640, 480), (1066, 800), (1056, 800)),
    ((375, 500), (800, 1066), (800, 1056)),
    ((1080, 1920), (750, 1333), (736, 1328)),
    ((1920, 1080), (1333, 750), (1328, 736)),
    ((800, 1100), (800, 1100), (800, 1088)),
    ((500, 500), (800, 800), (800, 800)),
    ((300, 3000), (133, 1333), (128, 1328)),
    ((333, 1000), (444, 1333), (432, 1328)),
    ((427, 640), (800, 1199), (800, 1184)),
]


@pytest.mark.parametrize(("image", "detr", "yolos"), SIZES)
def test_the_network_size_is_that_of_transformers(image, detr, yolos):
    for name, size in (("detr", detr), ("yolos", yolos)):
        plan = plan_image(find_graph(name, "object-detection").preprocess, image)
        assert plan.transform.network_size == size


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("sides", [(64, 64), ("height", "width")], ids=["one size", "any size"])
def test_a_pixel_mask_is_that_of_a_picture_without_padding(tmp_path, recorded, sides, backend):
    """transformers.js writes masks of 64 x 64, `torch.onnx.export` of the size of the images."""
    outputs = {name: recorded[f"Detr_{name}"] for name in ("logits", "pred_boxes")}
    path = graphs.constant_outputs(tmp_path / "m.onnx", size=("height", "width"), outputs=outputs)
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("pixel_mask", TensorProto.INT64, [1, *sides]))
    model.graph.node[0].output[0] = "mean_of_image"
    model.graph.node.insert(1, helper.make_node("Cast", ["pixel_mask"], ["shown"], to=TensorProto.FLOAT))
    model.graph.node.insert(2, helper.make_node("ReduceMin", ["shown"], ["all"], axes=[1, 2], keepdims=0))
    model.graph.node.insert(3, helper.make_node("Div", ["mean_of_image", "all"], ["mean"]))
    onnx.save(model, path)
    kwargs = {"model_type": "detr", "task_type": "object-detection", "labels": NAMES, "backend": backend}
    (ours,) = AutoModel.from_pretrained(path, **kwargs)(PICTURE, confidence=0.3)
    np.testing.assert_allclose(ours.confidence, recorded["Detr_found"][:, 4], atol=1e-6)


def test_the_columns_of_coco_are_its_category_numbers(tmp_path, recorded):
    logits = np.full((1, 20, 92), -9, np.float32)
    logits[0, 3:, 91] = 3
    logits[0, [0, 1, 2], [1, 18, 90]] = 9
    (found,) = load(tmp_path, recorded, "detr", labels="coco", logits=logits)(PICTURE, confidence=0.5)
    assert sorted(found.labels()) == ["dog", "person", "toothbrush"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": [*NAMES, "cup"]}, ["4 class names", "3 columns"]),
        ({"pred_boxes": None}, ["(B, Q, 4), (B, Q, C)", "(1, 20, 4)"]),
        ({"logits": np.zeros((1, 20), np.float32)}, ["(B, Q, 4), (B, Q, C)", "(1, 20)"]),
    ],
    ids=["classes", "no boxes", "rank"],
)
def test_a_graph_that_does_not_fit_is_refused_when_it_is_loaded(tmp_path, recorded, changes, words):
    with pytest.raises(CorruptedModelPackageError) as caught:
        load(tmp_path, recorded, "detr", **changes)
    assert all(word in str(caught.value) for word in words), str(caught.value)
