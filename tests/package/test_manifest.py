from __future__ import annotations

import copy
import json
import random
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.errors import CorruptedModelPackageError, InvalidParameterError, ModelNotFoundError
from inference_models.package import manifest
from inference_models.package.manifest import MAX_BYTES, AnnouncedFile, manifest_schema, read_model
from inference_models.package.manifest_address import file_url, parse_address, same_origin
from inference_models.package.text_files import convert

FILE = {"handle": "weights.onnx", "path": "a/weights.onnx", "sha256": "0" * 64, "size": 3}
PACKAGE = {"package_id": "onnxfp32", "backend": "onnx", "quantization": "fp32", "files": [FILE]}
MODEL = {"architecture": "yolov8", "task_type": "object-detection", "packages": [PACKAGE]}
MANIFEST = {"schema_version": 1, "models": {"a": MODEL, "b": MODEL | {"license": "MIT"}}}
WHERE = "s3://shelf/manifest.json"


def changed(path: str, value: object) -> dict:
    """`MANIFEST` with another value at a path such as `models.a.packages.0.backend`; None removes the key."""
    copied = copy.deepcopy(MANIFEST)
    place: object = copied
    *folders, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in folders:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copied


def read(value: object, model_id: str | None = "a"):
    return read_model(json.dumps(value).encode(), model_id, where=WHERE)


def refused(value: object, kind: type[Exception] = CorruptedModelPackageError, model_id: str | None = "a") -> str:
    with pytest.raises(kind) as caught:
        read(value, model_id)
    return str(caught.value)


def test_a_model_is_read_by_its_id():
    assert read(MANIFEST, "b").model.license == "MIT"
    assert read(MANIFEST, "a").model.packages[0].files[0].path == "a/weights.onnx"
    assert read({"schema_version": 1, "models": {"only": MODEL}}, None).model_id == "only"


def test_keys_of_later_releases_are_ignored():
    assert read(changed("models.a.packages.0.signature", "later")).model == read(MANIFEST).model


def test_several_models_need_a_name():
    assert refused(MANIFEST, ModelNotFoundError, None) == (
        "s3://shelf/manifest.json holds 2 models, and none was named.\n"
        "needs #model-id at the end of the URL; found: none\n#a, #b"
    )
    assert refused(MANIFEST, ModelNotFoundError, "c") == "s3://shelf/manifest.json has no model 'c'; known: 'a', 'b'."


FILE_OF_A = "models.a.packages.0.files.0."
WRONG = [
    ("schema_version", 2, "s3://shelf/manifest.json: schema_version has a wrong value.\nneeds 1; found: 2"),
    ("models.a.architecture", None, "architecture is missing.\nneeds the key architecture; found: no such key"),
    ("models.a.packages", [], "model 'a': packages has a wrong value."),
    ("models.a.packages.0.package_id", "../x", "packages[0]: package_id has a wrong value."),
    ("models.a.packages.0.backend", "custom", "packages[0]: the top level has a wrong value."),
    (FILE_OF_A + "sha256", None, "files[0].sha256 is missing."),
    (FILE_OF_A + "sha256", "A" * 64, "files[0].sha256 has a wrong value."),
    (FILE_OF_A + "size", -1, "files[0].size has a wrong value."),
    (FILE_OF_A + "path", None, "files[0] has a wrong value.\nneeds either path or url; found: {"),
    (FILE_OF_A + "url", "https://x/y", "files[0] has a wrong value.\nneeds either path or url; found: {"),
    (FILE_OF_A + "handle", "a/../b", "files[0].handle has a wrong value."),
]


@pytest.mark.parametrize(("path", "value", "text"), WRONG)
def test_a_wrong_value_is_named_with_its_place(path, value, text):
    assert text in refused(changed(path, value))


OUTSIDE = r".. ../x a/../../x /etc/passwd a//b a/./b C:/x a\..\b a/%2e%2e/b a?b a#b a:b"


