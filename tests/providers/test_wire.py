from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        (metadata(modelId=""), 'modelId: needs String should have at least 1 character; found: ""'),
        (metadata(modelId="\x1b[2J"), "a model id that cannot be shown"),
        (metadata(modelPackages=None), "modelPackages: needs a valid list; found: null"),
        (metadata(nextPage=7), "nextPage: needs a valid string; found: 7"),
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
        ("a", 'packageManifest: needs a valid dictionary; found: the key "opset" twice')
    ]


@pytest.mark.parametrize(
    ("written", "found"), [("NaN", "NaN, which is not JSON"), ("1e999", "1e999, which is too large a number")]
)
def test_a_number_that_json_does_not_have_costs_only_the_package_it_is_in(written, found):
    text = json.dumps(metadata(package(packageId="a"), package(packageId="b")))
    page = parse(text.replace('"opset": 17', f'"opset": {written}', 1).encode())
    assert [item.package_id for item in page.packages] == ["b"]
    assert [(item.package_id, item.reason) for item in page.skipped] == [
        ("a", f"opset: needs a valid integer; found: {found}")
    ]


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
