"""Predictions that are computed in PyTorch: the same numbers as from NumPy, and everything one does with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="these packages run in PyTorch")

import torch

import graphs
import torch_graphs
from inference_models import AutoModel
from inference_models.errors import ModelRuntimeError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["cat", "dog"]
ROWS = np.zeros((1, 6, 9), np.float32)
ROWS[0, :, 0] = [32, 32, 16, 8, 0.9, 0.1]
ROWS[0, :, 1] = [16, 16, 8, 8, 0.2, 0.7]
ROWS[0, :, 2] = [17, 16, 8, 8, 0.1, 0.6]
LOGITS = np.array([[2.0, 0.5]], np.float32)
IMAGES = [np.random.default_rng(3).integers(0, 256, size, np.uint8) for size in ((48, 64, 3), (64, 64, 3), (90, 70, 3))]
TOLERANCE = 1e-5


def package(folder: Path, backend: str, *, task: str, answer: np.ndarray, size: int = 64, **network: object) -> Path:
    """A package that always answers `answer`, for ONNX Runtime or for PyTorch."""
    architecture, post = {
        "object-detection": ("yolov8", "nms"),
        "classification": ("resnet", "softmax"),
        "multi-label-classification": ("resnet", "sigmoid"),
    }[task]
    inference = {
        "network_input": torch_graphs.network_input((size, size), **{"resize_mode": "letterbox", **network}),
        "post_processing": {"type": post, "fused": False},
    }
    config = {"model_architecture": architecture, "task_type": task, "backend_type": backend}
    torch_graphs.describe_package(folder, names=NAMES, inference=inference, **config)
    if backend == "onnx":
        graphs.constant_outputs(folder / "weights.onnx", size=(size, size), outputs={"output0": answer}, batch="n")
        return folder
    module = torch_graphs.Rows(torch.from_numpy(answer))
    torch_graphs.save_archive(module, folder / "weights.torchscript", example=(1, 3, size, size))
    return folder


def loaded(folder: Path, **options: object) -> object:
    return AutoModel.from_pretrained(folder, device="cpu", **torch_graphs.consent(folder), **options)


def pair(tmp_path: Path, task: str, answer: np.ndarray) -> tuple[Any, Any]:
    """The model on ONNX Runtime and on PyTorch."""
    return tuple(
        loaded(package(tmp_path / backend, backend, task=task, answer=answer)) for backend in ("onnx", "torch-script")
    )


@pytest.fixture
def detectors(tmp_path: Path) -> tuple[Any, Any]:
    return pair(tmp_path, "object-detection", ROWS)


def predictions_in(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]


@pytest.mark.parametrize(
    ("task", "answer"),
    [("object-detection", ROWS), ("classification", LOGITS), ("multi-label-classification", LOGITS)],
)
def test_predictions_are_those_of_numpy_as_tensors(tmp_path: Path, task: str, answer: np.ndarray) -> None:
    numpy_model, torch_model = pair(tmp_path, task, answer)
    together = [model(IMAGES) for model in (numpy_model, torch_model)]
    for expected, found in zip(*map(predictions_in, together), strict=True):
        for name, array in vars(expected).items():
            if isinstance(array, np.ndarray):
                tensor = getattr(found, name)
                assert isinstance(tensor, torch.Tensor)
                assert (str(tensor.dtype), tuple(tensor.shape)) == (f"torch.{array.dtype}", array.shape)
                np.testing.assert_allclose(tensor.numpy(), array, atol=TOLERANCE)
        again = type(found).from_json(found.to_json())
        assert again == found
    (expected,), (found,) = (predictions_in(model(IMAGES[1])) for model in (numpy_model, torch_model))
    np.testing.assert_array_equal(torch_model.annotate(IMAGES[1], found), numpy_model.annotate(IMAGES[1], expected))


def test_supervision_takes_them(detectors: tuple[Any, Any]) -> None:
    pytest.importorskip("supervision")
    (expected,), (found,) = (model(IMAGES[1]) for model in detectors)
    np.testing.assert_allclose(found.to_supervision().xyxy, expected.to_supervision().xyxy, atol=TOLERANCE)


def test_thresholds_of_classes_apply_and_nothing_found_keeps_shapes_and_types(detectors: tuple[Any, Any]) -> None:
    (found,) = detectors[1](IMAGES[0], confidence=0.8)
    assert found.class_id.tolist() == [0]
    (found,) = detectors[1](IMAGES[0], confidence=1.0)
    assert (tuple(found.xyxy.shape), found.xyxy.dtype, found.class_id.dtype) == ((0, 4), torch.float32, torch.int32)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_kind_of_array_can_be_fixed(tmp_path: Path, kind: str) -> None:
    folder = package(tmp_path, "torch-script", task="object-detection", answer=ROWS)
    (found,) = loaded(folder, arrays=kind)(IMAGES[0])
    assert isinstance(found.xyxy, np.ndarray if kind == "numpy" else torch.Tensor)


def test_the_stages_one_by_one_give_what_the_call_gives_and_results_may_be_written_to(
    detectors: tuple[Any, Any],
) -> None:
    model = detectors[1]
    inputs, meta = model.pre_process(IMAGES)
    for given in (inputs, torch.from_numpy(inputs)):
        assert model.post_process(model.forward(given), meta) == model(IMAGES)
    (found,) = model(IMAGES[0])
    found.xyxy += 1
    found.confidence *= 0.5
    model.close()
    with pytest.raises(ModelRuntimeError, match=r"^the model was closed; load it again to use it.$"):
        model(IMAGES[0])


def test_real_answers_of_yolox_give_the_same_boxes_from_tensors(shared_data: Path, tmp_path: Path) -> None:
    path = sorted((shared_data / "coco128" / "images").glob("*.jpg"))[3]
    weights = shared_data / "yolox_nano.onnx"
    model = AutoModel.from_pretrained(weights, labels="coco", model_type="yolox", device="cpu")
    (expected,) = model(path)
    inputs, _ = model.pre_process(path)
    (raw,) = model.forward(inputs)
    network = {
        "training_input_size": {"height": 416, "width": 416},
        "dynamic_spatial_size_supported": False,
        "color_mode": "bgr",
        "resize_mode": "letterbox",
        "padding_value": 114,
        "pad_at": "end",
        "input_channels": 3,
    }
    inference = {"network_input": network, "forward_pass": {"static_batch_size": 1}}
    stated = {"model_architecture": "yolox", "task_type": "object-detection", "backend_type": "torch-script"}
    torch_graphs.describe_package(tmp_path, names=model.class_names, inference=inference, **stated)
    network_module = torch_graphs.Rows(torch.from_numpy(np.array(raw.outputs[0])))
    torch_graphs.save_archive(network_module, tmp_path / "weights.torchscript", example=(1, 3, 416, 416))
    (found,) = loaded(tmp_path)(path)
    assert len(found) == len(expected) > 0
    # torch 2.13.0 and NumPy 2.4 raise e to a power by other code: 1e-5 of a coordinate up to 640.
    np.testing.assert_allclose(found.numpy().xyxy, expected.xyxy, rtol=TOLERANCE, atol=1e-3)
    np.testing.assert_allclose(found.numpy().confidence, expected.confidence, atol=TOLERANCE)
    np.testing.assert_array_equal(found.numpy().class_id, expected.class_id)


def test_a_static_batch_serves_any_number_of_images(tmp_path: Path) -> None:
    folder = package(tmp_path / "open", "torch-script", task="classification", answer=LOGITS)
    expected = loaded(folder)(IMAGES).numpy()
    config = json.loads((folder / "inference_config.json").read_text())
    (folder / "inference_config.json").write_text(json.dumps({**config, "forward_pass": {"static_batch_size": 2}}))
    model = loaded(folder)
    assert model._runner.session.inputs[0].shape[0] == 2
    assert model(IMAGES).numpy() == expected


def test_the_network_sees_what_pre_processing_made(tmp_path: Path) -> None:
    class Mean(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((2, 3))[:, :2]

    stated = {"model_architecture": "resnet", "task_type": "classification", "backend_type": "torch-script"}
    inference = {
        "network_input": torch_graphs.network_input((64, 64)),
        "post_processing": {"type": "softmax", "fused": True},
    }
    torch_graphs.describe_package(tmp_path, names=NAMES, inference=inference, **stated)
    torch_graphs.save_archive(Mean(), tmp_path / "weights.torchscript")
    found = loaded(tmp_path)(IMAGES[1]).numpy()
    red_green = cv2.mean(IMAGES[1])[2:0:-1]
    # OpenCV 5.0 sums in float64, torch 2.13.0 in float32.
    np.testing.assert_allclose(found.confidence[0], np.divide(red_green, 255), atol=TOLERANCE)


def test_scores_that_come_straight_from_the_network_may_be_written_to(tmp_path: Path) -> None:
    folder = package(tmp_path, "torch-script", task="classification", answer=LOGITS)
    config = json.loads((folder / "inference_config.json").read_text())
    config["post_processing"]["fused"] = True
    (folder / "inference_config.json").write_text(json.dumps(config))
    model = loaded(folder)
    scores = model(IMAGES[0]).confidence
    scores += 1
    np.testing.assert_allclose(model(IMAGES[0]).numpy().confidence, LOGITS, atol=TOLERANCE)
