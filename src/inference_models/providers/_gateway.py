"""The secure gateway: one host of a closed network through which all requests go."""

from __future__ import annotations

import logging
from urllib.parse import quote, urlsplit

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


def _checked(stated: str) -> str:
    bare = "://" not in stated
    gateway = (f"https://{stated}" if bare else stated).rstrip("/")
    try:
        parts = urlsplit(gateway)
        host = parts.hostname or ""
        plain = not (parts.username or parts.password or parts.query or parts.fragment) and parts.port != 0
    except ValueError:
        raise _refused() from None
    encrypted = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not (host and plain and encrypted and gateway.isprintable()):
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
