from __future__ import annotations

import gzip
import logging
import random
import socket
import threading
import time
import traceback
from contextlib import closing

import pytest

from inference_models.errors import (
    ForbiddenModelAccessError,
    ModelNotFoundError,
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
IMPATIENT = HttpLimits(read=0.3)


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


def _stalled(request):
    request.send(answer(200, CONTENT)[:5_000])
    request.pause(30)


CHUNKED = b"HTTP/1.1 206 P\r\nContent-Range: bytes 1-3/9\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
SHORT_GZIP = gzip.compress(b"x" * 1000)[:-3]
BAD_BODIES = {
    "breaks off": (
        answer(200, b"abc", Content_Length="5"),
        {},
        RetryError,
        (
            "URL did not answer.\nneeds an answer; found: a connection that broke off, or an answer that is not HTTP\n"
            "check the network and run again"
        ),
    ),
    "pauses": (
        _stalled,
        {},
        RetryError,
        "URL did not answer.\nneeds an answer; found: a pause that is too long\ncheck the network and run again",
    ),
    "shorter than its part": (
        CHUNKED % (2, b"bc"),
        {"start": 1, "stop": 4},
        RetryError,
        "URL ended early.\nneeds 3 bytes; found: 2 bytes",
    ),
    "longer than its part": (
        CHUNKED % (4, b"bcde"),
        {"start": 1, "stop": 4},
        ModelRetrievalError,
        "URL sends more than it announced.\nneeds 3 bytes; found: more",
    ),
    "a part nobody asked for": (
        answer(206, b"bcd", Content_Range="bytes 1-3/9"),
        {},
        ModelRetrievalError,
        "URL sends a part that nobody asked for.\nneeds an answer with status 200; found: 206",
    ),
    "gzip that ends early": (
        answer(200, SHORT_GZIP, Content_Encoding="gzip"),
        {},
        RetryError,
        f"URL ended early.\nneeds a complete gzip body; found: {len(SHORT_GZIP)} bytes of it",
    ),
    "damaged gzip": (
        answer(200, b"no gzip at all", Content_Encoding="gzip"),
        {},
        ModelRetrievalError,
        "URL cannot be decoded.\nneeds a gzip body; found: damaged data",
    ),
    "another compression": (
        answer(200, b"x", Content_Encoding="zstd"),
        {},
        ModelRetrievalError,
        (
            "URL sends a compressed file.\nneeds a file as it is, or gzip; found: 'zstd'\n"
            "store the file without a Content-Encoding"
        ),
    ),
}


class TestBrokenBodies:
    @pytest.mark.parametrize("name", BAD_BODIES)
    def test_a_bad_body_is_an_error_that_says_what_is_wrong(self, name):
        script, options, kind, text = BAD_BODIES[name]
        limits = IMPATIENT if name == "pauses" else None
        with (
            scripted({"/f": script}) as server,
            closing(HttpClient(limits)) as client,
            pytest.raises(kind) as caught,
        ):
            list(client.open_url(server.url("/f"), **options).chunks)
        assert str(caught.value).replace(server.url("/f"), "URL") == text

    def test_a_gzip_bomb_is_stopped(self, client):
        with scripted({"/f": answer(200, gzip.compress(bytes(64 << 20)), Content_Encoding="gzip")}) as server:
            taken: list[int] = []
            with pytest.raises(ModelRetrievalError) as caught:
                taken.extend(map(len, client.open_url(server.url("/f")).chunks))
        assert sum(taken) < 20 << 20
        assert str(caught.value).startswith(
            f"{server.url('/f')} grows out of proportion while it is decoded.\n"
            "needs at most 100 times the bytes that arrived; found: "
        )

    @pytest.mark.parametrize("kept", [0, 1, 150_000, 299_999])
    @pytest.mark.parametrize("start", [0, 5])
    def test_a_body_that_ends_early_may_be_asked_for_again(self, client, kept, start):
        def cut(request):
            whole = file_with_ranges(CONTENT)(request)
            head, _, body = whole.partition(b"\r\n\r\n")
            return head + b"\r\n\r\n" + body[: min(kept, len(body) - 1)]

        with scripted({"/f": cut}) as server:
            stream = client.open_url(server.url("/f"), start=start)
            got: list[bytes] = []
            with pytest.raises(RetryError):
                got.extend(stream.chunks)
        assert CONTENT[start:].startswith(b"".join(got))

    def test_a_chunked_body_without_its_end_may_be_asked_for_again(self, client):
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        with scripted({"/f": head}) as server:
            stream = client.open_url(server.url("/f"))
            with pytest.raises(RetryError):
                list(stream.chunks)

    def test_closing_the_client_wakes_a_thread_that_reads(self, client):
        def stall(request):
            request.send(answer(200, CONTENT)[:5_000])
            request.pause(30)

        errors = []

        def read(stream):
            try:
                list(stream.chunks)
            except RetryError as exc:
                errors.append(exc)

        with scripted({"/f": stall}) as server:
            thread = threading.Thread(target=read, args=(client.open_url(server.url("/f")),))
            thread.start()
            time.sleep(0.1)
            client.close()
            thread.join(1.0)
            assert (thread.is_alive(), len(errors)) == (False, 1)

    def test_an_unasked_gzip_body_is_decoded(self, client):
        with scripted({"/f": answer(200, gzip.compress(CONTENT), Content_Encoding="gzip")}) as server:
            stream = client.open_url(server.url("/f"))
            assert b"".join(stream.chunks) == CONTENT
            assert server.requests[0].headers["accept-encoding"] == "identity"
        assert (stream.size, stream.ranges) == (None, False)

    @pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
    def test_a_passing_status_may_be_asked_again(self, client, status):
        with scripted({"/a": answer(status, Retry_After="2")}) as server:
            for ask in (client.get, client.open_url):
                with pytest.raises(RetryError) as caught:
                    ask(server.url("/a"))
                assert caught.value.retry_after == 2.0

    def test_the_passing_statuses_come_from_the_environment_and_never_make_a_refusal_pass(self, client, monkeypatch):
        monkeypatch.setenv("IDEMPOTENT_API_REQUEST_CODES_TO_RETRY", "418, 404")
        with scripted({"/a": answer(418), "/b": answer(404), "/c": answer(503)}) as server:
            with pytest.raises(RetryError):
                client.get(server.url("/a"))
            with pytest.raises(ModelNotFoundError):
                client.get(server.url("/b"))
            with pytest.raises(ModelRetrievalError):
                client.get(server.url("/c"))

    def test_a_busy_object_store_is_asked_again_for_a_file(self, client):
        with scripted({"/a": answer(500)}) as server, pytest.raises(RetryError):
            client.open_url(server.url("/a"))

    def test_the_text_has_what_the_server_says_and_nothing_secret(self, client):
        body = b'{"error": {"message": "token ' + KEY.encode() + b' at https://x.example/f?sig=abc is\\nold"}}'
        with scripted({"/a": answer(403, body)}) as server, pytest.raises(ForbiddenModelAccessError) as caught:
            client.get(server.url("/a?signature=s3cr3t"), {"Authorization": f"Bearer {KEY}"})
        assert str(caught.value) == (
            f"{server.url('/a')}?... does not let you have this.\n"
            "needs an answer with status 200; found: 403: token [hidden] at https://x.example/f?... is old\n"
            "check what the API key may use"
        )

    def test_an_html_page_is_not_shown(self, client):
        with (
            scripted({"/a": answer(400, b"<!DOCTYPE html><html><script>...</script></html>")}) as server,
            pytest.raises(ModelRetrievalError) as caught,
        ):
            client.get(server.url("/a"))
        assert str(caught.value) == (
            f"{server.url('/a')} refused the request.\nneeds an answer with status 200; found: 400"
        )

    def test_a_long_answer_is_refused(self, client):
        with scripted({"/a": answer(200, bytes(2_000))}) as server, pytest.raises(ModelRetrievalError) as caught:
            client.get(server.url("/a"), max_bytes=1_000)
        assert str(caught.value) == (
            f"{server.url('/a')} sends too long an answer.\nneeds at most 1000 bytes; found: more than 1000 bytes"
        )


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
        with pytest.raises(ModelRetrievalError) as caught:
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
