"""Networks of our own against those whose weights they take, recorded by tools/record_networks.py."""

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

import torch_graphs
from inference_models import AutoModel
from inference_models.errors import BaseInferenceModelsError

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray

FOLDER = Path(__file__).parent / "recorded"
DEEP_LAB = {"resnet18": 3, "resnext50_32x4d": 1, "mobilenet_v2": 3}
"""Encoders, and the channels of their pictures."""
BACKBONES = ("vit_small_patch16_dinov3", "vit_small_plus_patch16_dinov3_qkvb")
NAMES = ["background", "cat", "dog", "owl"]


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))
    return found


def drawn(name: str, shape: list[int]) -> NumpyArray:
    """As the tool that recorded the answers drew them."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        return draw.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    return draw.uniform(0.5, 1.5, shape).astype(np.float32)


def weights(fixture: dict[str, Any]) -> dict[str, Any]:
    return {name: torch.from_numpy(drawn(name, shape)) for name, shape in fixture["shapes"].items()}


def package(
    folder: Path, fixture: dict[str, Any], *, file: str, state: Any = None, stated: dict[str, Any], **model: str
) -> Path:
    _, channels, *size = fixture["images"]
    scores = "sigmoid" if model["task_type"].startswith("multi") else "softmax"
    torch_graphs.describe_package(
        folder,
        names=NAMES,
        inference={
            "network_input": torch_graphs.network_input(tuple(size), input_channels=channels),
            "post_processing": {"type": scores, "fused": False},
            "model_initialization": stated,
        },
        backend_type="torch",
        **model,
    )
    torch.save(weights(fixture) if state is None else state, folder / file)
    return folder


def deep_lab(folder: Path, encoder: str, state: Any = None, **stated: Any) -> Path:
    stated = {"encoder_name": encoder, "in_channels": DEEP_LAB[encoder], "classes": len(NAMES), **stated}
    model = {"model_architecture": "deep-lab-v3-plus", "task_type": "semantic-segmentation"}
    return package(folder, recorded(f"deep_lab_{encoder}"), file="weights.pt", state=state, stated=stated, **model)


def probe(folder: Path, name: str, state: Any = None, task: str = "classification", **stated: Any) -> Path:
    stated = {"model_name": f"{name}.lvd1689m", "num_classes": len(NAMES), **stated}
    model = {"model_architecture": "dinov3_probe", "task_type": task}
    return package(folder, recorded(name), file="weights.pth", state=state, stated=stated, **model)


@pytest.mark.parametrize("is_lightning", [False, True], ids=["state dict", "Lightning"])
@pytest.mark.parametrize("encoder", DEEP_LAB)
def test_deep_lab_answers_as_segmentation_models_pytorch(tmp_path: Path, encoder: str, is_lightning: bool) -> None:
    fixture = recorded(f"deep_lab_{encoder}")
    state: Any = weights(fixture)
    state = {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}} if is_lightning else state
    model = AutoModel.from_pretrained(str(deep_lab(tmp_path, encoder, state)), arrays="numpy")
    (raw,) = model.forward(torch.from_numpy(drawn("images", fixture["images"])))
    wanted = np.array(fixture["logits"])
    np.testing.assert_allclose(raw.outputs[0][..., ::8, ::8], wanted, atol=1e-4 * np.abs(wanted).max())
    picture = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    assert model(picture)[0].segmentation_map.shape == (70, 90)


@pytest.mark.parametrize("task", ["classification", "multi-label-classification"])
@pytest.mark.parametrize("name", BACKBONES)
def test_a_probe_answers_as_timm_and_a_linear_layer(tmp_path: Path, name: str, task: str) -> None:
    fixture = recorded(name)
    model = AutoModel.from_pretrained(str(probe(tmp_path, name, task=task)), arrays="numpy")
    (raw,) = model.forward(torch.from_numpy(drawn("images", fixture["images"])))
    np.testing.assert_allclose(raw.outputs[0], fixture["logits"], atol=1e-4 * np.abs(fixture["logits"]).max())
    answer = model(np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8))
    assert (answer if task == "classification" else answer[0]).confidence.shape[-1] == len(NAMES)


def changed(name: str, change: Any) -> dict[str, Any]:
    state = weights(recorded(name))
    change(state)
    return state


@pytest.mark.parametrize(
    ("make", "texts"),
    [
        (lambda f: deep_lab(f, "resnet18", encoder_name="efficientnet-b3"), ["needs resnet18, ", "'efficientnet-b3'"]),
        (lambda f: deep_lab(f, "resnet18", encoder_name="resnet50"), ["encoder_name resnet50", "weights of resnet18"]),
        (lambda f: deep_lab(f, "resnet18", classes=7), ["needs classes 7", "found: weights of 4"]),
        (lambda f: deep_lab(f, "mobilenet_v2", in_channels=1), ["needs in_channels 1", "found: weights of 3"]),
        (
            lambda f: deep_lab(
                f, "mobilenet_v2", changed("deep_lab_mobilenet_v2", lambda s: s.pop("decoder.aspp.2.bias"))
            ),
            ["weights.pt", "1 missing: decoder.aspp.2.bias"],
        ),
        (lambda f: probe(f, BACKBONES[0], num_classes=9), ["needs num_classes 9", "linear_layer.weight for 4"]),
        (lambda f: probe(f, BACKBONES[0], model_name="vit_base_patch16_dinov3"), ["vit_base", "those of a small"]),
        (lambda f: probe(f, BACKBONES[0], model_name="vit_small_patch14_dinov2"), ["'vit_small_patch14_dinov2'"]),
        (
            lambda f: probe(f, BACKBONES[0], changed(BACKBONES[0], lambda s: s.update({"head.bias": torch.zeros(4)}))),
            ["weights.pth", "1 unknown: head.bias"],
        ),
    ],
)
def test_what_a_package_states_must_be_what_its_weights_are(tmp_path: Path, make: Any, texts: list[str]) -> None:
    with pytest.raises(BaseInferenceModelsError) as caught:
        AutoModel.from_pretrained(str(make(tmp_path)))
    for text in texts:
        assert text in str(caught.value)
