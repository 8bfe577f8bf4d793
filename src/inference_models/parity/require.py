"""`require_parity=True`: only what a certificate on this machine vouches for is opened."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from inference_models.backends.environment import probe_environment
from inference_models.errors import MissingParityCertificateError
from inference_models.loading.address import LOCAL
from inference_models.loading.resolutions import machine_fingerprint
from inference_models.parity.store import CertificateStore
from inference_models.text import without_query

if TYPE_CHECKING:
    from inference_models.loading.describe import Source
    from inference_models.loading.open import LoadRequest
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.package.folder import PackageFolder
    from inference_models.parity.certificate import Certificate, Subject

_OTHER_MACHINE = "one of another machine, or from before something was installed or removed here"


def require_certificate(candidate: Candidate, folder: PackageFolder, load: LoadRequest, asked_for: str) -> None:
    """Return when a certificate vouches for the package as it is about to be opened.

    Args:
        candidate: The package and the runtime.
        folder: Its files.
        load: How it is about to be opened.
        asked_for: The model as it is named on the command line; see `name_of`.

    Raises:
        MissingParityCertificateError: none does.
    """
    refusal = parity_refusal(candidate, folder, load, asked_for)
    if refusal is not None:
        raise refusal


def certify_load(candidate: Candidate, folder: PackageFolder, load: LoadRequest, source: Source) -> None:
    """`require_certificate` for a model that comes from `source`."""
    require_certificate(candidate, folder, load, name_of(source.name, source.model_id))


def parity_refusal(
    candidate: Candidate, folder: PackageFolder | None, load: LoadRequest, asked_for: str
) -> MissingParityCertificateError | None:
    """What `require_certificate` raises. Without a folder: of a package that is not on this machine, which has none."""
    store = CertificateStore()
    files = "" if folder is None else store.files_digest(folder)
    wanted = _Wanted.of(candidate, files, load, probe_environment())
    reasons = []
    for certificate in () if folder is None else store.find(folder, wanted.files, candidate.runtime):
        reason = wanted.reason_against(certificate)
        if reason is None:
            return None
        reasons.append(reason)
    return MissingParityCertificateError(
        f"{candidate.label} of {asked_for!r} is not vouched for on this machine.",
        needs=f"a parity certificate of these files in {wanted.opened()}",
        found=reasons[0] if reasons else "none",
        fix=f"inference-models parity {shlex.quote(asked_for)}",
    )


def name_of(provider: str, model_id: str) -> str:
    """A model as it is named on the command line, without what must not be shown."""
    plain = without_query(model_id)
    return plain if provider == LOCAL or "://" in plain else f"{provider}:{plain}"


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What a certificate has to be of."""

    files: str
    runtime: str
    version: str
    machine: str
    device: str | None
    """`cpu`, `cuda`, ...; None: the best there is, on a machine with several."""
    providers: tuple[str, ...] | None
    options: str
    """Of the providers; see `options_digest`."""

    @classmethod
    def of(cls, candidate: Candidate, files: str, load: LoadRequest, environment: Environment) -> _Wanted:
        return cls(
            files=files,
            runtime=candidate.runtime.value,
            version=str(environment.runtimes.get(candidate.runtime) or ""),
            machine=machine_fingerprint(environment),
            device=device_kind(load, environment),
            providers=provider_names(load),
            options=options_digest(load),
        )

    def opened(self) -> str:
        """`onnx 1.30.0 on cpu`."""
        return f"{self.runtime} {self.version}".strip() + (f" on {self.device}" if self.device else "")

    def reason_against(self, certificate: Certificate) -> str | None:
        """Why a certificate does not vouch for this; None when it does."""
        subject = certificate.subject
        used = ", ".join(subject.execution_providers)
        failures = "; ".join(certificate.violations) or "there is no gate for its number format"
        reasons = {
            "one of other files": subject.files != self.files,
            f"one of {subject.runtime} {subject.runtime_version}".rstrip(): not self._is_runtime_of(subject),
            f"one of {subject.device}": not self._is_device_of(subject),
            f"one of {used}": not self._are_providers_of(subject),
            f"one of {used} with other options": subject.asked_options != self.options,
            _OTHER_MACHINE: certificate.machine != self.machine,
            f"one that failed: {failures}": not certificate.passed,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def _is_runtime_of(self, subject: Subject) -> bool:
        return (subject.runtime, subject.runtime_version) == (self.runtime, self.version)

    def _is_device_of(self, subject: Subject) -> bool:
        return subject.asked_device is None if self.device is None else subject.device_kind == self.device

    def _are_providers_of(self, subject: Subject) -> bool:
        if self.providers is None:
            return subject.asked_providers is None
        used = subject.execution_providers[: len(self.providers)]
        return self.providers in {subject.asked_providers, used}


def device_kind(load: LoadRequest, environment: Environment) -> str | None:
    """`cpu`, `cuda`, ...; None: the best there is, on a machine with several."""
    device = load.device or (None if environment.gpus else "cpu")
    return None if device is None else device.partition(":")[0]


def provider_names(load: LoadRequest) -> tuple[str, ...] | None:
    """The execution providers a load names, without their options."""
    if load.execution_providers is None:
        return None
    return tuple(item if isinstance(item, str) else str(item[0]) for item in load.execution_providers)


def options_digest(load: LoadRequest) -> str:
    """SHA-256 over the execution providers a load names and their options; empty: it names no options.

    Runtimes take options as texts: 1 and "1" are the same.
    """
    named = [(item, {}) if isinstance(item, str) else item for item in load.execution_providers or ()]
    if not any(options for _, options in named):
        return ""
    stated = [[name, {str(key): str(value) for key, value in options.items()}] for name, options in named]
    return sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()
