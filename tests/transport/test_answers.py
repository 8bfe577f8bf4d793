"""What servers answer: bodies that are broken, and statuses that are refusals."""

from __future__ import annotations

import gzip
import random
import threading
import time
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
from inference_models.transport.client import HttpClient, HttpLimits
from scripted_server import answer, file_with_ranges, scripted

CONTENT = random.Random(7).randbytes(300_000)
KEY = "canary-key-5f1e"
CHECK_KEY = "check the API key you pass or have set"
IMPATIENT = HttpLimits(read=0.3)


def _stalled(request):
    request.send(answer(200, CONTENT)[:5_000])
    request.pause(30)


CHUNKED = b"HTTP/1.1 206 P\r\nContent-Range: bytes 1-3/9\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
BROKE_OFF = (
    "URL did not answer.\nneeds an answer; found: a connection that broke off, or an answer that is not HTTP\n"
    "check the network and run again"
)
SHORT_GZIP = gzip.compress(b"x" * 1000)[:-3]
BAD_BODIES = {
    "breaks off": (
        answer(200, b"abc", Content_Length="5"),
        {},
        RetryError,
        BROKE_OFF,
    ),
    "chunks without an end": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        {},
        RetryError,
        BROKE_OFF,
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

    def test_closing_the_client_wakes_a_thread_that_reads(self, client):
        errors = []

        def read(stream):
            try:
                list(stream.chunks)
            except RetryError as exc:
                errors.append(exc)

        with scripted({"/f": _stalled}) as server:
            thread = threading.Thread(target=read, args=(client.open_url(server.url("/f")),))
            thread.start()
            time.sleep(0.1)
            client.close()
            thread.join(30)
            assert (thread.is_alive(), len(errors)) == (False, 1)

    def test_an_unasked_gzip_body_is_decoded(self, client):
        with scripted({"/f": answer(200, gzip.compress(CONTENT), Content_Encoding="gzip")}) as server:
            stream = client.open_url(server.url("/f"))
            assert b"".join(stream.chunks) == CONTENT
            assert server.requests[0].headers["accept-encoding"] == "identity"
        assert (stream.size, stream.ranges) == (None, False)


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "kind", "text"),
        [
            (401, UnauthorizedModelAccessError, f"wants an API key that it knows.\n{{}}\n{CHECK_KEY}"),
            (402, PaymentRequiredModelAccessError, "wants to be paid first.\n{}"),
            (403, ForbiddenModelAccessError, "does not let you have this.\n{}\ncheck what the API key may use"),
            (404, ModelNotFoundError, "does not have this.\n{}"),
            (423, UsagePausedModelAccessError, "has paused the use of this account.\n{}"),
            (400, ModelRetrievalError, "refused the request.\n{}"),
            (418, ModelRetrievalError, "refused the request.\n{}"),
            (500, ModelRetrievalError, "refused the request.\n{}"),
            (503, RetryError, "cannot answer now.\n{}\nrun again later"),
        ],
    )
    def test_a_status_is_its_error(self, client, status, kind, text):
        with scripted({"/a": answer(status, b'{"message": "because"}')}) as server, pytest.raises(kind) as caught:
            client.get(server.url("/a"))
        assert type(caught.value) is kind
        assert getattr(caught.value, "status_code", status) == status
        stated = f"needs an answer with status 200; found: {status}: because"
        assert str(caught.value) == f"{server.url('/a')} {text.format(stated)}"

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
