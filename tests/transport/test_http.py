from __future__ import annotations

import gzip
import logging
import random
import threading
import time
import traceback
from contextlib import closing

import pytest

from inference_models.errors import (
    ForbiddenModelAccessError,
    ModelNotFoundError,
    ModelRetrievalError,
    PaymentRequiredModelAccessError,
    RetryError,
    UnauthorizedModelAccessError,
    UsagePausedModelAccessError,
)
from inference_models.transport.http import HttpClient, HttpLimits
from transport.scripted import answer, file_with_ranges, scripted, wait_until

CONTENT = random.Random(7).randbytes(300_000)
KEY = "canary-key-5f1e"
QUICK = HttpLimits(connect=2.0, read=0.4, total=0.6)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def client():
    with closing(HttpClient()) as opened:
        yield opened


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
        with scripted({"/f": file_with_ranges(CONTENT, etag='"v2"')}) as server:
            stream = client.open_url(server.url("/f"), start=10, if_range='"v1"')
            assert (stream.start, stream.version) == (0, '"v2"')
            assert server.requests[0].headers["if-range"] == '"v1"'

    def test_a_part_nobody_asked_for_is_refused(self, client):
        with (
            scripted({"/f": answer(206, CONTENT, Content_Range="bytes 0-299999/300000")}) as server,
            pytest.raises(ModelRetrievalError, match="sends a part that nobody asked for"),
        ):
            client.open_url(server.url("/f"))


class TestBrokenBodies:
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

    def test_a_pause_that_is_too_long_ends_the_body(self, quick):
        def stall(request):
            request.send(answer(200, CONTENT)[:5_000])
            request.pause(30)

        with scripted({"/f": stall}) as server:
            stream = quick.open_url(server.url("/f"))
            begin = time.monotonic()
            with pytest.raises(RetryError) as caught:
                list(stream.chunks)
        assert time.monotonic() - begin < 4
        assert str(caught.value) == (
            f"{server.url('/f')} did not answer.\nneeds an answer; found: a pause that is too long\n"
            "check the network and run again"
        )

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

    @pytest.mark.parametrize("damage", [lambda body: body[:-20], lambda body: body[:50] + b"xx" + body[52:]])
    def test_a_damaged_gzip_body_is_an_error(self, client, damage):
        body = damage(gzip.compress(CONTENT))
        with scripted({"/f": answer(200, body, Content_Encoding="gzip")}) as server:
            stream = client.open_url(server.url("/f"))
            with pytest.raises((RetryError, ModelRetrievalError)):
                list(stream.chunks)

    def test_a_gzip_bomb_is_stopped(self, client):
        with scripted({"/f": answer(200, gzip.compress(bytes(64 << 20)), Content_Encoding="gzip")}) as server:
            stream = client.open_url(server.url("/f"))
            taken: list[int] = []
            with pytest.raises(ModelRetrievalError, match="grows out of proportion"):
                taken.extend(map(len, stream.chunks))
        assert sum(taken) < 20 << 20

    def test_an_unknown_compression_is_refused(self, client):
        with (
            scripted({"/f": answer(200, b"x", Content_Encoding="zstd")}) as server,
            pytest.raises(ModelRetrievalError) as caught,
        ):
            client.open_url(server.url("/f"))
        assert str(caught.value) == (
            f"{server.url('/f')} sends a compressed file.\nneeds a file as it is, or gzip; found: 'zstd'\n"
            "store the file without a Content-Encoding"
        )


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, UnauthorizedModelAccessError),
            (402, PaymentRequiredModelAccessError),
            (403, ForbiddenModelAccessError),
            (404, ModelNotFoundError),
            (423, UsagePausedModelAccessError),
            (400, ModelRetrievalError),
            (418, ModelRetrievalError),
            (500, ModelRetrievalError),
            (304, ModelRetrievalError),
        ],
    )
    def test_a_final_status_is_its_error(self, client, status, kind):
        with scripted({"/a": answer(status, b'{"message": "because"}')}) as server, pytest.raises(kind) as caught:
            client.get(server.url("/a"))
        assert type(caught.value) is kind
        assert caught.value.status_code == status

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
        with scripted({"/a": self.drip}) as server:
            begin = time.monotonic()
            with pytest.raises(RetryError) as caught:
                quick.get(server.url("/a"))
        assert 0.6 <= time.monotonic() - begin < 3
        assert str(caught.value) == (
            f"{server.url('/a')} did not answer.\nneeds an answer within 0.6 s; found: none, or one that is too slow\n"
            "check the network and run again"
        )

    def test_a_header_that_never_ends_does_not_keep_a_file_waiting(self, quick):
        with scripted({"/a": self.drip}) as server:
            begin = time.monotonic()
            with pytest.raises(RetryError):
                quick.open_url(server.url("/a"))
        assert time.monotonic() - begin < 3

    def test_a_name_lookup_that_hangs_ends_with_the_deadline(self, quick, monkeypatch):
        release = threading.Event()
        monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: release.wait(10))
        begin = time.monotonic()
        with pytest.raises(RetryError):
            quick.get("http://models.example/a")
        assert time.monotonic() - begin < 3
        release.set()

    def test_a_handshake_that_hangs_ends_with_the_deadline(self, quick):
        import socket

        with socket.create_server(("127.0.0.1", 0)) as silent:
            begin = time.monotonic()
            with pytest.raises(RetryError):
                quick.get(f"https://127.0.0.1:{silent.getsockname()[1]}/a")
        assert time.monotonic() - begin < 3

    def test_nobody_at_the_address_may_be_somebody_later(self, quick):
        import socket

        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(RetryError) as caught:
            quick.get(f"http://127.0.0.1:{port}/a")
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


