"""What the environment says about statuses, certificates and proxies."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import ssl
import subprocess
import threading
import traceback
from contextlib import closing, suppress

import httpx
import pytest

from inference_models import config
from inference_models.errors import EnvironmentConfigurationError, InvalidEnvVariable, ModelRetrievalError
from inference_models.transport.answers import failure
from inference_models.transport.client import HttpClient
from scripted_server import answer, scripted


def test_statuses_that_are_none(monkeypatch):
    monkeypatch.setenv("IDEMPOTENT_API_REQUEST_CODES_TO_RETRY", "503, often")
    with pytest.raises(InvalidEnvVariable) as caught:
        config.retried_status_codes()
    assert str(caught.value) == (
        "environment variable IDEMPOTENT_API_REQUEST_CODES_TO_RETRY cannot be read as a list of HTTP statuses.\n"
        "needs numbers from 400 to 599, separated by commas; found: '503, often'\n"
        "unset IDEMPOTENT_API_REQUEST_CODES_TO_RETRY, or set it to 408,429,502,503,504"
    )


def test_a_certificate_that_is_too_old_is_blamed_on_the_clock():
    cause = ssl.SSLCertVerificationError("certificate verify failed")
    cause.verify_code, cause.verify_message = 10, "certificate has expired"
    error = httpx.ConnectError("no")
    error.__cause__ = cause
    assert str(failure(error, where="URL")) == (
        "URL cannot prove who it is.\n"
        "needs a certificate that this machine trusts; found: certificate has expired\n"
        "check the clock of this machine"
    )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with the openssl program")
def test_a_server_nobody_vouches_for_is_refused_until_its_certificate_is_named(tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *made, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(listener):
        while True:
            with suppress(ssl.SSLError, ConnectionError):
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with plain, context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65_536)
                    connection.sendall(answer(200, b"hello"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/f"
        with closing(HttpClient()) as client, pytest.raises(ModelRetrievalError) as caught:
            client.get(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with closing(HttpClient()) as client:
            assert client.get(url).body == b"hello"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert str(caught.value) == (
        f"{url} cannot prove who it is.\nneeds a certificate that this machine trusts; found: self-signed certificate\n"
        "set SSL_CERT_FILE to the certificates of your network"
    )


def refused_proxy() -> str:
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
    assert refused_proxy() == (
        f"environment variable {name} cannot be used.\n"
        "needs the address of an http or https proxy, such as http://proxy.example:8080; "
        "found: another value (not shown: it may hold a password)\n"
        f"correct {name}, or unset it"
    )


@pytest.mark.skipif(importlib.util.find_spec("socksio") is not None, reason="SOCKS proxies work here")
def test_a_socks_proxy_needs_its_package(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://u:canary@127.0.0.1:1080")
    assert refused_proxy() == (
        "environment variable ALL_PROXY cannot be used.\n"
        "needs the package socksio, for a SOCKS proxy; found: it is not installed\n"
        "pip install socksio"
    )


def test_hosts_without_proxy_that_cannot_be_read_are_refused(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "http://h:8080canary")
    assert refused_proxy() == (
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
