from __future__ import annotations

import pytest

from inference_models.errors import ModelRetrievalError
from inference_models.transport.redirects import keeps_headers, next_url
from scripted_server import answer, file_with_ranges, scripted

CONTENT = bytes(range(256))
KEY = "canary-key-5f1e"


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("https://a.example/x", "/y", "https://a.example/y"),
        ("https://a.example/x", "https://b.example/y?z=1", "https://b.example/y?z=1"),
        ("http://a.example/x", "https://a.example/x", "https://a.example/x"),
        ("http://a.example/x", "http://b.example/x", "http://b.example/x"),
        ("https://a.example/x", "http://127.0.0.1:80/x", "http://127.0.0.1:80/x"),
        ("https://a.example/x", "//b.example/y", "https://b.example/y"),
    ],
)
def test_a_redirect_that_keeps_what_was_promised_is_followed(url, location, target):
    assert next_url(url, location, where=url) == target


def test_a_redirect_that_gives_up_encryption_is_refused_without_its_signature():
    with pytest.raises(ModelRetrievalError) as caught:
        next_url("https://a.example/x?key=1", "http://b.example/y?sig=2", where="https://a.example/x?...")
    assert str(caught.value) == (
        "https://a.example/x?... leads to an address that is not followed.\n"
        "needs a redirect that stays encrypted; found: http://b.example/y?..."
    )


@pytest.mark.parametrize("location", ["http://127.0.0.1.example/", "http://localhost.example/", "http://0x7f000001/"])
def test_a_name_that_only_looks_like_this_machine_is_not(location):
    with pytest.raises(ModelRetrievalError, match="stays encrypted"):
        next_url("https://a.example/x", location, where="https://a.example/x")


@pytest.mark.parametrize(
    ("url", "target", "kept"),
    [
        ("https://a.example/x", "https://a.example:443/y", True),
        ("http://a.example/x", "https://a.example/y", True),
        ("http://a.example:8080/x", "https://a.example:8443/y", False),
        ("https://a.example/x", "https://b.example/x", False),
        ("https://a.example/x", "https://a.example:8443/x", False),
        ("https://a.example/x", "https://a.example.evil.example/x", False),
        ("https://a.example/x", "https://a.example@evil.example/x", False),
        ("https://A.example/x", "https://a.EXAMPLE/x", True),
    ],
)
def test_headers_stay_with_the_origin_they_were_meant_for(url, target, kept):
    assert keeps_headers(url, target) is kept


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
