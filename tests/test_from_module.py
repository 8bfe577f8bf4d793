"""Networks in memory answer as their exports do, and stay their owner's."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the networks are those of PyTorch")

import torch
from torch import Tensor, nn

import torch_graphs
from inference_models import AutoModel, ClassificationModel, DepthEstimationModel, ObjectDetectionModel
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    InvalidParameterError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
    ModelRuntimeError,
)

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["cat", "dog", "owl"]
INFERENCE = {
    "network_input": torch_graphs.network_input((32, 48), normalization=[[0.4, 0.5, 0.6], [0.2, 0.3, 0.25]]),
    "post_processing": {"type": "softmax", "fused": False},
}
IMAGE = np.random.default_rng(3).integers(0, (250, 150, 50), (70, 90, 3)).astype(np.uint8)


class Classifier(nn.Module):
    """Its answer depends on the mode, on the order of the colours and on the place of every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5))
        self.last = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.layers(images).mean((2, 3))) * 20


class Queries(nn.Module):
    """Boxes and classes of five queries, as networks of the DETR kind name them, beside what training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes = nn.Linear(3, 20)
        self.classes = nn.Linear(3, 15)

    def forward(self, images: Tensor) -> dict[str, Any]:
        colour = images.mean((2, 3))
        boxes, logits = self.boxes(colour).sigmoid().reshape(-1, 5, 4), self.classes(colour).reshape(-1, 5, 3)
        return {"hidden_states": colour, "pred_logits": logits, "pred_boxes": boxes, "aux_outputs": [{"a": boxes}]}


def classifier() -> Classifier:
    torch.manual_seed(5)
    module = Classifier()
    module(torch.rand(4, 3, 32, 48))  # statistics that evaluation uses, and training does not
    return module


def scores(model: Any, image: object = IMAGE) -> np.ndarray:
    return model(image).numpy().confidence[0]


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_a_module_answers_as_its_export(tmp_path: Path, kind: str) -> None:
    module = classifier().eval()
    torch_graphs.describe_package(
        tmp_path,
        names=NAMES,
        inference=INFERENCE,
        model_architecture="resnet",
        task_type="classification",
        backend_type="onnx" if kind == "onnx" else "torch-script",
    )
    if kind == "onnx":
        torch_graphs.save_onnx(module, tmp_path / "weights.onnx", (32, 48))
    else:
        torch_graphs.save_archive(module, tmp_path / "weights.torchscript", example=(1, 3, 32, 48))
    export = AutoModel.from_pretrained(str(tmp_path), **torch_graphs.consent(tmp_path))
    model = AutoModel.from_module(module, "resnet", "classification", labels=NAMES, inference_config=INFERENCE)
    assert isinstance(model, ClassificationModel)
    assert model.class_names == NAMES
    np.testing.assert_allclose(scores(model), scores(export), atol=1e-5)
    assert abs(scores(model) - scores(model, IMAGE[..., ::-1])).max() > 0.01  # the order of the colours matters


def test_a_configuration_may_be_a_file_and_one_is_that_of_the_family_where_none_is_given(tmp_path: Path) -> None:
    path = tmp_path / "inference_config.json"
    path.write_text(json.dumps(INFERENCE))
    module = classifier()
    stated = [
        AutoModel.from_module(module, "resnet", "classification", labels=NAMES, inference_config=config)
        for config in (INFERENCE, path, str(path))
    ]
    assert len({scores(model).tobytes() for model in stated}) == 1
    family = AutoModel.from_module(module, "resnet", "classification", labels=NAMES, input_size=64)
    assert family.pre_process(IMAGE).shape == (1, 3, 64, 64)


def test_names_of_the_detr_kind_are_read_and_the_rest_is_left_out() -> None:
    torch.manual_seed(0)
    module = Queries()
    model = AutoModel.from_module(module, "rfdetr", labels=NAMES, input_size=(64, 96))
    assert isinstance(model, ObjectDetectionModel)
    assert model.output_names == ["pred_logits", "pred_boxes"]
    (found,) = model(IMAGE, confidence=0.0)
    with torch.no_grad():
        answer = module(torch.as_tensor(model.pre_process(IMAGE)[0]))
    best = answer["pred_logits"].sigmoid().flatten().sort(descending=True).values[:5]
    torch.testing.assert_close(found.confidence.cpu(), best)


def test_the_module_keeps_its_mode_and_shows_what_training_changes() -> None:
    module = classifier().train()
    module.layers[1].eval()  # a part that is frozen
    model = AutoModel.from_module(module, "resnet", "classification", labels=NAMES, inference_config=INFERENCE)
    first = scores(model)
    np.testing.assert_array_equal(first, scores(model))  # no dropout
    assert [part.training for part in module.layers] == [True, False, True, True]
    assert all(parameter.requires_grad for parameter in module.parameters())
    with torch.no_grad():
        module.last.bias += torch.tensor([1.0, 0.0, 0.0])
    assert scores(model)[0] > first[0]


def test_threads_share_the_evaluation_mode() -> None:
    module = classifier().train()
    model = AutoModel.from_module(module, "resnet", "classification", labels=NAMES, inference_config=INFERENCE)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: scores(model).tobytes(), range(40)))
    assert len(set(answers)) == 1
    assert module.training
    assert module.layers[3].training


def test_the_mode_comes_back_after_a_failed_run() -> None:
    module = classifier().train()
    model = AutoModel.from_module(module, "resnet", "classification", labels=NAMES, input_size=64)
    with pytest.raises(ModelRuntimeError):
        model.forward(torch.zeros(1, 5, 64, 64))
    with pytest.raises(ModelRuntimeError):
        model.forward(torch.zeros(1, 3, 1, 1))
    assert module.training


def test_closing_the_model_leaves_the_module_to_its_owner() -> None:
    module = classifier()
    with AutoModel.from_module(module, "resnet", "classification", labels=NAMES, inference_config=INFERENCE) as model:
        assert model.resolved_model.backend == "torch"
        assert model.resolved_model.device == "cpu"
    with pytest.raises(ModelRuntimeError, match="closed"):
        model(IMAGE)
    assert module(torch.rand(2, 3, 32, 48)).shape == (2, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_number_format_of_the_module_stays(dtype: torch.dtype) -> None:
    module = classifier().eval()
    wanted = scores(AutoModel.from_module(module, "resnet", "classification", labels=NAMES, inference_config=INFERENCE))
    module.to(dtype)
    model = AutoModel.from_module(module, "resnet", "classification", labels=NAMES, inference_config=INFERENCE)
    np.testing.assert_allclose(scores(model), wanted, atol=0.05)
    assert next(module.parameters()).dtype is dtype


def test_networks_of_transformers_and_scripts_can_be_handed_over() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.DepthAnythingConfig(
        backbone_config=transformers.Dinov2Config(
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=2,
            image_size=56,
            patch_size=14,
            out_indices=[1, 2, 3, 4],
            reshape_hidden_states=False,
            apply_layernorm=True,
        ),
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
    )
    torch.manual_seed(0)
    network = transformers.DepthAnythingForDepthEstimation(config)
    model = AutoModel.from_module(network, "depth-anything-v2", input_size=56)
    assert isinstance(model, DepthEstimationModel)
    assert model.output_names == ["predicted_depth"]
    assert model(IMAGE)[0].shape == (70, 90)
    script = torch.jit.trace(classifier().eval(), torch.zeros(1, 3, 32, 48))
    plain, scripted = (
        AutoModel.from_module(module, "resnet", "classification", labels=NAMES, inference_config=INFERENCE)
        for module in (classifier(), script)
    )
    np.testing.assert_allclose(scores(scripted), scores(plain), atol=1e-6)


def lacking_values() -> nn.Module:
    with torch.device("meta"):
        return Classifier()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"module": {"weights": 1}}, InvalidParameterError, "found: a dict"),
        ({"module": lacking_values()}, InvalidParameterError, "found: on the device meta: layers.0.weight"),
        ({"architecture": "resnett"}, ModelImplementationNotFoundError, "'resnet'"),
        ({"architecture": "tr-ocr", "task": None}, ModelImplementationNotFoundError, "encoder"),
        ({"task": None}, MissingModelInitParameterError, "pass task='classification' or task="),
        ({"labels": None}, MissingModelInitParameterError, "pass labels="),
        ({"labels": NAMES[:2]}, CorruptedModelPackageError, "needs 3 names"),
        ({"device": "mps"}, EnvironmentConfigurationError, "found: cpu"),
        ({"input_size": -3}, InvalidParameterError, "input_size=-3"),
        ({"inference_config": {"network_input": 3}}, InvalidParameterError, "network_input"),
        ({"inference_config": {"network_input": object()}}, InvalidParameterError, "object"),
        ({"inference_config": {**INFERENCE, "post_processing": {"type": "nms", "fused": False}}}, None, "'softmax'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_both_values(
    change: dict[str, Any], error: type[Exception] | None, text: str
) -> None:
    given = {"module": classifier(), "architecture": "resnet", "task": "classification", "labels": NAMES}
    with pytest.raises(error or BaseInferenceModelsError) as caught:
        AutoModel.from_module(**{**given, **change})
    assert text in str(caught.value)


def test_a_network_in_the_place_of_an_id_is_told_the_right_door() -> None:
    with pytest.raises(InvalidParameterError, match=r"AutoModel\.from_module"):
        AutoModel.from_pretrained(classifier())