@pytest.mark.parametrize("path", [*OUTSIDE.split(), "", "a\n", "\0", "aaa/" * 250 + "?"])
def test_paths_stay_below_the_manifest(path):
    assert "files[0].path has a wrong value." in refused(changed(FILE_OF_A + "path", path))


def with_url(url: str) -> dict:
    value = changed(FILE_OF_A + "path", None)
    value["models"]["a"]["packages"][0]["files"][0]["url"] = url
    return value


@pytest.mark.parametrize("url", ["file:///x", "ftp://x/y", "s3://x/y", "//x/y", "https://x/ y", "javascript:1"])
def test_urls_are_of_the_web(url):
    assert "files[0].url has a wrong value." in refused(with_url(url))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "needs one JSON object; found: Expecting value at line 1, column 1"),
        (b"[]", "needs one JSON object; found: []"),
        (b"\xff", "needs UTF-8; found: byte 0xff at position 0"),
        (b'{"models": {}, "models": {}}', 'needs one JSON object; found: the key "models" twice'),
        (b'{"schema_version": NaN}', "needs one JSON object; found: NaN, which is not JSON"),
        (b'{"a":' * 100_000, "needs one JSON object; found: values nested too deeply"),
    ],
)
def test_what_is_no_manifest_is_refused(data, text):
    with pytest.raises(CorruptedModelPackageError) as caught:
        read_model(data, "a", where=WHERE)
    assert str(caught.value).startswith(WHERE)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("packages", "text"),
    [
        (b"[{}" + b",{}" * 255 + b"]", "packages[0]: package_id is missing"),
        (b"[{}" + b",{}" * 256 + b"]", "packages has a wrong value"),
        (b"[" + b"[]," * (MAX_BYTES // 3 - 200) + b"[]]", "more than 300000 values"),
    ],
    ids=["wrong", "too many", "the worst for its size"],
)
def test_rubbish_takes_little_memory(packages, text):
    data = json.dumps(changed("models.a.packages", "HERE")).encode().replace(b'"HERE"', packages)
    assert len(data) <= MAX_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(CorruptedModelPackageError) as caught:
            read_model(data, "a", where=WHERE)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert text in str(caught.value)


def test_mutated_manifests_are_read_or_refused_but_never_crash():
    generator = random.Random(20)
    original = json.dumps(MANIFEST).encode()
    outcomes = set()
    for _ in range(500):
        data = bytearray(original)
        for _ in range(generator.randint(1, 4)):
            position = generator.randrange(len(data))
            data[position : position + generator.randint(0, 3)] = generator.randbytes(generator.randint(0, 3))
        try:
            outcomes.add(type(read_model(bytes(data), "a", where=WHERE)).__name__)
        except CorruptedModelPackageError as exc:
            outcomes.add(type(exc).__name__)
    assert outcomes == {"ReadModel", "CorruptedModelPackageError"}


# The schema that is shipped


def test_the_shipped_schema_is_that_of_the_code():
    shipped = json.loads((Path(manifest.__file__).parent / manifest.SCHEMA_FILE).read_text("utf-8"))
    assert _sorted(shipped) == _sorted(manifest_schema())


def _sorted(schema: object) -> object:
    """With choices in one order: releases of msgspec differ in that."""
    if isinstance(schema, dict):
        return {key: _sorted(value) for key, value in schema.items()}
    return sorted(map(_sorted, schema), key=repr) if isinstance(schema, list) else schema


def test_the_schema_refuses_what_we_refuse_and_takes_what_we_take():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(manifest_schema())
    validator = jsonschema.Draft202012Validator(manifest_schema())
    assert list(validator.iter_errors(MANIFEST)) == []
    elsewhere = with_url("https://cdn.example/x.onnx?sig=1")
    assert list(validator.iter_errors(elsewhere)) == []
    assert read(elsewhere).model
    for path, value, _ in WRONG:
        assert not validator.is_valid(changed(path, value)), path


def test_the_manifest_in_the_documentation_is_one():
    page = (Path(__file__).parents[2] / "docs" / "hosting.md").read_text("utf-8")
    (text,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    read = read_model(text.encode(), "pets", where="docs/hosting.md")
    assert (read.model.license, read.skipped) == ("Apache-2.0", ())
    (package,) = read.model.packages
    assert [file.handle for file in package.files] == ["weights.onnx", "class_names.txt", "inference_config.json"]


# Addresses


@pytest.mark.parametrize(
    ("text", "manifest_url", "folder", "model_id"),
    [
        ("https://h/a", "https://h/a/manifest.json", "https://h/a/", None),
        ("https://h/a/#m", "https://h/a/manifest.json", "https://h/a/", "m"),
        ("https://h", "https://h/manifest.json", "https://h/", None),
        ("https://h:8443/a/list.json?sig=1#m/2", "https://h:8443/a/list.json?sig=1", "https://h:8443/a/", "m/2"),
        ("s3://b/p/q#m", "s3://b/p/q/manifest.json", "s3://b/p/q/", "m"),
        ("s3://b", "s3://b/manifest.json", "s3://b/", None),
        ("file:///x/y.json", "file:///x/y.json", "file:///x/", None),
        ("sftp://me@h:22/a", "sftp://me@h:22/a/manifest.json", "sftp://me@h:22/a/", None),
        ("abfs://c@a.example/p", "abfs://c@a.example/p/manifest.json", "abfs://c@a.example/p/", None),
    ],
)
def test_an_address_names_manifest_folder_and_model(text, manifest_url, folder, model_id):
    address = parse_address(text)
    assert (address.manifest, address.folder, address.model_id) == (manifest_url, folder, model_id)


NO_ADDRESS = (
    "s3:/b s3:// s3:/// s3://b# b/c ://b zip://x::s3://b s3://b/../c https://h/a/../b https://h/%2e%2e/b https:///a"
)


@pytest.mark.parametrize("text", [*NO_ADDRESS.split(), "https://[::1/a"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidParameterError) as caught:
        parse_address(text)
    assert str(caught.value).split("\n")[0] == "the id cannot be that of a model behind a URL."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:hunter2@h/a#m", "https://h/a"),
        ("https://hunter2@h/a", "https://h/a"),
        ("s3://AKIA:hunter2@bucket/a", "s3://bucket/a"),
        ("sftp://me:hunter@2@h:22/a", "sftp://h:22/a"),
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(text, shown):
    with pytest.raises(InvalidParameterError) as caught:
        parse_address(text)
    assert str(caught.value) == (
        f"{shown} was given with a user name or password in it.\n"
        "needs a URL without them; found: user information\n"
        "pass a key for a web server as api_key=; give other credentials to the client of the store"
    )


def test_hashes_that_anybody_on_the_way_can_change_are_worth_nothing():
    private = ["https://h/a", "http://127.0.0.1:8000/a", "http://localhost/a", "s3://b"]
    for text in (*private, "http://h/a", "http://localhost.evil.example/a"):
        assert parse_address(text).is_private_way is (text in private)


def test_what_goes_to_one_origin_goes_to_no_other():
    address = parse_address("https://h:8443/a")
    assert same_origin(address, "https://h:8443/b/c")
    for other in ("https://h/a", "http://h:8443/a", "https://h:8443.evil.example/a", "https://me@h:8443/a"):
        assert not same_origin(address, other)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab./\\%:?#@ ~\0é", max_size=12))
def test_no_path_leads_out_of_the_folder(path):
    for place in ("https://h/a", "s3://b/p"):
        address = parse_address(place)
        try:
            file = convert(AnnouncedFile, {**FILE, "path": path}, where="x")
        except CorruptedModelPackageError:
            continue
        url = file_url(address, file)
        rest = url.removeprefix(address.folder)
        assert url.startswith(address.folder)
        assert all(part not in {"", ".", ".."} for part in rest.split("/"))
        assert not set(rest) & set("?#\\")
