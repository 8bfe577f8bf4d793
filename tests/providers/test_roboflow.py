from __future__ import annotations

import json
import logging
import traceback
from contextlib import closing
from urllib.parse import parse_qsl

import numpy as np
import pytest

from inference_models import AutoModel
from inference_models.cache.store import PackageKey, PackageStore
from inference_models.entities import (
    BackendType,
    MemoryProfile,
    ModelDependency,
    Quantization,
    RecommendedParameters,
    SkippedPackage,
)
from inference_models.errors import (
    InvalidParameterError,
    ModelNotFoundError,
    ModelRetrievalError,
    RetryError,
    UnauthorizedModelAccessError,
)
from inference_models.providers import DescribeOptions
from inference_models.providers.roboflow import PATH, RoboflowProvider
from providers.api_answers import metadata, package
from providers.contract import ProviderContract
from registry.access_clock import Ticking
from registry.packages import serving, write_detector
from scripted_server import answer, scripted

KEY = "canary-key-77b0"
IMAGE = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture
def provider():
    with closing(RoboflowProvider()) as opened:
        yield opened


@pytest.fixture
def api(monkeypatch):
    """Starts a scripted server as the API: `api(script)`; its requests are kept."""
    stack = []

    def start(script, **others):
        context = scripted({PATH: script, **others})
        server = context.__enter__()
        stack.append(context)
        monkeypatch.setenv("ROBOFLOW_API_HOST", server.url(""))
        return server

    yield start
    for context in stack:
        context.__exit__(None, None, None)


def described(*packages, **facts):
    return answer(200, json.dumps(metadata(*packages, **facts)).encode())


def weights_of(metadata):
    return next(item for item in metadata.model_packages[0].package_artefacts if item.file_handle == "weights.onnx")


class TestContract(ProviderContract):
    @pytest.fixture
    def provider(self, tmp_path, monkeypatch):
        write_detector(tmp_path / "library" / "team" / "pets" / "3")
        with serving(tmp_path / "library") as server, closing(RoboflowProvider()) as opened:
            monkeypatch.setenv("ROBOFLOW_API_HOST", server.url)
            yield opened

    known = pytest.fixture(lambda self: "team/pets/3")
    misspelt = pytest.fixture(lambda self: "team/pest/3")
    nearest = pytest.fixture(lambda self: "team/pets/3")


class TestTheQuestion:
    def test_it_is_asked_with_the_id_encoded_and_the_key_in_the_header(self, provider, api):
        server = api(described(package()))
        provider.describe("a b/c/2", DescribeOptions(api_key=KEY))
        assert server.requests[0].path == f"{PATH}?modelId=a+b%2Fc%2F2"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert server.requests[0].headers["user-agent"].startswith("inference-models/")

    @pytest.mark.parametrize(
        ("stated", "environment", "sent"),
        [
            (None, None, None),
            ("local", None, None),
            (None, KEY, f"Bearer {KEY}"),
            ("local", KEY, f"Bearer {KEY}"),
            ("mine-1234", KEY, "Bearer mine-1234"),
        ],
    )
    def test_the_key_is_the_stated_one_else_that_of_the_environment(
        self, provider, api, monkeypatch, stated, environment, sent
    ):
        if environment:
            monkeypatch.setenv("ROBOFLOW_API_KEY", environment)
        server = api(described(package()))
        provider.describe("m", DescribeOptions(api_key=stated))
        assert server.requests[0].headers.get("authorization") == sent

    def test_parameters_and_headers_of_the_caller_come_along_and_never_replace_ours(self, provider, api):
        server = api(described(package()))
        options = DescribeOptions(
            api_key=KEY,
            extra_query_params=(("tag", "1"), ("tag", "2"), ("modelId", "other"), ("pageSize", "5")),
            extra_headers=(("X-Team", "blue"), ("AUTHORIZATION", "Basic x")),
        )
        provider.describe("m", options)
        query = parse_qsl(server.requests[0].path.partition("?")[2])
        assert query == [("modelId", "m"), ("tag", "1"), ("tag", "2"), ("pageSize", "5")]
        assert server.requests[0].headers["x-team"] == "blue"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"

    def test_a_key_is_not_put_into_the_url(self, provider, monkeypatch):
        monkeypatch.setenv("ROBOFLOW_API_HOST", "http://127.0.0.1:9")
        with pytest.raises(InvalidParameterError) as caught:
            provider.describe("m", DescribeOptions(extra_query_params=(("api_key", KEY),)))
        assert str(caught.value) == (
            "the query parameter 'api_key' would put a key into a URL.\n"
            "needs keys in api_key=, which sends them in a header; found: weights_provider_extra_query_params\n"
            "pass api_key="
        )

    def test_core_ml_packages_are_asked_for_where_they_run(self, provider, api, monkeypatch):
        server = api(described(package()))
        monkeypatch.setattr("platform.system", lambda: "Darwin")
        monkeypatch.setattr("platform.machine", lambda: "arm64")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "coremltools")
        provider.describe("m")
        assert server.requests[0].path == f"{PATH}?modelId=m&includeCoreMLPackages=true"

    @pytest.mark.parametrize(
        ("region", "environment", "host"),
        [
            ("", "", "https://api.roboflow.com"),
            ("us", "prod", "https://api.roboflow.com"),
            ("US", "staging", "https://api.roboflow.one"),
            ("eu", "prod", "https://api.roboflow.eu"),
            ("eu", "anything", "https://api.roboflow-eu.one"),
            ("mars", "", "https://api.roboflow.com"),
        ],
    )
    def test_the_host_comes_from_region_and_environment(self, monkeypatch, caplog, region, environment, host):
        from inference_models.config import roboflow_api_host

        monkeypatch.setenv("ROBOFLOW_REGION", region)
        monkeypatch.setenv("ROBOFLOW_ENVIRONMENT", environment)
        assert roboflow_api_host() == host
        assert ("ROBOFLOW_REGION is 'mars', not us or eu; us is used." in caplog.text) is (region == "mars")


