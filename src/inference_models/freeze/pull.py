"""Fetching without loading: the packages a later load needs, with those of the models they depend on."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import field

from inference_models import config
from inference_models.backends import probe_environment
from inference_models.cache.manifest import PackageKey
from inference_models.cache.store import PackageStore
from inference_models.entities import FileDownloadSpecs, LocalFileArtefactSpecs, PackageSourceType
from inference_models.errors import ModelRetrievalError
from inference_models.files.digest import CHUNK, file_sha256, text_sha256
from inference_models.loading.address import RememberedProvider, parse_address
from inference_models.loading.describe import describe_options, with_task
from inference_models.loading.remember import Question, Resolutions
from inference_models.machine.environment import machine_fingerprint
from inference_models.negotiate.explain import choose_packages
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from inference_models.providers import open_provider
from inference_models.record import Record, replace
from inference_models.text import without_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.cache.download import AnySource
    from inference_models.entities import ArtefactSpecs, ModelMetadata, ModelPackageMetadata
    from inference_models.providers import Provider

ANY_PACKAGE = PackageRequest()


class PulledPackage(Record, frozen=True):
    """A package that is in the cache."""

    key: PackageKey
    asked_for: str
    """The id the provider was asked for, which may be an alias of `model.model_id`; of a URL, without its query."""
    model: ModelMetadata
    """With all its packages."""
    package: ModelPackageMetadata
    folder: Path
    direct: bool = True
    """Whether the caller named it; False: another model depends on it."""


class PullOptions(Record, frozen=True, kw_only=True):
    """Which packages, and how."""

    request: PackageRequest = ANY_PACKAGE
    load: LoadOptions = field(default_factory=LoadOptions)
    """What they say of a bare file is used."""
    api_key: str | None = None
    every_package: bool = False
    """Also those that cannot run here."""
    store: PackageStore | None = None


def pull_model(model_id: str, options: PullOptions | None = None) -> list[PulledPackage]:
    """The packages of a model that fit the request best, in the cache; then those of the models it needs.

    A path is copied into the cache, under the name of its file or folder, so that it can be locked and bundled.

    Raises:
        ModelNotFoundError: nobody knows it.
        NoCompatiblePackageError: nothing of it fits the request on this machine.
        ModelRetrievalError: a file cannot be had.
    """
    options = options or PullOptions()
    provider, plain_id = parse_address(model_id)
    pulled = _pull(provider, plain_id, options)
    needed = {item.model_id: item for each in pulled for item in each.model.model_dependencies or ()}
    for dependency in needed.values():
        inner = replace(options, request=replace(options.request, package_id=dependency.model_package_id))
        pulled += [replace(item, direct=False) for item in _pull(provider, dependency.model_id, inner)]
    return pulled


def _pull(provider: str, model_id: str, options: PullOptions) -> list[PulledPackage]:
    memory, environment = Resolutions(), probe_environment()
    question = Question(
        provider=provider,
        model_id=model_id,
        request=options.request,
        machine=machine_fingerprint(environment),
        options=describe_options(options.load, options.api_key),
    )
    with closing(_open(question, memory)) as opened:
        model = with_task(opened.describe(model_id, question.options), options.load)
        source: AnySource = opened
        if _is_local(model):
            model, source = _as_files(model, model_id), read_path
        best = choose_packages(model, options.request, environment).packages[0]
        wanted = model.model_packages if options.every_package else [best]
        store = options.store or PackageStore()
        pulled = []
        for package in wanted:
            key = PackageKey(provider, package.cache_model_id or without_query(model.model_id), package.package_id)
            folder = store.ensure(key, package.package_artefacts, source)
            pulled.append(PulledPackage(key, without_query(model_id), model, package, folder))
    memory.remember(question, model, best.package_id)
    return pulled


def read_path(file: FileDownloadSpecs) -> Iterator[bytes]:
    """The bytes of a file of this machine, whose path stands in the place of the URL.

    Raises:
        ModelRetrievalError: it cannot be read.
    """
    try:
        with Path(file.download_url).open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as exc:
        raise ModelRetrievalError(
            f"'{file.download_url}' cannot be read.",
            needs="a file this process may read",
            found=exc.strerror or type(exc).__name__,
        ) from exc


def _as_files(model: ModelMetadata, path: str) -> ModelMetadata:
    """A model of this machine as one to be copied: named after its file or folder, its package after the content."""
    (package,) = model.model_packages
    files = [_announced(item) for item in package.package_artefacts]
    content = [f"{item.file_handle} {getattr(item, 'sha256_hash', None) or text_sha256(item.text)}" for item in files]
    digest = text_sha256("\n".join(sorted(content)))[:12]
    # The cache folder is portable, so the name keeps what every system takes.
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(path).absolute().name).strip("-.") or "model"
    named = replace(package, package_id=digest, package_artefacts=files, package_source=PackageSourceType.PLATFORM)
    return replace(model, model_id=name, model_packages=[named])


def _announced(item: ArtefactSpecs) -> Any:
    if not isinstance(item, LocalFileArtefactSpecs):
        return item
    return FileDownloadSpecs(
        str(item.path), item.file_handle, sha256_hash=file_sha256(item.path), size=item.path.stat().st_size
    )


def _open(question: Question, memory: Resolutions) -> Provider:
    """The provider; without a network what is remembered of it, where something is."""
    if config.network_forbidden_by() is not None:
        decision = memory.recall(question, any_age=True)
        if decision is not None:
            return RememberedProvider(decision.model)
    return open_provider(question.provider)


def _is_local(model: ModelMetadata) -> bool:
    artefacts = (item for package in model.model_packages for item in package.package_artefacts)
    return any(isinstance(item, LocalFileArtefactSpecs) for item in artefacts)
