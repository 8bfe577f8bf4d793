"""Runs the packages of a model one after the other on the same images and says which of them answer alike."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from msgspec import field, structs

from inference_models.backends import probe_environment
from inference_models.entities import BackendType, Quantization
from inference_models.errors import BaseInferenceModelsError, InvalidParameterError, ModelInputError
from inference_models.loading.address import LoadRequest, parse_address
from inference_models.loading.describe import describe_model
from inference_models.loading.open import fetch_package, load_package
from inference_models.loading.remember import RememberedModels
from inference_models.machine.environment import machine_fingerprint
from inference_models.negotiate.explain import choose_packages
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from inference_models.parity.answers import ask_other, ask_reference
from inference_models.parity.certificate import Certificate, CertificateStore, ImageFacts, Subject, requested_settings
from inference_models.parity.compare import FP32, Deviation, compare_predictions, gate_between
from inference_models.parity.images import ImageSet, probe_set
from inference_models.parity.report import ParityReport, ParityRow
from inference_models.parity.require import device_kind
from inference_models.record import Record, replace
from inference_models.text import without_query
from inference_models.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from inference_models.entities import ModelMetadata
    from inference_models.loading.address import Source
    from inference_models.machine.environment import Environment
    from inference_models.negotiate.case import Candidate
    from inference_models.package.folder import PackageFolder
    from inference_models.parity.answers import ReferenceAnswers
    from inference_models.parity.compare import Gate
    from inference_models.parity.raw import RawDeviation
    from inference_models.predictions.container import Prediction

ANY_PACKAGE = PackageRequest()


class ParityOptions(Record, frozen=True, kw_only=True):
    """What is compared with what, and on which images."""

    reference: str | None = None
    """`PACKAGE` or `PACKAGE/BACKEND`; None: the first fp32 package on ONNX Runtime, on the CPU."""
    images: ImageSet | None = None
    """None: those that come with the library."""
    request: PackageRequest = ANY_PACKAGE
    """Which packages are compared with the reference. The reference itself need not be one of them."""
    execution_providers: tuple[Any, ...] | None = None
    load: LoadOptions = field(default_factory=LoadOptions)
    api_key: str | None = None


def check_parity(
    model: str | os.PathLike[str],
    options: ParityOptions | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> ParityReport:
    """How far the packages of `model` that fit this machine are from the reference; the certificates are kept.

    Each package is opened, asked and closed before the next one is opened.

    Args:
        model: A model id or path.
        options: What is compared.
        progress: Called with the name of each package before it is opened.

    Raises:
        NoCompatiblePackageError: nothing of it can run here.
        InvalidParameterError: the reference that was named is none of the packages that can.
        ModelInputError: an image cannot be used.
        ModelLoadingError: the reference does not open; any other failure of it is raised as well.
    """
    options = options or ParityOptions()
    environment = probe_environment()
    load = LoadRequest(
        options=options.load,
        wanted=options.request,
        device=options.request.device,
        execution_providers=options.execution_providers,
    )
    memory = RememberedModels(load, environment, enabled=False)
    address = parse_address(model, api_key=options.api_key)
    with describe_model(address, load, api_key=options.api_key, memory=memory) as (metadata, source):
        everything = replace(options.request, backends=None, quantizations=None, package_id=None)
        wider = choose_packages(metadata, everything, environment).admissible
        compared = choose_packages(metadata, options.request, environment).admissible
        bench = Bench(metadata, source, load, environment, options.images or probe_set(), progress or (lambda _: None))
        return bench.run(pick_references(wider, options.reference), compared)


def pick_references(candidates: Sequence[Candidate], named: str | None) -> list[Reference]:
    """What the others are compared with: what was named, else what there is most reason to believe, first choice first.

    Raises:
        InvalidParameterError: the one that was named is not among the candidates.
    """
    if named is None:
        return [_as_reference(candidate) for candidate in sorted(candidates, key=lambda item: not _is_onnx_fp32(item))]
    package_id, _, backend = named.partition("/")
    for candidate in candidates:
        if candidate.package.package_id == package_id and backend in {"", candidate.runtime.value}:
            return [Reference(candidate, "as asked for", named=True)]
    raise InvalidParameterError(
        f"--reference {named!r} is none of the packages that can run here.",
        needs=", ".join(f"{item.package.package_id}/{item.runtime.value}" for item in candidates),
        found=repr(named),
    )


def _as_reference(candidate: Candidate) -> Reference:
    if _is_onnx_fp32(candidate):
        return Reference(candidate, "the first fp32 package on ONNX Runtime, on the CPU", on_cpu=True)
    return Reference(candidate, "the first in the declared order, for none that says fp32 runs on ONNX Runtime here")


def _is_onnx_fp32(candidate: Candidate) -> bool:
    return candidate.runtime is BackendType.ONNX and candidate.package.quantization is Quantization.FP32


class Reference(Record, frozen=True):
    """What the others are compared with."""

    candidate: Candidate
    reason: str
    """Why this package is the reference."""
    on_cpu: bool = False
    """Opened on the CPU, whatever device the others are opened on."""
    named: bool = False
    """The caller chose it. Then its own answers do not vouch for it."""


class _PackageRun(Record, frozen=True):
    """A package that ran, and its answers."""

    subject: Subject
    folder: PackageFolder
    answer: Any


class Bench(Record, frozen=True):
    """Opens one package after the other and asks each the same."""

    model: ModelMetadata
    source: Source
    load: LoadRequest
    environment: Environment
    images: ImageSet
    progress: Callable[[str], None]
    store: CertificateStore = field(default_factory=CertificateStore)
    coarse: Gate | None = None
    """What is asked of number formats that have no gate; it judges them, and vouches for nothing."""

    def run(self, references: Sequence[Reference], compared: Sequence[Candidate]) -> ParityReport:
        """Everything that is compared, the reference first: the first of `references` that runs.

        Raises:
            BaseInferenceModelsError: none of them does.
        """
        failed: list[ParityRow] = []
        reference, opened = self._open_reference(references, failed)
        settings = self._settings_of(reference)
        rows = [self._row_of_reference(reference, opened), *failed]
        done = {row.label for row in failed}
        for candidate in compared:
            is_reference = candidate == reference.candidate and self._is_as_asked(settings)
            if not is_reference and candidate.label not in done:
                rows.append(self._row(candidate, reference.candidate, opened))
        return ParityReport(
            model_id=without_query(self.model.model_id),
            machine=self.environment.describe(),
            reference=f"{reference.candidate.label}, {opened.subject.device}",
            reason=reference.reason,
            images=self._image_facts(),
            rows=tuple(rows),
        )

    def _open_reference(
        self, references: Sequence[Reference], failed: list[ParityRow]
    ) -> tuple[Reference, _PackageRun]:
        for number, reference in enumerate(references):
            settings = self._settings_of(reference)
            try:
                opened = self._run_package(
                    reference.candidate, settings, lambda model: ask_reference(model, self.images.images)
                )
            except ModelInputError:
                raise  # the fault of an image
            except BaseInferenceModelsError as exc:
                if number == len(references) - 1:
                    raise
                self._withdraw(reference.candidate, settings)
                failed.append(_failure(reference.candidate, exc))
                continue
            return reference, opened
        raise ValueError("there is no reference to compare with")

    def _settings_of(self, reference: Reference) -> LoadRequest:
        return replace(self.load, device="cpu", execution_providers=None) if reference.on_cpu else self.load

    def _is_as_asked(self, load: LoadRequest) -> bool:
        """Whether the caller's own settings lead to the same as those of the reference."""
        if load == self.load:
            return True
        return device_kind(self.load, self.environment) == "cpu" and self.load.execution_providers is None

    def _run_package(self, candidate: Candidate, load: LoadRequest, ask: Callable[[Any], Any]) -> _PackageRun:
        self.progress(candidate.label)
        folder = fetch_package(self.model, candidate.package, self.source)
        loaded: Any = load_package(self.model, candidate, folder, load)
        try:
            return _PackageRun(self._subject(candidate, folder, loaded, load), folder, ask(loaded))
        finally:
            # A class that a package brings need not have it.
            getattr(loaded, "close", lambda: None)()

    def _row_of_reference(self, reference: Reference, opened: _PackageRun) -> ParityRow:
        raw = opened.answer.raw.deviation()
        certificate = self._certificate(opened.subject, opened.subject, raw)
        doubt = None if certificate.violations else self._doubt_about(reference, opened)
        if doubt is None:
            return self._kept(reference.candidate, opened, certificate, ())
        unproven = structs.replace(certificate, passed=False)
        return _as_row(reference.candidate, unproven, (f"no certificate is written for it: {doubt}",))

    def _doubt_about(self, reference: Reference, opened: _PackageRun) -> str | None:
        """Why the reference gets no certificate of its own; None: it gets one."""
        if reference.named:
            return "it was named, and nothing but its own answers vouches for it"
        subject = opened.subject
        for known in self.store.find(opened.folder, subject.files, reference.candidate.runtime):
            if known.violations and known.machine == machine_fingerprint(self.environment) and known.is_of(subject):
                return (
                    f"one says that it failed against {known.reference.label}; compare it with a package that you "
                    f"trust (--reference), or remove {self.store.path_of(known.subject, opened.folder)}"
                )
        return None

    def _row(self, candidate: Candidate, reference: Candidate, known: _PackageRun) -> ParityRow:
        answers: ReferenceAnswers = known.answer
        try:
            opened = self._run_package(
                candidate, self.load, lambda model: ask_other(model, self.images.images, answers)
            )
        except BaseInferenceModelsError as exc:
            self._withdraw(candidate, self.load)
            return _failure(candidate, exc)
        predictions, tally = opened.answer
        vouching = gate_between(reference.package.quantization, candidate.package.quantization)
        gate = vouching or self.coarse
        deviation, raw = _deviation(answers.predictions, predictions, gate), tally.deviation()
        found = _violations(deviation, raw, gate)
        certificate = structs.replace(
            self._certificate(opened.subject, known.subject, raw),
            deviation=deviation.facts(gate),
            gate=gate,
            violations=found,
            passed=vouching is not None and not found,
        )
        return self._kept(candidate, opened, certificate, self._notes(deviation, raw))

    def _notes(self, deviation: Deviation, raw: RawDeviation) -> tuple[str, ...]:
        """What was not compared, and why."""
        notes = []
        if not deviation.compared and not deviation.incomparable:
            nothing = f"no object above {deviation.least_score:g} on the {self.images.noun}"
            notes.append(f"{nothing}: only raw outputs were compared" if raw.images else nothing)
        if raw.note is not None:
            notes.append(f"raw outputs were not compared: {raw.note}")
        return tuple(notes)

    def _certificate(self, subject: Subject, reference: Subject, raw: RawDeviation) -> Certificate:
        """With what holds of the reference itself."""
        return Certificate(
            model_id=without_query(self.model.model_id),
            provider=self.source.name,
            subject=subject,
            reference=reference,
            library_version=__version__,
            machine=machine_fingerprint(self.environment),
            images=self._image_facts(),
            outputs=raw.outputs,
            compared_inputs=raw.images,
            violations=raw.not_finite(),
            passed=not raw.not_finite(),
            created_at=datetime.now(timezone.utc),
        )

    def _subject(self, candidate: Candidate, folder: PackageFolder, loaded: Any, load: LoadRequest) -> Subject:
        package, resolved = candidate.package, getattr(loaded, "resolved_model", None)
        device, providers, options = requested_settings(load)
        return Subject(
            package_id=package.package_id,
            package_format=package.backend.value,
            quantization=(package.quantization or Quantization.UNKNOWN).value,
            runtime=candidate.runtime.value,
            runtime_version=str(self.environment.runtimes.get(candidate.runtime) or ""),
            files=self.store.files_digest(folder),
            device=(load.device or "cpu") if resolved is None else resolved.device,
            execution_providers=() if resolved is None else resolved.execution_providers,
            asked_device=device,
            asked_providers=providers,
            asked_options=options,
        )

    def _kept(
        self, candidate: Candidate, opened: _PackageRun, certificate: Certificate, notes: tuple[str, ...]
    ) -> ParityRow:
        file = None
        try:
            file = self.store.save(certificate, opened.folder)
        except OSError as exc:
            notes = (*notes, f"the certificate was not kept: {exc.strerror or type(exc).__name__}")
        return _as_row(candidate, certificate, notes, file)

    def _withdraw(self, candidate: Candidate, load: LoadRequest) -> None:
        """An older certificate of what does not run any more."""
        with suppress(BaseInferenceModelsError):
            folder = fetch_package(self.model, candidate.package, self.source)
            self.store.remove(folder, candidate.runtime, requested_settings(load))

    def _image_facts(self) -> ImageFacts:
        return ImageFacts(kind=self.images.kind, count=len(self.images.images), digest=self.images.digest)


