from __future__ import annotations

import logging
import random
import socket
import threading
import traceback
from contextlib import closing

import pytest

from inference_models.errors import (
    EnvironmentConfigurationError,
    ModelRetrievalError,
    RangeRequestNotSupportedError,
    RetryError,
)
from inference_models.transport.client import HttpClient, HttpLimits
from inference_models.transport.stream import ByteRange, ranged_part
from scripted_server import answer, file_with_ranges, scripted, wait_until

CONTENT = random.Random(7).randbytes(300_000)
KEY = "canary-key-5f1e"
QUICK = HttpLimits(total=0.6)


@pytest.fixture
def quick():
    with closing(HttpClient(QUICK)) as opened:
        yield opened


class TestParts:
    @pytest.mark.parametrize(("start", "stop"), [(0, None), (1, None), (299_999, None), (0, 1), (10, 200_000)])
    def test_a_part_of_a_file_arrives_with_where_it_begins(self, client, start, stop):
        with scripted({"/f": file_with_ranges(CONTENT)}) as server:
            stream = client.open_url(server.url("/f"), start=start, stop=stop)
            assert b"".join(stream.chunks) == CONTENT[start:stop]
        assert (stream.start, stream.size, stream.version, stream.ranges) == (start, len(CONTENT), '"v1"', True)

    def test_a_server_that_ignores_ranges_hands_over_the_whole_file(self, client):
        with scripted({"/f": answer(200, CONTENT)}) as server:
            stream = client.open_url(server.url("/f"), start=1000)
            assert b"".join(stream.chunks) == CONTENT
        assert (stream.start, stream.size, stream.version, stream.ranges) == (0, len(CONTENT), None, False)

    @pytest.mark.parametrize(
        "stated",
        [
            "bytes 0-99/300000",
            "bytes 5-104/300000",
            "bytes 10-300000/300000",
            "bytes 50-9/100",
            "items 10-109/300000",
            "",
        ],
    )
    def test_a_part_that_is_not_the_one_asked_for_is_not_used(self, client, stated):
        def lie(request):
            return (
                answer(206, CONTENT[:100], Content_Range=stated) if "range" in request.headers else answer(200, CONTENT)
            )

        with scripted({"/f": lie}) as server:
            stream = client.open_url(server.url("/f"), start=10, stop=110)
            assert (stream.start, b"".join(stream.chunks) == CONTENT) == (0, True)

    def test_a_part_whose_length_contradicts_its_range_is_not_used(self, client):
        def lie(request):
            if "range" in request.headers:
                return answer(206, CONTENT[10:60], Content_Range="bytes 10-109/300000")
            return answer(200, CONTENT)

        with scripted({"/f": lie}) as server:
            assert client.open_url(server.url("/f"), start=10, stop=110).start == 0

    def test_a_start_behind_the_end_gives_the_whole_file(self, client):
        with scripted({"/f": file_with_ranges(CONTENT)}) as server:
            stream = client.open_url(server.url("/f"), start=len(CONTENT))
            assert (stream.start, b"".join(stream.chunks) == CONTENT) == (0, True)

    def test_another_version_comes_as_a_whole_when_the_old_one_is_named(self, client):
        with scripted({"/f": file_with_ranges(CONTENT, ETag='"v2"')}) as server:
            stream = client.open_url(server.url("/f"), start=10, if_range='"v1"')
            assert (stream.start, stream.version) == (0, '"v2"')
            assert server.requests[0].headers["if-range"] == '"v1"'


