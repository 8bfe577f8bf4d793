"""Provider `huggingface`: repositories of the Hugging Face Hub at a commit, `owner/name` or `owner/name@revision`.

What vouches for the bytes: large files have a SHA-256 in the Hub's answer for the commit; small ones have their git
object id there, are checked against it when the model is described, and enter the cache under their SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from inference_models.entities import (
    FileDownloadSpecs,
    InlineFileSpecs,
    ModelMetadata,
    ModelPackageMetadata,
)
from inference_models.errors import (
    CorruptedModelPackageError,
    FileHashSumMissmatch,
    ForbiddenModelAccessError,
    InvalidParameterError,
    ModelRetrievalError,
    UnauthorizedModelAccessError,
    UntrustedFileError,
)
from inference_models.files.names import check_model_id, is_portable_handle
from inference_models.package.hf_config import CONFIG, parse_hub_config
from inference_models.package.hf_folder import HubPackage, find_packages, make_packages, skipped_files, texts_of
from inference_models.package.onnx_file import parse_onnx
from inference_models.package.text_files import decode_text
from inference_models.providers import (
    NO_OPTIONS,
    DescribeOptions,
    ProviderRecord,
    StreamingProvider,
    refuse_when_offline,
    with_model_config,
)
from inference_models.text import HIDDEN, scrub, shown_url
from inference_models.transport.limits import call_with_retries
from inference_models.transport.stream import FileStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference_models.package.hf_config import HubConfig
    from inference_models.providers._hub import Hub, HubFile, Repository

T = TypeVar("T")
PREFIX = "huggingface:"
DEFAULT_REVISION = "main"
WEIGHTS = "weights.onnx"
MAX_SMALL_FILE = 32 << 20
"""Bytes. Files above 10 MB lie in the large file storage of the Hub, which states their SHA-256."""
_KEY_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_ID = re.compile(rf"(?P<repository>{_NAME}/{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]{{0,199}}))?")
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}")
_SIGNED = re.compile(r"\?(?!\.\.\.$).*", re.DOTALL)
_MAX_SHOWN_ID = 200
_CARDS = (".gitattributes", "README.md")
_NO_DATA = re.compile(
    r"\.(ckpt|h5|jpe?g|json|md|msgpack|onnx|pickle|pkl|png|pth?|py|safetensors|txt)$|\.onnx[._]data|"
    r"(^|/)(\.gitattributes|license|pytorch_model\.bin|training_args\.bin)$",
    re.IGNORECASE,
)
"""Files that cannot be the data of a graph, or are that of the one that their name tells."""


class HuggingFaceProvider(StreamingProvider):
    """Repositories as models. Their commit is fixed when they are described."""

    def __init__(self) -> None:
        from inference_models.transport.client import HttpClient  # noqa: PLC0415 - not loaded for the record alone

        self._client = HttpClient()
        self._hub: Hub | None = None
        self._gated: set[str] = set()
        self._contents: dict[str, bytes] = {}
        """Small files of this load, by URL."""

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:
        """The packages in a repository that can be run, and its other weights, each with the reason it is left out.

        Raises:
            ModelNotFoundError: no such repository or revision; names the nearest.
            ForbiddenModelAccessError: it is gated; says how to get access.
            RetryError: the Hub does not answer, or asks to wait.
            ModelRetrievalError: the repository holds no model, or the network is forbidden.
            CorruptedModelPackageError: its configuration contradicts itself.
            ModelImplementationNotFoundError: it asks for pre-processing we do not do.
        """
        model_id = model_id.removeprefix(PREFIX)
        name, revision = parse_hub_id(model_id)
        check_model_id(model_id)
        refuse_when_offline(f"'{name}' is asked for on the Hugging Face Hub")
        repository = self._open_hub(options.api_key).repository(name, revision)
        if repository.gated:
            self._gated.add(repository.name)
        return self._described(model_id, repository, options.task_type)

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        """The bytes of a file, from the Hub or from where it sends us; the token goes to the Hub only."""
        known = self._contents.get(file.download_url)
        if known is not None:
            return FileStream(iter((known[start:stop],)), start, len(known), None, ranges=True)
        return self._ask(file.download_url, partial(self._client.open_url, start=start, stop=stop))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _open_hub(self, api_key: str | None = None) -> Hub:
        from inference_models.providers._hub import Hub  # noqa: PLC0415 - loads the HTTP library

        if self._hub is None or (api_key is not None and api_key != self._hub.token):
            self._hub = Hub(self._client, api_key)
        return self._hub

    def _described(self, model_id: str, repository: Repository, asked: str | None) -> ModelMetadata:
        if CONFIG not in repository.files:
            self._check_access(repository)
            raise ModelRetrievalError(
                f"'{repository.name}' does not say what its model is.",
                needs=CONFIG,
                found=_listed(repository.files),
                fix="download its weights, and load the file with labels= and model_type=",
            )
        config = parse_hub_config(self._text(repository, CONFIG) or "", asked=asked)
        packages, skipped, reason = make_packages(
            find_packages(repository.files, repository.dtypes, config),
            lambda found: self._package(found, config, repository),
        )
        if not packages:
            raise reason or _no_weights(repository)
        return with_model_config(
            ModelMetadata(
                model_id=model_id,
                model_architecture=config.architecture,
                model_variant=config.model_type,
                task_type=config.task_type,
                license=repository.license,
                public=not repository.gated and (repository.private is False or self._open_hub().token is None),
                source=f"{PREFIX}{repository.name} at commit {repository.commit[:12]}",
                model_packages=packages,
                skipped_packages=(*skipped_files(repository.files, config), *skipped),
            )
        )

    def _package(self, found: HubPackage, config: HubConfig, repository: Repository) -> ModelPackageMetadata:
        files = {handle: repository.files[path] for handle, path in found.files.items()}
        files |= self._external_data(files, repository)
        texts = texts_of(found, config, lambda name: self._text(repository, name), label=f"'{repository.name}'")
        return ModelPackageMetadata(
            package_id=found.package_id,
            backend=found.backend,
            quantization=found.quantization,
            package_artefacts=[
                *(self._download(handle, file, repository) for handle, file in files.items()),
                *(InlineFileSpecs(name, texts[name]) for name in sorted(texts)),
            ],
            # The caller named the repository, and neither format can hold code.
            trusted_source=True,
            cache_model_id=f"{repository.name}@{repository.commit}",
        )

    def _external_data(self, files: Mapping[str, HubFile], repository: Repository) -> dict[str, HubFile]:
        """The files a graph points to; it is read for that where their names do not tell, and something may be one."""
        graph = files.get(WEIGHTS)
        if graph is None or len(files) > 1 or graph.size > MAX_SMALL_FILE:
            return {}
        folder = graph.path[: graph.path.rfind("/") + 1]
        if not any(path.startswith(folder) and not _NO_DATA.search(path) for path in repository.files):
            return {}
        stated = parse_onnx(self._small_file(repository, graph), Path(WEIGHTS)).locations
        missing = [name for name in stated if not is_portable_handle(name) or folder + name not in repository.files]
        if missing:
            raise CorruptedModelPackageError(
                f"{graph.path} of '{repository.name}' has values in a file that is not there.",
                needs=f"{folder}{ascii(missing[0])[1:-1]}",
                found=_listed(repository.files),
            )
        return {name: repository.files[folder + name] for name in stated}

    def _download(self, handle: str, file: HubFile, repository: Repository) -> FileDownloadSpecs:
        digest = file.sha256 or hashlib.sha256(self._small_file(repository, file)).hexdigest()
        url = self._open_hub().file_url(repository, file.path)
        return FileDownloadSpecs(url, handle, sha256_hash=digest, size=file.size)

    def _text(self, repository: Repository, path: str) -> str | None:
        file = repository.files.get(path)
        return None if file is None else decode_text(self._small_file(repository, file), where=path)

    def _small_file(self, repository: Repository, file: HubFile) -> bytes:
        """The content of a file that has no SHA-256 yet, or of any small one, as the commit has it."""
        if file.size > MAX_SMALL_FILE:
            raise UntrustedFileError(
                f"{file.path} of '{repository.name}' cannot be verified before it is fetched.",
                needs=f"a sha256 in the answer of the Hub, or at most {MAX_SMALL_FILE} bytes",
                found=f"{file.size} bytes without one",
            )
        url = self._open_hub().file_url(repository, file.path)
        if url not in self._contents:
            get = partial(self._client.get, max_bytes=file.size)
            answer = call_with_retries(lambda: self._ask(url, get))
            self._contents[url] = _verified(repository, file, answer.body)
        return self._contents[url]

    def _ask(self, url: str, ask: Callable[[str, dict[str, str]], T]) -> T:
        """What `ask(url, headers)` gives, with our token, and with words for a refusal."""
        hub = self._open_hub()
        if not url.startswith(f"{hub.endpoint}/"):
            raise ModelRetrievalError(
                "the file is not on the Hub that is configured.",
                needs=f"a URL of {shown_url(hub.endpoint)}",
                found=shown_url(url),
                fix="set HF_ENDPOINT as it was when the model was described",
            )
        try:
            return ask(url, hub.headers)
        except (UnauthorizedModelAccessError, ForbiddenModelAccessError) as exc:
            repository = url.removeprefix(f"{hub.endpoint}/").partition("/resolve/")[0]
            if repository in self._gated:
                raise hub.explain_refusal(repository) from exc
            raise

    def _check_access(self, repository: Repository) -> None:
        """Return when we are given the files of a repository, which one byte of one of them tells."""
        if not repository.gated:
            return
        hub = self._open_hub()
        # A model card may be shown to everybody.
        path = min(repository.files, key=lambda path: (path in _CARDS, path), default=None)
        if hub.token is None or path is None:
            raise hub.explain_refusal(repository.name)
        for _ in self.open(FileDownloadSpecs(hub.file_url(repository, path), path), stop=1).chunks:
            pass


def parse_hub_id(text: str) -> tuple[str, str]:
    """Repository and revision of `owner/name` or `owner/name@revision`.

    Raises:
        InvalidParameterError: it is something else.
    """
    match = _ID.fullmatch(text)
    if match is None or ".." in text or "--" in match["repository"] or HIDDEN in _shown_id(text):
        raise InvalidParameterError(
            "the id cannot be one of the Hugging Face Hub.",
            needs="owner/name or owner/name@revision",
            found=_shown_id(text),
        )
    return match["repository"], match["revision"] or DEFAULT_REVISION


def _shown_id(text: str) -> str:
    """An id as it may be shown: people paste addresses, with what signs them."""
    tokens = [os.environ.get(name, "").strip() for name in _KEY_VARIABLES]
    return ascii(_SIGNED.sub("?...", _TOKEN.sub(HIDDEN, scrub(text, tokens)))[:_MAX_SHOWN_ID])


def _verified(repository: Repository, file: HubFile, content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest == file.sha256 or (file.sha256 is None and file.holds(content)):
        return content
    raise FileHashSumMissmatch(
        f"{file.path} is not that of '{repository.name}' at {repository.commit[:12]}; it was thrown away.",
        needs=f"sha256 {file.sha256}" if file.sha256 else f"git object {file.blob_id}, {file.size} bytes",
        found=f"sha256 {digest}, {len(content)} bytes",
    )


def _no_weights(repository: Repository) -> ModelRetrievalError:
    return ModelRetrievalError(
        f"'{repository.name}' holds no weights that can be run.",
        needs="an ONNX export (onnx/model.onnx) or safetensors",
        found=_listed(repository.files),
        fix="optimum-cli export onnx --model " + repository.name + " exported/",
    )


def _listed(files: Mapping[str, HubFile]) -> str:
    names = sorted(files)
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(names[:8]) + more) or "no files"


RECORD = ProviderRecord(
    open=HuggingFaceProvider, key_variables=_KEY_VARIABLES, same_for_all=True, host_variables=("HF_ENDPOINT",)
)
