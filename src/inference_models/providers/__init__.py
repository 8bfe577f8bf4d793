"""Where models come from: one file per source that says which packages exist and yields their bytes.

The file name is the name of the provider. The file declares a `RECORD`; nothing else has to be registered.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from inference_models.config import network_forbidden_by
from inference_models.entities import InlineFileSpecs, ModelMetadata
from inference_models.errors import BaseInferenceModelsError, ModelRetrievalError, nearest_hint, nearest_names
from inference_models.fork import Lock
from inference_models.machine.libraries import entry_points
from inference_models.record import Record, replace
from inference_models.text import scrub, shown_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from os import PathLike

    from inference_models.entities import FileDownloadSpecs, ModelPackageMetadata
    from inference_models.transport.client import HttpClient
    from inference_models.transport.stream import FileStream

ENTRY_POINT_GROUP = "inference_models.providers"
RESERVED_NAMES = frozenset({"roboflow", "roboflow-offline-weights"})
"""Names of the hosted service, which plug-ins and handlers cannot take."""


class DescribeOptions(Record, frozen=True, kw_only=True):
    """What a caller may add to a model id. A provider ignores what it has no use for."""

    api_key: str | None = None
    labels: str | PathLike[str] | Sequence[str] | None = None
    """For a bare file: a text file with one name per line, the names, or `"coco"`."""
    architecture: str | None = None
    """For a bare file."""
    task_type: str | None = None
    """For a bare file."""
    input_size: tuple[int, int] | None = None
    """(height, width), for a bare file that takes any."""
    extra_query_params: tuple[tuple[str, str], ...] = ()
    extra_headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Without what may be secret."""
        return f"DescribeOptions({self.labels!r}, {self.architecture!r}, {self.task_type!r}, {self.input_size!r})"


NO_OPTIONS = DescribeOptions()


class Provider(Protocol):
    """A source of models. One object serves one load: `close` frees what it keeps between its calls."""

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:
        """The model and every package of it.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelRetrievalError: the source cannot be asked.
        """

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """The bytes of a file that `describe` announced, in pieces.

        Raises:
            ModelRetrievalError: the bytes cannot be had, or are not the announced ones.
        """

    def close(self) -> None:
        """Free temporary files and connections. A second call does nothing."""


class StreamingProvider(ABC):
    """A provider that can open a file at a position, so that downloads are continued and come in parts."""

    @abstractmethod
    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        """The bytes of a file that `describe` announced, from `start` to `stop` (exclusive; None: the end).

        Raises:
            RetryError: it may work later.
            ModelRetrievalError: it will not.
        """

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """All bytes of a file, in pieces."""
        return self.open(file).chunks


class ProviderRecord(Record, frozen=True, kw_only=True):
    """What the rest of the library knows of a provider; every provider's file declares one as `RECORD`."""

    open: Callable[[], Provider]
    """A new provider, for one load."""
    schemes: tuple[str, ...] = ()
    """Model ids that begin with `scheme://` are its own."""
    offline: bool = False
    """Whether it describes models without a network."""
    remembered: bool = True
    """Whether what it said may be used again without asking; not when it is as quickly asked, and always right."""
    key_variables: tuple[str, ...] = ()
    """Environment variables it takes a key from, the first that is set: what it shows may depend on it."""
    same_for_all: bool = False
    """Whether an id means the same model to everyone who may see it."""
    host_variables: tuple[str, ...] = ()
    """Environment variables that decide which host is asked."""


_SCHEME_PROVIDERS = ("az", "file", "fsspec", "gs", "http", "https", "s3")
"""Providers of one file: a manifest behind a URL of each scheme, `fsspec` for every other scheme."""
_BUILT_IN = frozenset(
    info.name.replace("_", "-") for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")
).union(_SCHEME_PROVIDERS)
_registered: dict[str, Callable[..., ModelMetadata]] = {}