class TestPages:
    def pages(self, count, *, loop=False):
        def script(request):
            query = dict(parse_qsl(request.path.partition("?")[2]))
            number = int(query.get("startAfter", "0"))
            following = str((number + 1) % count if loop else number + 1)
            last = number == count - 1 and not loop
            return described(
                package(packageId=f"p{number}"), nextPage=None if last else following, modelVariant=f"v{number}"
            )

        return script

    def test_all_pages_are_read_and_the_last_one_says_the_rest(self, provider, api):
        server = api(self.pages(25))
        found = provider.describe("m")
        assert [item.package_id for item in found.model_packages] == [f"p{number}" for number in range(25)]
        assert found.model_variant == "v24"
        assert server.requests[1].path == f"{PATH}?modelId=m&startAfter=1"

    def test_pages_that_go_round_in_a_circle_end(self, provider, api):
        server = api(self.pages(3, loop=True))
        with pytest.raises(ModelRetrievalError) as caught:
            provider.describe("m")
        assert len(server.requests) == 4
        assert str(caught.value) == (
            "the list of packages of 'm' does not end.\n"
            "needs at most 1000 pages and 10000 packages; found: the page '1' twice"
        )

    def test_pages_of_different_models_are_refused(self, provider, api):
        def script(request):
            if "startAfter" in request.path:
                return described(package(), modelId="b")
            return described(package(), modelId="a", nextPage="x")

        server = api(script)
        with pytest.raises(ModelRetrievalError) as caught:
            provider.describe("m")
        assert str(caught.value) == (
            f"{server.url('')} gave pages of different models.\nneeds pages of 'b'; found: 'a', 'b'"
        )

    def test_a_package_on_two_pages_counts_once_and_another_with_its_id_not_at_all(self, provider, api):
        def script(request):
            if "startAfter" in request.path:
                return described(package(packageId="a"), package(packageId="b", trustedSource=False))
            return described(package(packageId="a"), package(packageId="b"), nextPage="x")

        api(script)
        found = provider.describe("m")
        assert [item.package_id for item in found.model_packages] == ["a", "b"]
        assert found.skipped_packages == (SkippedPackage("b", "another package has the same id"),)


