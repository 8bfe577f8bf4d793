"""Provider `huggingface`: repositories of the Hugging Face Hub at a commit, `owner/name` or `owner/name@revision`.

What vouches for the bytes: large files have a SHA-256 in the Hub's answer for the commit; small ones have their git
object id there, are checked against it when the model is described, and enter the cache under their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    InlineFileSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    SkippedPackage,
)
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    FileHashSumMissmatch,
    ForbiddenModelAccessError,
    ModelImplementationNotFoundError,
    ModelRetrievalError,
    UnauthorizedModelAccessError,
    UntrustedFileError,
)
from inference_models.files.names import check_model_id
from inference_models.package import class_names, inference_config
from inference_models.package.hf_config import CONFIG, PREPROCESSOR_CONFIG, inference_config_of, parse_hub_config
from inference_models.package.text_files import decode_text
from inference_models.providers import NO_OPTIONS, DescribeOptions, ProviderRecord, with_model_config
from inference_models.providers._hub_api import Hub, HubId, parse_hub_id, refuse_when_offline
from inference_models.providers._hub_files import HubFile, recognise
from inference_models.transport.limits import call_with_retries
from inference_models.transport.quiet import shown_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from inference_models.entities import ArtefactSpecs
    from inference_models.package.hf_config import HubConfig
    from inference_models.providers._hub_files import HubPackage
    from inference_models.transport.stream import FileStream

T = TypeVar("T")
PREFIX = "huggingface:"
_CARDS = (".gitattributes", "README.md")
_COMMIT = re.compile(r"[0-9a-f]{40}")
MAX_SMALL_FILE = 32 << 20
"""Bytes. Files above 10 MB lie in the large file storage of the Hub, which states their SHA-256."""


@dataclass(frozen=True)
class _Repository:
    """One commit of a repository."""

    name: str
    commit: str
    files: Mapping[str, HubFile]
    gated: bool
    license: str | None
    dtypes: Mapping[str, int]


class HuggingFaceProvider:
    """Repositories as models. Their commit is fixed when they are described; the Hub library's cache is not used."""

    def __init__(self) -> None:
        from inference_models.transport.client import HttpClient  # noqa: PLC0415 - not loaded for the record alone

        self._hub: Hub | None = None
        self._client = HttpClient()
        self._gated: set[str] = set()
        self._contents: dict[str, bytes] = {}
        """Small files of this load, by URL."""

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:
        """What a repository holds that can be run, and what it holds besides, with the reason it is left out.

        Raises:
            ModelNotFoundError: no such repository or revision; names the nearest.
            ForbiddenModelAccessError: it is gated; says how to get access.
            RetryError: the Hub does not answer, or asks to wait.
            ModelRetrievalError: the repository holds no model, or the network is forbidden.
            CorruptedModelPackageError: its configuration contradicts itself.
            ModelImplementationNotFoundError: it asks for pre-processing we do not do.
            MissingDependencyError: `huggingface_hub` is not installed.
        """
        model_id = model_id.removeprefix(PREFIX)
        wanted = parse_hub_id(model_id)
        check_model_id(model_id)
        refuse_when_offline(wanted)
        hub = self._opened(options.api_key)
        repository = _repository(hub.repository(wanted), wanted)
        if repository.gated:
            self._gated.add(repository.name)
        return self._described(model_id, repository)

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        """The bytes of a file, from the Hub or from where it sends us; the token goes to the Hub only.

        Raises:
            ForbiddenModelAccessError: the repository is gated.
            RetryError: it may work later.
            ModelRetrievalError: it will not.
        """
        return self._ask(file.download_url, partial(self._client.open_url, start=start, stop=stop))

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """All bytes of a file, in pieces."""
        return self.open(file).chunks

    def close(self) -> None:
        """Close the connections for files."""
        self._client.close()

    def _opened(self, api_key: str | None) -> Hub:
        if self._hub is None or (api_key is not None and api_key != self._hub.token):
            self._hub = Hub(api_key)
        return self._hub

    def _described(self, model_id: str, repository: _Repository) -> ModelMetadata:
        if CONFIG not in repository.files:
            self._check_access(repository)
            raise ModelRetrievalError(
                f"'{repository.name}' does not say what its model is.",
                needs=CONFIG,
                found=_listed(repository.files),
                fix="download its weights, and load the file with labels= and model_type=",
            )
        config = parse_hub_config(self._text(repository, CONFIG))
        found = recognise(repository.files.values(), repository.dtypes)
        packages, skipped = [], list(found.skipped)
        reasons: list[BaseInferenceModelsError] = []
        for package in found.packages:
            try:
                packages.append(self._package(package, config, repository))
            except (ModelImplementationNotFoundError, CorruptedModelPackageError, UntrustedFileError) as exc:
                reasons.append(exc)
                skipped.append(SkippedPackage(package.package_id, " ".join(str(exc).split("\n")[:2])))
        if not packages:
            raise _nothing(repository, reasons)
        metadata = ModelMetadata(
            model_id=model_id,
            model_architecture=config.architecture,
            model_variant=config.model_type,
            task_type=config.task_type,
            license=repository.license,
            source=f"{PREFIX}{repository.name} at commit {repository.commit[:12]}",
            model_packages=packages,
            skipped_packages=tuple(skipped),
        )
        return with_model_config(metadata)

    def _package(self, package: HubPackage, config: HubConfig, repository: _Repository) -> ModelPackageMetadata:
        downloads = [self._download(handle, file, repository) for handle, file in package.files.items()]
        is_onnx = package.backend is BackendType.ONNX
        texts = _package_texts(config, self._preparation(config, repository) if is_onnx else None)
        if not is_onnx:
            originals = [path for path in (CONFIG, PREPROCESSOR_CONFIG) if path in repository.files]
            texts |= {path: self._text(repository, path) for path in originals}
        return ModelPackageMetadata(
            package_id=package.package_id,
            backend=package.backend,
            quantization=package.quantization,
            package_artefacts=[*downloads, *(InlineFileSpecs(name, texts[name]) for name in sorted(texts))],
            # The caller named the repository, and neither format can hold code.
            trusted_source=True,
            cache_model_id=f"{repository.name}@{repository.commit}",
        )

    def _preparation(self, config: HubConfig, repository: _Repository) -> dict[str, Any] | None:
        """The content of `inference_config.json`; None for what is no classifier."""
        if not config.classifies:
            return None
        if PREPROCESSOR_CONFIG not in repository.files:
            raise CorruptedModelPackageError(
                f"'{repository.name}' does not say how images are prepared.",
                needs=PREPROCESSOR_CONFIG,
                found=_listed(repository.files),
            )
        return inference_config_of(config, self._text(repository, PREPROCESSOR_CONFIG))

    def _download(self, handle: str, file: HubFile, repository: _Repository) -> ArtefactSpecs:
        digest = file.sha256 or hashlib.sha256(self._small_file(repository, file)).hexdigest()
        return FileDownloadSpecs(self._url(repository, file.path), handle, sha256_hash=digest, size=file.size)

    def _text(self, repository: _Repository, path: str) -> str:
        return decode_text(self._small_file(repository, repository.files[path]), where=path)

    def _small_file(self, repository: _Repository, file: HubFile) -> bytes:
        """The content of a file that has no SHA-256 yet, or of any small one, as the commit has it."""
        if file.size > MAX_SMALL_FILE:
            raise UntrustedFileError(
                f"{file.path} of '{repository.name}' cannot be verified before it is fetched.",
                needs=f"a sha256 in the answer of the Hub, or at most {MAX_SMALL_FILE} bytes",
                found=f"{file.size} bytes without one",
            )
        url = self._url(repository, file.path)
        if url not in self._contents:
            get = partial(self._client.get, max_bytes=file.size)
            answer = call_with_retries(lambda: self._ask(url, get))
            self._contents[url] = _verified(repository, file, answer.body)
        return self._contents[url]

    def _ask(self, url: str, ask: Callable[[str, dict[str, str]], T]) -> T:
        """What `ask(url, headers)` gives, with our token, and with words for a refusal."""
        hub = self._opened(None)
        if not url.startswith(f"{hub.endpoint}/"):
            raise ModelRetrievalError(
                "the file is not on the Hub that is configured.",
                needs=f"a URL of {shown_url(hub.endpoint)}",
                found=shown_url(url),
                fix="set HF_ENDPOINT as it was when the model was described",
            )
        headers = {} if hub.token is None else {"Authorization": f"Bearer {hub.token}"}
        try:
            return ask(url, headers)
        except (UnauthorizedModelAccessError, ForbiddenModelAccessError) as exc:
            repository = url.removeprefix(f"{hub.endpoint}/").partition("/resolve/")[0]
            if repository in self._gated:
                raise hub.explain_refusal(repository) from exc
            raise

    def _check_access(self, repository: _Repository) -> None:
        """Return when we are given the files of a repository, which one byte of one of them tells."""
        if not repository.gated:
            return
        hub = self._opened(None)
        # A model card may be shown to everybody.
        path = min(repository.files, key=lambda path: (path in _CARDS, path), default=None)
        if hub.token is None or path is None:
            raise hub.explain_refusal(repository.name)
        for _ in self.open(FileDownloadSpecs(self._url(repository, path), path), stop=1).chunks:
            pass

    def _url(self, repository: _Repository, path: str) -> str:
        return self._opened(None).file_url(repository.name, repository.commit, path)


