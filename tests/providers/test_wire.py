from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from inference_models.entities import (
    BackendType,
    JetsonEnvironmentRequirements,
    MemoryProfile,
    ServerEnvironmentRequirements,
)
from inference_models.errors import ModelRetrievalError
from inference_models.providers._wire import parse_page
from providers.api_answers import MANIFESTS, metadata, package
from providers.api_mutations import GOOD, WHERE, mutated, parse


@pytest.mark.parametrize("block", range(5))
def test_no_changed_answer_does_more_than_lose_its_packages(block):
    kept = 0
    for seed in range(block * 80, block * 80 + 80):
        page = parse(mutated(seed))
        if page is not None:
            assert len(page.packages) + len(page.skipped) <= len(MANIFESTS)
            kept += len(page.packages)
    # Most changes hit one package of seven, and the others stay usable.
    assert kept > 80 * 3


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_are_more_than_refused(data):
    assert parse(data) is None


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_flipped_bytes_are_more_than_refused(data):
    body = bytearray(json.dumps(GOOD).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    parse(bytes(body))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "Expecting value at line 1, column 1"),
        (b"<html>", "Expecting value at line 1, column 1"),
        (b"[]", "[]"),
        (b'{"a": 1, "a": 2}', 'the key "a" twice'),
        (b"[" * 10_000, "values nested too deeply"),
        (b'{"a":' * 10_000, "values nested too deeply"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "a number of too many digits"),
        (b'{"a": [' + b"0," * 400_000 + b"0]}", "more than 300000 values"),
        (b"\xff\xfe{}", "a byte at position 0 that is not UTF-8"),
    ],
)
def test_what_is_no_object_is_refused(data, found):
    with pytest.raises(ModelRetrievalError) as caught:
        parse_page(data, where=WHERE)
    assert str(caught.value) == (
        f"https://api.example gave an answer that cannot be read.\nneeds one JSON object; found: {found}"
    )


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({}, "modelMetadata is missing"),
        ({"modelMetadata": 1}, "another value"),
        (metadata(type="v2"), "type 'v2'"),
        (metadata(modelId=""), 'modelId: needs str of length >= 1; found: ""'),
        (metadata(modelId="\x1b[2J"), "a model id that cannot be shown"),
        (metadata(modelPackages=None), "modelPackages: needs array; found: null"),
        (metadata(nextPage=7), "nextPage: needs str; found: 7"),
    ],
)
def test_an_answer_that_describes_no_model_is_refused(answer, found):
    with pytest.raises(ModelRetrievalError) as caught:
        parse_page(json.dumps(answer).encode(), where=WHERE)
    assert str(caught.value) == (
        "https://api.example gave an answer that describes no model.\n"
        f"needs modelMetadata of type 'external-model-metadata-v1'; found: {found}\n"
        "upgrade inference-models: the API may have changed"
    )


def test_a_key_twice_costs_only_the_package_it_is_in():
    text = json.dumps(metadata(package(packageId="a"), package(packageId="b")))
    page = parse(text.replace('"opset": 17', '"opset": 17, "opset": 18', 1).encode())
    assert [item.package_id for item in page.packages] == ["b"]
    assert [(item.package_id, item.reason) for item in page.skipped] == [
        ("a", 'packageManifest: needs object; found: the key "opset" twice')
    ]


@pytest.mark.parametrize(
    ("written", "found"), [("NaN", "NaN, which is not JSON"), ("1e999", "1e999, which is too large a number")]
)
def test_a_number_that_json_does_not_have_costs_only_the_package_it_is_in(written, found):
    text = json.dumps(metadata(package(packageId="a"), package(packageId="b")))
    page = parse(text.replace('"opset": 17', f'"opset": {written}', 1).encode())
    assert [item.package_id for item in page.packages] == ["b"]
    assert [(item.package_id, item.reason) for item in page.skipped] == [("a", f"opset: needs int; found: {found}")]