class TestRedirects:
    def test_a_redirect_is_followed_with_the_key_on_the_same_origin(self, client):
        with scripted({"/a": answer(302, Location="/b"), "/b": answer(200, b"there")}) as server:
            assert client.get(server.url("/a"), {"Authorization": KEY}).body == b"there"
            assert server.requests[1].headers["authorization"] == KEY

    @pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "Cookie"])
    def test_no_header_of_the_caller_goes_to_another_host(self, client, name):
        with scripted({"/b": file_with_ranges(CONTENT)}) as other:
            with scripted({"/a": answer(302, Location=other.url("/b"), Set_Cookie=f"k={KEY}")}) as server:
                stream = client.open_url(server.url("/a"), {name: KEY}, start=5, stop=8)
                assert b"".join(stream.chunks) == CONTENT[5:8]
            assert KEY not in str(other.requests[0].headers)
            assert other.requests[0].headers["range"] == "bytes=5-7"

    def test_another_name_of_the_same_machine_is_another_host(self, client):
        with scripted({"/b": answer(200)}) as server:
            server.scripts["/a"] = answer(302, Location=server.url("/b", host="localhost"))
            client.get(server.url("/a"), {"Authorization": KEY})
            assert "authorization" not in server.requests[1].headers

    def test_cookies_are_not_kept(self, client):
        with scripted({"/a": answer(200, Set_Cookie="k=v")}) as server:
            client.get(server.url("/a"))
            client.get(server.url("/a"))
            assert "cookie" not in server.requests[1].headers

    @pytest.mark.parametrize(
        "location", ["file:///etc/passwd", "ftp://127.0.0.1/a", "gopher://x/", "javascript:1", "http://a b/"]
    )
    def test_a_redirect_to_something_else_is_refused(self, client, location):
        with scripted({"/a": answer(302, Location=location)}) as server:
            with pytest.raises(ModelRetrievalError, match=r"leads to an address that is not followed|cannot be asked"):
                client.get(server.url("/a"))
            assert len(server.requests) == 1

    def test_a_loop_ends(self, client):
        with scripted({"/a": answer(302, Location="/a")}) as server:
            with pytest.raises(ModelRetrievalError) as caught:
                client.get(server.url("/a"))
            assert len(server.requests) == 11
        assert str(caught.value) == (
            f"{server.url('/a')} is redirected too often.\nneeds at most 10 redirects; found: more\n"
            "open the address in a browser: it may need a login"
        )

    def test_ten_redirects_are_followed(self, client):
        hops = {f"/{number}": answer(307, Location=f"/{number + 1}") for number in range(10)}
        with scripted({**hops, "/10": answer(200, b"there")}) as server:
            assert client.get(server.url("/0")).body == b"there"


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
        assert "HTTP Request: GET" in shown
        assert KEY not in shown
        assert signature not in shown
