"""Proxies that the environment names: whether they can be used, said before anything is asked."""

from __future__ import annotations

import importlib.util
import os
from urllib.request import getproxies

import httpx

from inference_models.errors import EnvironmentConfigurationError

_SCHEMES = ("http", "https", "all")
_SOCKS = frozenset({"socks5", "socks5h"})


def check_proxies() -> None:
    """Nothing, when every proxy that is set can be used.

    Raises:
        EnvironmentConfigurationError: one cannot; names the variable and not its value, which may hold a password.
    """
    proxies = getproxies()
    if "*" in (part.strip() for part in proxies.get("no", "").split(",")):
        return
    for kind in _SCHEMES:
        if proxies.get(kind):
            _check(proxies[kind], _variable(kind))


def unusable_settings() -> EnvironmentConfigurationError:
    """The error for settings that the HTTP library refuses for a reason not known here."""
    return _unusable("environment variable NO_PROXY, or the proxy settings of the system,", fix="correct NO_PROXY")


def _check(stated: str, name: str) -> None:
    try:
        url = httpx.URL(stated if "://" in stated else f"http://{stated}")
    except (httpx.InvalidURL, ValueError):
        raise _unusable(name) from None
    if url.scheme in _SOCKS and importlib.util.find_spec("socksio") is None:
        raise EnvironmentConfigurationError(
            f"{name} cannot be used.",
            needs="the package socksio, for a SOCKS proxy",
            found="it is not installed",
            fix="pip install socksio",
        )
    port_fits = url.port is None or 1 <= url.port <= 65_535
    if url.scheme not in {"http", "https", *_SOCKS} or not url.host or not port_fits:
        raise _unusable(name)


def _variable(kind: str) -> str:
    """The variable a proxy comes from; names in small letters win, as everywhere."""
    name = f"{kind}_proxy"
    if not os.environ.get(name):
        name = next((other for other in os.environ if other.lower() == name and os.environ[other]), "")
    return f"environment variable {name}" if name else f"the {kind} proxy in the settings of the system"


def _unusable(name: str, *, fix: str | None = None) -> EnvironmentConfigurationError:
    return EnvironmentConfigurationError(
        f"{name} cannot be used.",
        needs="the address of an http or https proxy, such as http://proxy.example:8080",
        found="another value (not shown: it may hold a password)",
        fix=fix or f"correct {name.removeprefix('environment variable ')}, or unset it",
    )