class TestTheAnswer:
    def test_everything_about_the_model_is_read(self, provider, api):
        server = api(
            described(
                package(
                    modelFeatures={"nms_fused": {"max_detections": 300}},
                    recommendedParameters={"confidence": 0.5},
                    memoryProfile={"peakVramMb": {"1": 700, "8": 1900}},
                ),
                modelDependencies=[
                    {"type": "model-dependency-v1", "name": "f", "modelId": "owlv2/x", "modelPackageId": "abc123"}
                ],
                recommendedParameters={"confidence": 0.42, "perClassConfidence": {"cat": 0.3}},
                modelLatencyMs="fast",
                somethingNew=[1],
            )
        )
        found = provider.describe("m")
        assert (found.model_id, found.model_architecture, found.model_variant) == ("coco/3", "yolov8", "yolov8n")
        assert (found.task_type, found.source) == ("object-detection", server.url(""))
        assert found.model_dependencies == [ModelDependency(name="f", model_id="owlv2/x", model_package_id="abc123")]
        assert found.recommended_parameters == RecommendedParameters(confidence=0.42, per_class_confidence={"cat": 0.3})
        one = found.model_packages[0]
        assert (one.package_id, one.backend, one.quantization) == ("0a1b2c", BackendType.ONNX, Quantization.FP32)
        assert (one.dynamic_batch_size_supported, one.static_batch_size, one.trusted_source) == (True, None, True)
        assert (one.onnx_package_details.opset, one.onnx_package_details.incompatible_providers) == (17, None)
        assert one.recommended_parameters == RecommendedParameters(confidence=0.5)
        assert one.memory_profile == MemoryProfile(peak_vram_mb={1: 700, 8: 1900})
        assert one.model_features == {"nms_fused": {"max_detections": 300}}
        file = one.package_artefacts[0]
        assert (file.file_handle, file.download_url) == ("weights.onnx", "https://files.example/weights.onnx?sig=1")
        assert file.md5_hash == "d41d8cd98f00b204e9800998ecf8427e"

    def test_what_the_api_states_instead_of_sending_is_written_for_it(self, provider, api):
        api(described(package()))
        text = provider.describe("m").model_packages[0].package_artefacts[-1]
        assert (text.file_handle, json.loads(text.text)) == (
            "model_config.json",
            {
                "model_architecture": "yolov8",
                "task_type": "object-detection",
                "backend_type": "onnx",
                "quantization": "fp32",
                "dynamic_batch_size_supported": True,
            },
        )

    def test_when_nothing_is_left_the_error_has_the_reasons(self, provider, api):
        server = api(described(package(packageManifest={"type": "new-v1"})))
        with pytest.raises(ModelRetrievalError) as caught:
            provider.describe("m")
        assert str(caught.value) == (
            f"{server.url('')} offers no package of 'coco/3' that this release can use.\nneeds at least one package; "
            "found: 0a1b2c: packageManifest of type 'new-v1', which this release does not know\n"
            "upgrade inference-models"
        )

    def test_an_empty_list_is_an_error(self, provider, api):
        server = api(described())
        with pytest.raises(ModelRetrievalError) as caught:
            provider.describe("m")
        assert str(caught.value) == (
            f"{server.url('')} offers no package of 'coco/3' that this release can use.\n"
            "needs at least one package; found: none"
        )


class TestRefusals:
    def test_a_server_that_is_busy_twice_is_waited_for(self, provider, api):
        replies = [answer(503, Retry_After="0"), answer(429, Retry_After="0"), described(package())]
        server = api(lambda request: replies[len(server.requests) - 1])
        assert provider.describe("m").model_packages
        assert len(server.requests) == 3

    def test_a_server_that_stays_busy_is_given_up(self, provider, api, monkeypatch):
        monkeypatch.setenv("API_CALLS_MAX_TRIES", "2")
        server = api(answer(429, b'{"message": "slow down"}', Retry_After="0"))
        with pytest.raises(RetryError) as caught:
            provider.describe("m")
        assert len(server.requests) == 2
        assert caught.value.found == "429: slow down; it asks to wait 0 s"

    def test_a_server_that_asks_for_a_day_is_given_up_at_once(self, provider, api):
        server = api(answer(429, Retry_After="86400"))
        with pytest.raises(RetryError, match="it asks to wait 86400 s"):
            provider.describe("m")
        assert len(server.requests) == 1

    def test_slow_answers_do_not_add_up(self, provider, api, monkeypatch):
        monkeypatch.setattr("inference_models.config.NETWORK_BUDGET", 3.0)

        def slow(request):
            if len(server.requests) == 1:
                return answer(503, Retry_After="0")
            for byte in described(package()):
                request.send(bytes([byte]))
                request.pause(0.05)
            return None

        server = api(slow)
        with pytest.raises(RetryError, match="given up after 2 tries"):
            provider.describe("m")

    def test_a_missing_model_is_explained(self, provider, api):
        server = api(answer(404, b'{"message": "no such model"}'))
        with pytest.raises(ModelNotFoundError) as caught:
            provider.describe("team/x/1")
        assert str(caught.value) == (
            f"{server.url('')} has no model 'team/x/1'.\nneeds an answer with status 200; found: 404: no such model\n"
            "check the model id; private models are found with the API key of their workspace only"
        )

    @pytest.mark.parametrize(
        ("key", "sentence", "fix"),
        [
            (None, "wants an API key for 'm'.", "pass api_key=, or set ROBOFLOW_API_KEY"),
            (KEY, "does not accept the API key for 'm'.", "check the API key"),
        ],
    )
    def test_a_missing_and_a_wrong_key_are_told_apart(self, provider, api, key, sentence, fix):
        server = api(answer(401))
        with pytest.raises(UnauthorizedModelAccessError) as caught:
            provider.describe("m", DescribeOptions(api_key=key))
        assert str(caught.value) == (f"{server.url('')} {sentence}\nneeds an answer with status 200; found: 401\n{fix}")


