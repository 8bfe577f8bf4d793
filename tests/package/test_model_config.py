from __future__ import annotations

import json

import pytest

from inference_models.entities import BackendType, Quantization
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.model_config import parse_model_config

LIBRARY = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx"}


def test_a_library_model_names_architecture_and_runtime():
    config = parse_model_config(json.dumps({**LIBRARY, "quantization": "fp16", "offline_manifest_version": 4}))
    assert (config.model_architecture, config.backend_type) == ("yolov8", BackendType.ONNX)
    assert (config.quantization, config.is_code_package) == (Quantization.FP16, False)


def test_a_code_package_names_its_class():
    config = parse_model_config('{"model_module": "model.py", "model_class": "Mine"}')
    assert config.is_code_package


def test_a_file_that_describes_neither_is_refused():
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_model_config('{"model_architecture": "yolov8", "model_class": "Mine"}')
    assert str(caught.value) == (
        "model_config.json does not say how to load the package.\n"
        "needs model_architecture and backend_type, or model_module and model_class; "
        "found: model_architecture, model_class"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_architecture", 8),
        ("task_type", ["a"]),
        ("model_module", 1),
        ("model_class", {}),
        ("quantization", "fp17"),
        ("model_id", 3),
        ("canonical_model_id", 3),
        ("model_features", []),
        ("recommended_parameters", "x"),
        ("model_dependencies", {"a": 1}),
        ("model_dependencies", ["a"]),
        ("trusted_source", "true"),
        ("dynamic_batch_size_supported", 1),
        ("static_batch_size", 0),
        ("static_batch_size", True),
        ("offline_manifest_version", "4"),
        ("backend_type", "onxx"),
    ],
)
def test_every_wrong_type_is_refused_with_its_key(key, value):
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_model_config(json.dumps({**LIBRARY, key: value}))
    assert str(caught.value).startswith(f"model_config.json: {key}")


def test_the_text_of_a_wrong_type():
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_model_config(json.dumps({**LIBRARY, "static_batch_size": "4"}))
    assert str(caught.value) == ('model_config.json: static_batch_size has a wrong value.\nneeds int; found: "4"')
