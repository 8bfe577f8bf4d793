from __future__ import annotations

import pytest

from inference_models.errors import ModelRetrievalError
from inference_models.transport.redirects import keeps_headers, next_url


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
