"""Provider `roboflow`: the hosted API, or a server that speaks its contract, as `registry serve` does."""

from __future__ import annotations

import importlib.util
import logging
import platform
import time
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from inference_models import config
from inference_models.entities import (
    FileDownloadSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    SkippedPackage,
)
from inference_models.errors import InvalidEnvVariable, InvalidParameterError, ModelRetrievalError
from inference_models.files.names import check_model_id
from inference_models.fork import Lock
from inference_models.providers import NO_OPTIONS, DescribeOptions, ProviderRecord, StreamingProvider, with_model_config
from inference_models.record import Record, replace
from inference_models.text import shown_url
from inference_models.transport.limits import call_with_retries
from inference_models.transport.redirects import is_loopback

if TYPE_CHECKING:
    from inference_models.providers._wire import Page
    from inference_models.transport.stream import FileStream

PATH = "/models/v1/external/weights"
LOCAL_KEY = "local"
"""A key that public examples use for "none"."""
MAX_PAGES = 1_000
MAX_PACKAGES = 10_000
_EXPIRED = frozenset({400, 401, 403, 404, 410})
"""What object stores answer when a signature is too old."""
_KEY_PARAMETERS = frozenset({"api_key", "apikey", "key", "access_token", "token"})
_UNQUOTED = "~()*!'"
_log = logging.getLogger("inference-models")


class _Origin(Record, frozen=True):
    """The package and file a URL was announced for, to ask for a new URL when it has expired."""

    model_id: str
    options: DescribeOptions
    package_id: str


class RoboflowProvider(StreamingProvider):
    """Models of the hosted API. Keys travel in the Authorization header, to the API host only."""

    def __init__(self) -> None:
        # Not loaded for the record alone.
        from inference_models.transport.client import HttpClient, HttpLimits  # noqa: PLC0415

        self._api = HttpClient(
            HttpLimits(connect=config.api_calls_timeout(), read=config.api_calls_timeout(), total=config.NETWORK_BUDGET)
        )
        self._files = HttpClient()
        self._lock = Lock()
        self._origins: dict[str, _Origin] = {}
        self._current: dict[str, str] = {}
        self._versions: dict[str, str] = {}

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:
        """The model and every package that this release can make sense of; the others with the reason.

        Raises:
            ModelNotFoundError: the API has no such model.
            UnauthorizedModelAccessError: it wants another API key.
            RetryError: it did not answer, after every try.
            ModelRetrievalError: it refused, or its answer makes no sense.
            InvalidParameterError: the id cannot be one.
        """
        check_model_id(model_id)
        _refuse_keys_in_url(options)
        pages = self._pages(model_id, options)
        metadata = _joined(pages, shown_url(api_host()))
        with self._lock:
            for package in metadata.model_packages:
                origin = _Origin(model_id, options, package.package_id)
                self._origins.update((file.download_url, origin) for file in _downloads(package))
        for skipped in metadata.skipped_packages:
            _log.debug("package %s of %r is left out: %s", skipped.package_id, model_id, skipped.reason)
        return metadata

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        """The bytes of a file; an address that has expired is asked for again, once."""
        url = self._current.get(file.download_url, file.download_url)
        try:
            return self._open_at(url, file, start, stop)
        except ModelRetrievalError as exc:
            if exc.status_code not in _EXPIRED or file.download_url not in self._origins:
                raise
            fresh = self._refreshed(file, stale=url, cause=exc)
        return self._open_at(fresh, file, start, stop)

    def close(self) -> None:
        """Close all connections; downloads that are running end with a `RetryError`."""
        self._api.close()
        self._files.close()

    def _open_at(self, url: str, file: FileDownloadSpecs, start: int, stop: int | None) -> FileStream:
        known = self._versions.get(file.download_url)
        stream = self._files.open_url(through_gateway(url), start=start, stop=stop, if_range=known)
        if stream.version is not None:
            self._versions.setdefault(file.download_url, stream.version)
        return stream

    def _refreshed(self, file: FileDownloadSpecs, *, stale: str, cause: ModelRetrievalError) -> str:
        origin = self._origins[file.download_url]
        with self._lock:
            current = self._current.get(file.download_url, file.download_url)
        if current != stale:
            return current
        _log.debug("the address of %s has expired; asking for a new one", file.file_handle)
        again = self.describe(origin.model_id, origin.options)
        for package in again.model_packages:
            for other in _downloads(package):
                if package.package_id == origin.package_id and replace(other, download_url=file.download_url) == file:
                    with self._lock:
                        self._current[file.download_url] = other.download_url
                    return other.download_url
        raise ModelRetrievalError(
            f"{file.file_handle} of {origin.model_id!r} is not offered any more as it was announced.",
            needs=f"the same file in package {origin.package_id}",
            found="another one, or none",
            fix="load the model again",
        ) from cause

    def _pages(self, model_id: str, options: DescribeOptions) -> list[Page]:
        begin = time.monotonic()
        pages: list[Page] = []
        cursor: str | None = None
        cursors: set[str] = set()
        while len(pages) < MAX_PAGES and sum(len(page.packages) for page in pages) <= MAX_PACKAGES:
            left = config.NETWORK_BUDGET - (time.monotonic() - begin)
            pages.append(self._page(model_id, options, cursor, budget=max(left, 0.0)))
            cursor = pages[-1].model.next_page or None
            if cursor is None:
                return pages
            if cursor in cursors:
                raise _endless(model_id, f"the page {cursor[:40]!a} twice")
            cursors.add(cursor)
        raise _endless(model_id, f"more than {MAX_PAGES} pages or {MAX_PACKAGES} packages")

    def _page(self, model_id: str, options: DescribeOptions, cursor: str | None, *, budget: float) -> Page:
        host = api_host()
        url = through_gateway(f"{host}{PATH}?{_query(model_id, options, cursor)}")
        headers = _headers(options)
        end = time.monotonic() + budget
        try:
            answer = call_with_retries(
                lambda: self._api.get(url, headers, within=max(end - time.monotonic(), 0.0)), budget=budget
            )
        except ModelRetrievalError as exc:
            if exc.status_code is None:
                raise
            raise _explained(exc, model_id, shown_url(host), with_key="Authorization" in headers) from exc
        from inference_models.providers._wire import parse_page  # noqa: PLC0415 - not loaded for the record alone

        return parse_page(answer.body, where=shown_url(host))


