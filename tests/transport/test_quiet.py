from __future__ import annotations

import logging
from contextlib import closing

import httpx
import pytest

from inference_models.transport.http import HttpClient
from transport.scripted import answer, scripted

SCRIPTS = {
    "/a": answer(302, Location="/b?sig=canary77", Set_Cookie="session=canary88"),
    "/b": answer(200, b"x"),
}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_no_header_and_no_query_of_an_answer_is_seen_when_everything_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    with scripted(SCRIPTS) as server, closing(HttpClient()) as client:
        assert client.get(server.url("/a?key=canary66")).body == b"x"
    assert "receive_response_headers.complete return_value=(b'HTTP/1.1', 302, b'Status', [hidden]" in caplog.messages
    assert f'HTTP Request: GET {server.url("/b")}?... "HTTP/1.1 200 Status"' in caplog.messages
    assert "canary" not in caplog.text


def test_logs_of_others_who_use_the_same_library_stay_as_they_are(caplog):
    caplog.set_level(logging.DEBUG)
    with scripted(SCRIPTS) as server, closing(HttpClient()) as client, httpx.Client() as other:
        client.get(server.url("/b"))
        other.get(server.url("/a?key=own"), follow_redirects=True)
    assert "canary77" in caplog.text
    assert "/a?key=own" in caplog.text
