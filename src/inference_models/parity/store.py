"""Where certificates lie: beside the packages in the cache, never inside them.

`<cache>/parity/<model>/<package>.<runtime>.<device>.json` for a package of the cache, whose folder holds its own files
and nothing else; `<cache>/parity/local/<files>.<runtime>.<device>.json` for files of the user. A part is added to the
device where execution providers were named.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from inference_models.cache.inventory import certificates_of
from inference_models.cache.manifest import Damage, read_manifest
from inference_models.config import cache_directory
from inference_models.errors import CorruptedModelPackageError
from inference_models.files.digest import file_digest, text_sha256
from inference_models.files.durable import make_private_folder, put_aside_folder, read_regular_file, write_atomic
from inference_models.parity.certificate import certificate_json, parse_certificate

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.entities import BackendType
    from inference_models.package.folder import PackageFolder
    from inference_models.parity.certificate import Certificate, Subject

LOCAL = "local"
_log = logging.getLogger("inference-models")


class CertificateStore:
    """The certificates below one cache folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_directory()).absolute()

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

    def keep(self, certificate: Certificate, package: PackageFolder) -> Path:
        """Put a certificate in its place; says where.

        Raises:
            OSError: the cache folder cannot be written to.
        """
        path = self.path_of(certificate.subject, package)
        make_private_folder(path.parent)
        put_aside_folder(path)
        write_atomic(path, json.dumps(certificate_json(certificate), indent=1).encode() + b"\n")
        return path

    def withdraw(
        self, package: PackageFolder, runtime: BackendType, asked: tuple[str | None, tuple[str, ...] | None, str]
    ) -> None:
        """Drop the certificate of what turned out not to run.

        Args:
            package: Whose.
            runtime: In which runtime.
            asked: As `Subject.asked`.
        """
        for path in self._of_runtime(package, self.files_digest(package), runtime):
            certificate = _read(path)
            if certificate and certificate.subject.asked == asked:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def find(self, package: PackageFolder, files: str, runtime: BackendType) -> list[Certificate]:
        """The certificates of a package in a runtime, last made first. Damaged ones are told on the log.

        Args:
            package: Whose.
            files: Its `files_digest`.
            runtime: Which.
        """
        read = map(_read, self._of_runtime(package, files, runtime))
        found = [certificate for certificate in read if certificate is not None]
        return sorted(found, key=lambda item: item.created_at.timestamp(), reverse=True)

    def _of_runtime(self, package: PackageFolder, files: str, runtime: BackendType) -> list[Path]:
        stored = self._is_stored(package)
        place = package.directory if stored else self.root / "packages" / LOCAL / files
        named = [path.name.split(".") for path in certificates_of(self.root, place)]
        right = [parts for parts in named if parts[1] == runtime.value and parts[-1] == "json"]
        return [self.root / "parity" / place.parent.name / ".".join(parts) for parts in right]

    def path_of(self, subject: Subject, package: PackageFolder) -> Path:
        """Where the certificate of a package as it was opened lies."""
        variant = subject.device_kind
        if subject.asked_providers is not None:
            named = [*subject.asked_providers, *([subject.asked_options] if subject.asked_options else [])]
            variant += f"-{sha256(' '.join(named).encode()).hexdigest()[:8]}"
        stored = self._is_stored(package)
        name = package.directory.name if stored else subject.files
        model = package.directory.parent.name if stored else LOCAL
        return self.root / "parity" / model / f"{name}.{subject.runtime}.{variant}.json"

    def _is_stored(self, package: PackageFolder) -> bool:
        return package.directory.parent.parent == self.root / "packages"


def _read(path: Path) -> Certificate | None:
    try:
        return parse_certificate(read_regular_file(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
        _log.warning("%s: parity certificate ignored: %s", path, reason)
        return None


def _hash(path: Path, handle: str) -> str:
    try:
        return file_digest(path).sha256
    except OSError as exc:
        raise CorruptedModelPackageError(
            f"{handle} cannot be read.", needs="a file of the package", found=exc.strerror or type(exc).__name__
        ) from exc


def _digest(hashes: dict[str, str]) -> str:
    return sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()
