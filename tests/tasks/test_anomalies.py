"""Detectors of anomalies against inference-models 0.39.6, recorded by tools/record_anomalies.py."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="weights are put into networks by PyTorch")

import torch

from inference_models import AutoModel, ClassificationModel
from inference_models.errors import BaseInferenceModelsError

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray

FOLDER = Path(__file__).parent / "recorded"
PICTURE = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8).repeat(14, 0).repeat(12, 1)
CONFIG = {"image_size": 96, "batch_size": 4, "neighbors": 3, "feature_layer": 2, "top_k": 5}


def drawn(name: str, shape: list[int]) -> NumpyArray:
    """As the tool that recorded the answers drew them."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        return draw.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    return draw.uniform(0.5, 1.5, shape).astype(np.float32)


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))
    return found


def package(folder: Path, name: str, config: dict[str, int] = CONFIG, **changes: Any) -> str:
    fixture = recorded(name)
    tensors = {key: torch.from_numpy(drawn(key, shape)) for key, shape in fixture["shapes"].items()}
    start = "backbone."
    inside = {key.removeprefix(start): tensor for key, tensor in tensors.items() if key.startswith(start)}
    state = {"memory_bank": tensors["memory_bank"], "backbone": inside} if name == "patchcore" else tensors
    torch.save({"state": state}, folder / "weights.pth")
    model = {"model_architecture": name, "task_type": "classification", "backend_type": "torch"}
    (folder / "model_config.json").write_text(json.dumps(model))
    stated = {
        "schema_version": 1,
        "config": {"architecture": name, **config},
        "calibration": fixture["calibration"],
        "class_names": ["normal", "anomalous"],
        "preprocessing": "rgb-stretch-bilinear-imagenet-v1",
        **changes,
    }
    (folder / "inference_config.json").write_text(json.dumps(stated))
    return str(folder)


@pytest.mark.parametrize("name", ["patchcore", "foundad"])
def test_anomalies_are_scored_and_mapped_as_the_training_platform_does(tmp_path: Path, name: str) -> None:
    fixture = recorded(name)
    model = AutoModel.from_pretrained(package(tmp_path, name), arrays="numpy")
    assert isinstance(model, ClassificationModel)
    assert model.class_names == ["normal", "anomalous"]
    answer = model([PICTURE, PICTURE], include_anomaly_map=True)
    facts = answer.images_metadata[1]
    np.testing.assert_allclose(answer.confidence[1], fixture["confidence"][0], atol=1e-4)
    np.testing.assert_allclose(facts["anomaly_score"], fixture["score"], rtol=1e-4)
    wanted = np.array(fixture["map"])
    np.testing.assert_allclose(facts["anomaly_map"][::8, ::8], wanted, atol=1e-4 * wanted.max())
    assert facts["anomaly_map"].shape == (96, 96)
    assert (facts["anomaly_threshold"], facts["anomaly_scale"]) == tuple(fixture["calibration"].values())
    assert facts["is_anomalous"]
    assert answer.class_id.tolist() == [1, 1]
    sure = float(answer.confidence[0, 1])
    plain = model(PICTURE, confidence=min(1.0, sure + 0.01))
    assert plain.class_id.tolist() == [0]
    assert "anomaly_map" not in plain.images_metadata[0]
    staged = model.post_process(model.forward(model.pre_process(PICTURE)))
    np.testing.assert_allclose(staged.confidence, plain.confidence, atol=1e-6)
    other = model(PICTURE[..., ::-1])
    assert abs(other.images_metadata[0]["anomaly_score"] - facts["anomaly_score"]) > 1e-3 * facts["anomaly_score"]


@pytest.mark.parametrize(
    ("name", "changes", "texts"),
    [
        ("patchcore", {"config": {**CONFIG, "neighbors": 51}}, ["at least 51", "(50, 1024)"]),
        ("foundad", {"config": {**CONFIG, "image_size": 100}}, ["steps of 16", "image_size 100"]),
        ("foundad", {"config": {**CONFIG, "top_k": 37}}, ["top_k 37"]),
        ("patchcore", {"calibration": {"threshold": 1.0, "scale": 0.0}}, ["calibration.scale"]),
        ("patchcore", {"class_names": ["good", "bad"]}, ["normal and anomalous"]),
        (
            "foundad",
            {"schema_version": 2, "preprocessing": {"kind": "roboflow-folder-export-v1"}},
            ["preprocessing", "no detour over JPEG", "roboflow-folder-export-v1"],
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_both_values(
    tmp_path: Path, name: str, changes: dict[str, Any], texts: list[str]
) -> None:
    with pytest.raises(BaseInferenceModelsError) as caught:
        AutoModel.from_pretrained(package(tmp_path, name, **changes))
    for text in texts:
        assert text in str(caught.value)
