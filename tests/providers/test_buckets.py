"""Models behind URLs, each scheme against a real server, or the real thing, on this machine."""

from __future__ import annotations

import json
import os
from contextlib import closing

import pytest

from inference_models.entities import FileDownloadSpecs
from inference_models.errors import (
    ModelNotFoundError,
    ModelRetrievalError,
    RetryError,
    UnauthorizedModelAccessError,
)
from inference_models.providers import DescribeOptions, open_provider
from providers.published_contract import PublishedContract
from scripted_server import answer, served_files


@pytest.fixture(autouse=True)
def _one_try(monkeypatch):
    monkeypatch.setenv("API_CALLS_MAX_TRIES", "1")


@pytest.fixture
def web(folder):
    with served_files({f"/models/{path}": content for path, content in folder.items()}) as server:
        yield server


@pytest.fixture
def disk(folder, tmp_path):
    for path, content in folder.items():
        target = tmp_path / "disk" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return tmp_path / "disk"


@pytest.fixture
def memory(folder):
    fsspec = pytest.importorskip("fsspec")
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe({f"/shelf/{path}": content for path, content in folder.items()})
    yield filesystem
    filesystem.rm("/shelf", recursive=True)


@pytest.fixture(scope="session")
def moto_server():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto_server, folder, monkeypatch):
    boto3 = pytest.importorskip("boto3")
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-canary")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3")
    client.create_bucket(Bucket="shelf")
    for path, content in folder.items():
        client.put_object(Bucket="shelf", Key=f"team/{path}", Body=content)
    yield client
    for path in folder:
        client.delete_object(Bucket="shelf", Key=f"team/{path}")
    client.delete_bucket(Bucket="shelf")
    client.close()


class TestHttp(PublishedContract):
    place = pytest.fixture(lambda self, web: f"{web.url()}/models")


class TestFile(PublishedContract):
    place = pytest.fixture(lambda self, disk: disk.as_uri())


class TestS3(PublishedContract):
    place = pytest.fixture(lambda self, bucket: "s3://shelf/team")


class TestFsspec(PublishedContract):
    how = pytest.fixture(lambda self: {"weights_provider": "fsspec"})
    place = pytest.fixture(lambda self, memory: "memory://shelf")

    @pytest.fixture
    def provider(self, memory):
        with closing(open_provider("fsspec")) as opened:
            yield opened


def described(place, *, scheme=None, options=None):
    with closing(open_provider(scheme or place.partition("://")[0])) as provider:
        return provider.describe(place, options or DescribeOptions())


def refused(place, kind, **how):
    with pytest.raises(kind) as caught:
        described(place, **how)
    assert type(caught.value) is kind
    return str(caught.value)


def place_of(scheme, request):
    """Where the folder is published in this way, and which provider to ask."""
    if scheme == "http":
        return f"{request.getfixturevalue('web').url()}/models", {}
    if scheme == "file":
        return request.getfixturevalue("disk").as_uri(), {}
    if scheme == "s3":
        request.getfixturevalue("bucket")
        return "s3://shelf/team", {}
    request.getfixturevalue("memory")
    return "memory://shelf", {"scheme": "fsspec"}


def publish(server, change):
    manifest = json.loads(server.files["/models/manifest.json"])
    change(manifest["models"]["day-night"]["packages"][0])
    server.files["/models/manifest.json"] = json.dumps(manifest).encode()


def test_a_folder_without_a_manifest_is_never_listed(web):
    assert refused(f"{web.url()}/other", ModelNotFoundError) == (
        f"there is no {web.url()}/other/manifest.json.\n"
        "needs a manifest.json with the SHA-256 of every file: folders are never listed; found: nothing there\n"
        "check the address, or publish one"
    )


@pytest.mark.parametrize("scheme", ["http", "file", "memory", "s3"])
def test_a_misspelt_model_is_named_the_same_way_everywhere(scheme, request):
    place, how = place_of(scheme, request)
    text = refused(f"{place}#day-nite", ModelNotFoundError, **how)
    assert text == f"{place}/manifest.json has no model 'day-nite'; nearest: 'day-night'."


