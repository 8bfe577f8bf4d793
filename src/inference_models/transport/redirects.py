"""Which redirects are followed, and whether headers are sent to their target."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from inference_models.errors import ModelRetrievalError
from inference_models.text import scrub, shown_url

if TYPE_CHECKING:
    from collections.abc import Iterable
    from urllib.parse import SplitResult

MAX_REDIRECTS = 10
STATUSES = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}


def check_url(url: str) -> str:
    """`url`, which is an http or https address.

    Raises:
        ModelRetrievalError: it is something else.
    """
    if not url.isprintable() or " " in url or _origin(url) is None:
        raise ModelRetrievalError(
            "an address cannot be used.", needs="an http or https URL", found=ascii(shown_url(url))
        )
    return url


def next_url(url: str, location: str, *, where: str, secrets: Iterable[str] = ()) -> str:
    """The address that a redirect from `url` leads to.

    Args:
        url: What was asked.
        location: What the answer names.
        where: What the caller asked first, as it may be shown.
        secrets: What was sent along, which the answer may repeat.

    Raises:
        ModelRetrievalError: it leaves http(s), or gives up encryption for another machine.
    """
    try:
        target = urljoin(url, location)
    except ValueError:
        target = ""
    origin = _origin(target)
    found = ascii(scrub(shown_url(target), secrets, urls=[url]))[1:-1]
    if origin is None or not target.isprintable() or " " in target:
        raise _refused(where, found, needs="a redirect to an http or https URL")
    if urlsplit(url).scheme == "https" and origin[0] == "http" and not is_loopback(origin[1]):
        raise _refused(where, found, needs="a redirect that stays encrypted")
    return target


def keeps_headers(url: str, target: str) -> bool:
    """Whether headers meant for `url` may go to `target`: the same origin, or the same host and now encrypted."""
    old, new = _origin(url), _origin(target)
    if old is None or new is None:
        return False
    upgraded = (old[0], old[2]) == ("http", 80) and (new[0], new[2]) == ("https", 443)
    return old == new or (upgraded and old[1] == new[1])


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    return host in {"localhost", "::1"} or (host.startswith("127.") and host.replace(".", "").isdecimal())


def too_many(url: str) -> ModelRetrievalError:
    """The error for a chain of redirects without end."""
    return ModelRetrievalError(
        f"{shown_url(url)} is redirected too often.",
        needs=f"at most {MAX_REDIRECTS} redirects",
        found="more",
        fix="open the address in a browser: it may need a login",
    )


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]


def _refused(where: str, found: str, *, needs: str) -> ModelRetrievalError:
    return ModelRetrievalError(
        f"{where} leads to an address that is not followed.", needs=needs, found=found or "nothing"
    )
