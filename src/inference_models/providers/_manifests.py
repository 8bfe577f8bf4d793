"""Providers `file`, `http`, `https`, `s3`, `gs`, `az`, `fsspec`: models that a `manifest.json` at a URL announces."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from inference_models.entities import (
    FileDownloadSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
)
from inference_models.errors import CorruptedModelPackageError, ModelNotFoundError, ModelRetrievalError
from inference_models.package.formats import holds_no_code
from inference_models.package.manifest import FILE_NAME, MAX_BYTES, read_model
from inference_models.package.manifest_address import WEB, file_url, parse_address, same_origin
from inference_models.providers import NO_OPTIONS, DescribeOptions, ProviderRecord, StreamingProvider, with_model_config
from inference_models.providers._storage import FileStorage, FsspecStorage, HttpStorage
from inference_models.transport.limits import call_with_retries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.package.manifest import AnnouncedPackage, ReadModel
    from inference_models.package.manifest_address import ManifestAddress
    from inference_models.providers._storage import Storage
    from inference_models.transport.stream import FileStream


class ManifestProvider(StreamingProvider):
    """Folders of models behind a URL. Nothing is listed or guessed: what the manifest does not name is not there."""

    def __init__(self, scheme: str | None = None) -> None:
        self._scheme = scheme
        self._storages: dict[str, Storage] = {}
        self._address: ManifestAddress | None = None
        self._headers: dict[str, str] = {}

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:
        """A model of a manifest: `scheme://place[/manifest.json][#model-id]`.

        Raises:
            ModelNotFoundError: there is no manifest, or no such model in it; names the nearest.
            InvalidParameterError: the id cannot be one.
            RetryError: the place does not answer.
            ModelRetrievalError: the manifest is none, or sends us to a place that is not allowed.
        """
        address = parse_address(model_id, scheme=self._scheme)
        self._address = address
        self._headers = _headers(options)
        data = call_with_retries(lambda: self._manifest(address))
        try:
            read = read_model(data, address.model_id, where=address.shown)
        except CorruptedModelPackageError as exc:
            raise ModelRetrievalError(exc.summary, needs=exc.needs, found=exc.found) from exc
        return _metadata(address, read)

    def open(self, file: FileDownloadSpecs, *, start: int = 0, stop: int | None = None) -> FileStream:
        """The bytes of a file that a manifest announced."""
        return self._storage(file.download_url).open(file.download_url, start=start, stop=stop)

    def close(self) -> None:
        """Close the connections."""
        for storage in self._storages.values():
            storage.close()

    def _manifest(self, address: ManifestAddress) -> bytes:
        try:
            return self._storage(address.manifest).read(address.manifest, limit=MAX_BYTES)
        except ModelNotFoundError as exc:
            raise ModelNotFoundError(
                f"there is no {address.shown}.",
                needs=f"a {FILE_NAME} with the SHA-256 of every file: folders are never listed",
                found="nothing there",
                fix="check the address, or publish one",
            ) from exc

    def _storage(self, url: str) -> Storage:
        scheme = url.partition("://")[0]
        key = "http" if scheme in WEB else "file" if scheme == "file" else "fsspec"
        if key not in self._storages:
            self._storages[key] = self._new_storage(key)
        return self._storages[key]

    def _new_storage(self, key: str) -> Storage:
        if key == "http":
            return HttpStorage(self._headers_for)
        return FileStorage() if key == "file" else FsspecStorage()

    def _headers_for(self, url: str) -> Mapping[str, str]:
        return self._headers if self._address is not None and same_origin(self._address, url) else {}


def _headers(options: DescribeOptions) -> dict[str, str]:
    own = {} if options.api_key is None else {"Authorization": f"Bearer {options.api_key}"}
    return dict(options.extra_headers) | own


def _metadata(address: ManifestAddress, read: ReadModel) -> ModelMetadata:
    model = read.model
    cache_id = address.cache_id(read.model_id)
    metadata = ModelMetadata(
        model_id=address.given,
        model_architecture=model.architecture,
        model_variant=model.variant,
        task_type=model.task_type,
        license=model.license,
        source=model.source or address.shown,
        description=model.description,
        recommended_parameters=model.recommended_parameters,
        model_dependencies=model.dependencies,
        model_packages=[_package(address, package, cache_id) for package in model.packages],
        skipped_packages=read.skipped,
    )
    return with_model_config(metadata)


def _package(address: ManifestAddress, package: AnnouncedPackage, cache_id: str) -> ModelPackageMetadata:
    return ModelPackageMetadata(
        package_id=package.package_id,
        backend=package.backend,
        package_artefacts=[
            FileDownloadSpecs(file_url(address, file), file.handle, sha256_hash=file.sha256, size=file.size)
            for file in package.files
        ],
        quantization=package.quantization,
        dynamic_batch_size_supported=package.dynamic_batch_size_supported,
        static_batch_size=package.static_batch_size,
        onnx_package_details=ONNXPackageDetails(package.opset) if package.opset is not None else None,
        # The caller named the place, a graph holds no code, and nobody on the way could change the hashes.
        trusted_source=holds_no_code(package.backend) and address.is_private_way,
        model_features=package.model_features,
        cache_model_id=cache_id,
    )


RECORDS = {
    scheme: ProviderRecord(open=partial(ManifestProvider, scheme), schemes=(scheme,), offline=scheme == "file")
    for scheme in ("az", "file", "gs", "http", "https", "s3")
} | {"fsspec": ProviderRecord(open=ManifestProvider)}
"""By provider name; `fsspec` takes whatever scheme that library knows."""
