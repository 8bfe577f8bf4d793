"""From a lock file to the pinned files, and to the object the caller holds."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from inference_models import config
from inference_models.backends import probe_environment
from inference_models.cache.manifest import has_content
from inference_models.cache.store import PackageStore
from inference_models.entities import (
    BackendType,
    FileDownloadSpecs,
    InlineFileSpecs,
    LocalFileArtefactSpecs,
    ModelDependency,
)
from inference_models.errors import InvalidParameterError, ModelRetrievalError
from inference_models.files.digest import file_sha256, text_sha256
from inference_models.freeze.lockfile import contradiction
from inference_models.freeze.pull import read_path
from inference_models.loading.address import LOCAL, LoadRequest, parse_address
from inference_models.loading.dependencies import load_dependencies, needs_models
from inference_models.loading.describe import refuse_other_task
from inference_models.loading.open import load_package
from inference_models.negotiate.case import Candidate, Case
from inference_models.negotiate.checks import check_trust
from inference_models.negotiate.choose import Choice, Verdict
from inference_models.negotiate.explain import refusal
from inference_models.negotiate.request import PackageRequest, parse_device, parse_execution_providers
from inference_models.options import LoadOptions, merge_options, refuse_unknown_load_options
from inference_models.package.folder import read_package_folder
from inference_models.providers import DescribeOptions, find_record, open_provider
from inference_models.record import Record, replace

_CHOICES = frozenset(
    {"backend", "batch_size", "model_package_id", "nms_fusion_preferences", "quantization", "weights_provider"}
)
"""Options that say which package is wanted, which a lock has decided."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from inference_models.entities import ModelMetadata
    from inference_models.freeze.lockfile import Lock, LockedFile, LockedModel
    from inference_models.tasks.any_model import AnyModel


def load_locked(
    lock: Lock, locked: LockedModel, load: LoadRequest, *, mirror: str | None = None, api_key: str | None = None
) -> AnyModel:
    """The model that is pinned, with the models it needs, which are pinned too.

    The models it needs are looked for at the provider of `mirror`, under the ids they are pinned with; behind a URL,
    in the same manifest.

    Raises:
        NoCompatiblePackageError: nobody vouched for the package when it was locked, and the caller does not either.
        ModelRetrievalError: the pinned bytes cannot be had.
        ModelLoadingError: the package does not load.
    """
    model = locked.metadata()
    package = model.model_packages[0]
    _refuse_untrusted(model, load)
    _refuse_choices(load.extra or {}, where="from_lock")
    if package.backend is not BackendType.CUSTOM:
        refuse_unknown_load_options(load.extra or {})
        if load.options.model_class is not None:
            refuse_other_task(model, load.options.model_class)
    store = PackageStore()  # as long as it exists, `gc` leaves the package
    folder = read_package_folder(fetch_locked(locked, mirror=mirror, api_key=api_key, store=store))
    if needs_models(model, package):
        needed = _LockedDependencies(lock, locked, load, mirror, api_key)
        load = replace(load, dependencies=load_dependencies(model, load, needed.load_inner))
    candidate = Candidate(package, package.backend)
    if load.options.require_parity:
        from inference_models.parity.require import name_of, require_certificate  # noqa: PLC0415 - rare

        require_certificate(candidate, folder, load, name_of(locked.provider, locked.asked_for))
    return load_package(model, candidate, folder, replace(load, is_pinned=True))


def fetch_locked(
    locked: LockedModel, *, mirror: str | None = None, api_key: str | None = None, store: PackageStore | None = None
) -> Path:
    """The folder with exactly the pinned files; uses no network when they are in the cache.

    Args:
        locked: What is pinned.
        mirror: `provider:id` of a model with the same files; None: the model's own provider.
        api_key: Passed to the provider.
        store: None: the usual cache.

    Raises:
        ModelRetrievalError: the files are not in the cache, and the network is forbidden, or the source does not
            offer these bytes.
    """
    store = store or PackageStore()
    stored = store.open(locked.key, [file.at("") for file in locked.files])
    if stored is not None:
        return stored
    provider, model_id = parse_address(mirror) if mirror else (locked.provider, locked.asked_for)
    switch = config.network_forbidden_by()
    record = find_record(provider)
    if switch is not None and not (record is not None and record.offline):
        raise ModelRetrievalError(
            f"{locked.id!r} is not in the cache as it is locked.", needs="network access", found=f"{switch} is set"
        )
    with closing(open_provider(provider)) as opened:
        options = DescribeOptions(api_key=api_key)
        if provider == LOCAL:  # a bare file need not say what it is: the lock does
            options = replace(options, labels=("-",), architecture=locked.metadata().model_architecture)
        offered = opened.describe(model_id, options)
        artefacts = [_carried(locked, file) or _offer(file, offered, provider) for file in locked.files]
        return store.ensure(locked.key, artefacts, read_path if provider == LOCAL else opened)


