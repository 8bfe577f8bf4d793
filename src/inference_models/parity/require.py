"""`require_parity=True`: only what a certificate on this machine vouches for is opened."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from inference_models.backends import probe_environment
from inference_models.errors import MissingParityCertificateError
from inference_models.loading.address import LOCAL
from inference_models.machine.environment import machine_fingerprint
from inference_models.parity.certificate import CertificateStore, requested_settings, runtime_name
from inference_models.record import Record
from inference_models.text import without_query

if TYPE_CHECKING:
    from inference_models.loading.address import LoadRequest, Source
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.package.folder import PackageFolder
    from inference_models.parity.certificate import Certificate

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
    wanted = _Requirement.of(candidate, files, load, probe_environment())
    reasons = []
    for certificate in () if folder is None else store.find(folder, wanted.files, candidate.runtime):
        reason = wanted.reason_against(certificate)
        if reason is None:
            return None
        reasons.append(reason)
    return MissingParityCertificateError(
        f"{asked_for!r} is not vouched for on this machine.",
        needs=f"a parity certificate of these files in {wanted.opened()}",
        found=reasons[0] if reasons else "none",
        fix=f"inference-models parity {shlex.quote(asked_for)}",
    )


def name_of(provider: str, model_id: str) -> str:
    """A model as it is named on the command line, without what must not be shown."""
    plain = without_query(model_id)
    return plain if provider == LOCAL or "://" in plain else f"{provider}:{plain}"


class _Requirement(Record, frozen=True, kw_only=True):
    """The package, runtime, device and providers that a certificate must be of."""

    files: str
    runtime: str
    version: str
    machine: str
    device: str | None
    """`cpu`, `cuda`, ...; None: the best there is, on a machine with several."""
    providers: tuple[str, ...] | None
    options: str
    """Of the providers; see `requested_settings`."""

    @classmethod
    def of(cls, candidate: Candidate, files: str, load: LoadRequest, environment: Environment) -> _Requirement:
        _, providers, options = requested_settings(load)
        return cls(
            files=files,
            runtime=candidate.runtime.value,
            version=str(environment.runtimes.get(candidate.runtime) or ""),
            machine=machine_fingerprint(environment),
            device=device_kind(load, environment),
            providers=providers,
            options=options,
        )

    def opened(self) -> str:
        """`ONNX Runtime 1.30.0 on cpu`."""
        return f"{runtime_name(self.runtime)} {self.version}".strip() + (f" on {self.device}" if self.device else "")

    def reason_against(self, certificate: Certificate) -> str | None:
        """Why a certificate does not vouch for this; None when it does."""
        subject, device, providers = certificate.subject, self.device, self.providers
        used = ", ".join(subject.execution_providers)
        failures = "; ".join(certificate.violations) or "there is no gate for its number format"
        same_device = subject.asked_device is None if device is None else subject.device_kind == device
        asked = {subject.asked_providers}
        if providers is not None:
            asked.add(subject.execution_providers[: len(providers)])
        reasons = {
            "one of other files": subject.files != self.files,
            f"one of {runtime_name(subject.runtime)} {subject.runtime_version}".rstrip(): (
                (subject.runtime, subject.runtime_version) != (self.runtime, self.version)
            ),
            f"one of {subject.device}": not same_device,
            f"one of {used}": providers not in asked,
            f"one of {used} with other options": subject.asked_options != self.options,
            _OTHER_MACHINE: certificate.machine != self.machine,
            f"one that failed: {failures}": not certificate.passed,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)


def device_kind(load: LoadRequest, environment: Environment) -> str | None:
    """`cpu`, `cuda`, ...; None: the best there is, on a machine with several."""
    device = load.device or (None if environment.gpus else "cpu")
    return None if device is None else device.partition(":")[0]