def find_record(name: str) -> ProviderRecord | None:
    """The record of the provider with this name, or None: a file here, a plug-in, or a registered handler.

    A plug-in's entry point is a `ProviderRecord`, or a function without arguments that opens its provider.
    """
    if name in _SCHEME_PROVIDERS:
        record: ProviderRecord = importlib.import_module(f"{__name__}._manifests").RECORDS[name]
        return record
    if name in _BUILT_IN:
        own: ProviderRecord = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").RECORD
        return own
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            plugged = entry.load()
            return plugged if isinstance(plugged, ProviderRecord) else ProviderRecord(open=plugged)
    if name in _registered:
        handler = _registered[name]
        return ProviderRecord(open=lambda: _HandlerProvider(name, handler))
    return None


def can_be_remembered(provider: str) -> bool:
    """Whether what a provider says may be used again without asking it."""
    record = find_record(provider)
    return record is None or record.remembered


def open_provider(name: str) -> Provider:
    """A new object of the provider with this name.

    Raises:
        ModelRetrievalError: nobody has registered this name; the text names the nearest known ones.
    """
    record = find_record(name)
    if record is None:
        near = nearest_names(name, known_providers(), limit=1)
        raise ModelRetrievalError(
            f"there is no weights provider {name!r}; {nearest_hint(name, known_providers())}.",
            fix=f'pass weights_provider="{near[0]}"' if near else None,
        )
    return record.open()


def known_providers() -> list[str]:
    """Every name that `open_provider` takes, sorted."""
    return sorted(_BUILT_IN | {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)} | set(_registered))


def provider_of_scheme(scheme: str) -> str:
    """The provider of model ids that begin with `scheme://`; `fsspec`, which may know it, when no record names it."""
    if scheme in _SCHEME_PROVIDERS:
        return scheme
    records = ((name, find_record(name)) for name in known_providers())
    return next((name for name, record in records if record is not None and scheme in record.schemes), "fsspec")


def key_variables() -> frozenset[str]:
    """Every environment variable from which some provider takes a key."""
    records = (find_record(name) for name in known_providers())
    return frozenset(name for record in records if record is not None for name in record.key_variables)


def register_model_provider(provider_name: str, provider_handler: Callable[..., ModelMetadata]) -> None:
    """Let `provider_handler(model_id, api_key, **options)` answer for the provider `provider_name` in this process.

    The options are `weights_provider_extra_query_params` (list of pairs, or None) and
    `weights_provider_extra_headers` (dict, or None). A second registration replaces the first.

    A `FileDownloadSpecs` of the description names an http or https URL; the file is fetched from there without the key
    and without the headers, which are for the handler. `LocalFileArtefactSpecs` names a file of this machine, which is
    used where it lies, and `InlineFileSpecs` holds a small text itself.

    What the handler raises becomes a `ModelRetrievalError` with the name of the provider, and stays its cause; errors
    of this library pass as they are.

    Raises:
        ValueError: the name is blank, or belongs to a provider of this library.
        TypeError: the name is no string, or the handler cannot be called.
    """
    if not isinstance(provider_name, str):
        raise TypeError(f"the name of a provider must be a str, not {type(provider_name).__name__}.")
    name = provider_name.strip()
    if not name or name.lower() in RESERVED_NAMES | _BUILT_IN:
        raise ValueError(f"provider name {provider_name!r} cannot be registered: it is blank or reserved.")
    if not callable(provider_handler):
        raise TypeError(f"the handler of provider {name!r} must be callable, not {type(provider_handler).__name__}.")
    _registered[name] = provider_handler


