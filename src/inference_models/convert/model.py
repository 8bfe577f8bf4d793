"""Writes a package of another format from a model that runs in PyTorch, and refuses to where the two do not agree."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from inference_models import config
from inference_models.backends import probe_environment
from inference_models.backends.torch_session import TorchSession, import_torch
from inference_models.cache.facts import as_checked
from inference_models.cache.workspace import private_folder
from inference_models.convert.exporters import ONNX, exportable, exporters_for, quantize_weights
from inference_models.convert.options import Conversion, ConvertOptions, refuse_impossible
from inference_models.entities import BackendType, Quantization
from inference_models.errors import (
    BaseInferenceModelsError,
    EnvironmentConfigurationError,
    ModelConversionError,
)
from inference_models.files.durable import make_folder, move, write_file
from inference_models.loading.address import LoadRequest, parse_address
from inference_models.loading.converted import keep_converted
from inference_models.loading.describe import describe_model
from inference_models.loading.open import fetch_package, load_package
from inference_models.loading.remember import RememberedModels
from inference_models.negotiate.case import Candidate, candidates_of
from inference_models.negotiate.choose import negotiate
from inference_models.negotiate.request import PackageRequest
from inference_models.package import class_names, graph_facts, inference_config, key_point_names, model_config
from inference_models.parity.answers import call_of, low_threshold
from inference_models.parity.certificate import FILE_NAME as CERTIFICATES
from inference_models.parity.check import Bench, Reference
from inference_models.parity.compare import Gate, compare_predictions, gate_between, predictions_in
from inference_models.parity.images import probe_images, probe_set
from inference_models.providers.local import LocalProvider
from inference_models.record import Record, replace
from inference_models.tasks.graph_runner import GraphModel

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from inference_models.arrays import NumpyArray
    from inference_models.convert.exporters import Exportable, Exporter
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.loading.address import Source
    from inference_models.machine.environment import Environment
    from inference_models.package.folder import PackageFolder
    from inference_models.parity.report import ParityReport, ParityRow
    from inference_models.predictions.container import Prediction

SOURCES = frozenset({BackendType.TORCH, BackendType.HF})
"""What has a network in PyTorch."""
INT8 = Gate(matched=0.9, box_px=8.0, score=0.1, mask_iou=0.9, pixels=0.05, raw=0.1)
"""How far weights of 8 bits may lead; more is another model. Within it the certificate says how far, and no more."""
_COPIED = (
    inference_config.FILE_NAME,
    class_names.FILE_NAME,
    key_point_names.FILE_NAME,
    graph_facts.HINTS,
)


class _Work(Record, frozen=True, kw_only=True):
    """One conversion under way."""

    options: ConvertOptions
    model: ModelMetadata
    source: Source
    candidate: Candidate
    """What is converted."""
    folder: PackageFolder
    load: LoadRequest
    environment: Environment
    given: Exportable
    expected: list[Prediction]
    """The answers of the source to a batch."""
    progress: Callable[[str], None]

    @property
    def package_id(self) -> str:
        return f"{self.options.to.value.replace('-', '')}{self.options.quantization.value}made"


def convert_model(
    model: str | os.PathLike[str],
    options: ConvertOptions | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> Conversion:
    """A package of another format made of `model`, which answers as it does.

    It is written to a folder of its own, opened, and compared with its source on pictures; only then it appears.

    Raises:
        InvalidParameterError: the format cannot be written in this number format, or the folder is there already.
        NoCompatiblePackageError: its packages for PyTorch do not run here.
        MissingDependencyError: a library that writes the format is not installed.
        ModelConversionError: it has no network in PyTorch, no exporter could write it, or what was written answers
            otherwise; says by how much.
        EnvironmentConfigurationError: the folder cannot be written to.
    """
    options = options or ConvertOptions()
    refuse_impossible(options)
    ways = exporters_for(options.to, options.exporters, half=options.quantization is Quantization.FP16)
    environment, report = probe_environment(), progress or (lambda _: None)
    load = LoadRequest(options=options.load, wanted=options.request, device="cpu", is_pinned=True)
    memory = RememberedModels(load, environment, enabled=False)
    address = parse_address(model, api_key=options.api_key)
    with (
        describe_model(address, load, api_key=options.api_key, memory=memory) as (metadata, source),
        ExitStack() as stack,
    ):
        candidate = _to_convert(metadata, options, environment)
        report(candidate.label)
        folder = fetch_package(metadata, candidate.package, source)
        loaded: Any = load_package(metadata, candidate, folder, load)
        stack.callback(loaded.close)
        work = _Work(
            options=options,
            model=metadata,
            source=source,
            candidate=candidate,
            folder=folder,
            load=load,
            environment=environment,
            expected=_answers_to_batch(loaded),
            given=_exportable(loaded),
            progress=report,
        )
        return _first_that_agrees(work, ways)


def _to_convert(metadata: ModelMetadata, options: ConvertOptions, environment: Environment) -> Candidate:
    """The first package with a network in PyTorch that runs here."""
    wanted = replace(options.request, device="cpu", backends=options.request.backends or SOURCES)
    fitting = [item for item in negotiate(metadata, wanted, environment).admissible if item.package.backend in SOURCES]
    if fitting:
        return fitting[0]
    there = sorted({item.package.backend.value for item in candidates_of(metadata)})
    if any(package.backend in SOURCES for package in metadata.model_packages):
        from inference_models.negotiate.explain import refusal  # noqa: PLC0415 - made where something is refused

        raise refusal(negotiate(metadata, wanted, environment))
    raise ModelConversionError(
        f"{metadata.model_id!r} has no package that can be converted.",
        needs="weights for PyTorch or Transformers",
        found=", ".join(there),
    )


def _exportable(loaded: Any) -> Exportable:
    """The network of a loaded model.

    Raises:
        ModelConversionError: it is not one graph that takes pictures alone.
    """
    opened = loaded.opened if isinstance(loaded, GraphModel) else None
    sessions = [] if opened is None else list(opened.sessions.values())
    session = sessions[0] if len(sessions) == 1 else None
    if opened is None or not isinstance(session, TorchSession) or len(session.inputs) != 1:
        raise ModelConversionError(
            "the model cannot be converted.",
            needs="one network that takes pictures alone",
            found=type(loaded).__name__ if session is None else f"inputs {', '.join(map(str, session.inputs))}",
        )
    torch = import_torch()
    inputs: Any = loaded.pre_process(_batch()[0])
    inputs = inputs[0] if isinstance(inputs, tuple) else inputs
    example = torch.as_tensor(inputs if torch.is_tensor(inputs) else np.asarray(inputs))
    session.run({session.inputs[0].name: example})  # after which it knows its outputs
    return exportable(session, example, free_size=opened.preprocess.dynamic is not None, torch=torch)


def _batch() -> list[NumpyArray]:
    """Pictures of one size, each another one."""
    photo = probe_images()[-1]
    return [photo, np.ascontiguousarray(photo[:, ::-1]), np.ascontiguousarray(photo[::-1])]


def _answers_to_batch(model: Any) -> list[Prediction]:
    return [item.numpy() for item in predictions_in(call_of(model)(_batch(), **low_threshold(model)))]


def _first_that_agrees(work: _Work, ways: list[Exporter]) -> Conversion:
    reasons: list[str] = []
    for way in ways:
        with _beside(work.options) as private:
            folder = private / "package"
            make_folder(folder)
            batches = "batches of any size" if way.open_batch else "one picture at a time"
            work.progress(f"{way.name}, {batches}")
            try:
                rows = _written(work, way, folder)
            except BaseInferenceModelsError as exc:
                if isinstance(exc, EnvironmentConfigurationError):
                    raise
                reasons.append(f"{way.name}, {batches}: {_in_a_line(exc)}")
                continue
            return Conversion(
                model_id=work.model.model_id,
                folder=_moved(work, folder),
                package_id=work.package_id,
                format=work.options.to,
                quantization=work.options.quantization,
                source=work.candidate.label,
                exporter=way.name,
                open_batch=way.open_batch,
                rows=rows,
            )
    number = f"{work.options.to.value} {work.options.quantization.value}"
    raise ModelConversionError(
        f"{work.model.model_id!r} was not converted to {number}: nothing was written.\n  " + "\n  ".join(reasons),
        needs="a package that answers as its source does",
        found=reasons[-1].partition(": ")[2],
    )


def _written(work: _Work, way: Exporter, folder: Path) -> tuple[ParityRow, ...]:
    """How far what `way` writes is from its source, by runtime; it lies in `folder` then.

    Raises:
        ModelConversionError: it is too far.
    """
    way.run(work.given, folder)
    if work.options.quantization is Quantization.INT8:
        quantize_weights(folder / ONNX)
    for name, text in _texts(work, open_batch=way.open_batch).items():
        write_file(folder / name, text.encode())
    package = replace(_described(folder), package_id=work.package_id, quantization=work.options.quantization)
    both = replace(work.model, model_packages=[work.candidate.package, package])
    report = _compared(work, both, package)
    own = next((row for row in report.rows[1:] if row.runtime == work.options.to.value), None)
    if own is None:
        raise ModelConversionError("its runtime cannot open it.", needs=work.options.to.value, found="none here")
    if own.certificate is None or own.certificate.violations:
        violations = own.failure if own.certificate is None else "; ".join(own.certificate.violations)
        raise ModelConversionError(f"it does not answer as its source does: {violations}")
    if way.open_batch:
        _refuse_other_batches(work, both, package)
    rows = (own, *(row for row in report.rows[1:] if row is not own))
    write_file(folder / CERTIFICATES, _certificates(rows))
    return rows


def _described(folder: Path) -> ModelPackageMetadata:
    (package,) = LocalProvider().describe(str(folder)).model_packages
    return package


def _compared(work: _Work, both: ModelMetadata, package: ModelPackageMetadata) -> ParityReport:
    everything = PackageRequest(package_id=package.package_id, device="cpu", force=True)
    runtimes = [item for item in negotiate(both, everything, work.environment).admissible if item.package is package]
    if work.options.to not in {item.runtime for item in runtimes}:
        runtimes = [Candidate(package, work.options.to), *runtimes]
    bench = Bench(
        both,
        work.source,
        work.load,
        work.environment,
        work.options.images or probe_set(),
        work.progress,
        coarse=INT8,
    )
    return bench.run([Reference(work.candidate, "what was converted", named=True)], runtimes)


def _refuse_other_batches(work: _Work, both: ModelMetadata, package: ModelPackageMetadata) -> None:
    """Return when a batch gets the answers of its pictures.

    Raises:
        ModelConversionError: it does not.
    """
    candidate = Candidate(package, work.options.to)
    loaded: Any = load_package(both, candidate, fetch_package(both, package, work.source), work.load)
    try:
        found = _answers_to_batch(loaded)
    finally:
        loaded.close()
    gate = gate_between(work.candidate.package.quantization, package.quantization) or INT8
    if len(found) != len(work.expected):
        raise ModelConversionError(f"{len(work.expected)} pictures at once get {len(found)} answers")
    beyond = compare_predictions(work.expected, found, box_px=gate.box_px).beyond(gate)
    if beyond:
        raise ModelConversionError(f"several pictures at once get other answers: {'; '.join(beyond)}")


def _texts(work: _Work, *, open_batch: bool) -> dict[str, str]:
    """The small files of the package: those of its source, and what it is itself."""
    folder, package = work.folder, work.candidate.package
    texts = {
        name: folder.texts.get(name) or folder.files[name].read_text(encoding="utf-8")
        for name in _COPIED
        if name in folder.texts or name in folder.files
    }
    if class_names.FILE_NAME not in texts and work.options.load.labels is not None:
        texts[class_names.FILE_NAME] = class_names.format_class_names(class_names.read_labels(work.options.load.labels))
    if not open_batch and inference_config.FILE_NAME in texts:
        stated = json.loads(texts[inference_config.FILE_NAME])
        stated["forward_pass"] = {"static_batch_size": 1}
        texts[inference_config.FILE_NAME] = json.dumps(stated, indent=2) + "\n"
    recommended = package.recommended_parameters or work.model.recommended_parameters
    facts = {
        "model_architecture": work.model.model_architecture,
        "task_type": work.model.task_type,
        "backend_type": work.options.to.value,
        "quantization": work.options.quantization.value,
        "dynamic_batch_size_supported": open_batch,
        "static_batch_size": None if open_batch else 1,
        "model_features": package.model_features,
        "recommended_parameters": None if recommended is None else msgspec.to_builtins(recommended),
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return {**texts, model_config.FILE_NAME: json.dumps(known, indent=2) + "\n"}


def _certificates(rows: tuple[ParityRow, ...]) -> bytes:
    kept = [as_checked(row.certificate) for row in rows if row.certificate is not None]
    return (json.dumps({"schema_version": 1, "certificates": kept}, indent=1) + "\n").encode()


@contextmanager
def _beside(options: ConvertOptions) -> Iterator[Path]:
    """A private folder on the disk that the package will lie on."""
    parent = config.cache_directory() / "tmp" if options.output is None else options.output.absolute().parent
    try:
        with private_folder(parent) as folder:
            yield folder
    except OSError as exc:
        raise _not_written(parent, exc) from exc


def _moved(work: _Work, folder: Path) -> Path:
    """Where the package is from now on."""
    target = work.options.output
    try:
        if target is None:
            source, name = work.candidate.package, work.source.name
            return keep_converted(folder, work.model, name, source, work.package_id)
        move(folder, target.absolute())
    except OSError as exc:
        raise _not_written(target or config.cache_directory(), exc) from exc
    return target.absolute()


def _not_written(place: Path, exc: OSError) -> EnvironmentConfigurationError:
    return EnvironmentConfigurationError(
        f"'{place}' cannot be written to.",
        needs="a folder with room where you may write",
        found=exc.strerror or type(exc).__name__,
        fix="name another folder, or set INFERENCE_HOME",
    )


def _in_a_line(failure: BaseInferenceModelsError) -> str:
    facts = f" (needs {failure.needs}; found: {failure.found})" if failure.needs else ""
    return f"{failure.summary.rstrip('.')}{facts}".replace("\n", " ")