def _query(model_id: str, options: DescribeOptions, cursor: str | None) -> str:
    own = [("modelId", model_id)]
    if _takes_core_ml():
        own.append(("includeCoreMLPackages", "true"))
    if cursor is not None:
        own.append(("startAfter", cursor))
    names = {name for name, _ in own}
    return urlencode(own + [pair for pair in options.extra_query_params if pair[0] not in names])


def _headers(options: DescribeOptions) -> dict[str, str]:
    key = api_key(options.api_key)
    if key is None:
        return dict(options.extra_headers)
    extra = {name: value for name, value in options.extra_headers if name.lower() != "authorization"}
    return {**extra, "Authorization": f"Bearer {key}"}


def api_key(stated: str | None) -> str | None:
    """The key to use: the stated one, else that of the environment, else none."""
    return stated if stated and stated != LOCAL_KEY else config.roboflow_api_key()


def api_host() -> str:
    """Address of the API, to which its paths are appended. It may have a path of its own, as behind a proxy.

    Raises:
        InvalidEnvVariable: `ROBOFLOW_API_HOST` holds more than that, such as a password, a query or such a path.
    """
    host = config.roboflow_api_host()
    parts = plain_address(host)
    # Every client and every proxy has to take the path as it is written.
    odd = parts is None or "%" in parts.path or bool(set(parts.path.split("/")[1:]) & {"", ".", ".."})
    if odd or host.endswith(PATH):
        raise InvalidEnvVariable(
            "environment variable ROBOFLOW_API_HOST cannot be used.",
            needs=f"an http or https address without user, query and fragment, to which {PATH} is appended",
            found="another value (not shown: it may hold a password)",
            fix="set ROBOFLOW_API_HOST to https://models.example.com",
        )
    return host


def through_gateway(url: str) -> str:
    """`url`, or the address at the gateway that stands for it; an address that already does stays.

    Raises:
        InvalidEnvVariable: the gateway is no https address without user, query and fragment.
    """
    stated = config.secure_gateway()
    if stated is None:
        return url
    prefix = f"{_checked_gateway(stated)}/proxy?url="
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


def _checked_gateway(stated: str) -> str:
    bare = "://" not in stated
    gateway = (f"https://{stated}" if bare else stated).rstrip("/")
    parts = plain_address(gateway)
    if parts is None or not (parts.scheme == "https" or is_loopback(parts.hostname or "")):
        raise InvalidEnvVariable(
            "environment variable SECURE_GATEWAY cannot be used.",
            needs="an https address without user, query and fragment (http on this machine only)",
            found="another value (not shown: it may hold a password)",
            fix="set SECURE_GATEWAY to https://gateway.example.com",
        )
    if bare:
        _log.warning("the secure gateway is stated without https://; %s is used.", gateway)
    return gateway