def _verified(repository: _Repository, file: HubFile, content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest == file.sha256 or (file.sha256 is None and file.holds(content)):
        return content
    raise FileHashSumMissmatch(
        f"{file.path} is not that of '{repository.name}' at {repository.commit[:12]}; it was thrown away.",
        needs=f"sha256 {file.sha256}" if file.sha256 else f"git object {file.blob_id}, {file.size} bytes",
        found=f"sha256 {digest}, {len(content)} bytes",
    )


def _repository(info: Any, wanted: HubId) -> _Repository:
    files = {}
    for sibling in info.siblings or ():
        large = sibling.lfs
        size = large.size if large is not None else sibling.size
        if size is not None:
            sha256 = large.sha256 if large is not None else None
            files[sibling.rfilename] = HubFile(sibling.rfilename, size, sha256, sibling.blob_id)
    if not _COMMIT.fullmatch(info.sha or ""):
        raise ModelRetrievalError(
            f"the Hub does not say which commit '{wanted.repository}' is at.",
            needs="40 hexadecimal digits",
            found=ascii(info.sha)[:80],
        )
    return _Repository(
        name=wanted.repository,
        commit=info.sha,
        files=files,
        gated=bool(info.gated),
        license=next((tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")), None),
        dtypes=dict(info.safetensors.parameters) if info.safetensors else {},
    )


def _package_texts(config: HubConfig, prepared: dict[str, Any] | None) -> dict[str, str]:
    """The files that make the stored folder a package the `local` provider can load too."""
    texts = {}
    if config.class_names is not None:
        texts[class_names.FILE_NAME] = "\n".join(config.class_names) + "\n"
    if prepared is not None:
        texts[inference_config.FILE_NAME] = json.dumps(prepared, indent=2) + "\n"
    return texts


def _nothing(repository: _Repository, reasons: list[BaseInferenceModelsError]) -> BaseInferenceModelsError:
    if reasons:
        return reasons[0]
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
    open=HuggingFaceProvider, key_variables=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), host_variables=("HF_ENDPOINT",)
)