def test_a_page_instead_of_a_manifest_is_refused(web):
    web.files["/models/manifest.json"] = b"<html>welcome</html>"
    assert refused(f"{web.url()}/models", ModelRetrievalError) == (
        f"{web.url()}/models/manifest.json cannot be read.\n"
        "needs one JSON object; found: Expecting value at line 1, column 1"
    )


@pytest.mark.parametrize("scheme", ["http", "file", "memory"])
def test_a_manifest_that_never_ends_is_refused(scheme, request, monkeypatch):
    monkeypatch.setattr("inference_models.providers._manifests.MAX_BYTES", 100)
    place, how = place_of(scheme, request)
    text = refused(place, ModelRetrievalError, **how)
    assert "100 bytes" in text


def test_the_key_goes_to_the_place_of_the_manifest_only(folder):
    files = {f"/models/{path}": content for path, content in folder.items()}
    with served_files(files, key="t0p-s3cret") as web, served_files(files) as mirror:
        elsewhere = mirror.url().replace("127.0.0.1", "localhost") + "/models/day-night/weights.onnx"
        publish(web, lambda package: package["files"][0].update(path=None, url=elsewhere))
        place = f"{web.url()}/models#day-night"
        text = refused(place, UnauthorizedModelAccessError)
        assert text.split("\n")[0] == f"{web.url()}/models/manifest.json wants an API key that it knows."
        options = DescribeOptions(api_key="t0p-s3cret", extra_headers=(("X-Team", "blue"),))
        assert "sends weights.onnx to another place" in refused(place, ModelRetrievalError, options=options)
        with pytest.MonkeyPatch.context() as patch, closing(open_provider("http")) as provider:
            patch.setenv("INFERENCE_MODELS_MANIFEST_HOSTS", elsewhere.split("/")[2])
            weights, names, *_ = provider.describe(place, options).model_packages[0].package_artefacts
            assert b"".join(provider.read(weights)) == folder["day-night/weights.onnx"]
            assert b"".join(provider.read(names)) == folder["day-night/class_names.txt"]
        assert mirror.seen == [("/models/day-night/weights.onnx", None, None)]
        assert web.seen[-1] == ("/models/day-night/class_names.txt", "Bearer t0p-s3cret", "blue")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://cdn.example/w.onnx?X-Signature=1", "cdn.example"),
        ("http://cdn.example/w.onnx", "cdn.example"),
        ("https://127.0.0.1:1/w.onnx", "127.0.0.1"),
        ("http://127.0.0.1@cdn.example/w.onnx", "cdn.example"),
        ("https://[/w.onnx", "HOST"),
    ],
)
def test_a_manifest_cannot_send_us_where_we_are_not_allowed_to_go(web, url, host):
    publish(web, lambda package: package["files"][0].update(path=None, url=url))
    lines = refused(f"{web.url()}/models", ModelRetrievalError).split("\n")
    assert lines[0] == f"{web.url()}/models/manifest.json sends weights.onnx to another place, which is not allowed."
    assert lines[1].startswith(
        "needs files below the folder of the manifest, or https URLs of hosts you allow; found: "
    )
    assert lines[2] == f"if you trust it, set INFERENCE_MODELS_MANIFEST_HOSTS={host}"
    assert "Signature=1" not in lines[1]


@pytest.mark.parametrize("url", ["http://cdn.example/w.onnx", "https://user:pw@cdn.example/w.onnx"])
def test_allowed_hosts_are_still_reached_safely_only(web, url, monkeypatch):
    monkeypatch.setenv("INFERENCE_MODELS_MANIFEST_HOSTS", "cdn.example")
    publish(web, lambda package: package["files"][0].update(path=None, url=url))
    assert "which is not allowed" in refused(f"{web.url()}/models", ModelRetrievalError)
    publish(web, lambda package: package["files"][0].update(path=None, url="https://cdn.example/w.onnx"))
    (weights, *_) = described(f"{web.url()}/models").model_packages[0].package_artefacts
    assert weights.download_url == "https://cdn.example/w.onnx"


def test_an_absolute_url_below_the_folder_needs_no_permission(web, folder):
    url = f"{web.url()}/models/day-night/weights.onnx"
    publish(web, lambda package: package["files"][0].update(path=None, url=url))
    assert described(f"{web.url()}/models").model_packages[0].package_artefacts[0].download_url == url