def _takes_core_ml() -> bool:
    if (platform.system(), platform.machine()) != ("Darwin", "arm64"):
        return False
    return importlib.util.find_spec("coremltools") is not None


def _refuse_keys_in_url(options: DescribeOptions) -> None:
    for name, _ in options.extra_query_params:
        if name.lower() in _KEY_PARAMETERS:
            raise InvalidParameterError(
                f"the query parameter {name!r} would put a key into a URL.",
                needs="keys in api_key=, which sends them in a header",
                found="weights_provider_extra_query_params",
                fix="pass api_key=",
            )


def _joined(pages: list[Page], where: str) -> ModelMetadata:
    last = pages[-1].model
    models = [page.model for page in pages]
    if any((one.model_id, one.model_architecture) != (last.model_id, last.model_architecture) for one in models):
        raise ModelRetrievalError(
            f"{where} gave pages of different models.",
            needs=f"pages of {last.model_id!r}",
            found=", ".join(sorted({repr(one.model_id) for one in models})),
        )
    packages, skipped = _unique(pages)
    if not packages:
        raise _no_packages(last.model_id, where, skipped)
    metadata = ModelMetadata(
        model_id=last.model_id,
        model_architecture=last.model_architecture,
        model_packages=packages,
        task_type=last.task_type,
        model_variant=last.model_variant,
        model_dependencies=last.model_dependencies,
        recommended_parameters=last.recommended_parameters,
        license=last.license,
        source=where,
        skipped_packages=tuple(skipped),
    )
    return with_model_config(metadata)


def _unique(pages: list[Page]) -> tuple[list[ModelPackageMetadata], list[SkippedPackage]]:
    kept: dict[str, ModelPackageMetadata] = {}
    skipped = [item for page in pages for item in page.skipped]
    for page in pages:
        for package in page.packages:
            if kept.setdefault(package.package_id, package) != package:
                skipped.append(SkippedPackage(package.package_id, "another package has the same id"))
    return list(kept.values()), skipped


def _no_packages(model_id: str, where: str, skipped: list[SkippedPackage]) -> ModelRetrievalError:
    reasons = "; ".join(f"{item.package_id}: {item.reason}" for item in skipped[:5])
    more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return ModelRetrievalError(
        f"{where} offers no package of {model_id!r} that this release can use.",
        needs="at least one package",
        found=f"{reasons}{more}" if skipped else "none",
        fix="upgrade inference-models" if skipped else None,
    )


def _explained(error: ModelRetrievalError, model_id: str, where: str, *, with_key: bool) -> ModelRetrievalError:
    fixes = {
        401: "check the API key" if with_key else "pass api_key=, or set ROBOFLOW_API_KEY",
        402: "look at the plan of your account",
        403: "use the API key of a workspace that has this model",
        404: "check the model id; private models are found with the API key of their workspace only",
    }
    words = {
        401: "does not accept the API key" if with_key else "wants an API key",
        402: "wants to be paid before it hands over",
        403: "does not let this API key have",
        404: "has no model",
        423: "has paused the use of this account; it does not hand over",
    }
    status = error.status_code or 0
    sentence = words.get(status, "refused the request for")
    joint = f"{where} {sentence}{' for' if status == 401 else ''} {model_id!r}."
    explained = type(error)(joint, needs=error.needs, found=error.found, fix=fixes.get(status, error.fix))
    explained.status_code = error.status_code
    return explained


def _downloads(package: ModelPackageMetadata) -> list[FileDownloadSpecs]:
    return [item for item in package.package_artefacts if isinstance(item, FileDownloadSpecs)]


def _endless(model_id: str, found: str) -> ModelRetrievalError:
    return ModelRetrievalError(
        f"the list of packages of {model_id!r} does not end.",
        needs=f"at most {MAX_PAGES} pages and {MAX_PACKAGES} packages",
        found=found,
    )


RECORD = ProviderRecord(
    open=RoboflowProvider,
    key_variables=("ROBOFLOW_API_KEY",),
    host_variables=("ROBOFLOW_API_HOST", "ROBOFLOW_ENVIRONMENT", "ROBOFLOW_REGION"),
)
