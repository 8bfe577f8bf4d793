"""Weights of RF-DETR against rfdetr 1.11.2 itself, recorded by tools/record_rfdetr_weights.py.

The two largest sizes and the semantic ones against inference-models 0.39.6: tools/record_rfdetr_platform.py.
"""

from __future__ import annotations

import argparse
import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="weights are put into networks by PyTorch")
pytest.importorskip("transformers.models.rf_detr", reason="needs a Transformers with RF-DETR")

import torch
from PIL import Image

import torch_graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError, InvalidParameterError, ModelLoadingError

if TYPE_CHECKING:
    from inference_models.arrays import NumpyArray

FOLDER = Path(__file__).parent / "recorded"
SHAPES: dict[str, dict[str, list[int]]] = json.loads(gzip.decompress((FOLDER / "rfdetr_shapes.json.gz").read_bytes()))
PLATFORM = json.loads(gzip.decompress((FOLDER / "rfdetr_platform_shapes.json.gz").read_bytes()))
SHAPES |= PLATFORM
CALLS = np.load(FOLDER / "rfdetr_calls.npz")
NAMES = ["cat", "dog", "owl"]
SIDES = {"rfdetr-nano": 384, "rfdetr-base": 560, "rfdetr-seg-nano": 312, "rfdetr-seg-small": 384}
IMAGE = (125, 200)


def picture() -> Image.Image:
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8))
    return coarse.resize(IMAGE[::-1], Image.Resampling.BICUBIC)


