"""Where the hosted API is asked: `ROBOFLOW_API_HOST`, with a path or without, and the secure gateway."""

from __future__ import annotations

import http.client
import json
from contextlib import ExitStack, closing, contextmanager

import numpy as np
import pytest

from inference_models import AutoModel
from inference_models.errors import InvalidEnvVariable, ModelNotFoundError
from inference_models.providers.roboflow import PATH, RoboflowProvider
from providers.api_answers import metadata, package
from registry.packages import serving, write_detector
from scripted_server import answer, scripted

IMAGE = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture
def provider():
    with closing(RoboflowProvider()) as opened:
        yield opened


@pytest.fixture
def start():
    """Starts scripted servers: `start(scripts)`."""
    with ExitStack() as stack:
        yield lambda scripts: stack.enter_context(scripted(scripts))


def described(*packages, **facts):
    return answer(200, json.dumps(metadata(*packages, **facts)).encode())


@contextmanager
def behind_a_path(prefix, server):
    """The address of a proxy that hands what it is asked below `prefix` to a registry, without the prefix."""

    def forward(request):
        assert request.path.startswith(f"{prefix}/")
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
            connection.request("GET", request.path.removeprefix(prefix), headers=dict(request.headers))
            response = connection.getresponse()
            headers = {name.replace("-", "_").title(): value for name, value in response.getheaders()}
            return answer(response.status, response.read(), **headers | {"Connection": "close"})

    with scripted(forward) as proxy:
        server.answers.public_url = proxy.url(prefix)
        yield server.answers.public_url


class TestHost:
    @pytest.mark.parametrize(
        "stated",
        ["http://user:canary@127.0.0.1:9", "http://127.0.0.1:9?api_key=canary", "http://127.0.0.1:9/?", "ftp://canary",
         "http://127.0.0.1:9#canary", "http://127.0.0.1:99999", "https://[::1", "canary.example", "https://a b",
         f"http://127.0.0.1:9{PATH}", f"http://127.0.0.1:9{PATH}/", f"http://127.0.0.1:9/registry{PATH}",
         "http://127.0.0.1:9/a/../b", "http://127.0.0.1:9/a//b", "http://127.0.0.1:9/./b", "http://127.0.0.1:9/%2e%2e"],
    )  # fmt: skip
    def test_more_than_an_address_is_refused_without_showing_it(self, provider, monkeypatch, stated):
        monkeypatch.setenv("ROBOFLOW_API_HOST", stated)
        with pytest.raises(InvalidEnvVariable) as caught:
            provider.describe("m")
        assert str(caught.value) == (
            "environment variable ROBOFLOW_API_HOST cannot be used.\n"
            "needs an http or https address without user, query and fragment, "
            "to which /models/v1/external/weights is appended; "
            "found: another value (not shown: it may hold a password)\n"
            "set ROBOFLOW_API_HOST to https://models.example.com"
        )

    @pytest.mark.parametrize("stated", ["http://127.0.0.1:9", "https://a.example/", "https://[::1]:8443/registry/"])
    def test_an_address_may_have_a_port_and_a_folder(self, monkeypatch, stated):
        from inference_models.providers.roboflow import api_host

        monkeypatch.setenv("ROBOFLOW_API_HOST", stated)
        assert api_host() == stated.rstrip("/")


