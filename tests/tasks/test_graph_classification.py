from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphs
from inference_models import AutoModel, ClassificationModel, MultiLabelClassificationModel
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError

NAMES = ["cat", "dog", "owl"]
LOGITS = np.array([[2.0, 0.5, -1.0]], np.float32)
IMAGE = np.zeros((30, 40, 3), np.uint8)


def package(folder: Path, *, task: str, activation: str, fused: bool, scores: np.ndarray = LOGITS) -> Path:
    graphs.constant_outputs(folder / "weights.onnx", size=(32, 32), outputs={"scores": scores}, batch="n")
    (folder / "class_names.txt").write_text("\n".join(NAMES))
    config = {"model_architecture": "resnet", "task_type": task, "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(config))
    network = {
        "training_input_size": {"height": 32, "width": 32},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "stretch",
        "input_channels": 3,
        "scaling_factor": 255,
    }
    stated = {"network_input": network, "post_processing": {"type": activation, "fused": fused}}
    (folder / "inference_config.json").write_text(json.dumps(stated))
    return folder


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def loaded(folder: Path, **options: Any) -> Any:
    stated = {"task": "classification", "activation": "softmax", "fused": False, **options}
    return AutoModel.from_pretrained(package(folder, **stated))


class TestOneLabel:
    def test_one_object_answers_for_the_whole_batch_in_one_call_or_stage_by_stage(self, tmp_path: Path) -> None:
        model = loaded(tmp_path)
        assert isinstance(model, ClassificationModel)
        prediction = model([IMAGE, IMAGE])
        np.testing.assert_array_equal(prediction.class_id, [0, 0])
        assert (prediction.class_id.dtype, prediction.confidence.dtype) == (np.int64, np.float32)
        np.testing.assert_allclose(prediction.confidence, np.repeat(softmax(LOGITS), 2, axis=0), atol=1e-6)
        assert prediction.top(1) == [[("cat", pytest.approx(0.7856, abs=1e-4))]] * 2
        assert model.post_process(model.forward(model.pre_process([IMAGE, IMAGE]))) == prediction
        # Longer than one batch in memory.
        assert model([IMAGE] * 19).confidence.shape == (19, 3)
        with pytest.raises(InvalidParameterError, match=r"has no option 'confidence'"):
            model(IMAGE, confidence=0.5)

    def test_a_fused_graph_is_taken_at_its_word(self, tmp_path: Path) -> None:
        scores = np.array([[0.1, 0.7, 0.2]], np.float32)
        prediction = loaded(tmp_path, fused=True, scores=scores)(IMAGE)
        np.testing.assert_allclose(prediction.confidence, scores, atol=1e-6)
        assert list(prediction.class_id) == [1]

    def test_the_wrong_activation_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptedModelPackageError) as caught:
            loaded(tmp_path, activation="sigmoid")
        assert str(caught.value) == (
            "inference_config.json: post_processing.type does not suit classification.\n"
            "needs 'softmax'; found: 'sigmoid'"
        )

    def test_predictions_come_as_torch_tensors_when_asked(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        folder = package(tmp_path / "p", task="classification", activation="softmax", fused=False)
        prediction = AutoModel.from_pretrained(folder, arrays="torch")(IMAGE)
        assert isinstance(prediction.confidence, torch.Tensor)
        assert prediction.class_id.dtype == torch.int64


def test_several_labels_are_those_that_reach_the_threshold(tmp_path: Path) -> None:
    model = loaded(tmp_path, task="multi-label-classification", activation="sigmoid")
    assert isinstance(model, MultiLabelClassificationModel)
    first, second = model([IMAGE, IMAGE])
    np.testing.assert_array_equal(first.class_ids, [0, 1])
    assert first.class_ids.dtype == np.int64
    np.testing.assert_allclose(first.confidence, 1 / (1 + np.exp(-LOGITS[0])), atol=1e-6)
    assert first == second
    # The threshold itself passes.
    assert list(model(IMAGE, confidence=float(first.confidence[1]))[0].class_ids) == [0, 1]
    (nothing,) = model(IMAGE, confidence=0.99)
    assert (nothing.class_ids.shape, nothing.confidence.shape) == ((0,), (3,))
    raw = model.forward(model.pre_process(IMAGE))
    assert model.post_process(raw, confidence=0.5) == model(IMAGE, confidence=0.5)