class TestFiles:
    @pytest.fixture
    def registry(self, tmp_path, monkeypatch):
        """A registry with a key, whose clock stands still until a test moves it."""
        clock = Ticking()
        write_detector(tmp_path / "library" / "pets")
        with serving(tmp_path / "library", access=clock.access(KEY)) as server:
            monkeypatch.setenv("ROBOFLOW_API_HOST", server.url)
            monkeypatch.setenv("ROBOFLOW_API_KEY", KEY)
            server.clock = clock
            yield server

    def test_no_key_is_sent_with_a_file(self, provider, api):
        content = b"weights"
        server = api(b"", **{"/f": answer(200, content)})
        server.scripts[PATH] = described(
            package(packageFiles=[{"fileHandle": "weights.onnx", "downloadUrl": server.url("/f?sig=1")}])
        )
        found = provider.describe("m", DescribeOptions(api_key=KEY))
        assert b"".join(provider.read(found.model_packages[0].package_artefacts[0])) == content
        assert KEY not in str(server.requests[-1].headers)

    def test_an_address_that_has_expired_is_asked_for_again(self, provider, registry):
        file = weights_of(provider.describe("pets"))
        whole = b"".join(provider.open(file).chunks)
        registry.clock.now += 10_000
        stream = provider.open(file, start=100)
        assert (stream.start, whole[:100] + b"".join(stream.chunks)) == (100, whole)
        registry.clock.now += 10_000
        assert b"".join(provider.open(file, stop=10).chunks) == whole[:10]

    def test_an_address_that_stays_expired_is_an_error_after_one_more_question(self, provider, registry):
        file = weights_of(provider.describe("pets"))
        registry.clock.broken = True
        with pytest.raises(ModelRetrievalError) as caught:
            provider.open(file)
        assert caught.value.status_code == 403
        assert "signature" not in str(caught.value)

    def test_a_file_that_changed_meanwhile_is_not_mixed_with_the_old_one(self, provider, registry, tmp_path):
        found = provider.describe("pets")
        file = weights_of(found)
        write_detector(tmp_path / "library" / "pets", score=0.5)
        registry.clock.now += 10_000
        with pytest.raises(ModelRetrievalError) as caught:
            provider.open(file)
        assert str(caught.value) == (
            "weights.onnx of 'pets' is not offered any more as it was announced.\n"
            f"needs the same file in package {found.model_packages[0].package_id}; found: another one, or none\n"
            "load the model again"
        )

    def test_a_file_nobody_announced_is_not_asked_for_again(self, provider, registry):
        file = provider.describe("pets").model_packages[0].package_artefacts[0]
        registry.clock.now += 10_000
        with closing(RoboflowProvider()) as other, pytest.raises(ModelRetrievalError):
            other.open(file)

    def test_a_model_loads_and_predicts(self, registry):
        model = AutoModel.from_pretrained("pets", "roboflow")
        detections = model(IMAGE)[0]
        np.testing.assert_allclose(detections.xyxy, [[24, 24, 40, 40]], atol=1e-3)
        assert model.resolved_model.model_id == "pets"

    def test_what_was_stored_is_opened_without_a_question(self, provider, registry):
        found = provider.describe("pets")
        one = found.model_packages[0]
        key = PackageKey("roboflow", found.model_id, one.package_id)
        PackageStore().ensure(key, one.package_artefacts, provider)
        provider.close()
        assert PackageStore().open(key, one.package_artefacts) is not None

    def test_the_key_is_in_no_log_no_error_and_no_file(self, registry, monkeypatch, caplog, tmp_path):
        caplog.set_level(logging.DEBUG)
        AutoModel.from_pretrained("pets", "roboflow", api_key=KEY)
        with pytest.raises(ModelNotFoundError) as caught:
            AutoModel.from_pretrained("nothing", "roboflow", api_key=KEY)
        shown = caplog.text + "".join(traceback.format_exception(caught.value)) + str(caught.value.__dict__)
        written = b"".join(path.read_bytes() for path in (tmp_path / "inference-home").rglob("*") if path.is_file())
        names = " ".join(str(path) for path in (tmp_path / "inference-home").rglob("*"))
        assert len(written) > 1_000
        assert "/models/v1/external/weights?...: 404" in shown
        assert KEY not in shown + names
        assert KEY.encode() not in written
