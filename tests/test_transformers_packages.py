"""Packages of ours whose weights Transformers saved: `model_config.json` beside its files, and the folder without it.

Networks are tiny and random, made by transformers 5.24 with torch 2.13.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="Transformers runs in PyTorch")
pytest.importorskip("transformers", reason="needs Transformers")
pytest.importorskip("tokenizers")

import torch
import transformers
from PIL import Image

from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError
from test_transformers_folders import photograph, saved, theirs
from transformers_networks import VIT, depth_estimators

if TYPE_CHECKING:
    from pathlib import Path

t = transformers


def described(folder: Path, architecture: str, task: str) -> None:
    stated = {"model_architecture": architecture, "task_type": task, "backend_type": "hugging-face"}
    (folder / "model_config.json").write_text(json.dumps(stated))


def test_a_package_of_depth_anything_answers_as_its_folder_does(tmp_path: Path) -> None:
    network, processor = depth_estimators()["depth_anything"]()
    saved(tmp_path, network, processor)
    image = photograph()
    outputs = theirs(network, processor, image)
    (expected,) = processor.post_process_depth_estimation(outputs, target_sizes=[image.shape[:2]])
    described(tmp_path, "depth-anything-v2", "depth-estimation")
    (found,) = AutoModel.from_pretrained(str(tmp_path), arrays="numpy")(Image.fromarray(image))
    depth = expected["predicted_depth"].numpy()
    np.testing.assert_allclose(found, depth, rtol=0, atol=1e-4 * np.abs(depth).max())


def byte_words() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), "<mask>"]


def text_reader(folder: Path, *, width: int) -> tuple[Any, Any]:
    """TrOCR whose decoder is `width` wide."""
    words = {word: number for number, word in enumerate(byte_words())}
    tokenizer = t.RobertaTokenizer(vocab=words, merges=[])
    decoder = t.TrOCRConfig(
        vocab_size=len(words), d_model=width, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=32
    )
    config = t.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        t.ViTConfig(**VIT, image_size=32, patch_size=8), decoder
    )
    config.decoder_start_token_id = config.eos_token_id = 2
    config.pad_token_id = 1
    network = t.VisionEncoderDecoderModel(config)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.5)
    processor = t.TrOCRProcessor(t.ViTImageProcessorPil(size={"height": 32, "width": 32}), tokenizer)
    network.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return network, processor


@pytest.mark.parametrize("width", [16, 24])
@pytest.mark.parametrize("form", ["folder", "package", "package with vocab.json"])
def test_texts_are_those_that_transformers_generates(tmp_path: Path, width: int, form: str) -> None:
    network, processor = text_reader(tmp_path, width=width)
    if form != "folder":
        described(tmp_path, "tr-ocr", "text-only-ocr")
    if form.endswith("vocab.json"):
        (tmp_path / "tokenizer.json").unlink()
        (tmp_path / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(byte_words())}))
    images = [Image.fromarray(photograph()), Image.fromarray(photograph(40, 70)[::-1])]
    pixels = processor(images=images, return_tensors="pt").pixel_values
    tokens = network.generate(pixels, max_new_tokens=64, num_beams=1, do_sample=False)
    expected = processor.batch_decode(tokens, skip_special_tokens=True)
    assert AutoModel.from_pretrained(str(tmp_path))(images) == expected
    assert len(set(expected)) == 2


def test_a_text_reader_without_its_tokens_is_refused(tmp_path: Path) -> None:
    text_reader(tmp_path, width=16)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(CorruptedModelPackageError, match=r"needs tokenizer\.json or vocab\.json; found: neither"):
        AutoModel.from_pretrained(str(tmp_path))
