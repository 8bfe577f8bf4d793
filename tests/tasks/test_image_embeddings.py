"""Features of classifiers, cut before the last layer: against timm 1.0.31 on tiny random networks, within 1e-4.

`tools/record_embeddings.py` made the graphs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import graphs
from inference_models import AutoModel, ClassificationModel, ImageEmbeddingModel, MultiLabelClassificationModel
from inference_models.errors import (
    InvalidParameterError,
    ModelImplementationNotFoundError,
    NoCompatiblePackageError,
)
from optional import torch

RECORDED = Path(__file__).parent.parent / "families" / "recorded" / "classifiers"
NAMES = ["a", "b", "c", "d", "e"]
PICTURES = [*np.random.default_rng(5).integers(0, 256, (3, 40, 50, 3), np.uint8)]
ASKED = {"required_capabilities": ["image_embeddings"]}
EMBEDDINGS = {"classification": ClassificationModel, "multi-label-classification": MultiLabelClassificationModel}


def recorded(architecture):
    with np.load(RECORDED / "features.npz") as stored:
        return [stored[name] for name in ("inputs", f"{architecture} features", f"{architecture} logits")]


def load(path, architecture, backend="onnx", task="classification", **options):
    if backend == "openvino":
        pytest.importorskip("openvino")
    named = {"model_type": architecture, "task_type": task, "labels": NAMES}
    return AutoModel.from_pretrained(path, backend=backend, **named, **options)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("task", EMBEDDINGS)
@pytest.mark.parametrize("architecture", ["resnet", "vit", "dinov3-probe"])
def test_features_and_logits_are_those_of_the_network(architecture, task, backend):
    path = RECORDED / f"{architecture}.onnx"
    with np.load(RECORDED / "features.npz") as stored:
        inputs, features, logits = (
            stored[name] for name in ("inputs", f"{architecture} features", f"{architecture} logits")
        )
    with load(path, architecture, backend, task, **ASKED) as model, load(path, architecture, backend, task) as plain:
        assert isinstance(model, ImageEmbeddingModel)
        assert isinstance(model, EMBEDDINGS[task])
        assert not isinstance(plain, ImageEmbeddingModel)
        np.testing.assert_allclose(model.forward_embedding(inputs), features, atol=1e-4)
        np.testing.assert_allclose(model.forward_embedding(inputs, "logits"), logits, atol=1e-4)
        assert model(PICTURES) == plain(PICTURES)
        embedded = model.embed_images(PICTURES)
        assert embedded.shape == (3, features.shape[1])
        np.testing.assert_allclose(embedded, model.forward_embedding(model.pre_process(PICTURES)), atol=1e-6)
        np.testing.assert_allclose(model.embed_images(PICTURES[::-1], "feature_vector"), embedded[::-1], atol=1e-6)
        assert model.embedding_info == {"output_type": "feature_vector", "normalization": "none"}


def test_the_file_on_disk_is_not_touched(tmp_path):
    path = shutil.copy(RECORDED / "resnet.onnx", tmp_path / "m.onnx")
    before = path.read_bytes()
    load(path, "resnet", **ASKED).embed_images(PICTURES)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["m.onnx"]


def with_tail(path, folder, *kinds):
    """The graph with further operators behind its logits."""
    model = onnx.load(path)
    last = model.graph.output[0].name
    for place, kind in enumerate(kinds):
        model.graph.node.append(
            helper.make_node(kind, [last], [f"tail{place}"], **({"to": 1} if kind == "Cast" else {}))
        )
        last = f"tail{place}"
    model.graph.output[0].name = last
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("kinds", [("Softmax",), ("Identity", "Sigmoid", "Cast")])
def test_logits_are_found_before_an_activation_in_the_graph(tmp_path, kinds, backend):
    inputs, features, logits = recorded("vit")
    model = load(with_tail(RECORDED / "vit.onnx", tmp_path, *kinds), "vit", backend, **ASKED)
    np.testing.assert_allclose(model.forward_embedding(inputs), features, atol=1e-4)
    np.testing.assert_allclose(model.forward_embedding(inputs, "logits"), logits, atol=1e-4)


def split_head(path, folder):
    """`Gemm` as exporters of transformers write it: a transposed weight, `MatMul` and `Add`."""
    model = onnx.load(path)
    head = next(node for node in model.graph.node if node.output[0] == model.graph.output[0].name)
    features, weight, bias = head.input
    table = next(item for item in model.graph.initializer if item.name == weight)
    model.graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(table).T.copy(), "turned"))
    model.graph.node.remove(head)
    model.graph.node.extend(
        [
            helper.make_node("MatMul", [features, "turned"], ["product"]),
            helper.make_node("Add", [bias, "product"], ["output"]),
        ]
    )
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


def test_a_product_and_the_addition_of_a_bias_are_a_head_too(tmp_path):
    inputs, features, logits = recorded("vit")
    model = load(split_head(RECORDED / "vit.onnx", tmp_path), "vit", **ASKED)
    np.testing.assert_allclose(model.forward_embedding(inputs), features, atol=1e-4)
    np.testing.assert_allclose(model.forward_embedding(inputs, "logits"), logits, atol=1e-4)


def test_a_graph_without_a_linear_layer_at_its_end_is_refused_when_it_is_loaded(tmp_path):
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["out"]),
    ]
    shapes = {"inputs": {"images": ["batch", 3, 32, 32]}, "outputs": {"out": ["batch", 3]}}
    path = graphs.save(tmp_path / "m.onnx", nodes, **shapes)
    with pytest.raises(ModelImplementationNotFoundError) as caught:
        AutoModel.from_pretrained(path, model_type="resnet", task_type="classification", labels=NAMES[:3], **ASKED)
    assert str(caught.value) == (
        "m.onnx gives no image embeddings: it does not end in a linear layer, before which they lie.\n"
        "needs a last Gemm or MatMul with stored weights; found: Flatten\n"
        "leave required_capabilities out"
    )


def test_an_unknown_type_of_vector_is_refused_and_the_next_call_works():
    model = load(RECORDED / "resnet.onnx", "resnet", **ASKED)
    with pytest.raises(InvalidParameterError, match="needs 'feature_vector' or 'logits'; found: 'feature'"):
        model.embed_images(PICTURES, output_type="feature")
    assert model.embed_images(PICTURES).shape == (3, 16)


def test_an_architecture_that_does_not_classify_gives_none(tmp_path):
    graphs.convolution(tmp_path / "m.onnx")
    with pytest.raises(NoCompatiblePackageError, match="needs image_embeddings; found: yolov8 on onnx, which does not"):
        AutoModel.from_pretrained(tmp_path / "m.onnx", model_type="yolov8", labels=NAMES, **ASKED)


@pytest.mark.slow
def test_features_of_published_weights_are_those_of_pytorch(real_weights, tmp_path):
    state = torch.load(real_weights("torchvision-mobilenet-v2/mobilenet_v2-b0353104.pth"), weights_only=True)
    import torch_graphs
    from inference_models.networks.mobilenet_v2 import CLASSIFIER, build

    network = build({CLASSIFIER: (1000, 1280)})
    network.load_state_dict(state)
    torch_graphs.save_onnx(network.eval(), tmp_path / "m.onnx", (224, 224))
    options = {"model_type": "mobilenetv2", "task_type": "classification", "labels": "imagenet"}
    with AutoModel.from_pretrained(tmp_path / "m.onnx", **options, **ASKED) as model, torch.no_grad():
        inputs = torch.from_numpy(np.asarray(model.pre_process(PICTURES)))
        features = network.features(inputs).mean((2, 3)).numpy()
        np.testing.assert_allclose(model.embed_images(PICTURES), features, atol=1e-4)
        assert json.dumps(model(PICTURES).to_dict())
