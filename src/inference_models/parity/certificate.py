"""A parity certificate: what was compared with what, where, on which images, and how far apart the answers were.

It is a record and no security boundary: whoever may write to the cache can write one. Certificates lie beside the
packages in the cache, never inside them: `<cache>/parity/<model>/<package>.<runtime>.<device>.json` for a package of
the cache, `<cache>/parity/local/<files>.<runtime>.<device>.json` for files of the user. A part is added to the device
where execution providers were named.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import msgspec

from inference_models.backends import known_runtimes
from inference_models.cache.facts import Facts
from inference_models.cache.inventory import certificates_of
from inference_models.cache.manifest import Damage, read_manifest
from inference_models.config import cache_directory
from inference_models.entities import Quantization
from inference_models.errors import CorruptedModelPackageError
from inference_models.files.digest import file_digest, text_sha256
from inference_models.parity.compare import DeviationFacts, Gate
from inference_models.parity.raw import OutputDeviation

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.entities import BackendType
    from inference_models.loading.address import LoadRequest
    from inference_models.package.folder import PackageFolder

LOCAL = "local"
FILE_NAME = "parity_certificates.json"
"""In a package that was converted: those of the machine it was made on. No part of what the digest is about."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A package as a runtime opened it."""

    package_id: str
    package_format: str
    quantization: str
    runtime: str
    runtime_version: str
    """Empty: the package brings its own code."""
    files: str
    """SHA-256 over the names and SHA-256 of all its files."""
    device: str
    """As the runtime reports it: `cpu`, `cuda:0`."""
    execution_providers: tuple[str, ...] = ()
    """As the runtime reports them, first choice first."""
    asked_device: str | None = None
    """As the caller named it; None: the best there was."""
    asked_providers: tuple[str, ...] | None = None
    """As the caller named them; None: the runtime's own choice."""
    asked_options: str = ""
    """SHA-256 over the execution providers and their options as the caller named them; empty: no options."""

    @property
    def label(self) -> str:
        """For reports, from the names that were written down: `package 7c20 (onnx fp32) in OpenVINO`."""
        unknown = f" {Quantization.UNKNOWN.value}"
        kind = f"{self.package_format} {self.quantization}".removesuffix(unknown)
        return f"package {self.package_id} ({kind}) in {runtime_name(self.runtime)}"

    @property
    def requested(self) -> tuple[str | None, tuple[str, ...] | None, str]:
        """Device, execution providers and their options as the caller named them; see `requested_settings`."""
        return self.asked_device, self.asked_providers, self.asked_options

    @property
    def device_kind(self) -> str:
        """`cpu`, `cuda`, ..."""
        return self.device.partition(":")[0]


def runtime_name(value: str) -> str:
    """What people call the runtime that is written down as `value`."""
    return next((record.label for kind, record in known_runtimes().items() if kind.value == value), value)


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The images that answers were compared on."""

    kind: str
    """`probe`: those of the library; `files`: the user's."""
    count: int
    digest: str
    """SHA-256 over the SHA-256 of each, in their order."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for one package and one runtime on one machine."""

    schema_version: Literal[1] = 1
    model_id: str
    provider: str
    subject: Subject
    reference: Subject
    """The same as `subject`: it is the reference itself."""
    library_version: str
    machine: str
    """Changes when a runtime or a device comes, goes, or gets another version."""
    images: ImageFacts
    deviation: DeviationFacts | None = None
    """None: of the reference itself."""
    outputs: tuple[OutputDeviation, ...] = ()
    compared_inputs: int = 0
    """Network inputs whose raw outputs were compared."""
    gate: Gate | None = None
    """None: of the reference itself, or there is none for its number format."""
    violations: tuple[str, ...] = ()
    """What differed more than it may, in words."""
    passed: bool
    """Whether it vouches for the package."""
    created_at: datetime

    @property
    def is_reference(self) -> bool:
        """Whether this is what the others were compared with."""
        return self.subject == self.reference

    def is_of(self, subject: Subject) -> bool:
        """Whether it is of these files in the same version of the runtime, on the same kind of device."""
        mine, other = (
            (item.files, item.runtime_version, item.device_kind, item.execution_providers, item.asked_options)
            for item in (self.subject, subject)
        )
        return mine == other