def drawn(name: str, shape: list[int]) -> NumpyArray:
    """As the tool that recorded the answers drew them."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        return draw.normal(0, max(1, np.prod(shape[1:])) ** -0.5, shape).astype(np.float32)
    centre = 1.0 if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "norm3.weight", "bn.weight")) else 0.0
    return (centre + draw.normal(0, 0.2, shape)).astype(np.float32)


def weights(size: str) -> dict[str, Any]:
    return {name: torch.from_numpy(drawn(name, shape)) for name, shape in SHAPES[size].items()}


@pytest.mark.parametrize("size", SHAPES)
def test_the_network_of_every_size_has_the_tensors_of_its_file(size: str) -> None:
    from inference_models.networks.rfdetr import build

    shapes = {name: tuple(shape) for name, shape in SHAPES[size].items()}
    with torch.device("meta"):
        module = build(shapes, {})
    own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for name, parts in module.names_in_files.items():
        assert (sum(own[part][0] for part in parts), *own[parts[0]][1:]) == shapes[name], name
    assert set(module.names_in_files) == set(shapes) - module.left_out


def resized(side: int) -> torch.Tensor:
    """The picture as `predict` prepares it. These random networks make 0.002 of a score of a last digit of a pixel."""
    pixels = torch.from_numpy(np.asarray(picture()).copy()).permute(2, 0, 1)[None] / 255
    pixels = torch.nn.functional.interpolate(pixels, size=(side, side), mode="bilinear", align_corners=False)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    return (pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1)


@pytest.mark.parametrize("size", sorted(SIDES))
def test_a_bare_file_answers_as_rfdetr_does(tmp_path: Path, size: str) -> None:
    facts = {"class_names": NAMES, "resolution": SIDES[size], "epochs": 3}
    saved = {"model": weights(size), "args": argparse.Namespace(**facts) if "seg" in size else facts, "epoch": 2}
    torch.save(saved, tmp_path / "checkpoint_best_total.pth")
    model = AutoModel.from_pretrained(tmp_path / "checkpoint_best_total.pth", arrays="numpy")
    assert model.class_names == NAMES
    prepared, way = model.pre_process(picture())
    pixels = resized(SIDES[size])
    np.testing.assert_allclose(prepared, pixels, atol=1e-5)
    wanted = CALLS[size]
    count = 10 + int(np.argmax(wanted[9:39, 4] - wanted[10:40, 4]))  # where scores are farthest apart
    options = {"masks": "dense"} if "seg" in size else {}
    least = float(wanted[count - 1 : count + 1, 4].mean())
    (found,) = model.post_process(model.forward(pixels), way, confidence=least, **options)
    wanted = wanted[:count]
    assert len(found.xyxy) == (wanted[:, 5] < len(NAMES)).sum()  # the column behind the classes is none
    masks = CALLS[f"{size} masks"] if "seg" in size else np.zeros(0, np.uint8)
    masks = np.unpackbits(masks).reshape(-1, *IMAGE).astype(bool)
    for place, (*box, score, class_id) in enumerate(wanted):
        near = np.abs(found.xyxy - box).max(1) + 1e3 * (found.class_id != class_id)
        if class_id < len(NAMES):
            assert near.min() < 0.1
            assert abs(found.confidence[near.argmin()] - score) < 1e-4
        if class_id < len(NAMES) and place < len(masks):
            ours = found.mask[near.argmin()]
            assert (ours & masks[place]).sum() >= 0.999 * (ours | masks[place]).sum()


def test_a_semantic_package_answers_as_the_training_platform_does(tmp_path: Path) -> None:
    names = ["background", *NAMES, "hat"]
    torch_graphs.describe_package(
        tmp_path,
        names=names,
        inference={"network_input": torch_graphs.network_input((312, 312))},
        model_architecture="rfdetr",
        task_type="semantic-segmentation",
        backend_type="torch",
    )
    (tmp_path / "model_type.json").write_text(json.dumps({"model_type": "rfdetr-sem-nano"}))
    torch.save({"model": weights("rfdetr-sem-nano")}, tmp_path / "weights.pth")
    model = AutoModel.from_pretrained(str(tmp_path), arrays="numpy")
    (raw,) = model.forward(torch.from_numpy(drawn("images", [1, 3, 312, 312]) * 27))
    logits = np.load(FOLDER / "rfdetr_semantic.npz")["logits"]
    np.testing.assert_allclose(raw.outputs[0][..., ::6, ::6], logits, atol=1e-4 * np.abs(logits).max())
    assert model(picture())[0].segmentation_map.shape == IMAGE


def without(size: str, name: str) -> dict[str, Any]:
    return {key: tensor for key, tensor in weights(size).items() if key != name}


LAST = "transformer.decoder.layers.1.self_attn.in_proj_weight"
BIAS = "class_embed.bias"


@pytest.mark.parametrize(
    ("state", "options", "texts"),
    [
        (lambda: without("rfdetr-nano", LAST), {}, ["my.pth", f"1 missing: {LAST}"]),
        (lambda: weights("rfdetr-nano") | {"head.weight": torch.zeros(2, 2)}, {}, ["1 unknown: head.weight"]),
        (
            lambda: weights("rfdetr-nano") | {BIAS: torch.zeros(7)},
            {},
            ["enc_out_class_embed.0.weight (4, 256) instead of (7, 256)"],
        ),
        (lambda: weights("rfdetr-nano") | {BIAS: torch.full((4,), torch.nan)}, {}, ["class_embed.bias", "finite"]),
        (
            lambda: weights("rfdetr-nano"),
            {"model_type": "rfdetr-base"},
            ["rfdetr-base", "needs patches of 14 pixels and 3 layers", "found: patches of 16 pixels and 2 layers"],
        ),
        (
            lambda: weights("rfdetr-nano"),
            {"model_type": "rfdetr", "task_type": "instance-segmentation"},
            ["instance-segmentation"],
        ),
        (
            lambda: (
                weights("rfdetr-seg-nano")
                | {"backbone.0.encoder.encoder.embeddings.position_embeddings": torch.zeros(1, 31 * 31 + 1, 384)}
            ),
            {},
            ["rfdetr-seg-nano, rfdetr-seg-small", "found: patches of 12 pixels, 31 of them", "pass model_type="],
        ),
    ],
    ids=["missing", "foreign", "shape", "not finite", "another size", "another task", "unknown windows"],
)
def test_weights_that_are_not_those_of_the_network_are_refused_with_both_values(
    tmp_path: Path, state: Any, options: dict[str, str], texts: list[str]
) -> None:
    torch.save({"model": state(), "args": {"class_names": NAMES}}, tmp_path / "my.pth")
    with pytest.raises((CorruptedModelPackageError, ModelLoadingError, InvalidParameterError)) as caught:
        AutoModel.from_pretrained(tmp_path / "my.pth", **options)
    for text in texts:
        assert text in str(caught.value)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this ran",))


def test_nothing_in_a_checkpoint_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": weights("rfdetr-nano"), "args": {"class_names": NAMES, "hook": Harmful()}}, tmp_path / "a.pth")
    with pytest.raises(CorruptedModelPackageError, match="None of it was run"):
        AutoModel.from_pretrained(tmp_path / "a.pth")
    assert "this ran" not in capsys.readouterr().out
