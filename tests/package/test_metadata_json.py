"""Descriptions of models survive JSON exactly."""

from __future__ import annotations

import json
import re
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    InlineFileSpecs,
    JetsonEnvironmentRequirements,
    LocalFileArtefactSpecs,
    MemoryProfile,
    ModelDependency,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    PackageSourceType,
    Quantization,
    RecommendedParameters,
    ServerEnvironmentRequirements,
    SkippedPackage,
    TorchScriptPackageDetails,
    TRTPackageDetails,
)
from inference_models.package.metadata_json import metadata_from_json, metadata_to_json

texts = st.text(max_size=12)
names = st.text(string.ascii_letters + "-/", min_size=1, max_size=12)
numbers = st.integers(0, 2**40)
scores = st.floats(0, 1)
versions = st.builds(
    Version, st.lists(st.integers(0, 99).map(str), min_size=1, max_size=3).map(".".join) | st.just("2.8.0rc1+cu128")
)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
json_values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
artefacts = st.one_of(
    st.builds(FileDownloadSpecs, texts, names, st.none() | texts, st.none() | texts, st.none() | numbers),
    st.builds(LocalFileArtefactSpecs, names, st.builds(Path, names)),
    st.builds(InlineFileSpecs, names, texts),
)
machines = st.builds(
    ServerEnvironmentRequirements,
    versions,
    texts,
    st.none() | versions,
    st.none() | versions,
    st.none() | versions,
    st.none() | texts,
) | st.builds(
    JetsonEnvironmentRequirements,
    versions,
    texts,
    versions,
    st.none() | texts,
    st.none() | versions,
    st.none() | versions,
    st.none() | versions,
)
recommended = st.builds(
    RecommendedParameters,
    confidence=st.none() | scores,
    per_class_confidence=st.none() | st.dictionaries(texts, scores, max_size=3),
)
optional_numbers = st.none() | numbers
packages = st.builds(
    ModelPackageMetadata,
    names,
    st.sampled_from(BackendType),
    st.lists(artefacts, max_size=3),
    st.sampled_from(PackageSourceType),
    quantization=st.none() | st.sampled_from(Quantization),
    dynamic_batch_size_supported=st.none() | st.booleans(),
    static_batch_size=optional_numbers,
    trt_package_details=st.none() | st.builds(TRTPackageDetails, optional_numbers, optional_numbers),
    onnx_package_details=st.none() | st.builds(ONNXPackageDetails, numbers, st.none() | st.lists(texts, max_size=2)),
    torch_script_package_details=st.none()
    | st.builds(TorchScriptPackageDetails, st.sets(texts, max_size=3), versions, st.none() | versions),
    trusted_source=st.booleans(),
    environment_requirements=st.none() | machines,
    model_features=st.none() | st.dictionaries(texts, json_values, max_size=3),
    recommended_parameters=st.none() | recommended,
    cache_model_id=st.none() | texts,
    memory_profile=st.builds(MemoryProfile, peak_vram_mb=st.dictionaries(numbers, numbers, max_size=2)),
)
dependencies = st.builds(ModelDependency, name=texts, model_id=texts, model_package_id=st.none() | texts)
models = st.builds(
    ModelMetadata,
    names,
    texts,
    st.lists(packages, max_size=2),
    task_type=st.none() | texts,
    model_variant=st.none() | texts,
    model_dependencies=st.none() | st.lists(dependencies, max_size=2),
    recommended_parameters=st.none() | recommended,
    license=st.none() | texts,
    source=st.none() | texts,
    description=st.none() | texts,
    skipped_packages=st.lists(st.builds(SkippedPackage, texts, texts), max_size=2).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(models)
def test_every_description_reads_back_equal(model: ModelMetadata) -> None:
    text = json.dumps(metadata_to_json(model), allow_nan=False)
    assert metadata_from_json(json.loads(text)) == model


MODEL = ModelMetadata("m", "yolov8", [ModelPackageMetadata("p", BackendType.ONNX, [InlineFileSpecs("a.txt", "x")])])


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (lambda data: [], "Expected `object`"),
        (lambda data: {**data, "model_id": 7}, "at `$.model_id`"),
        (lambda data: {key: data[key] for key in data if key != "model_id"}, "missing required field `model_id`"),
        (lambda data: _with_package(data, static_batch_size="x"), "at `$.model_packages[0].static_batch_size`"),
        (lambda data: _with_package(data, backend="abacus"), "at `$.model_packages[0].backend`"),
        (lambda data: _with_package(data, package_artefacts=[{}]), "a file of a package states none of"),
        (lambda data: _with_package(data, environment_requirements={}), "missing required field `cuda_device_cc`"),
    ],
)
def test_anything_else_is_refused_with_its_place(damage, place: str) -> None:
    with pytest.raises(ValueError, match=re.escape(place)):
        metadata_from_json(damage(metadata_to_json(MODEL)))


def _with_package(data: dict, **changes: object) -> dict:
    return {**data, "model_packages": [{**data["model_packages"][0], **changes}]}


def test_a_new_optional_field_of_a_later_release_does_not_break_what_was_written_before() -> None:
    written = metadata_to_json(replace(MODEL, license="MIT"))
    del written["license"]
    assert metadata_from_json(written) == MODEL