def test_a_package_nested_too_deeply_is_left_out():
    deep: object = 1
    for _ in range(60):
        deep = [deep]
    page = parse(
        json.dumps(metadata(package(packageId="a", modelFeatures={"x": deep}), package(packageId="b"))).encode()
    )
    assert [item.package_id for item in page.packages] == ["b"]
    assert page.skipped[0].reason == "values nested too deeply"


def test_no_reason_shows_a_signature():
    files = [{"fileHandle": 5, "downloadUrl": "https://f.example/w?sig=s3cr3t"}]
    page = parse(
        json.dumps(metadata(package(packageFiles=files), package(packageFiles="https://f/w?sig=s3cr3t"))).encode()
    )
    assert len(page.skipped) == 2
    assert "s3cr3t" not in str(page.skipped)


def page_of(*packages):
    return parse_page(json.dumps(metadata(*packages)).encode(), where=WHERE)


@pytest.mark.parametrize(
    ("kind", "backend"),
    [
        ("onnx-model-package-v1", BackendType.ONNX),
        ("torch-model-package-v1", BackendType.TORCH),
        ("torch-script-model-package-v1", BackendType.TORCH_SCRIPT),
        ("hf-model-package-v1", BackendType.HF),
        ("trt-model-package-v1", BackendType.TRT),
        ("coreml-model-package-v1", BackendType.COREML),
        ("openvino-model-package-v1", BackendType.OPENVINO),
        ("litert-model-package-v1", BackendType.LITERT),
        ("ultralytics-model-package-v1", BackendType.ULTRALYTICS),
    ],
)
def test_every_kind_of_package_is_read(kind, backend):
    page = page_of(package(packageManifest=MANIFESTS[kind]))
    assert page.packages[0].backend is backend


def test_a_torch_script_package_says_what_it_was_made_with():
    page = page_of(package(packageManifest=MANIFESTS["torch-script-model-package-v1"]))
    details = page.packages[0].torch_script_package_details
    assert details.supported_device_types == {"cpu", "cuda"}
    assert (details.torch_version, details.torch_vision_version) == (Version("2.6.0+cu124"), None)


def test_an_engine_says_which_machine_it_was_built_on():
    page = page_of(package(packageManifest=MANIFESTS["trt-model-package-v1"]))
    found = page.packages[0]
    assert found.environment_requirements == ServerEnvironmentRequirements(
        cuda_device_cc=Version("8.6"),
        cuda_device_name="NVIDIA A10",
        driver_version=Version("550.54"),
        cuda_version=Version("12.4"),
        trt_version=Version("10.3.0"),
        os_version="ubuntu 22.04",
    )
    assert found.get_dynamic_batch_boundaries() == (1, 16)
    assert found.trt_package_details.same_cc_compatible is True