def get_model_from_provider(
    model_id: str,
    provider: str,
    api_key: str | None = None,
    *,
    weights_provider_extra_query_params: list[tuple[str, str]] | None = None,
    weights_provider_extra_headers: dict[str, str] | None = None,
) -> ModelMetadata:
    """The model and every package of it, as the named provider describes them.

    Raises:
        ModelNotFoundError: the provider knows no such model.
        ModelRetrievalError: there is no such provider, or it cannot be asked.
    """
    options = DescribeOptions(
        api_key=api_key,
        extra_query_params=tuple(weights_provider_extra_query_params or ()),
        extra_headers=tuple((weights_provider_extra_headers or {}).items()),
    )
    opened = open_provider(provider)
    try:
        return opened.describe(model_id, options)
    finally:
        opened.close()


class _HandlerProvider(StreamingProvider):
    """A function from `register_model_provider`, as a provider."""

    def __init__(self, name: str, handler: Callable[..., ModelMetadata]) -> None:
        self._name = name
        self._handler = handler
        self._client: HttpClient | None = None
        self._lock = Lock()

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:
        extra: dict[str, Any] = {
            "weights_provider_extra_query_params": list(options.extra_query_params) or None,
            "weights_provider_extra_headers": dict(options.extra_headers) or None,
        }
        try:
            metadata = self._handler(model_id, options.api_key, **extra)
        except BaseInferenceModelsError:
            raise
        except Exception as exc:
            raise ModelRetrievalError(
                f"provider {self._name!r} failed to describe {model_id!r}.",
                needs="its description",
                found=scrub(f"{type(exc).__name__}: {exc}", [options.api_key] if options.api_key else ()),
            ) from exc
        if not isinstance(metadata, ModelMetadata):
            raise ModelRetrievalError(
                f"provider {self._name!r} gave no description of {model_id!r}.",
                needs="ModelMetadata",
                found=type(metadata).__name__,
            )
        return with_model_config(metadata)

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        """The bytes of a file from the web server its URL names, without any header of the caller."""
        from inference_models.transport.client import HttpClient  # noqa: PLC0415 - the network is loaded when it is used

        url = file.download_url
        if not url.lower().startswith(("http://", "https://")):
            raise ModelRetrievalError(
                f"provider {self._name!r} announces {file.file_handle} as a download that is none.",
                needs="an http or https URL",
                found=ascii(shown_url(url)),
                fix="announce a file of this machine as LocalFileArtefactSpecs",
            )
        with self._lock:
            client = self._client = self._client or HttpClient()
        return client.open_url(url, start=start, stop=stop)

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def refuse_when_offline(sentence: str) -> None:
    """Return when the network may be used.

    Args:
        sentence: Who wants what, without a full stop.

    Raises:
        ModelRetrievalError: names the variable that forbids it.
    """
    forbidden = network_forbidden_by()
    if forbidden is not None:
        raise ModelRetrievalError(
            f"{sentence}, and the network is forbidden.",
            needs="network access, or a model that is in the cache",
            found=f"{forbidden} is set",
            fix=f"unset {forbidden} and load the model once",
        )


def with_model_config(model: ModelMetadata) -> ModelMetadata:
    """`model` with the file in each package that says what its stored folder is, where none is announced."""
    return replace(model, model_packages=[_with_config(model, package) for package in model.model_packages])


def _with_config(model: ModelMetadata, package: ModelPackageMetadata) -> ModelPackageMetadata:
    from inference_models.package.model_config import FILE_NAME  # noqa: PLC0415 - loaded when something is described

    if any(item.file_handle == FILE_NAME for item in package.package_artefacts):
        return package
    stated = {
        "model_architecture": model.model_architecture,
        "task_type": model.task_type,
        "backend_type": package.backend.value,
        "quantization": package.quantization.value if package.quantization is not None else None,
        "dynamic_batch_size_supported": package.dynamic_batch_size_supported,
        "static_batch_size": package.static_batch_size,
        "model_features": package.model_features,
    }
    text = json.dumps({key: value for key, value in stated.items() if value is not None}, indent=2) + "\n"
    return replace(package, package_artefacts=[*package.package_artefacts, InlineFileSpecs(FILE_NAME, text)])
