from __future__ import annotations

import pytest

from inference_models.entities import BackendType, Quantization
from inference_models.package.hf_config import parse_hub_config
from inference_models.package.hf_folder import find_packages, skipped_files
from inference_models.package.text_files import fitted
from inference_models.providers._hub import HubFile
from providers.hub_server import git_id

CONFIG = parse_hub_config("{}")
CLIP = parse_hub_config('{"architectures": ["CLIPModel"], "model_type": "clip"}')


def files(*paths):
    return {path: fitted(HubFile, {"rfilename": path, "lfs": {"sha256": "0" * 64, "size": 1}}) for path in paths}


def recognised(*paths, dtypes=None):
    return find_packages(files(*paths), dtypes or {}, CONFIG)


def test_a_git_object_id_vouches_for_the_content():
    # `printf hello | git hash-object --stdin`, git 2.43.
    assert git_id(b"hello") == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
    file = HubFile("a", 5, "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0")
    assert file.holds(b"hello")
    assert not file.holds(b"hellp")


def test_external_data_comes_beside_its_graph_and_shards_with_their_index():
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    paths = files(
        "onnx/model.onnx",
        "onnx/model.onnx_data",
        "onnx/model.onnx_data_1",
        "onnx/model_fp16.onnx",
        "onnx/model_fp16.onnx.data",
        "onnx/decoder_model.onnx",
        "adapter.safetensors",
        "vae/model.safetensors",
        "model.fp16.safetensors",
        *shards,
    )
    assert {package.package_id: list(package.files) for package in find_packages(paths, {}, CONFIG)} == {
        "onnxfp32": ["weights.onnx", "model.onnx_data", "model.onnx_data_1"],
        "onnxfp16": ["weights.onnx", "model_fp16.onnx.data"],
        "safetensors": shards,
        "safetensorsfp16": ["model.safetensors"],
    }
    assert [(item.package_id, item.reason) for item in skipped_files(paths, CONFIG)] == [
        ("onnx/decoder_model.onnx", "one graph of a model of several; no program here runs them")
    ]


def test_graphs_of_images_and_of_texts_are_one_package_where_both_are_there_with_what_makes_tokens():
    paths = files(
        "onnx/model.onnx",
        "onnx/vision_model.onnx",
        "onnx/vision_model.onnx_data",
        "onnx/text_model.onnx",
        "onnx/vision_model_fp16.onnx",
        "onnx/text_model_fp16.onnx",
        "onnx/vision_model_q4.onnx",
        "model.safetensors",
        "tokenizer.json",
    )
    found = {package.package_id: package for package in find_packages(paths, {"F32": 1}, CLIP)}
    assert {name: list(package.files) for name, package in found.items()} == {
        "onnxfp32": ["vision_model.onnx", "text_model.onnx", "vision_model.onnx_data", "tokenizer.json"],
        "onnxfp16": ["vision_model_fp16.onnx", "text_model_fp16.onnx", "tokenizer.json"],
        "safetensors": ["model.safetensors", "tokenizer.json"],
    }
    assert found["onnxfp16"].quantization is Quantization.FP16
    left_out = [item.package_id for item in skipped_files(paths, CLIP)]
    assert left_out == ["onnx/model.onnx", "onnx/vision_model_q4.onnx"]


def test_graphs_with_like_names_get_ids_of_their_own():
    paths = [
        "onnx/model.onnx",
        "onnx/model_quantized.onnx",
        "model.onnx",
        "onnx/model_fp32.onnx",
        "onnx/model_q4f16.onnx",
    ]
    ids = {package.files["weights.onnx"]: package.package_id for package in recognised(*paths)}
    assert set(ids) == set(paths)
    assert len({package_id.lower() for package_id in ids.values()}) == 5
    assert all(package_id.isalnum() for package_id in ids.values())
    assert recognised(*reversed(paths)) == recognised(*paths)


@pytest.mark.parametrize(
    ("path", "package_id", "quantization"),
    [
        ("mobilenet.onnx", "onnxmobilenet", Quantization.UNKNOWN),
        ("best_int8.onnx", "onnxbestint8", Quantization.INT8),
        ("onnx/model.onnx", "onnxfp32", Quantization.FP32),
        ("onnx/model_bf16.onnx", "onnxbf16", Quantization.BF16),
        ("onnx/model_q4f16.onnx", "onnxq4f16", Quantization.UNKNOWN),
        ("onnx/model_uint8.onnx", "onnxuint8", Quantization.INT8),
    ],
)
def test_the_only_graph_of_a_repository_may_have_any_name(path, package_id, quantization):
    (package,) = recognised(path)
    assert (package.package_id, package.quantization, package.backend) == (package_id, quantization, BackendType.ONNX)


def test_a_graph_in_another_folder_is_not_the_model():
    assert recognised("demo/model.onnx") == []


def test_the_number_format_of_safetensors_is_that_of_most_parameters():
    (package,) = recognised("model.safetensors", dtypes={"F32": 5, "BF16": 900})
    assert (package.quantization, package.backend) == (Quantization.BF16, BackendType.HF)
    (package,) = recognised("model.safetensors")
    assert package.quantization is Quantization.UNKNOWN


@pytest.mark.parametrize("path", ["pytorch_model.bin", "best.pt", "a/b.pth", "c.ckpt", "d.pkl"])
def test_pickles_are_named_and_left_out(path):
    assert [item.package_id for item in skipped_files(files("model.safetensors", path), CONFIG)] == [path]