def test_a_jetson_engine_says_which_jetson():
    specs = {
        "type": "jetson-machine-specs-v1",
        "l4tVersion": "36.3",
        "deviceName": "orin",
        "driverVersion": "540.3",
    }
    manifest = {**MANIFESTS["trt-model-package-v1"], "machineType": "jetson", "machineSpecs": specs}
    page = page_of(package(packageManifest=manifest))
    found = page.packages[0].environment_requirements
    assert isinstance(found, JetsonEnvironmentRequirements)
    assert (found.l4t_version, found.jetson_product_name) == (Version("36.3"), "orin")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "external-model-package-v9"}, "package of type 'external-model-package-v9', which this release"),
        (
            {"packageManifest": {"type": "new-v1"}},
            "packageManifest of type 'new-v1', which this release does not know",
        ),
        ({"packageManifest": {}}, "packageManifest of type 'none', which this release does not know"),
        ({"packageManifest": {"type": "oak-model-package-v1"}}, "oak-model-package-v1: for a runtime this library"),
        ({"packageManifest": {**MANIFESTS["onnx-model-package-v1"], "opset": "x"}}, "opset: needs int"),
        (
            {"packageManifest": {**MANIFESTS["onnx-model-package-v1"], "staticBatchSize": 4}},
            "staticBatchSize is stated although dynamicBatchSize is true",
        ),
        (
            {"packageManifest": {**MANIFESTS["torch-model-package-v1"], "staticBatchSize": None}},
            "staticBatchSize is missing although dynamicBatchSize is false",
        ),
        ({"packageManifest": {**MANIFESTS["hf-model-package-v1"], "quantization": "fp4"}}, "quantization: needs"),
        (
            {"packageManifest": {**MANIFESTS["trt-model-package-v1"], "maxBatchSize": None}},
            "minBatchSize, optBatchSize and maxBatchSize are needed",
        ),
        (
            {"packageManifest": {**MANIFESTS["trt-model-package-v1"], "machineType": "jetson"}},
            "machineType is 'jetson' and machineSpecs are 'gpu-server-specs-v1'",
        ),
        (
            {"packageManifest": {**MANIFESTS["trt-model-package-v1"], "cudaVersion": "new"}},
            'cudaVersion: needs a version; found: "new"',
        ),
        ({"packageId": "../../x"}, "an id that cannot be a folder name"),
        ({"packageId": None}, "packageId: needs str; found: null"),
        ({"packageFiles": []}, "packageFiles: needs"),
        (
            {"packageFiles": [{"fileHandle": "model_config.json", "downloadUrl": "https://f.example/x"}]},
            "a file is called 'model_config.json', which is kept for the library itself",
        ),
        (
            {"packageFiles": [{"fileHandle": "../x", "downloadUrl": "https://f.example/x"}]},
            "file name that is not safe",
        ),
        ({"packageFiles": [{"fileHandle": "x", "downloadUrl": "file:///etc/passwd"}]}, "an address cannot be used"),
        (
            {"packageFiles": [{"fileHandle": "x", "downloadUrl": "https://f.example/x", "md5Hash": "abc"}]},
            "packageFiles[0].md5Hash: needs",
        ),
        ({"trustedSource": "yes"}, "trustedSource: needs bool"),
        ({"recommendedParameters": {"confidence": 7}}, "recommendedParameters: confidence is 7.0"),
    ],
)
def test_a_package_that_makes_no_sense_is_left_out_with_the_reason(changes, reason):
    page = page_of(package(packageId="bad1") | changes, package(packageId="good"))
    assert [item.package_id for item in page.packages] == ["good"]
    assert len(page.skipped) == 1
    assert reason in page.skipped[0].reason
    assert "\n" not in page.skipped[0].reason


def test_a_damaged_memory_profile_is_no_reason_to_leave_a_package_out():
    page = page_of(package(memoryProfile={"peakVramMb": "much"}))
    assert page.packages[0].memory_profile == MemoryProfile()


HOSTILE = {
    "ten megabytes of text": 'json.dumps({"modelMetadata": "x" * 10_000_000}).encode()',
    "ten megabytes of lists": 'b\'{"modelMetadata": [\' + b"[]," * 3_300_000 + b"[]]}"',
    "just under the limit": 'b\'{"modelMetadata": {"modelPackages": [\' + b"{}," * 149_000 + b"{}]}}"',
    "a package of long texts": 'json.dumps(metadata(package(packageId="y" * 10_000_000))).encode()',
    "depth": "b'{\"modelMetadata\":' * 1_000_000",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_cost_bounded_memory(name):
    # A process of its own, so that the peak is that of this answer.
    code = (
        "import json, resource, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from providers.api_answers import metadata, package\n"
        "from inference_models.providers._wire import parse_page\n"
        "from inference_models.errors import ModelRetrievalError\n"
        f"data = {HOSTILE[name]}\n"
        "base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    parse_page(data, where='x')\n"
        "except ModelRetrievalError:\n    pass\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100.0
