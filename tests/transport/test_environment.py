"""What the environment says about statuses, certificates and proxies."""

from __future__ import annotations

import importlib.util
import os
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
from inference_models.transport.routes import proxy_for
from scripted_server import answer, scripted


@pytest.fixture(autouse=True)
def _no_certificates_of_this_machine(monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


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


def subject_hash(certificate):
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(certificate)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


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
        shutil.copy(certificate, tmp_path / f"{subject_hash(certificate)}.0")
        folders = f"/nowhere{os.pathsep}{tmp_path}"
        places = {"SSL_CERT_FILE": certificate, "SSL_CERT_DIR": folders, "REQUESTS_CA_BUNDLE": certificate}
        for name, place in (places | {"CURL_CA_BUNDLE": tmp_path}).items():
            with monkeypatch.context() as patched, closing(HttpClient()) as client:
                patched.setenv(name, str(place))
                assert client.get(url).body == b"hello"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert str(caught.value) == (
        f"{url} cannot prove who it is.\nneeds a certificate that this machine trusts; found: self-signed certificate\n"
        "set SSL_CERT_FILE to the certificates of your network"
    )


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_cannot_be_read_are_named(monkeypatch, name):
    monkeypatch.setenv(name, "/nowhere")
    with closing(HttpClient()) as client, pytest.raises(EnvironmentConfigurationError) as caught:
        client.get("http://127.0.0.1:9/")
    assert str(caught.value).startswith(f"the certificates that {name} names cannot be read.\n")
    assert "found: '/nowhere': " in str(caught.value)


def refused_proxy(url: str = "http://127.0.0.1:9/") -> str:
    with closing(HttpClient()) as client, pytest.raises(EnvironmentConfigurationError) as caught:
        client.get(url)
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
    assert refused_proxy("https://127.0.0.1:9/" if name == "https_proxy" else "http://127.0.0.1:9/") == (
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


@pytest.mark.parametrize(
    ("url", "direct", "proxied"),
    [
        (
            "http://127.0.0.1/",
            "127.0.0.1 127.0.0.0/8 127.1.2.3/8 127.0.0.1:80 *",
            "127.0.0.1:8080 10.0.0.0/8 0.0.1 ::/0",
        ),
        ("http://10.1.2.3:8080/", "10.0.0.0/8 10.1.2.3:8080 http://10.1.2.3", "10.1.2.3:80 https://10.1.2.3"),
        ("https://[::1]/", "::1 [::1] ::1/128 [::1]:443 [::1]/128 0:0:0:0:0:0:0:1", "[::1]:80 ::2 fe80::/10 127.0.0.1"),
        ("https://[fd07:b51a:cc66:f0::7]/", "fd07:b51a:cc66:f0::/64 FD00::/8", "fd08::/16"),
        ("http://[::ffff:10.0.0.1]/", "10.0.0.0/8", "11.0.0.0/8"),
        ("http://a.Example.com/", "example.com .example.com *.EXAMPLE.com a.example.com:80", "ample.com b.example.com"),
        ("http://example.com./", "example.com", "com.example"),
        ("http://localhost:9/", "localhost localhost:9", "localhost:99 127.0.0.1 ::1/999 [x http://:80canary"),
    ],
)
def test_addresses_without_proxy_are_those_that_pip_and_curl_ask_directly(monkeypatch, url, direct, proxied):
    monkeypatch.setenv("ALL_PROXY", "proxy:3128")
    for entries, expected in ((direct, None), (proxied, "http://proxy:3128")):
        for entry in entries.split():
            for stated in (entry, f"other.example, {entry} ,x"):
                monkeypatch.setenv("NO_PROXY", stated)
                assert proxy_for(url) == expected, stated


def test_the_proxy_of_a_scheme_comes_before_that_of_all_and_lower_case_before_upper(monkeypatch):
    for name, value in {"ALL_PROXY": "a:1", "HTTPS_PROXY": "https://b:2", "https_proxy": "c:3"}.items():
        monkeypatch.setenv(name, value)
    assert [proxy_for(f"{scheme}://h/") for scheme in ("http", "https")] == ["http://a:1", "http://c:3"]


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