class CertificateStore:
    """The certificates below one cache folder."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = (root or cache_directory()).absolute()
        self._facts = Facts(self._root / "parity", Certificate, "parity certificate ignored: %s")

    def files_digest(self, package: PackageFolder) -> str:
        """SHA-256 over the names and hashes of the files of a package: of one in the cache, from its list of files.

        Raises:
            CorruptedModelPackageError: a file cannot be read.
        """
        if self._is_stored(package):
            manifest = read_manifest(package.directory)
            if not isinstance(manifest, Damage):
                return _digest({file.handle: file.sha256 for file in manifest.files})
        hashes = {handle: text_sha256(text) for handle, text in package.texts.items()}
        return _digest({**hashes, **{handle: _hash(path, handle) for handle, path in package.files.items()}})

    def save(self, certificate: Certificate, package: PackageFolder) -> Path:
        """Write a certificate; returns its path.

        Raises:
            OSError: the cache folder cannot be written to.
        """
        return self._facts.write(self._name(certificate.subject, package), certificate)

    def remove(
        self, package: PackageFolder, runtime: BackendType, requested: tuple[str | None, tuple[str, ...] | None, str]
    ) -> None:
        """Remove the certificate of a package that does not run any more; `requested` as `Subject.requested`."""
        for name in self._names(package, self.files_digest(package), runtime):
            certificate = self._facts.read(name)
            if certificate and certificate.subject.requested == requested:
                self._facts.remove(name)

    def find(self, package: PackageFolder, files: str, runtime: BackendType) -> list[Certificate]:
        """The certificates of a package, with `files` as its `files_digest`, in a runtime; last made first.

        Damaged ones are told on the log.
        """
        read = map(self._facts.read, self._names(package, files, runtime))
        found = [certificate for certificate in read if certificate is not None]
        return sorted(found, key=lambda item: item.created_at.timestamp(), reverse=True)

    def path_of(self, subject: Subject, package: PackageFolder) -> Path:
        """Where the certificate of a package as it was opened lies."""
        return self._facts.path_of(self._name(subject, package))

    def _names(self, package: PackageFolder, files: str, runtime: BackendType) -> list[str]:
        stored = self._is_stored(package)
        place = package.directory if stored else self._root / "packages" / LOCAL / files
        named = [path.name.split(".") for path in certificates_of(self._root, place)]
        right = [parts for parts in named if parts[1] == runtime.value and parts[-1] == "json"]
        return [f"{place.parent.name}/{'.'.join(parts[:-1])}" for parts in right]

    def _name(self, subject: Subject, package: PackageFolder) -> str:
        variant = subject.device_kind
        if subject.asked_providers is not None:
            named = [*subject.asked_providers, *([subject.asked_options] if subject.asked_options else [])]
            variant += f"-{sha256(' '.join(named).encode()).hexdigest()[:8]}"
        stored = self._is_stored(package)
        name = package.directory.name if stored else subject.files
        model = package.directory.parent.name if stored else LOCAL
        return f"{model}/{name}.{subject.runtime}.{variant}"

    def _is_stored(self, package: PackageFolder) -> bool:
        return package.directory.parent.parent == self._root / "packages"


def requested_settings(load: LoadRequest) -> tuple[str | None, tuple[str, ...] | None, str]:
    """Device, execution providers and a digest of their options as a load names them.

    Runtimes take options as texts: 1 and "1" are the same. The digest is empty where there are none.
    """
    if load.execution_providers is None:
        return load.device, None, ""
    named = [(item, {}) if isinstance(item, str) else (str(item[0]), item[1]) for item in load.execution_providers]
    names = tuple(name for name, _ in named)
    if not any(options for _, options in named):
        return load.device, names, ""
    stated = [[name, {str(key): str(value) for key, value in options.items()}] for name, options in named]
    return load.device, names, sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


def _hash(path: Path, handle: str) -> str:
    try:
        return file_digest(path).sha256
    except OSError as exc:
        raise CorruptedModelPackageError(
            f"{handle} cannot be read.", needs="a file of the package", found=exc.strerror or type(exc).__name__
        ) from exc


def _digest(hashes: dict[str, str]) -> str:
    hashes = {handle: value for handle, value in hashes.items() if handle != FILE_NAME}
    return sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()
