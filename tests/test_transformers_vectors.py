"""Vectors of images and texts of folders that Transformers saved, against its own call: processor and network.

Networks are tiny and random, made by transformers 5.24 with torch 2.13. Processors are those of Pillow; where there is
none, its numbers are those of `torch.nn.functional.interpolate`, which torchvision calls.
"""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="Transformers runs in PyTorch")
pytest.importorskip("transformers", reason="needs Transformers")

import torch
import transformers
from PIL import Image

import torch_graphs
from inference_models import AutoModel, ClassificationPrediction, ImageEmbeddingModel, TextImageEmbeddingModel
from inference_models.errors import (
    CorruptedModelPackageError,
    InvalidParameterError,
    ModelImplementationNotFoundError,
    ModelInputError,
)
from providers.hub_server import Repository, served_hub
from test_transformers_folders import photograph
from transformers_networks import VIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

t = transformers
TEXTS = ["a photo of a cat", "A dog", "something else"]
LETTERS = string.ascii_lowercase
WIDTHS = {"hidden_size": 16, "num_attention_heads": 2}


def drawn_anew(network: Any) -> Any:
    """With a standard deviation of 0.3, so that pictures and texts make a difference."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    return network.eval()


def clip_tokenizer() -> Any:
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"]
    return t.CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)}, merges=[("c", "a"), ("ca", "t</w>")]
    )


def unigram_tokenizer(kind: Any, **options: Any) -> Any:
    words = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS, *(f"▁{letter}" for letter in LETTERS), "<mask>"]
    return kind(vocab=[(word, -float(number)) for number, word in enumerate(words)], **options)


def gemma_tokenizer(kind: Any, **options: Any) -> Any:
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *LETTERS, *LETTERS.upper(), "▁"]
    return kind(vocab={word: number for number, word in enumerate(words)}, merges=[], **options)


def text_image_networks() -> dict[str, Callable[[], tuple[Any, Any]]]:
    def text(tokenizer: Any, **further: Any) -> dict[str, Any]:
        ends = {"bos_token_id": 0, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        return {**VIT, **ends, "vocab_size": len(tokenizer), "max_position_embeddings": 40, **further}

    vision = {**VIT, "image_size": 32, "patch_size": 8}
    squares = {"size": {"shortest_edge": 32}, "crop_size": 32}

    def clip() -> tuple[Any, Any]:
        tokenizer = clip_tokenizer()
        config = t.CLIPConfig(text_config=text(tokenizer), vision_config=vision, projection_dim=12)
        return t.CLIPModel(config), t.CLIPProcessor(t.CLIPImageProcessorPil(**squares), tokenizer)

    def metaclip_2() -> tuple[Any, Any]:
        tokenizer = unigram_tokenizer(t.XLMRobertaTokenizer)
        config = t.MetaClip2Config(text_config=text(tokenizer), vision_config=vision, projection_dim=12)
        return t.MetaClip2Model(config), t.CLIPProcessor(t.CLIPImageProcessorPil(**squares), tokenizer)

    def siglip(tokenizer: Any) -> tuple[Any, Any]:
        config = t.SiglipConfig(text_config=text(tokenizer, projection_size=16), vision_config=vision)
        images = t.SiglipImageProcessorPil(size={"height": 32, "width": 32})
        return t.SiglipModel(config), t.SiglipProcessor(images, tokenizer)

    return {
        "clip": clip,
        "metaclip_2": metaclip_2,
        "siglip": lambda: siglip(unigram_tokenizer(t.XLMRobertaTokenizer, model_input_names=["input_ids"])),
        "siglip 2": lambda: siglip(
            gemma_tokenizer(t.GemmaTokenizer, model_input_names=["input_ids"], padding_side="right")
        ),
        "siglip 2, filled up on the left": lambda: siglip(gemma_tokenizer(t.Siglip2Tokenizer)),
    }


def saved_pair(folder: Path, name: str) -> tuple[Any, Any]:
    network, processor = text_image_networks()[name]()
    drawn_anew(network).save_pretrained(folder)
    processor.save_pretrained(folder)
    return network, processor


def filled(processor: Any, **inputs: Any) -> Any:
    """As the documentation of SigLIP calls it; for CLIP it makes no difference."""
    return processor(return_tensors="pt", padding="max_length", max_length=40, **inputs)


@pytest.mark.parametrize("name", text_image_networks())
def test_vectors_and_scores_of_texts_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    network, processor = saved_pair(tmp_path, name)
    images = [Image.fromarray(photograph()), Image.fromarray(photograph(40, 70)[::-1])]
    with torch.no_grad():
        answer = network(**filled(processor, text=TEXTS, images=images))
        pictures = network.get_image_features(**filled(processor, images=images)).pooler_output
        texts = network.get_text_features(**filled(processor, text=TEXTS)).pooler_output
    scores = answer.logits_per_image.sigmoid() if "siglip" in name else answer.logits_per_image.softmax(-1)
    model = AutoModel.from_pretrained(str(tmp_path), arrays="numpy")
    assert isinstance(model, TextImageEmbeddingModel)
    np.testing.assert_allclose(model.embed_images(images), pictures, rtol=0, atol=1e-4)
    np.testing.assert_allclose(model.embed_text(TEXTS), texts, rtol=0, atol=1e-4)
    found = model.classify(images, TEXTS, template="{}")
    np.testing.assert_allclose(found.confidence, scores, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found.class_id, scores.argmax(-1))
    assert np.ptp(found.confidence, axis=0).max() > 1e-3
    assert list(found.class_names) == TEXTS


def test_a_name_stands_in_a_sentence_unless_another_one_is_asked_for(tmp_path: Path) -> None:
    saved_pair(tmp_path, "clip")
    model, image = AutoModel.from_pretrained(str(tmp_path), arrays="numpy"), Image.fromarray(photograph())
    said = model.classify(image, ["This is a photo of cat", "This is a photo of dog"], template="{}")
    assert isinstance(said, ClassificationPrediction)
    named = model.classify(image, ["cat", "dog"], template="This is a photo of {}")
    np.testing.assert_array_equal(named.confidence, said.confidence)
    alone = model.classify(image, ["cat", "dog"], template="{}")
    assert np.abs(model.classify(image, ["cat", "dog"]).confidence - alone.confidence).max() > 1e-3
    assert model.classify(image, "cat").confidence.tolist() == [[1.0]]
    with pytest.raises(InvalidParameterError, match="the template has no place for a name"):
        model.classify(image, ["cat"], template="a photo")
    with pytest.raises(ModelInputError, match="there is no text to embed"):
        model.classify(image, [])
    with pytest.raises(ModelInputError, match=r"text 1 of 1 is too long for the model\.\nneeds at most 40 tokens"):
        model.embed_text("cat " * 80)


class Output(torch.nn.Module):
    """One output of a network, as exporters write it."""

    def __init__(self, network: Any, name: str, method: str = "forward") -> None:
        super().__init__()
        self.network, self.name, self.method = network, name, method

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return getattr(self.network, self.method)(inputs)[self.name]


def exported_pair(folder: Path, network: Any) -> None:
    """`onnx/vision_model.onnx` and `onnx/text_model.onnx`, as optimum and transformers.js call them."""
    network.set_attn_implementation("eager")
    (folder / "onnx").mkdir()
    for role, method, example in (
        ("vision", "get_image_features", torch.zeros(1, 3, 32, 32)),
        ("text", "get_text_features", torch.full((1, 40), 5)),
    ):
        given, path = "pixel_values" if role == "vision" else "input_ids", folder / "onnx" / f"{role}_model.onnx"
        axes = {given: {0: "batch"}, "pooler_output": {0: "batch"}}
        torch_graphs.save_graph(Output(network, "pooler_output", method), path, {given: example}, "pooler_output", axes)


@pytest.mark.filterwarnings("ignore:Exporting aten")
@pytest.mark.parametrize("name", ["clip", "siglip 2"])
def test_graphs_of_images_and_of_texts_beside_the_weights_are_a_package_of_the_model(tmp_path: Path, name: str) -> None:
    network, _ = saved_pair(tmp_path, name)
    exported_pair(tmp_path, network)
    image = Image.fromarray(photograph())
    weights, graphs = (
        AutoModel.from_pretrained(str(tmp_path), model_package_id=package, arrays="numpy")
        for package in ("safetensors", "onnxfp32")
    )
    assert AutoModel.from_pretrained(str(tmp_path)).resolved_model.model_package_id == "onnxfp32"
    np.testing.assert_allclose(graphs.embed_images(image), weights.embed_images(image), rtol=0, atol=1e-4)
    np.testing.assert_allclose(graphs.embed_text(TEXTS), weights.embed_text(TEXTS), rtol=0, atol=1e-4)
    if name == "clip":
        weights.close()
        assert graphs.classify(image, TEXTS).confidence.sum() == pytest.approx(1)
    else:
        with pytest.raises(ModelImplementationNotFoundError, match="nothing in its package says how scores are made"):
            graphs.classify(image, TEXTS)


def test_a_repository_of_images_and_texts_answers_as_the_folder_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, image = tmp_path / "clip", Image.fromarray(photograph())
    saved_pair(folder, "clip")
    repository = Repository({path.name: path.read_bytes() for path in folder.iterdir()}, dtypes={"F32": 1})
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with served_hub({"acme/clip": repository}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url())
        found = AutoModel.from_pretrained("huggingface:acme/clip", arrays="numpy").classify(image, TEXTS)
    expected = AutoModel.from_pretrained(str(folder), arrays="numpy").classify(image, TEXTS)
    np.testing.assert_array_equal(found.confidence, expected.confidence)


def image_networks() -> dict[str, Callable[[], Any]]:
    small = {**VIT, "image_size": 32, "patch_size": 8}
    return {
        "dinov2": lambda: t.Dinov2Model(t.Dinov2Config(**{**small, "mlp_ratio": 2})),
        "dinov2_with_registers": lambda: t.Dinov2WithRegistersModel(
            t.Dinov2WithRegistersConfig(**{**small, "mlp_ratio": 2})
        ),
        "dinov3_vit": lambda: t.DINOv3ViTModel(t.DINOv3ViTConfig(**small, num_register_tokens=2)),
        "dinov3_convnext": lambda: t.DINOv3ConvNextModel(
            t.DINOv3ConvNextConfig(hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1], image_size=64)
        ),
    }


def dinov3_inputs(folder: Path, image: Any) -> torch.Tensor:
    """What `DINOv3ViTImageProcessor` makes, which scales before it resizes; and its file as the project states it."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    size = {"height": 32, "width": 32}
    stated = {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": size, "resample": 2}
    stated |= {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**stated, "do_center_crop": None, "image_mean": mean, "image_std": std})
    )
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
    resized = torch.nn.functional.interpolate(pixels, (32, 32), mode="bilinear", antialias=True)
    return (resized - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(3, 1, 1)


@pytest.mark.parametrize("name", image_networks())
def test_vectors_of_images_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    network, image = drawn_anew(image_networks()[name]()), Image.fromarray(photograph())
    network.save_pretrained(tmp_path)
    if "dinov3" in name:
        inputs = dinov3_inputs(tmp_path, image)
    else:
        processor = t.BitImageProcessorPil(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})
        processor.save_pretrained(tmp_path)
        inputs = processor(image, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = network(inputs).pooler_output
    model = AutoModel.from_pretrained(str(tmp_path), arrays="numpy")
    assert isinstance(model, ImageEmbeddingModel)
    found = model.embed_images(image)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert np.abs(model.embed_images(Image.fromarray(photograph()[:, :, ::-1])) - found).max() > 1e-2


def test_an_export_that_gives_every_token_answers_with_the_first(tmp_path: Path) -> None:
    network, image = drawn_anew(image_networks()["dinov2"]()), Image.fromarray(photograph())
    network.save_pretrained(tmp_path)
    t.BitImageProcessorPil(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    (tmp_path / "onnx").mkdir()
    torch_graphs.save_onnx(Output(network, "last_hidden_state"), tmp_path / "onnx" / "model.onnx", (32, 32))
    weights, graph = (
        AutoModel.from_pretrained(str(tmp_path), model_package_id=package, arrays="numpy").embed_images(image)
        for package in ("safetensors", "onnxfp32")
    )
    np.testing.assert_allclose(graph, weights, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("file", "content", "error", "said"),
    [
        ("processor_config.json", None, CorruptedModelPackageError, "does not say how images are prepared"),
        ("tokenizer.json", "{}", CorruptedModelPackageError, "not the description of a tokenizer"),
        ("tokenizer_config.json", "[]", CorruptedModelPackageError, "tokenizer_config.json"),
        ("model.safetensors", None, CorruptedModelPackageError, "is not complete"),
        (
            "config.json",
            {"text_config": {"hidden_size": 32}},
            CorruptedModelPackageError,
            "the weights are not those of the architecture",
        ),
    ],
)
def test_folders_of_images_and_texts_that_contradict_themselves_are_refused(
    tmp_path: Path, file: str, content: Any, error: type[Exception], said: str
) -> None:
    saved_pair(tmp_path, "clip")
    path = tmp_path / file
    if isinstance(content, dict):
        stated = json.loads(path.read_text())
        content = json.dumps(stated | {key: stated[key] | value for key, value in content.items()})
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(error, match=said):
        AutoModel.from_pretrained(str(tmp_path))
