"""Which way requests take: proxies and certificates, read from the environment as pip, requests and curl read them.

Proxies are those of `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` in either case, else of the system. `NO_PROXY` lists
names (which cover the names below them), addresses and ranges of both families, each with a port or without, or `*`;
what is none of these covers nothing.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import getproxies, getproxies_environment, proxy_bypass

import httpx

from inference_models.errors import EnvironmentConfigurationError
from inference_models.fork import Lock

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PORTS = {"http": 80, "https": 443}
_SOCKS = frozenset({"socks5", "socks5h"})
_IN_BRACKETS = re.compile(r"\[([^]]+)\](/\d+)?(?::(\d+))?")
_WITH_PORT = re.compile(r"([^:]+):(\d+)")


class Routes(httpx.BaseTransport):
    """Connections of one client, kept apart by the proxy they go through."""

    def __init__(self, limits: httpx.Limits) -> None:
        self._limits = limits
        self._certificates = certificates()
        self._opened: dict[str | None, httpx.HTTPTransport] = {}
        self._lock = Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, by way of the proxy that the environment names for the address.

        Raises:
            EnvironmentConfigurationError: that proxy cannot be used; names the variable and not its value.
        """
        proxy = proxy_for(str(request.url))
        with self._lock:
            if proxy not in self._opened:
                self._opened[proxy] = httpx.HTTPTransport(
                    verify=self._certificates, limits=self._limits, proxy=None if proxy is None else httpx.Proxy(proxy)
                )
            transport = self._opened[proxy]
        return transport.handle_request(request)

    def close(self) -> None:
        """Close all connections."""
        for transport in self._opened.values():
            transport.close()


def proxy_for(url: str) -> str | None:
    """The URL of the proxy for `url`, an http or https address; None: it is asked directly.

    Raises:
        EnvironmentConfigurationError: it cannot be used; names the variable and not its value.
    """
    address, proxies = httpx.URL(url), getproxies()
    kind = next((kind for kind in (address.scheme, "all") if proxies.get(kind)), None)
    if kind is None or _is_direct(address):
        return None
    stated = proxies[kind]
    names = [name for name, value in os.environ.items() if name.lower() == f"{kind}_proxy" and value == stated]
    name = f"environment variable {names[0]}" if names else "the proxy of the system"
    return _checked(stated if "://" in stated else f"http://{stated}", name)


def _is_direct(url: httpx.URL) -> bool:
    stated = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if not getproxies_environment():
        return bool(proxy_bypass(url.host))  # the settings of Windows and macOS
    return any(_covers(entry.lower(), url) for entry in re.split(r"[\s,]+", stated) if entry)


def _covers(entry: str, url: httpx.URL) -> bool:
    scheme, separator, rest = entry.partition("://")
    if entry == "*" or (separator and scheme not in {url.scheme, "all"}):
        return entry == "*"
    name, port = _split((rest if separator else entry).rstrip("/"))
    if port is not None and int(port) != (url.port or _PORTS[url.scheme]):
        return False
    address = _address(url.host)
    if address is None:
        name, host = name.removeprefix("*").strip("."), url.host.rstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _split(entry: str) -> tuple[str, str | None]:
    """Host or range, and port; an address of the sixth version has a port only behind brackets."""
    if found := _IN_BRACKETS.fullmatch(entry):
        return found[1] + (found[2] or ""), found[3]
    found = _WITH_PORT.fullmatch(entry)
    return (found[1], found[2]) if found else (entry, None)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _checked(proxy: str, name: str) -> str:
    needs, found = "the address of an http or https proxy, such as http://proxy.example:8080", None
    fix = f"correct {name.removeprefix('environment variable ')}, or unset it"
    try:
        url = httpx.Proxy(proxy).url
        usable = bool(url.host) and (url.port is None or 1 <= url.port <= 65_535)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if usable and url.scheme in _SOCKS and importlib.util.find_spec("socksio") is None:
        needs, found, fix = "the package socksio, for a SOCKS proxy", "it is not installed", "pip install socksio"
    elif usable:
        return proxy
    raise EnvironmentConfigurationError(
        f"{name} cannot be used.",
        needs=needs,
        found=found or "another value (not shown: it may hold a password)",
        fix=fix,
    )


def certificates() -> ssl.SSLContext | bool:
    """What servers are checked against; True: the certificates that the HTTP library brings.

    Those of `SSL_CERT_FILE` and `SSL_CERT_DIR` together, else of `REQUESTS_CA_BUNDLE`, else of `CURL_CA_BUNDLE`.

    Raises:
        EnvironmentConfigurationError: a variable names what cannot be read.
    """
    stated = {name: value for name in _CERTIFICATES for value in [os.environ.get(name, "").strip()] if value}
    names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in stated] or list(stated)[:1]
    if not names:
        return True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in names:
        places = stated[name].split(os.pathsep) if name == "SSL_CERT_DIR" else [stated[name]]
        folders = [place for place in places if Path(place).is_dir()]
        try:
            if name == "SSL_CERT_DIR" and not folders:
                raise FileNotFoundError(2, "no such folder")
            context.load_verify_locations(None if folders else places[0], os.pathsep.join(folders) or None)
        except OSError as exc:
            raise EnvironmentConfigurationError(
                f"the certificates that {name} names cannot be read.",
                needs="a file or folder of certificates",
                found=f"{stated[name]!r}: {exc.strerror or type(exc).__name__}",
                fix=f"correct {name}, or unset it",
            ) from exc
    return context
