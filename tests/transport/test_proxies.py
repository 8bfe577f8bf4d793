from __future__ import annotations

import importlib.util
import traceback
from contextlib import closing

import pytest

from inference_models.errors import EnvironmentConfigurationError
from inference_models.transport.http import HttpClient
from transport.scripted import answer, scripted

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def refusal() -> str:
    with closing(HttpClient()) as client, pytest.raises(EnvironmentConfigurationError) as caught:
        client.get("http://127.0.0.1:9/")
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    ["127.0.0.1:8080canary", "ftp://u:canary@h", "http://u:canary@127.0.0.1:99999", "http://u:canary@h:0", "canary@@:x",
     "http://"],
)  # fmt: skip
def test_a_proxy_that_is_none_is_refused_without_showing_it(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert refusal() == (
        f"environment variable {name} cannot be used.\n"
        "needs the address of an http or https proxy, such as http://proxy.example:8080; "
        "found: another value (not shown: it may hold a password)\n"
        f"correct {name}, or unset it"
    )


@pytest.mark.skipif(importlib.util.find_spec("socksio") is not None, reason="SOCKS proxies work here")
def test_a_socks_proxy_needs_its_package(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://u:canary@127.0.0.1:1080")
    assert refusal() == (
        "environment variable ALL_PROXY cannot be used.\n"
        "needs the package socksio, for a SOCKS proxy; found: it is not installed\n"
        "pip install socksio"
    )


def test_hosts_without_proxy_that_cannot_be_read_are_refused(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "http://h:8080canary")
    assert refusal() == (
        "environment variable NO_PROXY, or the proxy settings of the system, cannot be used.\n"
        "needs the address of an http or https proxy, such as http://proxy.example:8080; "
        "found: another value (not shown: it may hold a password)\n"
        "correct NO_PROXY"
    )


@pytest.mark.parametrize("value", ["*", "a.example, *"])
def test_a_proxy_that_is_never_used_may_be_anything(monkeypatch, value):
    monkeypatch.setenv("HTTP_PROXY", "127.0.0.1:8080x")
    monkeypatch.setenv("NO_PROXY", value)
    with scripted({"/a": answer(200, b"x")}) as server, closing(HttpClient()) as client:
        assert client.get(server.url("/a")).body == b"x"


@pytest.mark.parametrize("prefix", ["http://", ""])
def test_a_proxy_is_used(monkeypatch, prefix):
    # A request to a proxy has the whole address where otherwise the path is.
    with scripted({"http://models.example/a": answer(200, b"x")}) as server, closing(HttpClient()) as client:
        monkeypatch.setenv("HTTP_PROXY", f"{prefix}127.0.0.1:{server.port}")
        assert client.get("http://models.example/a").body == b"x"