def _deviation(reference: list[Prediction], other: list[Prediction], gate: Gate | None) -> Deviation:
    """How far predictions are apart; those of models that give another number of them cannot be compared.

    Without a gate, what fp32 allows decides what is in the same place.
    """
    if len(reference) != len(other):
        return Deviation(incomparable=(f"{len(other)} answers, {len(reference)} of the reference",))
    return compare_predictions(reference, other, box_px=(gate or FP32).box_px)


def _violations(deviation: Deviation, raw: RawDeviation, gate: Gate | None) -> tuple[str, ...]:
    """Why answers are not the same, in words; empty: they are, as far as the gate says what that means.

    Raw outputs decide where there was no answer to compare.
    """
    found = (*raw.not_finite(), *deviation.beyond(gate))
    if found or gate is None or deviation.compared:
        return found
    return raw.beyond(gate) if raw.images else ("nothing could be compared",)


def _as_row(
    candidate: Candidate, certificate: Certificate, notes: tuple[str, ...], file: Path | None = None
) -> ParityRow:
    subject, reference = certificate.subject, certificate.reference
    device = "" if subject.device == reference.device else f", {subject.device}"
    return ParityRow(
        label=f"{candidate.label}{device}",
        package_id=candidate.package.package_id,
        runtime=candidate.runtime.value,
        certificate=certificate,
        notes=notes,
        file=file,
    )


def _failure(candidate: Candidate, exc: BaseInferenceModelsError) -> ParityRow:
    return ParityRow(
        label=candidate.label,
        package_id=candidate.package.package_id,
        runtime=candidate.runtime.value,
        failure=_in_one_line(exc),
    )


def _in_one_line(failure: BaseInferenceModelsError) -> str:
    facts = f" (needs {failure.needs}; found: {failure.found})" if failure.needs else ""
    return f"{failure.summary.rstrip('.')}{facts}".replace("\n", " ")
