"""A model of two graphs, an encoder and a decoder, with random weights: against the same networks run by torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from inference_models import AutoModel
from inference_models.cli import main
from inference_models.errors import CorruptedModelPackageError, ForbiddenLocalCodePackageAccessError
from inference_models.families.tr_ocr import END, LONGEST

torch = pytest.importorskip("torch")
import torch_graphs  # noqa: E402 - it imports torch

if TYPE_CHECKING:
    from pathlib import Path

SIDE, WIDTH = 16, 8
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "H", "ello", "Ġworld", "Ã©", "!"]
"""The last but one is the two bytes of an accented letter."""


class Encoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = torch.nn.Conv2d(3, WIDTH, 4, stride=4)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.patches(pixel_values)).flatten(2).transpose(1, 2)


class Decoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(len(WORDS), WIDTH)
        self.head = torch.nn.Linear(WIDTH, len(WORDS))

    def forward(self, input_ids: torch.Tensor, encoder_hidden_states: torch.Tensor) -> torch.Tensor:
        seen = self.words(input_ids).cumsum(1)
        looked_at = torch.softmax(seen @ encoder_hidden_states.transpose(1, 2), -1) @ encoder_hidden_states
        return self.head(torch.tanh(seen + looked_at)) * 3


@pytest.fixture(scope="module")
def networks() -> tuple[Encoder, Decoder]:
    torch.manual_seed(4)
    return Encoder().eval(), Decoder().eval()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.zeros(2, 3, SIDE, SIDE), torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 16, WIDTH)


def write_onnx(networks: tuple[Encoder, Decoder], folder: Path) -> None:
    pixels, ids, hidden = inputs()
    write_graph(networks[0], folder / "encoder_model.onnx", {"pixel_values": pixels}, axes={0: "n"})
    feeds = {"input_ids": ids, "encoder_hidden_states": hidden}
    write_graph(networks[1], folder / "decoder_model.onnx", feeds, axes={0: "n", 1: "l"})


def write_graph(network: torch.nn.Module, path: Path, feeds: dict[str, torch.Tensor], *, axes: dict[int, str]) -> None:
    names = [*feeds, "answer"]
    free = {name: {0: "n"} if name in {"pixel_values", "encoder_hidden_states"} else axes for name in names}
    torch_graphs.save_graph(network, path, feeds, "answer", free)


def write_torchscript(networks: tuple[Encoder, Decoder], folder: Path) -> None:
    for network, name in zip(networks, ("encoder", "decoder"), strict=True):
        torch_graphs.save_archive(network, folder / f"{name}.torchscript")


def package(networks: tuple[Encoder, Decoder], folder: Path, kind: str = "onnx") -> Path:
    folder.mkdir()
    config = {"model_architecture": "tr-ocr", "task_type": "text-only-ocr", "backend_type": kind}
    (folder / "model_config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(WORDS)}))
    normalized = {"scaling_factor": 255, "normalization": [[0.5] * 3, [0.5] * 3]}
    inference = {"network_input": torch_graphs.network_input((SIDE, SIDE), **normalized)}
    if kind == "torch-script":  # archives do not say their size
        (folder / "inference_config.json").write_text(json.dumps(inference))
    write_onnx(networks, folder) if kind == "onnx" else write_torchscript(networks, folder)
    return folder


def expected(networks: tuple[Encoder, Decoder], images: list[np.ndarray]) -> list[str]:
    texts = []
    for image in images:
        pixels = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        hidden = networks[0]((pixels - 0.5) / 0.5)
        tokens = [END]
        while len(tokens) <= LONGEST and (len(tokens) == 1 or tokens[-1] != END):
            tokens.append(int(networks[1](torch.tensor([tokens]), hidden)[0, -1].argmax()))
        words = (WORDS[token] for token in tokens)
        texts.append("".join(word for word in words if not word.startswith("<")).replace("Ġ", " ").replace("Ã©", "é"))
    return texts


def pictures() -> list[np.ndarray]:
    return [*np.random.default_rng(0).integers(0, 255, (5, SIDE, SIDE, 3), np.uint8)]


@pytest.mark.parametrize("kind", ["onnx", "torch-script"])
def test_texts_are_those_of_the_networks(networks: tuple[Encoder, Decoder], tmp_path: Path, kind: str) -> None:
    folder = str(package(networks, tmp_path / "p", kind))
    consented = consent(folder) if kind == "torch-script" else None
    with AutoModel.from_pretrained(folder, allow_local_code_packages=consented) as model:
        texts = model(pictures())
        inputs = model.pre_process(pictures())
        assert model.post_process(model.forward(inputs)) == texts
    assert texts == expected(networks, pictures())
    assert len(set(texts)) > 1


def consent(folder: str) -> str:
    """What the refusal of a folder with archives prints to be pasted."""
    with pytest.raises(ForbiddenLocalCodePackageAccessError, match=r"^decoder.torchscript and encoder.torch") as caught:
        AutoModel.from_pretrained(folder)
    return str(caught.value.fix).split('"')[1]


def test_every_role_has_one_file(networks: tuple[Encoder, Decoder], tmp_path: Path) -> None:
    folder = package(networks, tmp_path / "p")
    (folder / "decoder_with_past.onnx").write_bytes((folder / "decoder_model.onnx").read_bytes())
    with pytest.raises(CorruptedModelPackageError) as several:
        AutoModel.from_pretrained(str(folder))
    assert str(several.value) == (
        f"model '{folder}' has several files for its decoder.\n"
        "needs one file *decoder*.onnx; found: decoder_model.onnx, decoder_with_past.onnx"
    )
    for name in ("decoder_with_past.onnx", "decoder_model.onnx"):
        (folder / name).unlink()
    with pytest.raises(CorruptedModelPackageError, match=r"has no file for its decoder\.\nneeds one file \*decoder\*"):
        AutoModel.from_pretrained(str(folder))


def test_the_command_line_prints_the_text_and_has_nothing_to_draw(
    networks: tuple[Encoder, Decoder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, image = str(package(networks, tmp_path / "p")), str(tmp_path / "a.png")
    Image.fromarray(pictures()[0][..., ::-1]).save(image)
    (text,) = expected(networks, pictures()[:1])
    assert main(["predict", f"local:{folder}", image, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"image": image, "width": 16, "height": 16, "prediction": text}
    assert main(["predict", f"local:{folder}", image, "--save", str(tmp_path / "out")]) == 1
    assert "--save means nothing to this model" in capsys.readouterr().err