class TestPath:
    """`ROBOFLOW_API_HOST` with a path: it stands before the path of the API in every question."""

    PREFIX = "/registry/v2"

    @pytest.fixture
    def prefixed(self, start, monkeypatch):
        """Starts a scripted server whose API lies below the prefix."""

        def prefix(script, **others):
            server = start({f"{self.PREFIX}{PATH}": script, **others})
            monkeypatch.setenv("ROBOFLOW_API_HOST", server.url(f"{self.PREFIX}/"))
            return server

        return prefix

    def test_every_page_is_asked_for_below_it(self, provider, prefixed):
        pages = iter([described(package(packageId="a"), nextPage="n 1"), described(package(packageId="b"))])
        server = prefixed(lambda request: next(pages))
        model = provider.describe("m")
        assert [item.package_id for item in model.model_packages] == ["a", "b"]
        assert model.source == server.url(self.PREFIX)
        asked = [request.path for request in server.requests]
        assert asked == [f"{self.PREFIX}{PATH}?modelId=m", f"{self.PREFIX}{PATH}?modelId=m&startAfter=n+1"]

    def test_a_question_is_repeated_below_it(self, provider, prefixed, monkeypatch):
        monkeypatch.setattr("inference_models.transport.limits.FIRST_PAUSE", 0.01)
        answers = iter([answer(503), described(package())])
        server = prefixed(lambda request: next(answers))
        provider.describe("m")
        assert [request.path for request in server.requests] == [f"{self.PREFIX}{PATH}?modelId=m"] * 2

    def test_an_address_that_expired_is_asked_for_again_below_it(self, provider, prefixed):
        def page(request):
            number = sum(item.path.startswith(self.PREFIX) for item in server.requests)
            file = {"fileHandle": "weights.onnx", "downloadUrl": server.url(f"/f{number}"), "md5Hash": "0" * 32}
            return described(package(packageFiles=[file]))

        server = prefixed(page, **{"/f1": answer(403), "/f2": answer(200, b"w")})
        found = provider.describe("m").model_packages[0].package_artefacts[0]
        assert b"".join(provider.read(found)) == b"w"
        assert [request.path.partition("?")[0] for request in server.requests] == [
            f"{self.PREFIX}{PATH}", "/f1", f"{self.PREFIX}{PATH}", "/f2"
        ]  # fmt: skip

    def test_the_gateway_gets_the_whole_address(self, provider, start, monkeypatch):
        server = start({"/gate/proxy": described(package())})
        monkeypatch.setenv("SECURE_GATEWAY", server.url("/gate"))
        monkeypatch.setenv("ROBOFLOW_API_HOST", f"https://api.example{self.PREFIX}/")
        provider.describe("m")
        assert server.requests[0].path == (
            "/gate/proxy?url=https%3A%2F%2Fapi.example%2Fregistry%2Fv2%2Fmodels%2Fv1%2Fexternal%2Fweights%3FmodelId%3Dm"
        )

    def test_an_error_names_it(self, provider, prefixed):
        server = prefixed(answer(404, b"nothing"))
        with pytest.raises(ModelNotFoundError) as caught:
            provider.describe("m")
        assert caught.value.summary == f"{server.url(self.PREFIX)} has no model 'm'."

    def test_a_registry_behind_a_proxy_with_a_path_can_be_loaded_from(self, tmp_path, monkeypatch):
        write_detector(tmp_path / "library" / "pets")
        with serving(tmp_path / "library") as server, behind_a_path("/registry", server) as address:
            monkeypatch.setenv("ROBOFLOW_API_HOST", address)
            monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "cache"))
            with AutoModel.from_pretrained("pets", weights_provider="roboflow") as model:
                assert len(model(IMAGE)[0]) == 1


class TestGateway:
    def test_everything_goes_through_it_once(self, provider, start, monkeypatch):
        file = {"fileHandle": "weights.onnx", "downloadUrl": "https://files.example/w(1)?sig=a&b=~c"}
        server = start({"/proxy": described(package(packageFiles=[file]))})
        monkeypatch.setenv("SECURE_GATEWAY", server.url("/"))
        monkeypatch.setenv("ROBOFLOW_API_HOST", "https://api.example")
        found = provider.describe("a/1").model_packages[0].package_artefacts[0]
        server.scripts["/proxy"] = answer(200, b"w")
        assert b"".join(provider.read(found)) == b"w"
        assert [request.path for request in server.requests] == [
            "/proxy?url=https%3A%2F%2Fapi.example%2Fmodels%2Fv1%2Fexternal%2Fweights%3FmodelId%3Da%252F1",
            "/proxy?url=https%3A%2F%2Ffiles.example%2Fw(1)%3Fsig%3Da%26b%3D~c",
        ]

    def test_an_address_at_the_gateway_is_not_wrapped_again(self, monkeypatch):
        from inference_models.providers.roboflow import through_gateway

        monkeypatch.setenv("LICENSE_SERVER", "https://gate.example/")
        once = through_gateway("https://files.example/w")
        assert once == "https://gate.example/proxy?url=https%3A%2F%2Ffiles.example%2Fw"
        assert through_gateway(once) == once

    def test_a_bare_host_is_spoken_to_encrypted(self, monkeypatch, caplog):
        from inference_models.providers.roboflow import through_gateway

        monkeypatch.setenv("SECURE_GATEWAY", "gate.example")
        assert through_gateway("https://a.example/") == "https://gate.example/proxy?url=https%3A%2F%2Fa.example%2F"
        assert "is stated without https://" in caplog.text

    @pytest.mark.parametrize(
        "stated",
        ["http://gate.example", "https://user:pass@gate.example", "https://gate.example/?a=1", "https://gate.example#x",
         "ftp://gate.example", "https://", "https://[::1", "http://10.0.0.1"],
    )  # fmt: skip
    def test_a_gateway_that_would_leak_is_refused_without_showing_it(self, provider, monkeypatch, stated):
        monkeypatch.setenv("SECURE_GATEWAY", stated)
        with pytest.raises(InvalidEnvVariable) as caught:
            provider.describe("m")
        assert str(caught.value) == (
            "environment variable SECURE_GATEWAY cannot be used.\n"
            "needs an https address without user, query and fragment (http on this machine only); "
            "found: another value (not shown: it may hold a password)\n"
            "set SECURE_GATEWAY to https://gateway.example.com"
        )
