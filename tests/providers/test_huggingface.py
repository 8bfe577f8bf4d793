from __future__ import annotations

import hashlib
import json
import traceback
from contextlib import closing

import numpy as np
import pytest

from graphs import save
from inference_models import AutoModel
from inference_models.entities import BackendType, FileDownloadSpecs, InlineFileSpecs, Quantization
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    FileHashSumMissmatch,
    ForbiddenModelAccessError,
    InvalidParameterError,
    ModelImplementationNotFoundError,
    ModelNotFoundError,
    ModelRetrievalError,
    RetryError,
    UnauthorizedModelAccessError,
    UntrustedFileError,
)
from inference_models.providers import DescribeOptions, open_provider
from providers.contract import ProviderContract
from providers.hub_server import COMMIT, OLDER, Repository, git_id, served_hub
from scripted_server import answer

NAME = "acme/tiny-vit"
LABELS = ["cat", "dog", "bird, small"]
SIDE = 8
WEIGHTS = np.random.default_rng(3).normal(size=(3, 3)).astype(np.float32)
CONFIG = {
    "architectures": ["ViTForImageClassification"],
    "model_type": "vit",
    "id2label": {str(index): name for index, name in enumerate(LABELS)},
}
PREPROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": SIDE, "width": SIDE},
    "resample": 2,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.5, 0.6, 0.7],
}


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def classifier_graph(folder) -> bytes:
    """(B, 3, 8, 8) -> logits (B, 3): the mean of each channel times a matrix."""
    from onnx import helper

    nodes = [
        helper.make_node("ReduceMean", ["pixel_values"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["logits"]),
    ]
    shapes = {"inputs": {"pixel_values": ["batch", 3, SIDE, SIDE]}, "outputs": {"logits": ["batch", 3]}}
    return save(folder / "model.onnx", nodes, **shapes, weights={"w": WEIGHTS}).read_bytes()


@pytest.fixture(scope="session")
def graph(tmp_path_factory) -> bytes:
    return classifier_graph(tmp_path_factory.mktemp("graph"))


@pytest.fixture
def repository(graph) -> Repository:
    return Repository(
        {
            "README.md": b"# tiny",
            "config.json": as_json(CONFIG),
            "preprocessor_config.json": as_json(PREPROCESSOR),
            "onnx/model.onnx": graph,
            "onnx/model_quantized.onnx": graph,
            "model.safetensors": b"s" * 300,
            "pytorch_model.bin": b"p" * 300,
        },
        dtypes={"F32": 5, "F16": 900},
    )


@pytest.fixture
def hub(repository, monkeypatch, tmp_path):
    with served_hub({NAME: repository}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url())
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
        monkeypatch.setenv("API_CALLS_MAX_TRIES", "1")
        yield server


@pytest.fixture
def provider(hub):
    with closing(open_provider("huggingface")) as opened:
        yield opened


class TestContract(ProviderContract):
    known = pytest.fixture(lambda self: NAME)
    misspelt = pytest.fixture(lambda self: "acme/tiny-vti")
    nearest = pytest.fixture(lambda self: NAME)

    @pytest.fixture
    def provider(self, hub):
        with closing(open_provider("huggingface")) as opened:
            yield opened


def refused(provider, kind, name=NAME):
    with pytest.raises(kind) as caught:
        provider.describe(name)
    assert type(caught.value) is kind
    return str(caught.value)


def texts_of(package):
    return {item.file_handle: item.text for item in package.package_artefacts if isinstance(item, InlineFileSpecs)}


def test_a_repository_is_described_at_its_commit(provider):
    metadata = provider.describe(NAME)
    assert (metadata.model_architecture, metadata.model_variant, metadata.task_type) == ("vit", "vit", "classification")
    assert metadata.license == "apache-2.0"
    assert metadata.source == f"huggingface:{NAME} at commit {COMMIT[:12]}"
    assert {package.cache_model_id for package in metadata.model_packages} == {f"{NAME}@{COMMIT}"}
    assert [(p.package_id, p.backend, p.quantization) for p in metadata.model_packages] == [
        ("onnxfp32", BackendType.ONNX, Quantization.FP32),
        ("onnxquantized", BackendType.ONNX, Quantization.INT8),
        ("safetensors", BackendType.HF, Quantization.FP16),
    ]
    assert [(item.package_id, item.reason) for item in metadata.skipped_packages] == [
        ("pytorch_model.bin", "a pickle, which can run code when it is opened; it is never opened")
    ]


def test_a_revision_is_a_tag_or_a_commit_and_another_slot_of_the_cache(provider, repository):
    repository.older = {path: content for path, content in repository.files.items() if "quantized" not in path}
    for revision in ("v1", OLDER):
        metadata = provider.describe(f"{NAME}@{revision}")
        assert [package.package_id for package in metadata.model_packages] == ["onnxfp32", "safetensors"]
        assert metadata.model_packages[0].cache_model_id == f"{NAME}@{OLDER}"


def test_a_classifier_of_the_hub_loads_and_predicts(hub):
    pytest.importorskip("onnxruntime")
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    model = AutoModel.from_pretrained(f"huggingface:{NAME}")
    prediction = model(image, input_color_format="rgb")
    # An image of the network's size needs no resize, so the numbers are exact: float64 in NumPy, 1e-5.
    pixels = (image / 255 - PREPROCESSOR["image_mean"]) / PREPROCESSOR["image_std"]
    logits = pixels.mean((0, 1)) @ WEIGHTS
    scores = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(np.asarray(prediction.confidence)[0], scores, atol=1e-5)
    assert int(prediction.class_id[0]) == int(scores.argmax())
    assert list(model.class_names) == LABELS
    assert model.resolved_model.license == "apache-2.0"


def test_other_architectures_that_classify_are_classifiers(provider, repository):
    config = CONFIG | {"architectures": ["ConvNextForImageClassification"], "model_type": "convnext"}
    repository.files["config.json"] = as_json(config | {"problem_type": "multi_label_classification"})
    metadata = provider.describe(NAME)
    assert (metadata.model_architecture, metadata.model_variant) == ("classifier", "convnext")
    assert metadata.task_type == "multi-label-classification"
    stated = json.loads(texts_of(metadata.model_packages[0])["inference_config.json"])
    assert stated["post_processing"] == {"type": "sigmoid", "fused": False}


def test_a_model_that_is_no_classifier_is_described_without_preparation(provider, repository):
    config = {"architectures": ["DetrForObjectDetection"], "model_type": "detr"}
    repository.files["config.json"] = as_json(config)
    del repository.files["preprocessor_config.json"]
    metadata = provider.describe(NAME)
    assert (metadata.model_architecture, metadata.task_type) == ("detr", "object-detection")
    assert sorted(texts_of(metadata.model_packages[0])) == ["model_config.json"]


@pytest.mark.parametrize(
    ("architecture", "processor", "mode"),
    [
        ("DetrForObjectDetection", {"image_processor_type": "DetrImageProcessor", "size": 64}, "shorter-edge"),
        ("DPTForDepthEstimation", {"image_processor_type": "DPTImageProcessor"}, "stretch"),
        ("SegformerForSemanticSegmentation", {"image_processor_type": "SegformerImageProcessor"}, "stretch"),
    ],
)
def test_a_model_that_is_no_classifier_is_prepared_as_its_file_says(
    provider, repository, architecture, processor, mode
):
    repository.files["config.json"] = as_json({"architectures": [architecture], "model_type": "any"})
    repository.files["preprocessor_config.json"] = as_json(PREPROCESSOR | processor)
    stated = json.loads(texts_of(provider.describe(NAME).model_packages[0])["inference_config.json"])
    assert stated["network_input"]["resize_mode"] == mode
    assert "post_processing" not in stated


def test_what_cannot_be_prepared_exactly_is_refused_with_the_reason(provider, repository):
    repository.files["preprocessor_config.json"] = as_json(PREPROCESSOR | {"do_pad": True})
    assert refused(provider, ModelImplementationNotFoundError).startswith(
        "preprocessor_config.json asks for pre-processing that this library does not do.\n"
        "needs no do_pad; found: do_pad true\n"
    )


@pytest.mark.parametrize(
    ("graph_path", "data"),
    [
        ("onnx/model.onnx", "model.onnx_data"),
        ("onnx/model.onnx", "weights.bin"),
        ("onnx/model.onnx", "160ea76f-918f"),
        ("onnx/model.onnx", "sub/model.bin"),
        ("model.onnx", "model.data"),
    ],
)
def test_external_data_is_fetched_whatever_its_name(provider, repository, graph, tmp_path, graph_path, data):
    onnx = pytest.importorskip("onnx")
    (tmp_path / data).parent.mkdir(exist_ok=True)
    model = onnx.load_from_string(graph)
    onnx.save(model, tmp_path / "m", save_as_external_data=True, location=data, size_threshold=0)
    folder = graph_path[: graph_path.rfind("/") + 1]
    for path in [path for path in repository.files if path.endswith(".onnx")]:
        del repository.files[path]
    repository.files |= {graph_path: (tmp_path / "m").read_bytes(), folder + data: (tmp_path / data).read_bytes()}
    package = provider.describe(NAME).model_packages[0]
    fetched = {file.file_handle: b"".join(provider.read(file)) for file in package.package_artefacts[:2]}
    assert fetched == {"weights.onnx": repository.files[graph_path], data: repository.files[folder + data]}
    del repository.files[folder + data]
    repository.files[folder + "other.bin"] = b"other"
    skipped = provider.describe(NAME).skipped_packages
    if data != "model.onnx_data":
        assert f"{graph_path} of 'acme/tiny-vit' has values in a file that is not there" in str(skipped)


def test_external_data_whose_name_the_cache_does_not_keep_is_named_with_a_way_out(
    provider, repository, graph, tmp_path
):
    onnx = pytest.importorskip("onnx")
    onnx.save(
        onnx.load_from_string(graph), tmp_path / "m", save_as_external_data=True, location="my data", size_threshold=0
    )
    repository.files |= {"onnx/model.onnx": (tmp_path / "m").read_bytes(), "onnx/my data": b"any"}
    assert (
        "onnx/model.onnx of 'acme/tiny-vit' has values in a file whose name the cache does not keep. needs relative "
        "names of letters, digits, '.', '_' and '-', with forward slashes; found: 'my data'"
    ) in str(provider.describe(NAME).skipped_packages).replace("\\n", " ").replace("\\'", "'")


def test_a_classifier_without_preparation_is_named(provider, repository):
    del repository.files["preprocessor_config.json"], repository.files["model.safetensors"]
    assert refused(provider, CorruptedModelPackageError) == (
        "'acme/tiny-vit' does not say how images are prepared.\nneeds preprocessor_config.json; found: no such file"
    )


def test_a_part_of_a_large_file_is_asked_for_where_the_hub_sends_us(provider, graph):
    (weights, *_) = provider.describe(NAME).model_packages[0].package_artefacts
    stream = provider.open(weights, start=10, stop=30)
    assert (stream.start, stream.size, stream.ranges) == (10, len(graph), True)
    assert b"".join(stream.chunks) == graph[10:30]
    assert hashlib.sha256(graph).hexdigest() in (stream.version or "")


def test_the_token_goes_to_the_hub_and_nowhere_else(hub, provider, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    (weights, *_) = provider.describe(NAME).model_packages[0].package_artefacts
    assert b"".join(provider.read(weights))
    tokens = {host: {seen[2] for seen in hub.seen if seen[0] == host} for host in ("127.0.0.1", "localhost")}
    assert tokens == {"127.0.0.1": {f"Bearer {hub.token}"}, "localhost": {None}}
    assert not [path for _, path, _ in hub.seen if hub.token in path]


def test_a_token_that_is_passed_beats_the_environment(hub, provider, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    provider.describe(NAME, DescribeOptions(api_key=hub.token))
    assert {seen[2] for seen in hub.seen} == {f"Bearer {hub.token}"}


def test_the_token_that_was_saved_by_a_login_is_used(hub, provider, tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub/token").write_text(f"{hub.token}\n")
    provider.describe(NAME)
    assert {seen[2] for seen in hub.seen} == {f"Bearer {hub.token}"}


def test_no_token_is_sent_unasked_where_that_is_forbidden(hub, provider, repository, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    provider.describe(NAME)
    assert {seen[2] for seen in hub.seen} == {None}
    repository.gated = "auto"
    provider._contents.clear()
    assert "found: HF_HUB_DISABLE_IMPLICIT_TOKEN, which forbids" in refused(provider, ForbiddenModelAccessError)
    assert provider.describe(NAME, DescribeOptions(api_key=hub.token)).model_packages


def test_a_saved_token_that_cannot_be_read_is_told_where_one_is_needed(hub, provider, repository, tmp_path):
    (tmp_path / "hub" / "token").mkdir(parents=True)
    assert provider.describe(NAME).model_packages
    repository.gated = "auto"
    provider._contents.clear()
    found = f"found: a token in '{tmp_path / 'hub' / 'token'}' that cannot be read: Is a directory"
    assert found in refused(provider, ForbiddenModelAccessError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PROXY", "canary@@:x"),
        ("NO_PROXY", "[::1"),
        ("SSL_CERT_FILE", "/nowhere"),
        ("REQUESTS_CA_BUNDLE", "/nowhere"),
        ("HF_TOKEN_PATH", "/dev"),
        ("HF_TOKEN", "hf_\u00e9"),
        ("HF_TOKEN", "hf_copied twice"),
        ("HF_TOKEN", "hf_revoked"),
        ("HUGGING_FACE_HUB_TOKEN", "hf_\x1b"),
        ("API_CALLS_TIMEOUT", "soon"),
        ("API_CALLS_MAX_TRIES", "often"),
        ("CHUNK_DOWNLOAD_READ_TIMEOUT", "x"),
        ("INFERENCE_MODELS_DOWNLOAD_TIMEOUT", "x"),
    ],
)
def test_a_cached_model_loads_whatever_variable_is_wrong(hub, monkeypatch, name, value):
    pytest.importorskip("onnxruntime")
    AutoModel.from_pretrained(f"huggingface:{NAME}").close()
    asked = len(hub.requests)
    monkeypatch.setenv(name, value)
    AutoModel.from_pretrained(f"huggingface:{NAME}").close()
    assert len(hub.requests) == asked


@pytest.mark.parametrize("hidden", ["public", "private", "gated"])
@pytest.mark.parametrize("token", [None, "hf_another", "hf_\u00e9", "hf_copied twice"])
def test_a_model_cached_with_a_token_loads_whatever_token_is_set_later(hub, repository, monkeypatch, hidden, token):
    pytest.importorskip("onnxruntime")
    repository.private, repository.gated = hidden == "private", hidden == "gated"
    monkeypatch.setenv("HF_TOKEN", hub.token)
    AutoModel.from_pretrained(f"huggingface:{NAME}").close()
    asked = len(hub.requests)
    monkeypatch.setenv("HF_TOKEN", token) if token else monkeypatch.delenv("HF_TOKEN")
    AutoModel.from_pretrained(f"huggingface:{NAME}").close()
    assert len(hub.requests) == asked


@pytest.mark.parametrize("later", [None, "hf_another", "hf_\u00e9"])
def test_a_public_model_cached_with_a_key_that_was_passed_loads_with_any(hub, later):
    pytest.importorskip("onnxruntime")
    AutoModel.from_pretrained(f"huggingface:{NAME}", api_key=hub.token).close()
    asked = len(hub.requests)
    AutoModel.from_pretrained(f"huggingface:{NAME}", api_key=later).close()
    assert len(hub.requests) == asked


def test_a_private_model_cached_with_a_key_that_was_passed_is_for_that_key_while_the_hub_can_be_asked(
    hub, repository, monkeypatch
):
    pytest.importorskip("onnxruntime")
    repository.private = True
    AutoModel.from_pretrained(f"huggingface:{NAME}", api_key=hub.token).close()
    for key in (None, "hf_another"):
        with pytest.raises(ModelNotFoundError):
            AutoModel.from_pretrained(f"huggingface:{NAME}", api_key=key)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for key in (None, "hf_another", hub.token):
        AutoModel.from_pretrained(f"huggingface:{NAME}", api_key=key).close()


@pytest.mark.parametrize(("name", "value"), [("SSL_CERT_FILE", "/nowhere"), ("HF_TOKEN", "hf_\u00e9")])
def test_a_model_cached_long_ago_loads_where_a_variable_keeps_us_from_asking(hub, monkeypatch, caplog, name, value):
    pytest.importorskip("onnxruntime")
    AutoModel.from_pretrained(f"huggingface:{NAME}").close()
    monkeypatch.setattr("inference_models.cache.resolution_files.time.time", lambda: 4e9)
    monkeypatch.setenv(name, value)
    AutoModel.from_pretrained(f"huggingface:{NAME}").close()
    assert "provider 'huggingface' cannot be asked (the " in caplog.text


def test_a_small_file_that_is_not_that_of_the_commit_is_refused(hub, provider):
    good, bad = as_json(CONFIG), as_json(CONFIG).replace(b"cat", b"rat")
    hub.tampered["config.json"] = bad
    assert refused(provider, FileHashSumMissmatch) == (
        f"config.json is not that of 'acme/tiny-vit' at {COMMIT[:12]}; it was thrown away.\n"
        f"needs git object {git_id(good)}, {len(good)} bytes; "
        f"found: sha256 {hashlib.sha256(bad).hexdigest()}, {len(bad)} bytes"
    )


def test_a_small_graph_without_a_sha256_gets_one_from_its_commit(provider, repository, graph, monkeypatch):
    monkeypatch.setattr("providers.hub_server.LARGE", ("_data",))
    (weights, *_) = provider.describe(NAME).model_packages[0].package_artefacts
    assert (weights.sha256_hash, weights.size) == (hashlib.sha256(graph).hexdigest(), len(graph))


def test_a_large_file_without_a_sha256_is_never_fetched(provider, repository, monkeypatch):
    monkeypatch.setattr("providers.hub_server.LARGE", ())
    monkeypatch.setattr("inference_models.providers.huggingface.MAX_SMALL_FILE", 1000)
    repository.files |= {"onnx/model.onnx": b"g" * 1001, "onnx/model_quantized.onnx": b"g" * 1001}
    del repository.files["model.safetensors"]
    assert refused(provider, UntrustedFileError) == (
        "onnx/model.onnx of 'acme/tiny-vit' cannot be verified before it is fetched.\n"
        "needs a sha256 in the answer of the Hub, or at most 1000 bytes; found: 1001 bytes without one"
    )


def test_a_gated_repository_says_how_to_get_in(hub, provider, repository, monkeypatch):
    repository.gated = "manual"
    expected = (
        "'acme/tiny-vit' is gated: its owner decides who gets the files.\n"
        "needs the token of an account that was given access; found: {found}\n"
        f"ask for access at {hub.url()}/acme/tiny-vit, then set HF_TOKEN to its token"
    )
    assert refused(provider, ForbiddenModelAccessError) == expected.format(found="no token")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with closing(open_provider("huggingface")) as other:
        assert refused(other, ForbiddenModelAccessError) == expected.format(found="a token whose account was not")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    with closing(open_provider("huggingface")) as allowed:
        assert allowed.describe(NAME).model_packages


def test_a_gated_repository_without_a_configuration_is_gated_first(hub, provider, repository, monkeypatch):
    repository.gated = "manual"
    del repository.files["config.json"]
    assert "is gated: its owner decides" in refused(provider, ForbiddenModelAccessError)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with closing(open_provider("huggingface")) as other:
        assert "found: a token whose account was not" in refused(other, ForbiddenModelAccessError)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    with closing(open_provider("huggingface")) as allowed:
        assert "does not say what its model is" in refused(allowed, ModelRetrievalError)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_token_that_the_hub_echoes_is_in_no_traceback(hub, provider, monkeypatch, status):
    monkeypatch.setenv("HF_TOKEN", "hf_canarycanary")
    body = b'{"error":"unknown token hf_canarycanary"}'
    hub.failures[:] = [answer(status, body, X_Error_Message="token hf_canarycanary", Retry_After="0")] * 6
    with pytest.raises(BaseInferenceModelsError) as caught:
        provider.describe(NAME)
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    link: BaseException | None = caught.value
    while link is not None:
        assert isinstance(link, BaseInferenceModelsError)
        link = link.__cause__ or link.__context__


@pytest.mark.parametrize("token", ["hf_canary\nX-Other: 1", "hf_canary\u00e9", "hf_canary rest"])
def test_a_token_that_cannot_be_sent_is_named_and_not_shown(hub, provider, token):
    with pytest.raises(InvalidParameterError) as caught:
        provider.describe(NAME, DescribeOptions(api_key=token))
    assert str(caught.value) == (
        "the token for the Hugging Face Hub cannot be sent.\n"
        "needs printable ASCII characters without spaces; found: others (not shown: it is secret)\n"
        "copy the token again into HF_TOKEN or api_key"
    )
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert hub.seen == []


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        ("https://me:canary@hub.example/a/b?token=canary", "'https://hub.example/a/b?...'"),
        ("a/b?token=canary", "'a/b?...'"),
        ("a/b@s3cretcanary", "'a/b@[hidden]'"),
        ("a/hf_canarycanary", "'a/[hidden]'"),
    ],
)
def test_an_id_with_a_secret_is_refused_without_showing_it(hub, provider, monkeypatch, odd, shown):
    monkeypatch.setenv("HF_TOKEN", "s3cretcanary")
    assert refused(provider, InvalidParameterError, odd) == (
        f"the id cannot be one of the Hugging Face Hub.\nneeds owner/name or owner/name@revision; found: {shown}"
    )
    assert hub.seen == []


def test_a_repository_that_is_missing_or_private_is_named_with_the_nearest(provider):
    assert refused(provider, ModelNotFoundError, "acme/tiny-vot") == (
        "there is no repository 'acme/tiny-vot' that can be seen without a token; nearest: 'acme/tiny-vit'.\n"
        "check the name; for a private repository set HF_TOKEN to a token that may read it"
    )
    assert refused(provider, ModelNotFoundError, "nobody/x") == (
        "there is no repository 'nobody/x' that can be seen without a token.\n"
        "check the name; for a private repository set HF_TOKEN to a token that may read it"
    )


def test_a_private_repository_is_seen_with_its_token_only(hub, provider, repository, monkeypatch):
    repository.private = True
    assert "there is no repository" in refused(provider, ModelNotFoundError)
    assert provider.describe(NAME, DescribeOptions(api_key=hub.token)).model_packages


def test_a_missing_revision_is_named_with_the_nearest(provider):
    expected = "'acme/tiny-vit' has no revision 'mian'; nearest: 'main'."
    assert refused(provider, ModelNotFoundError, f"{NAME}@mian") == expected


def test_a_rate_limit_is_explained_and_says_how_long(hub, provider):
    hub.failures[:] = [answer(429, b'{"error":"too many requests"}', Retry_After="7")]
    with pytest.raises(RetryError) as caught:
        provider.describe(NAME)
    assert caught.value.retry_after == 7
    lines = str(caught.value).split("\n")
    assert lines[0].startswith(
        f"{hub.url()}/api/models/{NAME}/revision/main?... cannot answer now: given up after 1 tr"
    )
    assert lines[1].endswith("; found: 429: too many requests; it asks to wait 7 s")


def test_a_hub_that_is_busy_once_is_asked_again(hub, provider, monkeypatch):
    monkeypatch.setenv("API_CALLS_MAX_TRIES", "2")
    hub.failures[:] = [answer(503, Retry_After="0")]
    assert provider.describe(NAME).model_packages


def test_a_token_the_hub_does_not_know_is_named(hub, provider):
    hub.failures[:] = [answer(401, b'{"error":"Invalid credentials"}', X_Error_Message="Invalid credentials")]
    assert "401: Invalid credentials" in refused(provider, UnauthorizedModelAccessError)


def test_a_hub_that_does_not_answer_is_named(hub, provider, monkeypatch):
    import socket

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        text = refused(provider, RetryError)
    assert "did not answer: given up after 1 tr" in text
    assert text.split("\n")[1].endswith("; found: no connection")


def test_a_server_that_is_no_hub_is_named(hub, provider):
    hub.failures[:] = [answer(200, b"<html>welcome</html>")]
    assert refused(provider, ModelRetrievalError) == (
        f"{hub.url()} did not answer like the Hugging Face Hub.\n"
        "needs the description of 'acme/tiny-vit'; found: JSON is malformed: invalid character (byte 0)\n"
        "check HF_ENDPOINT"
    )


@pytest.mark.parametrize("variable", ["OFFLINE_MODE", "HF_HUB_OFFLINE"])
def test_without_network_nothing_is_asked(hub, provider, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    assert refused(provider, ModelRetrievalError) == (
        "'acme/tiny-vit' is asked for on the Hugging Face Hub, and the network is forbidden.\n"
        f"needs network access, or a model that is in the cache; found: {variable} is set\n"
        f"unset {variable} and load the model once"
    )
    assert hub.seen == []


def test_repositories_without_a_model_are_named(provider, repository):
    repository.files = {"config.json": as_json(CONFIG), "README.md": b"x"}
    assert refused(provider, ModelRetrievalError) == (
        "'acme/tiny-vit' holds no weights that can be run.\n"
        "needs an ONNX export (onnx/model.onnx) or safetensors; found: README.md, config.json\n"
        "optimum-cli export onnx --model acme/tiny-vit exported/"
    )
    repository.files = {f"{index}.txt": b"x" for index in range(10)}
    assert refused(provider, ModelRetrievalError) == (
        "'acme/tiny-vit' does not say what its model is.\n"
        "needs config.json; found: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5.txt, 6.txt, 7.txt and 2 more\n"
        "download its weights, and load the file with labels= and model_type="
    )


@pytest.mark.parametrize("place", ["http://evil.example", "{url}@evil.example"])
def test_a_file_of_another_server_never_gets_our_token(hub, provider, place):
    stolen = FileDownloadSpecs(f"{place.format(url=hub.url())}/x?sig=1", "weights.onnx")
    with pytest.raises(ModelRetrievalError) as caught:
        provider.open(stolen)
    assert str(caught.value) == (
        "the file is not on the Hub that is configured.\n"
        f"needs a URL of {hub.url()}; found: http://evil.example/x?...\n"
        "set HF_ENDPOINT as it was when the model was described"
    )


@pytest.mark.parametrize("odd", ["vit", "a/b/c", "../x", "a/..", "a/b@", "a/b@../x", "a b/c", "https://x/y"])
def test_what_cannot_be_a_repository_is_refused_unasked(hub, provider, odd):
    assert refused(provider, InvalidParameterError, odd) == (
        f"the id cannot be one of the Hugging Face Hub.\nneeds owner/name or owner/name@revision; found: {odd!r}"
    )
    assert hub.seen == []