class TestTime:
    def drip(self, request):
        for byte in answer(200, b"x" * 1000):
            request.send(bytes([byte]))
            request.pause(0.05)

    def test_a_byte_now_and_then_does_not_keep_a_question_alive(self, quick):
        with scripted({"/a": self.drip}) as server, pytest.raises(RetryError) as caught:
            quick.get(server.url("/a"))
        assert str(caught.value) == (
            f"{server.url('/a')} did not answer.\nneeds an answer within 0.6 s; found: none, or one that is too slow\n"
            "check the network and run again"
        )

    def test_a_header_that_never_ends_does_not_keep_a_file_waiting(self, quick):
        with scripted({"/a": self.drip}) as server, pytest.raises(RetryError):
            quick.open_url(server.url("/a"))

    def test_a_name_lookup_that_hangs_ends_with_the_deadline(self, quick, monkeypatch):
        release = threading.Event()
        monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: release.wait(10))
        with pytest.raises(RetryError):
            quick.get("http://models.example/a")
        release.set()

    def test_a_handshake_that_hangs_ends_with_the_deadline(self, quick):
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(RetryError):
            quick.get(f"https://127.0.0.1:{silent.getsockname()[1]}/a")

    def test_nobody_at_the_address_may_be_somebody_later(self, client):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(RetryError) as caught:
            client.get(f"http://127.0.0.1:{port}/a")
        assert str(caught.value) == (
            f"http://127.0.0.1:{port}/a did not answer.\nneeds an answer; found: no connection\n"
            "check the network and run again"
        )

    def test_no_thread_and_no_connection_is_left(self):
        def slow(request):
            request.pause(30)

        before = threading.active_count()
        with scripted({"/a": slow, "/f": answer(200, CONTENT)}) as server:
            client = HttpClient(QUICK)
            stream = client.open_url(server.url("/f"))
            with pytest.raises(RetryError):
                client.get(server.url("/a"))
            client.close()
            stream.chunks.close()
        assert wait_until(lambda: threading.active_count() == before)

    def test_a_closed_client_asks_nobody(self, client):
        client.close()
        client.close()
        with pytest.raises(RetryError, match="was not asked: the connection to it was closed"):
            client.get("http://127.0.0.1:9/a")


class TestTheOneDoor:
    @pytest.mark.parametrize("variable", ["OFFLINE_MODE", "HF_HUB_OFFLINE"])
    def test_offline_means_no_socket(self, client, monkeypatch, variable):
        monkeypatch.setenv(variable, "1")
        monkeypatch.setattr("socket.socket.connect", lambda *args: pytest.fail("a socket was opened"))
        for ask in (client.get, client.open_url):
            with pytest.raises(ModelRetrievalError) as caught:
                ask("http://127.0.0.1:9/a?key=x")
            assert str(caught.value) == (
                f"http://127.0.0.1:9/a?... was not asked.\nneeds network access; found: {variable} is set\n"
                f"unset {variable}, or load the model once before you set it"
            )

    @pytest.mark.parametrize("url", ["", "x", "file:///etc/passwd", "http://", "http://a b/", "http://[::1", "//a/b"])
    def test_what_is_no_address_is_refused(self, client, url):
        with pytest.raises(ModelRetrievalError, match="an address cannot be used"):
            client.get(url)

    def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(self, client):
        with pytest.raises(ModelRetrievalError) as caught:
            client.get("http://127.0.0.1:9/a", {"Authorization": f"Bearer {KEY}\n"})
        assert str(caught.value) == (
            "the value of the header 'Authorization' cannot be sent.\n"
            "needs printable ASCII characters; found: others (not shown: it may be a key)"
        )

    def test_a_name_no_resolver_takes_is_an_error_of_ours(self, client):
        with pytest.raises((ModelRetrievalError, RetryError)):
            client.get(f"http://{'a' * 70}.example/")

    def test_certificates_that_cannot_be_read_are_named(self, client, monkeypatch, tmp_path):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        with pytest.raises(EnvironmentConfigurationError) as caught:
            client.get("http://127.0.0.1:9/a")
        assert str(caught.value) == (
            "the certificates that SSL_CERT_FILE names cannot be read.\n"
            f"needs a file or folder of certificates; found: '{tmp_path / 'none.pem'}': No such file or directory\n"
            "correct SSL_CERT_FILE, or unset it"
        )

    def test_no_key_and_no_signature_is_seen_in_logs_and_tracebacks(self, client, caplog):
        caplog.set_level(logging.DEBUG)
        scripts = {"/a": answer(200), "/b": answer(403, f"no {KEY}".encode()), "/c": b"garbage\r\n\r\n"}
        with scripted(scripts) as server:
            headers = {"Authorization": f"Bearer {KEY}"}
            signature = "s3cr" + "3t"
            client.get(server.url("/a?X-Amz-Signature=" + signature), headers)
            seen = []
            for path in ("/b", "/c"):
                try:
                    client.get(server.url(f"{path}?X-Amz-Signature={signature}"), headers)
                except (ModelRetrievalError, RetryError) as exc:
                    seen += traceback.format_exception(exc)
        assert len(seen) > 2
        shown = "".join(seen) + caplog.text + repr(client)
        assert "?...: 403" in shown
        assert KEY not in shown
        assert signature not in shown


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
