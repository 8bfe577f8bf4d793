"""The secure gateway: one host of a closed network through which all requests go."""

from __future__ import annotations

import logging
from urllib.parse import SplitResult, quote, urlsplit

from inference_models import config
from inference_models.errors import InvalidEnvVariable
from inference_models.transport.redirects import is_loopback

_UNQUOTED = "~()*!'"
_log = logging.getLogger("inference-models")


def through_gateway(url: str) -> str:
    """`url`, or the address at the gateway that stands for it; an address that already does stays.

    Raises:
        InvalidEnvVariable: the gateway is no https address without user, query and fragment.
    """
    stated = config.secure_gateway()
    if stated is None:
        return url
    prefix = f"{_checked(stated)}/proxy?url="
    return url if url.startswith(prefix) else prefix + quote(url, safe=_UNQUOTED)


def plain_address(address: str) -> SplitResult | None:
    """The parts of an http or https address without user, query and fragment; None when it is something else."""
    try:
        parts = urlsplit(address)
        plain = parts.username is None and parts.password is None and parts.port != 0
    except ValueError:
        return None
    # An empty query leaves its mark only: what is appended to such an address becomes part of the query.
    plain = plain and not any(mark in address for mark in "?#\\ ") and address.isprintable()
    return parts if plain and parts.scheme in {"http", "https"} and parts.hostname else None


def _checked(stated: str) -> str:
    bare = "://" not in stated
    gateway = (f"https://{stated}" if bare else stated).rstrip("/")
    parts = plain_address(gateway)
    if parts is None or not (parts.scheme == "https" or is_loopback(parts.hostname or "")):
        raise _refused()
    if bare:
        _log.warning("the secure gateway is stated without https://; %s is used.", gateway)
    return gateway


def _refused() -> InvalidEnvVariable:
    return InvalidEnvVariable(
        "environment variable SECURE_GATEWAY cannot be used.",
        needs="an https address without user, query and fragment (http on this machine only)",
        found="another value (not shown: it may hold a password)",
        fix="set SECURE_GATEWAY to https://gateway.example.com",
    )
