"""What is loaded: the address of a model, the source that describes it, and how it is to be opened.

An ambiguous id is an error that names both readings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from inference_models import config
from inference_models.catalogue import open_catalogue
from inference_models.errors import (
    InvalidParameterError,
    ModelNotFoundError,
    ModelRetrievalError,
    nearest_hint,
    nearest_names,
)
from inference_models.negotiate.request import ANY_PACKAGE
from inference_models.providers import NO_OPTIONS, known_providers, provider_of_scheme
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.cache.store import PackageStore
    from inference_models.entities import FileDownloadSpecs, ModelMetadata
    from inference_models.negotiate.case import Plan
    from inference_models.negotiate.request import PackageRequest
    from inference_models.options import LoadOptions
    from inference_models.providers import DescribeOptions, Provider

LOCAL = "local"
OPEN_CATALOGUE = "wheel"
HOSTED_API = "roboflow"
HUB = "huggingface"
_SCHEME = re.compile(r"^(?P<name>[A-Za-z][A-Za-z0-9+.-]+)://")
_WEIGHTS = re.compile(r"\.(?:engine|onnx|pth?|safetensors|tflite|torchscript)$", re.IGNORECASE)
_PATH = re.compile(rf"^[./~\\]|^[A-Za-z]:[\\/]|[\\/]$|{_WEIGHTS.pattern}", re.IGNORECASE)


class ModelAddress(NamedTuple):
    """The provider of a model, and the id it has there."""

    provider: str
    model_id: str
    """As the caller wrote it, without the provider."""


class LoadRequest(Record, frozen=True, kw_only=True):
    """Settings for opening a package."""

    options: LoadOptions
    wanted: PackageRequest = ANY_PACKAGE
    """Which packages the caller takes."""
    device: str | None = None
    execution_providers: tuple[Any, ...] | None = None
    extra: Mapping[str, Any] | None = None
    """Options for a package that brings its own code."""
    dependencies: Mapping[str, Any] | None = None
    """Models such a package needs, by its names for them."""
    is_pinned: bool = False
    """Whether a lock pins the content of every file, so that the word of its provider is not needed."""

    def with_plan(self, plan: Plan) -> LoadRequest:
        """The same, with the settings of `plan`."""
        options = self.options if plan.threads is None else replace(self.options, threads=plan.threads)
        providers = self.execution_providers if plan.execution_providers is None else plan.execution_providers
        return replace(self, options=options, execution_providers=providers)


class RememberedProvider:
    """Stands in for a provider that is not asked: every file of the model is already here."""

    def __init__(self, model: ModelMetadata) -> None:
        self._model = model

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:  # noqa: ARG002
        """The remembered description."""
        return self._model

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """Never possible: URLs are not remembered.

        Raises:
            ModelRetrievalError: always; the file went away after it had been seen.
        """
        raise ModelRetrievalError(
            f"{file.file_handle} of {self._model.model_id!r} left the cache while it was loaded.",
            needs="a package that stays in the cache",
            found="a file that was removed or damaged in this moment",
            fix="load the model again",
        )

    def close(self) -> None:
        """Does nothing."""


class Source(Record, frozen=True):
    """Origin of a description: the provider, and the request to it."""

    name: str
    provider: Provider
    model_id: str = ""
    """As the caller wrote it, without the provider."""
    options: DescribeOptions = NO_OPTIONS
    store: PackageStore | None = None
    """Where the files of this load are kept, and held as long as it lasts; None: each fetch opens it anew."""
    is_remembered: bool = False
    """Whether the description comes from an earlier load, without asking the provider."""


def parse_address(
    model: str | os.PathLike[str], provider: str | None = None, *, api_key: str | None = None
) -> ModelAddress:
    r"""The address in what the caller wrote.

    A `PathLike`, `./x`, `/x`, `~/x`, `x/`, `C:\x`, `local:x` and names of weight files are paths; `provider:id` and
    `scheme://...` name their provider; everything else is an id of the open catalogue, else of the hosted API where a
    key or a host for it is known, else a path that exists. Nobody is asked over the network because of a misspelt id
    alone.

    Raises:
        InvalidParameterError: the id is empty, or means both a catalogue model and a folder.
        ModelNotFoundError: none of these; the text names the nearest ids.
    """
    if isinstance(model, os.PathLike):
        return ModelAddress(LOCAL, os.fspath(model))
    if not isinstance(model, str) or not model.strip() or "\0" in model:
        raise _no_id(model)
    if provider is not None:
        return _of_provider(provider, model.removeprefix(f"{provider}:"))
    scheme = _SCHEME.match(model)
    if scheme is not None:
        path = model.partition("?")[0]
        if scheme["name"].lower() in {"http", "https"} and _WEIGHTS.search(path):
            raise InvalidParameterError(
                f"{path!r} is the URL of one file; nothing says which bytes are the right ones.",
                needs="a file on this machine, or the URL of a folder with a manifest.json",
                found="a URL",
                fix=f"fetch it yourself and load it by its path: ./{path.rpartition('/')[2]}",
            )
        return ModelAddress(provider_of_scheme(scheme["name"].lower()), model)
    prefix, separator, rest = model.partition(":")
    if separator and len(prefix) > 1 and prefix in known_providers():
        return _of_provider(prefix, rest)
    if _PATH.search(model):
        return ModelAddress(LOCAL, model)
    return _by_name(model, hosted=api_key is not None or config.hosted_api_known())


def _of_provider(provider: str, model: str) -> ModelAddress:
    """A path is loaded from disk, whatever provider is named with it; what is here is one for the hosted API."""
    is_path, is_here = bool(_PATH.search(model)), os.path.exists(model)  # noqa: PTH110
    is_local = is_path or is_here if provider == HOSTED_API else is_path and is_here
    return ModelAddress(LOCAL if is_local else provider, model)


def _no_id(model: object) -> InvalidParameterError:
    """The error for something that names no model: weights and networks in memory are told apart."""
    kind = type(model).__name__
    what = (
        repr(model)[:90]
        if isinstance(model, str | bytes | int | None)
        else f"{'an' if kind[0] in 'AEIO' else 'a'} {kind}"
    )
    found, fix = what, 'pass for example "centerface", or the path of a file: "./best.onnx"'
    if hasattr(model, "state_dict") or isinstance(model, Mapping):
        in_memory = hasattr(model, "state_dict")
        found = "a network in memory" if in_memory else "a dict, such as the weights of a network"
        fix = 'export it first: torch.onnx.export(network, (example,), "model.onnx"), then load "./model.onnx"'
        fix = f'AutoModel.from_module(network, architecture="yolov8", labels=[...]); or {fix}' if in_memory else fix
    elif isinstance(model, bytes | bytearray) or hasattr(model, "SerializeToString"):
        fix = "write it to a file and load its path"
    elif isinstance(model, list | tuple):
        fix = "load each by itself"
    return InvalidParameterError(f"{what} is no model id.", needs="a model id or a path", found=found, fix=fix)


def _by_name(text: str, *, hosted: bool) -> ModelAddress:
    ids = open_catalogue().models
    known = text in ids
    exists = os.path.exists(text)  # noqa: PTH110 - False for a text that can be no path
    if known and exists:
        raise InvalidParameterError(
            f"{text!r} is a model of the open catalogue and also a path here; "
            f"write '{OPEN_CATALOGUE}:{text}' or '{LOCAL}:{text}'."
        )
    if known:
        return ModelAddress(OPEN_CATALOGUE, text)
    if exists and hosted:
        raise InvalidParameterError(
            f"{text!r} may be a model of the hosted API and is also a path here; "
            f"write '{HOSTED_API}:{text}' or '{LOCAL}:{text}'."
        )
    if exists:
        return ModelAddress(LOCAL, text)
    if hosted:
        return ModelAddress(HOSTED_API, text)
    prefix, colon, rest = text.partition(":")
    meant = nearest_names(prefix, known_providers(), limit=1) if colon else []
    if meant:
        fix = f"write '{meant[0]}:{rest}'"
    elif text.count("/") == 1:
        fix = f"for the Hugging Face Hub write '{HUB}:{text}', for the hosted API '{HOSTED_API}:{text}'"
    else:
        fix = (
            "inference-models list shows them all; of your own weights name the file, such as ./best.onnx; "
            f"for the hosted API write '{HOSTED_API}:{text}'"
        )
    raise ModelNotFoundError(f"no model {text!r} in the open catalogue; {nearest_hint(text, ids)}.", fix=fix)
