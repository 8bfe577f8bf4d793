"""Ids of models behind a URL, `scheme://place[/manifest.json][#model-id]`, and where the files of a manifest may be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from inference_models.config import manifest_hosts
from inference_models.errors import InvalidParameterError, ModelRetrievalError
from inference_models.files.names import check_model_id
from inference_models.package.manifest import FILE_NAME
from inference_models.record import Record
from inference_models.text import shown_url

if TYPE_CHECKING:
    from inference_models.package.manifest import AnnouncedFile

WEB = frozenset({"http", "https"})
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


class ManifestAddress(Record, frozen=True):
    """Where a manifest is, and which model of it is meant."""

    scheme: str
    manifest: str
    """Its URL. It may hold a signature: `shown` is for people."""
    folder: str
    """The URL its files lie below, with a slash at the end and without a query."""
    model_id: str | None
    """None: the only one there is."""
    given: str
    """What the caller wrote, without what must not be stored: a query may be a signature."""

    @property
    def shown(self) -> str:
        """The URL of the manifest without what must not be seen."""
        return shown_url(self.manifest) if self.scheme in WEB else self.manifest

    def cache_id(self, model_id: str) -> str:
        """The id under which a model of this manifest is stored, however the caller wrote it."""
        return f"{self.shown.removesuffix('?...')}#{model_id}"

    @property
    def is_private_way(self) -> bool:
        """Whether the transport is encrypted or local, so that answers cannot be changed on the way."""
        return self.scheme != "http" or (urlsplit(self.manifest).hostname or "") in LOOPBACK


def parse_address(text: str, *, scheme: str | None = None) -> ManifestAddress:
    """The address in `text`, with the scheme in front or, when the provider's name says it, without.

    Raises:
        InvalidParameterError: it is none, or holds a password.
    """
    check_model_id(text)
    if text.startswith("//") and scheme is not None:
        text = f"{scheme}:{text}"
    place, has_model, model_id = text.partition("#")
    stated, separator, rest = place.partition("://")
    if not separator or not _SCHEME.fullmatch(stated) or not rest.strip("/") or (has_model and not model_id):
        raise _no_address(text)
    if "::" in place or ".." in re.split(r"[/\\]", rest.partition("?")[0]):
        raise _no_address(text)
    user, has_user, _ = rest.partition("/")[0].rpartition("@")
    if has_user and (":" in user or stated in WEB):
        raise _holds_secret(f"{stated}://{place.rpartition('@')[2]}")
    if stated in WEB:
        return _web_address(stated, place, model_id or None)
    manifest = place if place.endswith(".json") else f"{place.rstrip('/')}/{FILE_NAME}"
    return ManifestAddress(stated, manifest, manifest.rpartition("/")[0] + "/", model_id or None, text)


def file_url(address: ManifestAddress, file: AnnouncedFile) -> str:
    """Where a file of the manifest is.

    Raises:
        ModelRetrievalError: the manifest sends us to a place the caller has not allowed.
    """
    if file.path is not None:
        return address.folder + (quote(file.path) if address.scheme in WEB else file.path)
    url = file.url or ""
    if url.startswith(address.folder) and ".." not in url and "%" not in url:
        return url
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    safe = parts.scheme == "https" or host in LOOPBACK
    if host and safe and parts.username is None and {host, f"{host}:{port}"} & manifest_hosts():
        return url
    raise ModelRetrievalError(
        f"{address.shown} sends {file.handle} to another place, which is not allowed.",
        needs="files below the folder of the manifest, or https URLs of hosts you allow",
        found=shown_url(url),
        fix=f"if you trust it, set INFERENCE_MODELS_MANIFEST_HOSTS={host or 'HOST'}",
    )


def same_origin(address: ManifestAddress, url: str) -> bool:
    """Whether what is sent with a request for the manifest may be sent to `url`."""
    first, second = urlsplit(address.folder), urlsplit(url)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)


def _web_address(scheme: str, place: str, model_id: str | None) -> ManifestAddress:
    try:
        parts = urlsplit(place)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise _no_address(place) from exc
    if not host or "%2e" in parts.path.lower():
        raise _no_address(shown_url(place))
    path = parts.path if parts.path.endswith(".json") else f"{parts.path.rstrip('/')}/{FILE_NAME}"
    root = f"{scheme}://{parts.netloc}"
    query = f"?{parts.query}" if parts.query else ""
    given = f"{root}{parts.path}" + (f"#{model_id}" if model_id else "")
    return ManifestAddress(scheme, f"{root}{path}{query}", f"{root}{path.rpartition('/')[0]}/", model_id, given)


def _holds_secret(shown: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"{shown} was given with a user name or password in it.",
        needs="a URL without them",
        found="user information",
        fix="pass a key for a web server as api_key=; give other credentials to the client of the store",
    )


def _no_address(text: str) -> InvalidParameterError:
    shown = shown_url(text) if text.startswith(("http://", "https://")) else text
    return InvalidParameterError(
        "the id cannot be that of a model behind a URL.",
        needs="scheme://place[/manifest.json][#model-id]",
        found=ascii(shown[:200]),
    )
