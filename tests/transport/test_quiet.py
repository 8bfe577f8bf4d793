from __future__ import annotations

import logging
from contextlib import closing
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.text import scrub, shown_url
from inference_models.transport.client import HttpClient
from scripted_server import answer, scripted

SCRIPTS = {
    "/a": answer(302, Location="/b?sig=canary77", Set_Cookie="session=canary88"),
    "/b": answer(200, b"x"),
}


def test_no_header_and_no_query_of_an_answer_is_seen_when_everything_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    with scripted(SCRIPTS) as server, closing(HttpClient()) as client:
        assert client.get(server.url("/a?key=canary66")).body == b"x"
    assert caplog.messages == [f"GET {server.url('/a')}?...: 302", f"GET {server.url('/b')}?...: 200"]
    assert "canary" not in caplog.text


def test_logs_of_others_who_use_the_same_library_stay_as_they_are(caplog):
    caplog.set_level(logging.DEBUG)
    with scripted(SCRIPTS) as server, closing(HttpClient()) as client, httpx.Client() as other:
        client.get(server.url("/b"))
        other.get(server.url("/a?key=own"), follow_redirects=True)
    assert "canary77" in caplog.text
    assert "/a?key=own" in caplog.text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/x?sig=1#f", "https://a.example/x?..."),
        ("https://user:pass@a.example:8443/x", "https://a.example:8443/x"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://a.example:99999/x", "a malformed URL"),
        ("http://a.example/\x1b[2J", "http://a.example/?[2J"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url, shown):
    assert shown_url(url) == shown


def test_a_secret_is_hidden_in_every_form():
    text = "Bearer a+b/c=d a%2Bb%2Fc%3Dd see https://x.example/?k=a+b/c=d."
    assert scrub(text, ["Bearer a+b/c=d"]) == "[hidden] [hidden] see https://x.example/?..."


TEXTS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


@settings(max_examples=100, deadline=None)
@given(st.text(TEXTS, min_size=4, max_size=20), st.text(TEXTS, max_size=40), st.text(TEXTS, max_size=40))
def test_no_text_shows_the_secret_it_was_scrubbed_of(secret, before, after):
    shown = scrub(f"{before}{secret}{after}", [secret])
    assert all(secret not in piece for piece in shown.split("[hidden]"))


SHORT = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=3)


@settings(max_examples=100, deadline=None)
@given(SHORT, st.sampled_from(["", "- ", "(", '="']), st.sampled_from(["", ".", " !", '"']))
def test_a_short_secret_is_hidden_where_it_is_a_word(secret, before, after):
    assert scrub(f"{before}{secret}{after}", [secret]) == f"{before}[hidden]{after}"
    assert scrub(f"{before}{secret}{after}", urls=[f"https://a.example/?s={quote(secret, safe='')}"]).count("[hidden]")


def test_a_short_secret_leaves_the_words_it_is_a_part_of():
    assert scrub("abc ab, cab: AB", ["ab"]) == "abc [hidden], cab: [hidden]"


SIGNED = (
    "https://a.example/x?modelId=pets&v=1&X-Sig=Ab%2Bc%2fd%3D%3D&next=https%3A%2F%2Fb.example%2Fy%3Ftoken%3Dinner77"
)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("bad Ab%2Bc%2fd%3D%3D", "bad [hidden]"),
        ("bad Ab%2bc%2Fd%3d%3d", "bad [hidden]"),
        ("bad Ab+c/d== for pets", "bad [hidden] for pets"),
        ("bad v=1 at 1", "bad [hidden] at [hidden]"),
        ("bad v=12 at 11:01", "bad v=12 at 11:01"),
        ("at https://c.example/y?s=unknown", "at https://c.example/y?..."),
        ("at /y?s=unknown, sorry", "at /y?... sorry"),
        ("at 'y?s=unknown'", "at 'y?...'"),
        ("at https%3A%2F%2Fc.example%2Fy%3Fs%3Dunknown", "at [hidden]"),
        ("at https%253A%252F%252Fc.example%252Fy%253Fs%253Dunknown", "at [hidden]"),
        ("token inner77 of https://b.example/y?token=inner77", "token [hidden] of [hidden]"),
        ("what now? pets", "what now? pets"),
    ],
)
def test_values_of_an_address_that_was_asked_are_hidden_wherever_they_are(said, shown):
    assert scrub(said, urls=[SIGNED]) == shown


def test_a_query_without_names_or_values_hides_nothing_else():
    assert scrub("a = b & c", urls=["https://a.example/?=&a=&&="]) == "a = b & c"
