"""A server may put what it was sent into any part of its answer. None of it is shown or stored."""

from __future__ import annotations

import logging
import traceback

import pytest

from inference_models.errors import BaseInferenceModelsError
from scripted_server import answer, scripted

KEY = "canary-key-77b0"
SHORT = "q7"
SENT = {"Authorization": f"Bearer {KEY}", "X-Env": SHORT}
ECHOES = {
    "a status line that is none": f"HTTP/1.1 {KEY} {SHORT}\r\n\r\n".encode(),
    "a header that is none": f"HTTP/1.1 200 OK\r\n{KEY} {SHORT}\r\n\r\n".encode(),
    "the reason of a status": f"HTTP/1.1 403 {KEY} {SHORT}\r\nContent-Length: 0\r\n\r\n".encode(),
    "a body": answer(403, f"no {KEY}, {SHORT} and {KEY.upper()}".encode()),
    "a body of JSON": answer(403, f'{{"error": {{"message": "bad {KEY} ({SHORT})"}}}}'.encode()),
    "Retry-After": answer(503, Retry_After=f"{KEY} {SHORT}"),
    "RateLimit": answer(429, RateLimit=f"{KEY};t={SHORT}"),
    "WWW-Authenticate": answer(401, WWW_Authenticate=f'Bearer realm="{KEY}", error="{SHORT}"'),
    "Content-Encoding": answer(200, b"x", Content_Encoding=KEY),
    "a short Content-Encoding": answer(200, b"x", Content_Encoding=SHORT),
    "a Location with another scheme": answer(302, Location=f"ftp://{KEY}.example/{SHORT}"),
    "a Location that is none": answer(302, Location=f"http://[{KEY}/{SHORT}"),
    "a Location with a space": answer(302, Location=f"/{SHORT} /{KEY}"),
    "a Location that leads round": lambda request: answer(302, Location=f"/f/{KEY}/{SHORT}"),
    "a piece of a body": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY} {SHORT}\r\nx".encode(),
    "Content-Length": answer(200, b"x", Content_Length=KEY),
    "Transfer-Encoding": answer(200, b"x", Transfer_Encoding=KEY),
}


def everything(error: BaseException | None) -> str:
    """The text of an error and of all that is chained to it, hidden links included."""
    text = ""
    while error is not None:
        text += "".join(traceback.format_exception(type(error), error, error.__traceback__, chain=False))
        text += repr(error.args) + repr(getattr(error, "found", "")) + repr(getattr(error, "summary", ""))
        error = error.__cause__ or error.__context__
    # Our own lines of source are shown there too.
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def shows_a_secret(text: str) -> bool:
    return KEY in text.lower() or any(f"{mark}{SHORT}" in text for mark in " /('\"=")


@pytest.mark.parametrize("where", ["headers", "query"])
@pytest.mark.parametrize("ask", ["get", "open_url"])
@pytest.mark.parametrize("echo", ECHOES)
def test_no_error_and_no_log_shows_what_an_answer_repeats(client, caplog, echo, ask, where):
    caplog.set_level(logging.DEBUG)
    path, headers = ("/f", SENT) if where == "headers" else (f"/f?key={KEY}&env={SHORT}", {})
    scripts = {"/f": ECHOES[echo], f"/f/{KEY}/{SHORT}": ECHOES[echo]}
    shown = ""
    with scripted(scripts) as server:
        try:
            given = getattr(client, ask)(server.url(path), headers)
            if ask == "open_url":
                list(given.chunks)
        except BaseInferenceModelsError as exc:
            shown = everything(exc)
    assert shown or echo in {"Content-Length", "Transfer-Encoding"}
    assert not shows_a_secret(shown), shown
    assert not shows_a_secret(caplog.text), caplog.text


@pytest.mark.parametrize("stated", [f"bytes {KEY}", f"{SHORT} 1-2/9", f"bytes 1-2/{KEY}"])
def test_a_part_that_names_the_key_is_not_used_and_leaves_no_trace(client, stated):
    def lie(request):
        return answer(206, b"bc", Content_Range=stated) if "range" in request.headers else answer(404, b"gone")

    with scripted({"/f": lie}) as server, pytest.raises(BaseInferenceModelsError) as caught:
        client.open_url(server.url("/f"), SENT, start=1, stop=3)
    assert not shows_a_secret(everything(caught.value))


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_a_version_that_repeats_the_key_is_not_kept(client, header):
    named = {header.replace("-", "_"): f'"{KEY}"'}
    with scripted({"/f": answer(200, b"abc", **named)}) as server:
        stream = client.open_url(server.url("/f"), SENT)
        assert (b"".join(stream.chunks), stream.version) == (b"abc", None)
        stream = client.open_url(server.url(f"/f?sig={KEY}"))
        assert (b"".join(stream.chunks), stream.version) == (b"abc", None)
        stream = client.open_url(server.url("/f"))
        assert (b"".join(stream.chunks), stream.version) == (b"abc", f'"{KEY}"')


def test_a_version_that_was_asked_for_is_kept(client):
    with scripted({"/f": answer(206, b"bc", Content_Range="bytes 1-2/3", ETag='"v-1"')}) as server:
        stream = client.open_url(server.url("/f"), SENT, start=1, if_range='"v-1"')
        assert (b"".join(stream.chunks), stream.version) == (b"bc", '"v-1"')
