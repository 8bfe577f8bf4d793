"""Record tiny random networks that embed, with what their own libraries answer, as fixtures for tests/families.

    python tools/record_embeddings.py tests/families/recorded

Run it in an environment of its own with open_clip, transformers and timm. CLIP and SigLIP are folders: graphs, a
tokenizer unless it is CLIP's own, and `expected.npz` with pictures (red first), their vectors and those of `TEXTS`. The
table of CLIP's 49,408 tokens is not stored: tests write `word_table()` into it. Classifiers are graphs, and
`features.npz` has network inputs, features and logits.
Recorded on 2026-11-27 with open_clip 3.3.0, transformers 5.24.0, tokenizers 0.23.3, ftfy 6.3.1, timm 1.0.31,
torch 2.14.1.
"""

# ruff: noqa: RUF001 - letters that look alike are what is recorded

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

SIDE, WIDTH, VECTOR = 32, 16, 12
WORDS, WORD_WIDTH = 49408, 8
TEXTS = ["a photo of a cat", "A  DOG, running!", "it's 42 o'clock", "l'été à Zürich", "“curled” &amp; ﬁne", ""]
SENTENCES = [
    "a photo of a cat", "A  Photo\tof\n a DOG!!", "l'été à Zürich — naïve café", "it's we've I'm they'll he'd don't",
    "“curled” ‘quotes’ don’t", "ﬁne ﬂour ﬀ", "ＷＩＤＥ　ｌｅｔｔｅｒｓ１２３", "Tom &amp; Jerry &amp;lt;3",
    "12345 3.14159 2026-11-27", "日本語のテキスト", "emoji 😀👍🏽 end", "", "   ", "cafe\u0301",
    "a_b-c/d\\e@f#g$h%i^j&k*l(m)n", "ΑΒΓ Привет שלום", "x" * 50, "ſtraße İstanbul ẞ",
    "zero\u200bwidth soft\u00adhyphen nbsp\u00a0here",
    "1st 2nd ½ ² ①", "don't'S 'T", "a\u2014b\u2026c", "\ufeffbom", "ça va? ñandú",
]  # fmt: skip
SIZES = ((32, 32), (40, 57), (75, 34))


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    small = [rng.integers(0, 256, (height // 6, width // 6, 3), np.uint8) for height, width in SIZES]
    resized = [Image.fromarray(part).resize(size[::-1], Image.Resampling.BICUBIC) for part, size in zip(small, SIZES)]
    return [np.asarray(picture) for picture in resized]


def word_table() -> np.ndarray:
    return np.sin(np.arange(WORDS * WORD_WIDTH, dtype=np.float64) ** 1.5).reshape(WORDS, WORD_WIDTH).astype(np.float32)


class Call(torch.nn.Module):
    def __init__(self, network, method) -> None:
        super().__init__()
        self.network, self.method = network, method

    def forward(self, inputs):
        answer = self.method(inputs)
        return answer if isinstance(answer, torch.Tensor) else answer.pooler_output


def save(folder: Path, network, calls, examples, vectors, names=("visual", "textual")) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    for name, call, example in zip(names, calls, examples):
        module = Call(network, call).eval()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            axes = {"input": {0: "batch"}, "output": {0: "batch"}}
            torch.onnx.export(
                module, (example,), folder / f"{name}.onnx", input_names=["input"], output_names=["output"],
                dynamic_axes=axes, opset_version=17, dynamo=False,
            )  # fmt: skip
            if folder.name == "clip_transformers":
                torch.jit.trace(module, example).save(str(folder / f"{name}.torchscript"))
    pixels = {f"picture{place}": picture for place, picture in enumerate(pictures())}
    np.savez_compressed(folder / "expected.npz", **pixels, images=vectors[0].numpy(), texts=vectors[1].numpy())


def without_table(path: Path) -> None:
    model = onnx.load(path)
    (table,) = [tensor for tensor in model.graph.initializer if list(tensor.dims) == [WORDS, WORD_WIDTH]]
    table.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())


@torch.no_grad()
def open_clip_network(folder: Path) -> None:
    import open_clip
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(0)
    vision = CLIPVisionCfg(layers=1, width=WIDTH, head_width=8, patch_size=8, image_size=SIDE)
    text = CLIPTextCfg(context_length=77, vocab_size=WORDS, width=WORD_WIDTH, heads=2, layers=1)
    network = open_clip.CLIP(VECTOR, vision, text, quick_gelu=True).eval()
    network.token_embedding.weight.copy_(torch.from_numpy(word_table()))
    prepare = open_clip.image_transform(SIDE, is_train=False)
    images = torch.stack([prepare(Image.fromarray(picture)) for picture in pictures()])
    tokenizer = open_clip.SimpleTokenizer()
    texts = tokenizer(TEXTS)
    vectors = network.encode_image(images), network.encode_text(texts)
    save(folder, network, (network.encode_image, network.encode_text), (images[:1], texts[:1].int()), vectors)
    without_table(folder / "textual.onnx")
    rows = {text: [49406, *tokenizer.encode(text), 49407] for text in SENTENCES}
    (folder / "tokens.json").write_text(json.dumps(rows))


def byte_words() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    return [*letters, *(f"{letter}</w>" for letter in letters), "ca", "cat</w>", "ph", "pho", "do", "dog</w>"]


@torch.no_grad()
def transformers_clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(1)
    words = [*byte_words(), "<|startoftext|>", "<|endoftext|>"]
    merges = [("c", "a"), ("ca", "t</w>"), ("p", "h"), ("ph", "o"), ("d", "o"), ("do", "g</w>")]
    tokenizer = CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=merges)
    end = len(words) - 1
    common = {"hidden_size": WIDTH, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end}
    config = CLIPConfig(
        text_config={**common, **special, "vocab_size": len(words)},
        vision_config={**common, "image_size": SIDE, "patch_size": 8},
        projection_dim=VECTOR,
    )
    network = CLIPModel(config).eval()
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    record(folder, network, processor, tokenizer, {"padding": "max_length", "max_length": 77})


@torch.no_grad()
def transformers_siglip(folder: Path) -> None:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipModel
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    torch.manual_seed(2)
    words = ["<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz0123456789éàüû", "▁a", "▁cat", "▁dog"]
    library = Tokenizer(models.Unigram([(word, -float(place)) for place, word in enumerate(words)], unk_id=2))
    library.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(Regex(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"), "")]
    )
    library.pre_tokenizer = pre_tokenizers.Metaspace()
    library.decoder = decoders.Metaspace()
    library.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=library, pad_token="</s>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    )
    common = {"hidden_size": WIDTH, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = SiglipConfig(
        text_config={**common, "vocab_size": len(words), "max_position_embeddings": 64, "projection_size": WIDTH},
        vision_config={**common, "image_size": SIDE, "patch_size": 8},
    )
    network = SiglipModel(config).eval()
    processor = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    record(folder, network, processor, tokenizer, {"padding": "max_length", "max_length": 64})


def record(folder: Path, network, processor, tokenizer, padding) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    tokenizer.save_pretrained(folder)
    images = processor([Image.fromarray(picture) for picture in pictures()], return_tensors="pt")["pixel_values"]
    texts = tokenizer(TEXTS, return_tensors="pt", **padding)["input_ids"]
    calls = network.get_image_features, lambda ids: network.get_text_features(input_ids=ids)
    vectors = [Call(network, call)(inputs) for call, inputs in zip(calls, (images, texts))]
    save(folder, network, calls, (images[:1], texts[:1]), vectors, names=("vision_model", "text_model"))
    (folder / "special_tokens_map.json").unlink(missing_ok=True)


@torch.no_grad()
def classifiers(folder: Path) -> None:
    from timm.layers import set_fused_attn
    from timm.models.eva import Eva
    from timm.models.resnet import BasicBlock, ResNet
    from timm.models.vision_transformer import VisionTransformer

    set_fused_attn(False)  # which the exporter does not know
    torch.manual_seed(3)
    small = {"img_size": SIDE, "patch_size": 8, "embed_dim": WIDTH, "depth": 1, "num_heads": 2, "num_classes": 5}
    networks = {
        "resnet": ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5, stem_width=8, channels=(8, 8, 16, 16)),
        "vit": VisionTransformer(**small),
        "dinov3-probe": Eva(**small, use_rot_pos_emb=True, use_abs_pos_emb=False, global_pool="token"),
    }
    folder.mkdir(exist_ok=True)
    inputs = torch.randn(2, 3, SIDE, SIDE)
    kept = {"inputs": inputs.numpy()}
    for name, network in networks.items():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point() and not tensor.any():
                tensor.normal_(std=0.3)
        network.eval()
        features = network.forward_head(network.forward_features(inputs), pre_logits=True)
        kept |= {f"{name} features": features.numpy(), f"{name} logits": network(inputs).numpy()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network, (inputs[:1],), folder / f"{name}.onnx", input_names=["input"], output_names=["output"],
                dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}}, opset_version=17, dynamo=False,
            )  # fmt: skip
    np.savez_compressed(folder / "features.npz", **kept)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    torch.backends.mha.set_fastpath_enabled(False)  # which the exporter does not know
    open_clip_network(target / "clip")
    transformers_clip(target / "clip_transformers")
    transformers_siglip(target / "siglip_transformers")
    classifiers(target / "classifiers")
    print(
        json.dumps({str(path): path.stat().st_size for path in sorted(target.rglob("*")) if path.is_file()}, indent=1)
    )
