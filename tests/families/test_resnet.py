from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import torch_graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray

RECORDED = json.loads((Path(__file__).parent / "recorded" / "resnets.json").read_text())
"""Shapes and logits of timm 1.0.31, recorded by tools/record_resnets.py."""
NAMES = ["a", "b", "c", "d", "e"]


def drawn(name: str, shape: list[int]) -> NumpyArray:
    """As the tool that recorded the answers drew them."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        return draw.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    return draw.uniform(0.5, 1.5, shape).astype(np.float32)


def package(folder: Path, shapes: dict[str, list[int]], task: str = "classification") -> Path:
    import torch

    after = {"type": "sigmoid" if task.startswith("multi") else "softmax", "fused": False}
    torch_graphs.describe_package(
        folder,
        names=NAMES,
        inference={"network_input": torch_graphs.network_input((64, 64)), "post_processing": after},
        model_architecture="resnet",
        task_type=task,
        backend_type="torch",
    )
    state = {name: torch.from_numpy(drawn(name, shape)) for name, shape in shapes.items()}
    torch.save(state, folder / "weights.pth")
    return folder


@pytest.mark.parametrize("name", RECORDED)
def test_weights_of_timm_load_by_their_shapes_and_answer_as_there(tmp_path: Path, name: str) -> None:
    import torch

    from inference_models.networks.resnet import build

    shapes, logits = RECORDED[name].values()
    network = build({key: tuple(shape) for key, shape in shapes.items()}).eval()
    state = {key: torch.from_numpy(drawn(key, shape)) for key, shape in shapes.items()}
    missing, unknown = network.load_state_dict(state, strict=False)
    assert unknown == []
    assert all(key.endswith("num_batches_tracked") for key in missing)
    with torch.no_grad():
        found = network(torch.from_numpy(drawn("images", [2, 3, 64, 64])))
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)  # timm 1.0.31 in torch 2.14.1, float32


@pytest.mark.parametrize("task", ["classification", "multi-label-classification"])
def test_a_package_of_weights_answers(tmp_path: Path, task: str) -> None:
    model = AutoModel.from_pretrained(str(package(tmp_path, RECORDED["basic"]["shapes"], task)), arrays="numpy")
    image = np.random.default_rng(0).integers(0, 256, (80, 70, 3), np.uint8)
    answer = model(image)
    scores = answer.confidence if task == "classification" else answer[0].confidence[None]
    assert scores.shape == (1, 5)
    assert model.class_names == NAMES


@pytest.mark.parametrize("task", ["classification", "multi-label-classification"])
def test_features_are_what_goes_into_the_last_layer(tmp_path: Path, task: str) -> None:
    folder = package(tmp_path, RECORDED["basic"]["shapes"], task)
    options = {"arrays": "numpy", "backend": "torch"}
    model = AutoModel.from_pretrained(str(folder), required_capabilities=["image_embeddings"], **options)
    pictures = [*np.random.default_rng(0).integers(0, 256, (3, 80, 70, 3), np.uint8)]
    features, logits = model.embed_images(pictures), model.embed_images(pictures, "logits")
    shapes = RECORDED["basic"]["shapes"]
    weight, bias = (drawn(f"fc.{name}", shapes[f"fc.{name}"]) for name in ("weight", "bias"))
    np.testing.assert_allclose(logits, features @ weight.T + bias, rtol=1e-4, atol=1e-4)
    assert model.embedding_info == {"output_type": "feature_vector", "normalization": "none"}
    assert model(pictures) == AutoModel.from_pretrained(str(folder), **options)(pictures)


def test_weights_of_another_stem_are_refused_by_name(tmp_path: Path) -> None:
    shapes = {name.replace("conv1.weight", "conv1.0.weight", 1): s for name, s in RECORDED["basic"]["shapes"].items()}
    with pytest.raises(CorruptedModelPackageError) as caught:
        AutoModel.from_pretrained(str(package(tmp_path, shapes)))
    assert str(caught.value).splitlines()[1].startswith("needs conv1.weight, fc.weight and blocks in layer1, ")
