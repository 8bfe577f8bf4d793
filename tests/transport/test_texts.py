"""Whole texts of the errors that the other tests of this folder only recognise."""

from __future__ import annotations

import gzip
import shutil
import ssl
import subprocess
import threading
from contextlib import closing, suppress

import httpx
import pytest

from inference_models import config
from inference_models.errors import InvalidEnvVariable, ModelRetrievalError, RangeRequestNotSupportedError, RetryError
from inference_models.transport.failures import failure
from inference_models.transport.http import HttpClient
from inference_models.transport.ranges import ByteRange, ranged_part
from transport.scripted import answer, scripted


@pytest.fixture
def client():
    with closing(HttpClient()) as opened:
        yield opened


def text_of(client, server, kind, **options) -> str:
    with pytest.raises(kind) as caught:
        list(client.open_url(server.url("/f"), **options).chunks)
    return str(caught.value).replace(server.url("/f"), "URL")


def test_a_body_that_breaks_off(client):
    with scripted({"/f": answer(200, b"abc", Content_Length="5")}) as server:
        assert text_of(client, server, RetryError) == (
            "URL did not answer.\n"
            "needs an answer; found: a connection that broke off, or an answer that is not HTTP\n"
            "check the network and run again"
        )


CHUNKED = b"HTTP/1.1 206 P\r\nContent-Range: bytes 1-3/9\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"


def test_a_part_that_is_shorter_than_it_says(client):
    with scripted({"/f": CHUNKED % (2, b"bc")}) as server:
        assert text_of(client, server, RetryError, start=1, stop=4) == "URL ended early.\nneeds 3 bytes; found: 2 bytes"


def test_a_part_that_is_longer_than_it_says(client):
    with scripted({"/f": CHUNKED % (4, b"bcde")}) as server:
        assert text_of(client, server, ModelRetrievalError, start=1, stop=4) == (
            "URL sends more than it announced.\nneeds 3 bytes; found: more"
        )


def test_a_part_nobody_asked_for(client):
    with scripted({"/f": answer(206, b"bcd", Content_Range="bytes 1-3/9")}) as server:
        assert text_of(client, server, ModelRetrievalError) == (
            "URL sends a part that nobody asked for.\nneeds an answer with status 200; found: 206"
        )


def test_a_gzip_body_that_ends_early(client):
    body = gzip.compress(b"x" * 1000)[:-3]
    with scripted({"/f": answer(200, body, Content_Encoding="gzip")}) as server:
        assert text_of(client, server, RetryError) == (
            f"URL ended early.\nneeds a complete gzip body; found: {len(body)} bytes of it"
        )


def test_a_gzip_body_that_is_damaged(client):
    with scripted({"/f": answer(200, b"no gzip at all", Content_Encoding="gzip")}) as server:
        assert text_of(client, server, ModelRetrievalError) == (
            "URL cannot be decoded.\nneeds a gzip body; found: damaged data"
        )


def test_a_gzip_bomb(client):
    with scripted({"/f": answer(200, gzip.compress(bytes(40 << 20)), Content_Encoding="gzip")}) as server:
        text = text_of(client, server, ModelRetrievalError)
    head, _, found = text.rpartition("found: ")
    assert head == (
        "URL grows out of proportion while it is decoded.\nneeds at most 100 times the bytes that arrived; "
    )
    assert found.endswith(" bytes from 41240") or found.partition(" bytes from ")[1]


def test_a_passing_status(client):
    with scripted({"/f": answer(503, b"busy")}) as server:
        assert text_of(client, server, RetryError) == (
            "URL cannot answer now.\nneeds an answer with status 200; found: 503: busy\nrun again later"
        )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "URL wants an API key that it knows.\n{}\ncheck the API key you pass or have set"),
        (402, "URL wants to be paid first.\n{}"),
        (403, "URL does not let you have this.\n{}\ncheck what the API key may use"),
        (404, "URL does not have this.\n{}"),
        (423, "URL has paused the use of this account.\n{}"),
        (418, "URL refused the request.\n{}"),
    ],
)
def test_a_final_status(client, status, text):
    with scripted({"/f": answer(status)}) as server:
        stated = f"needs an answer with status 200; found: {status}"
        assert text_of(client, server, ModelRetrievalError) == text.format(stated)


XML = (
    "<Error><Code>SignatureDoesNotMatch</Code><Message>It isn&apos;t the one of canary77.</Message>"
    "<AWSAccessKeyId>AKIACANARY</AWSAccessKeyId><StringToSign>GET /x?Token=other88</StringToSign></Error>"
)


@pytest.mark.parametrize("begin", ["", '<?xml version="1.0"?>\n', "\ufeff<?xml version='1.0'?>"])
def test_only_code_and_message_of_xml_are_shown(client, begin):
    with scripted({"/f": answer(403, (begin + XML).encode())}) as server:
        with pytest.raises(ModelRetrievalError) as caught:
            client.get(server.url("/f?sig=canary77"))
        assert str(caught.value) == (
            f"{server.url('/f')}?... does not let you have this.\n"
            "needs an answer with status 200; found: 403: SignatureDoesNotMatch: It isn't the one of [hidden].\n"
            "check what the API key may use"
        )


@pytest.mark.parametrize("ask", ["get", "open_url"])
def test_the_signature_of_an_address_that_was_redirected_to_is_not_shown(client, ask):
    scripts = {
        "/f": answer(302, Location="/g?sig=canary%2F77&a=b"),
        "/g": answer(403, b"canary/77 and canary%2f77 in /g?sig=canary/77 and first88"),
    }
    with scripted(scripts) as server:
        with pytest.raises(ModelRetrievalError) as caught:
            getattr(client, ask)(server.url("/f?key=first88"))
        assert str(caught.value) == (
            f"{server.url('/f')}?... does not let you have this.\n"
            "needs an answer with status 200; found: 403: [hidden] and [hidden] in /g?[hidden] and [hidden]\n"
            "check what the API key may use"
        )


def test_a_part_that_is_another(client):
    with pytest.raises(RangeRequestNotSupportedError) as caught:
        ranged_part({"content-range": "bytes 0-4/9"}, ByteRange(2, 5))
    assert str(caught.value) == (
        "the server did not hand over the part of the file that it was asked for.\n"
        "needs bytes 2-4; found: 'bytes 0-4/9'"
    )


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (5, 5), (5, 4)])
def test_a_part_no_file_has_is_a_mistake_of_the_caller(start, stop):
    with pytest.raises(ValueError, match=f"no file has bytes {start} to {stop}"):
        ByteRange(start, stop)


def test_an_address_that_is_none(client):
    with pytest.raises(ModelRetrievalError) as caught:
        client.get("file:///etc/passwd")
    assert str(caught.value) == ("an address cannot be used.\nneeds an http or https URL; found: 'file:///etc/passwd'")


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
    import socket

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