def test_what_a_signed_url_is_signed_with_is_not_kept(web):
    metadata = described(f"{web.url()}/models/manifest.json?X-Signature=s1gned#day-night")
    assert web.seen[0][0] == "/models/manifest.json?X-Signature=s1gned"
    assert "s1gned" not in repr(metadata)
    assert metadata.model_id == f"{web.url()}/models/manifest.json#day-night"


def test_a_server_that_is_busy_is_asked_again(web, monkeypatch):
    web.failures[:] = [answer(503, Retry_After="9")]
    with pytest.raises(RetryError) as caught:
        described(f"{web.url()}/models")
    assert caught.value.retry_after == 9
    monkeypatch.setenv("API_CALLS_MAX_TRIES", "2")
    web.failures[:] = [answer(503, Retry_After="0")]
    assert described(f"{web.url()}/models").model_packages


def test_a_package_that_cannot_be_used_is_left_out_with_the_reason(web):
    def add_others(manifest):
        packages = manifest["models"]["day-night"]["packages"]
        good = packages[0]
        packages.append(good | {"package_id": "code", "backend": "custom"})
        packages.append(good | {"package_id": "later", "backend": "quantum"})
        packages.append(good)
        packages.append(
            {"package_id": "torch", **{key: good[key] for key in ("quantization", "files")}, "backend": "torch"}
        )

    manifest = json.loads(web.files["/models/manifest.json"])
    add_others(manifest)
    web.files["/models/manifest.json"] = json.dumps(manifest).encode()
    metadata = described(f"{web.url()}/models")
    # Formats that can hold code are taken only by who asks for them.
    assert [(p.package_id, p.trusted_source) for p in metadata.model_packages] == [("onnxfp32", True), ("torch", False)]
    assert [item.package_id for item in metadata.skipped_packages] == ["code", "later", "onnxfp32"]
    assert "packages with code are loaded from folders only" in metadata.skipped_packages[0].reason
    assert "needs 'torch' or 'torch-script' or 'onnx'" in metadata.skipped_packages[1].reason
    assert "has the id of another package" in metadata.skipped_packages[2].reason


def test_a_model_config_of_their_own_is_not_replaced(web):
    own = {"handle": "model_config.json", "path": "day-night/model_config.json", "sha256": "0" * 64, "size": 2}
    publish(web, lambda package: package.update(files=[*package["files"], own]))
    kinds = [type(item) for item in described(f"{web.url()}/models").model_packages[0].package_artefacts]
    assert kinds == [FileDownloadSpecs] * 4


@pytest.mark.parametrize("variable", ["OFFLINE_MODE", "HF_HUB_OFFLINE"])
def test_without_network_only_this_machine_is_read(variable, web, disk, memory, monkeypatch):
    monkeypatch.setenv(variable, "1")
    assert described(disk.as_uri()).model_packages
    assert variable in refused(f"{web.url()}/models", ModelRetrievalError)
    assert web.seen == []
    assert refused("memory://shelf", ModelRetrievalError, scheme="fsspec") == (
        "memory://shelf/manifest.json is asked for, and the network is forbidden.\n"
        f"needs network access, or a model that is in the cache; found: {variable} is set\n"
        f"unset {variable} and load the model once"
    )


def test_a_bucket_that_is_not_there_is_named(bucket):
    text = refused("s3://no-such-shelf/team", ModelNotFoundError)
    assert text.startswith("there is no s3://no-such-shelf/team/manifest.json.\n")


def test_missing_credentials_are_explained(bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert refused("s3://shelf/team", UnauthorizedModelAccessError) == (
        "s3://shelf/team/manifest.json cannot be read.\n"
        "needs credentials, where the client of this store looks for them; found: Unable to locate credentials\n"
        "set them as for its own command line tool"
    )


def test_a_store_that_does_not_answer_is_named_without_secrets(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    text = refused("s3://shelf/team", RetryError)
    assert text.startswith("s3://shelf/team/manifest.json cannot be read now: given up after 1 tr")
    assert "check the network and run again" in text
    assert "s3cret-canary" not in text


def test_an_id_without_its_scheme_is_completed_by_the_provider(web):
    metadata = described(f"{web.url()}/models".removeprefix("http:"), scheme="http")
    assert metadata.model_id == f"{web.url()}/models"