def dependency_mirror(mirror: str, needed: LockedModel) -> str:
    """The place of a dependency in a mirror that was named for the outer model."""
    provider, _ = parse_address(mirror)
    place, _, _ = mirror.partition("#")
    if "://" in place:
        return f"{place}#{needed.asked_for.rpartition('#')[2]}"
    return f"{provider}:{needed.asked_for}"


class _LockedDependencies(Record, frozen=True):
    """Loads what a locked model needs, from the same lock."""

    lock: Lock
    outer: LockedModel
    load: LoadRequest
    mirror: str | None
    api_key: str | None

    def load_inner(
        self,
        *,
        model_id_or_path: str,
        model_package_id: str | None = None,
        device: object = None,
        onnx_execution_providers: Sequence[str | tuple[str, dict[str, Any]]] | None = None,
        **given: Any,
    ) -> AnyModel:
        wanted = ModelDependency(name="", model_id=model_id_or_path, model_package_id=model_package_id)
        inner = self.lock.find_dependency(self.outer, wanted)
        _refuse_choices(given, where=f"dependency_models_params of {self.outer.id!r}")
        outer = self.load.options
        # As with from_pretrained: its own options and device, and the caller's word about what may be trusted.
        options = LoadOptions(allow_untrusted_packages=outer.allow_untrusted_packages, verbose=outer.verbose)
        merged, extra = merge_options(options, given)
        load = LoadRequest(
            options=merged,
            device=parse_device(device if device is not None else config.default_device()),
            execution_providers=parse_execution_providers(onnx_execution_providers),
            extra=extra,
        )
        mirror = None if self.mirror is None else dependency_mirror(self.mirror, inner)
        return load_locked(self.lock, inner, load, mirror=mirror, api_key=self.api_key)


def _carried(locked: LockedModel, file: LockedFile) -> InlineFileSpecs | None:
    if file.text is None:
        return None
    found = text_sha256(file.text)
    if found != file.sha256:
        raise contradiction(locked.id, f"a text of {file.handle} with sha256 {file.sha256}", f"sha256 {found}")
    return InlineFileSpecs(file.handle, file.text)


def _offer(file: LockedFile, model: ModelMetadata, provider: str) -> FileDownloadSpecs | InlineFileSpecs:
    artefacts: Sequence[Any] = [item for package in model.model_packages for item in package.package_artefacts]
    for item in artefacts:
        if isinstance(item, InlineFileSpecs) and text_sha256(item.text) == file.sha256:
            return replace(item, file_handle=file.handle)
        if isinstance(item, FileDownloadSpecs) and has_content(file, item):
            # The pin decides what may arrive, whatever the source announces.
            return replace(file.at(item.download_url), md5_hash=item.md5_hash or file.md5)
        if isinstance(item, LocalFileArtefactSpecs) and _holds(item.path, file):
            return file.at(str(item.path))
    raise ModelRetrievalError(
        f"{provider!r} does not offer {file.handle} of {model.model_id!r} as it is locked.",
        needs=f"a file with sha256 {file.sha256}",
        found=f"{len(artefacts)} files with other content",
        fix='name a source that has it: mirror="provider:id"',
    )


def _holds(path: Path, file: LockedFile) -> bool:
    with suppress(OSError):
        return path.stat().st_size == file.size and file_sha256(path) == file.sha256
    return False


def _refuse_choices(given: Iterable[str], *, where: str) -> None:
    for name in given:
        if name in _CHOICES:
            raise InvalidParameterError(
                f"{where}: {name} cannot be chosen here.",
                needs="the provider and the package that the lock file pins",
                found=f"{name}=",
                fix="leave it out, or write another lock file: inference-models lock --help",
            )


def _refuse_untrusted(model: ModelMetadata, load: LoadRequest) -> None:
    request = PackageRequest(device=load.device, allow_untrusted=load.options.allow_untrusted_packages)
    environment = probe_environment()
    package = model.model_packages[0]
    candidate = Candidate(package, package.backend)
    rejection = check_trust(Case(model, candidate, request, environment))
    if rejection is not None:
        raise refusal(Choice(model, request, environment, (Verdict(candidate, (rejection,), runs=False),)))
