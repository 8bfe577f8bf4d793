"""From a described package to its files, and to the object the caller holds."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from inference_models.arrays import TensorSpec
from inference_models.backends import find_backend
from inference_models.backends.session import SessionRequest
from inference_models.entities import (
    BackendType,
    LocalFileArtefactSpecs,
    PackageSourceType,
    Quantization,
    ResolvedModelMetadata,
)
from inference_models.errors import (
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
    ModelPackageRestrictedError,
    QuantizationNotRequestedError,
)
from inference_models.families import find_graph, module_builder
from inference_models.machine.hardware import usable_cpus
from inference_models.machine.verdicts import ensure_importable
from inference_models.negotiate.case import package_name
from inference_models.package.class_names import read_labels
from inference_models.package.folder import incomplete_folder, read_package, read_package_folder
from inference_models.package.formats import FORMATS, bare_files, files_by_role, holds_no_code, is_graph, needs_consent
from inference_models.package.graph_facts import read_graph
from inference_models.package.model_config import MODEL_TYPE
from inference_models.package.onnx_file import read_onnx_file
from inference_models.package.text_files import parse_json_object, read_text
from inference_models.providers.local import FUSED, PACKAGE_ID, LocalProvider
from inference_models.record import replace
from inference_models.tasks import find_task
from inference_models.tasks.graph_input import fit_spec, hint_of_input, stated_spec
from inference_models.tasks.graph_runner import OpenedPackage
from inference_models.text import without_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from inference_models.backends.session import Session
    from inference_models.cache.store import PackageStore
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.families import Graph
    from inference_models.loading.address import LoadRequest, Source
    from inference_models.negotiate.case import Candidate
    from inference_models.options import LoadOptions
    from inference_models.package.folder import PackageFolder
    from inference_models.package.graph_facts import GraphFacts
    from inference_models.package.inference_config import InferenceConfig, PostProcessing
    from inference_models.package.preprocess_spec import PreprocessSpec
    from inference_models.tasks import Task
    from inference_models.tasks.any_model import AnyModel

_log = logging.getLogger("inference-models")


def fetch_package(
    model: ModelMetadata, package: ModelPackageMetadata, source: Source, *, store: PackageStore | None = None
) -> PackageFolder:
    """The package with all its files on this machine; a complete cached one costs no network and no writes.

    Raises:
        ModelRetrievalError: the provider cannot hand a file over, or what it handed over is not what it announced.
        CorruptedModelPackageError: the files contradict each other.
        EnvironmentConfigurationError: the cache folder cannot be written to.
    """
    artefacts = package.package_artefacts
    if any(isinstance(item, LocalFileArtefactSpecs) for item in artefacts):
        folders = source.provider.folders if isinstance(source.provider, LocalProvider) else {}
        known = folders.get(model.model_id) if package.package_id == PACKAGE_ID else None
        return known or read_package(artefacts)
    from inference_models.cache.manifest import PackageKey  # noqa: PLC0415 - local packages need no store
    from inference_models.cache.store import PackageStore  # noqa: PLC0415

    model_id = package.cache_model_id or without_query(model.model_id)
    key = PackageKey(source.name, model_id, package.package_id)
    return read_package_folder((store or source.store or PackageStore()).ensure(key, artefacts, source.provider))


def load_package(model: ModelMetadata, candidate: Candidate, folder: PackageFolder, request: LoadRequest) -> AnyModel:
    """The model in `folder`, opened by the runtime of `candidate` and ready to be called.

    Raises:
        ModelLoadingError: the package is damaged, contradicts itself, or brings code that was not allowed.
        EnvironmentConfigurationError: the device that was asked for cannot be used.
    """
    package = candidate.package
    if package.backend is BackendType.CUSTOM:
        from inference_models.loading.run_code import load_code  # noqa: PLC0415 - few packages have code

        return load_code(model, package, folder, request)
    task, graph = task_and_graph(model)
    if graph.models:
        return _load_models(model, candidate, request, task, graph)
    files: Mapping[str, Path] = {}
    if graph.files:
        label, optional = f"model {model.model_id!r}", graph.optional_files
        files = files_by_role(folder.files, graph.files, package.backend, label=label, optional=optional)
        graph = graph.configure(graph, files) if graph.configure else graph
    requests = _session_requests(folder, graph, package.backend, files, request)
    if package.backend is BackendType.TORCH_SCRIPT and needs_consent(package) and not request.is_pinned:
        _check_consent(requests.values(), request)
    opened = as_stated(model, package, folder, request.options, task, graph)
    with ExitStack() as unfinished:
        sessions: dict[str, Session] = {}
        for role, wanted in requests.items():
            if wanted.role is not None:
                wanted = replace(wanted, beside=next(iter(sessions.values()), None))  # noqa: PLW2901
            sessions[role] = _open(candidate.runtime, _examined(candidate, wanted, request), request)
            unfinished.callback(sessions[role].close)
        session = next(iter(sessions.values()))
        stated = None if folder.inference is None else stated_spec(graph, folder.inference)
        preprocess = fit_spec(graph, session, stated, folder.hints)
        if request.options.rf_detr_max_input_resolution is not None:
            _check_resolution(model, preprocess.size, request.options.rf_detr_max_input_resolution)
        opened = replace(
            opened,
            sessions=sessions,
            files=files,
            preprocess=preprocess,
            normalized_boxes=opened.normalized_boxes and _writes_parts(opened, preprocess, folder.inference),
            further_outputs=len(next(iter(requests.values())).further_outputs),
        )
        loaded: Any = cast("Any", task.bind)(opened, graph)
        unfinished.pop_all()
    loaded.resolved_model = _resolved(model, candidate, session.running_on, session.execution_providers, request)
    return cast("AnyModel", loaded)


def _load_models(
    model: ModelMetadata, candidate: Candidate, request: LoadRequest, task: Task, graph: Graph
) -> AnyModel:
    """The model that is made of the models its package names."""
    given, label = request.dependencies or {}, f"model {model.model_id!r}"
    missing = [name for name in graph.models if name not in given]
    if missing:
        raise CorruptedModelPackageError(
            f"{label} is made of other models, and its package does not name them all.",
            needs=f"model_dependencies {' and '.join(map(repr, graph.models))}",
            found=", ".join(map(repr, given)) or "none",
            fix="describe them in model_config.json, or where the model is registered",
        )
    parts = {name: given[name] for name in graph.models}
    loaded: Any = cast("Any", task.bind)(
        OpenedPackage(
            sessions={}, models=parts, preprocess=graph.preprocess, arrays=request.options.arrays, label=label
        ),
        graph,
    )
    used = next((part.resolved_model for part in parts.values() if part.resolved_model is not None), None)
    loaded.resolved_model = _resolved(model, candidate, used.device if used else "cpu", (), request)
    return cast("AnyModel", loaded)


def _resolved(
    model: ModelMetadata,
    candidate: Candidate,
    running_on: str,
    execution_providers: tuple[str, ...],
    request: LoadRequest,
) -> ResolvedModelMetadata:
    package = candidate.package
    return ResolvedModelMetadata(
        model_id=model.model_id,
        model_package_id=package.package_id,
        backend=candidate.runtime.value,
        quantization=package.quantization.value if package.quantization else "unknown",
        device=running_on,
        execution_providers=execution_providers,
        threads=(request.options.threads or usable_cpus()) if running_on == "cpu" else None,
        package_format=package.backend.value,
        license=model.license,
    )


def task_and_graph(model: ModelMetadata) -> tuple[Task, Graph]:
    """The task of the model, and what its family says of its graphs, in the form that this task takes."""
    graph = find_graph(model.model_architecture, model.task_type or "")
    task = find_task(model.task_type or "")
    if task.bind is not None and task.graph is not None and isinstance(graph, task.graph):
        return task, graph
    raise ModelImplementationNotFoundError(
        f"family {model.model_architecture!r} describes graphs for {task.name!r} that this task does not take.",
        needs=getattr(task.graph, "__name__", str(task.graph))
        if task.graph
        else "none: only code packages do this task",
        found=type(graph).__name__,
    )


def _session_requests(
    folder: PackageFolder,
    graph: Graph,
    kind: BackendType,
    files: Mapping[str, Path],
    request: LoadRequest,
) -> dict[str, SessionRequest]:
    """What to open for each graph, by its role; the one that takes the images comes first."""
    stated = folder.inference
    images = SessionRequest(
        directory=folder.directory,
        files=folder.files,
        device=request.device,
        threads=request.options.threads,
        execution_providers=request.execution_providers,
        allow_fallback=request.options.allow_fallback,
        free_input_dims=stated.free_input_dims if stated else {},
        graph=folder.graph,
        input_hint=hint_of_input(
            graph,
            stated.preprocess if stated else None,
            folder.hints,
            stated.forward_pass.static_batch_size if stated else None,
        ),
        module=module_builder(graph, _of_the_network(folder)) if graph.module else None,
        further_outputs=_of_the_head(folder, kind) if request.wanted.required_capabilities else (),
    )
    if not files:
        missing = [handle for handle in FORMATS[kind].weights if handle not in folder.files] if kind in FORMATS else []
        if missing:
            raise incomplete_folder(folder, missing)
        return {"graph": images}
    further = replace(images, graph=None, input_hint=None, free_input_dims={})
    requests: dict[str, SessionRequest] = {}
    for role in filter(lambda role: is_graph(graph.files[role]), files):
        start = further if requests else replace(images, graph=None)
        if kind is BackendType.HF:
            requests[role] = replace(start, role=role)
        else:
            requests[role] = replace(start, directory=files[role].parent, files=bare_files(files[role], kind))
    return requests


def _of_the_network(folder: PackageFolder) -> dict[str, Any]:
    """What a package says of its network: `model_initialization`, and the size of RF-DETR by its name."""
    text = folder.texts.get(MODEL_TYPE)
    if text is None and MODEL_TYPE in folder.files:
        text = read_text(folder.files[MODEL_TYPE], where=MODEL_TYPE)
    size = {} if text is None else parse_json_object(text, where=MODEL_TYPE)
    return {**((folder.inference and folder.inference.model_initialization) or {}), **size}


def _of_the_head(folder: PackageFolder, kind: BackendType) -> tuple[TensorSpec, ...]:
    """The features of a classifier, and its logits where those are no output."""
    if kind is not BackendType.ONNX:
        return (TensorSpec("features", (None, None), "float32"),)  # of modules, whose output are logits
    from inference_models.package.onnx_head import read_head  # noqa: PLC0415 - few loads ask for features

    path = folder.files[FORMATS[BackendType.ONNX].weights[0]]
    features, logits = read_head(path)
    known = {spec.name for spec in read_onnx_file(path).outputs}
    return (features,) if logits.name in known else (features, logits)


def _check_consent(requests: Iterable[SessionRequest], request: LoadRequest) -> None:
    """Refuse TorchScript archives that nobody vouches for, unless the caller consents to their content."""
    from inference_models.package.code import check_archive_consent  # noqa: PLC0415 - only where it is needed

    archives = [wanted.files[FORMATS[BackendType.TORCH_SCRIPT].weights[0]] for wanted in requests]
    check_archive_consent(archives, request.options.allow_local_code_packages)


def _check_resolution(model: ModelMetadata, size: tuple[int, int] | None, limit: int | tuple[int, int]) -> None:
    """Refuse an RF-DETR network whose input is larger than the caller allows, or whose size nothing says."""
    if not (model.model_architecture or "").replace("-", "").startswith("rfdetr"):
        return
    most = (limit, limit) if isinstance(limit, int) else limit
    if size is None or size[0] > most[0] or size[1] > most[1]:
        raise ModelPackageRestrictedError(
            f"model {model.model_id!r} takes larger images than this program allows.",
            needs=f"a network input of at most {most[0]} x {most[1]} (rf_detr_max_input_resolution)",
            found="no stated size" if size is None else f"{size[0]} x {size[1]}",
            fix="load a smaller model, or raise the limit",
        )


def _examined(candidate: Candidate, wanted: SessionRequest, request: LoadRequest) -> SessionRequest:
    """`wanted` with what its graph says, which the caller asked for, and which was tried where nobody vouches for it.

    Raises:
        QuantizationNotRequestedError: the graph computes in few bits, and its provider did not say so.
        CorruptedModelPackageError: it is damaged, or does not open and run within the limits of a trial.
    """
    package, graph, few = candidate.package, wanted.graph, Quantization.INT8
    if package.backend is BackendType.ONNX:
        graph = wanted.onnx_file()
    elif graph is None and package.backend in FORMATS:
        graph = read_graph(package.backend, wanted.file(FORMATS[package.backend].weights[0]))
    if graph is None:
        return wanted
    named = request.wanted.package_id is not None or few in (
        package.quantization,
        *(request.wanted.quantizations or ()),
    )
    if graph.quantization is few and not named:
        raise QuantizationNotRequestedError(
            f"{package_name(package)} is quantised, which changes answers, and nobody asked for that.",
            needs="weights and operators of 16 bits or more",
            found="fewer",
            fix=f'pass model_package_id="{package.package_id}" if you want it',
        )
    if graph.faults and package.operator_faults is None and not request.wanted.force:
        _refuse_faults(candidate, graph)
    vouched = package.trusted_source and package.package_source is not PackageSourceType.LOCAL_CACHE
    if not vouched and not request.is_pinned and holds_no_code(package.backend):  # code has its own consent
        from inference_models.loading.trial import try_first  # noqa: PLC0415 - only what nobody vouches for

        try_first(candidate.runtime, wanted, graph)
    return replace(wanted, graph=graph)


def _refuse_faults(candidate: Candidate, graph: GraphFacts) -> None:
    """Return unless the runtime gets operators wrong that the graph turned out to have when it was fetched."""
    from inference_models.backends import probe_environment  # noqa: PLC0415 - few graphs have any
    from inference_models.package.operator_faults import fault_of  # noqa: PLC0415

    version = probe_environment().runtimes.get(candidate.runtime)
    fault = fault_of(graph.faults, candidate.runtime, version, candidate.package.static_batch_size)
    if fault is not None:
        raise EnvironmentConfigurationError(
            f"{candidate.label} would answer wrongly.",
            needs=f"a release that computes {fault.what}",
            found=f"{candidate.runtime.value} {version}",
            fix="name another backend, or export the model for batches of one picture",
        )


def _open(runtime: BackendType, wanted: SessionRequest, request: LoadRequest) -> Session:
    backend = find_backend(runtime)
    if backend is None:
        raise ModelImplementationNotFoundError(f"no backend runs {runtime.value} packages in this release.")
    for library in backend.RUNTIME.libraries:
        ensure_importable(library)
    session = backend.open_session(wanted)
    used = session.running_on
    # A device named without a number is any of its kind; explicit execution providers decide by themselves.
    if request.device in {None, used, used.partition(":")[0]} or request.execution_providers is not None:
        return session
    if request.options.allow_fallback:
        _log.warning("device %r was chosen; the model runs on %r, as allow_fallback permits", request.device, used)
        return session
    session.close()
    raise EnvironmentConfigurationError(
        f"device {request.device!r} was chosen, but the model was opened on {used!r}.",
        needs=request.device,
        found=used,
        fix="pass allow_fallback=True to run it there, or check the driver of the device: inference-models doctor",
    )


def as_stated(
    model: ModelMetadata,
    package: ModelPackageMetadata,
    folder: PackageFolder,
    options: LoadOptions,
    task: Task,
    graph: Graph,
) -> OpenedPackage:
    """What is known of the package before a graph of it is opened."""
    config = folder.inference
    fused = FUSED in (package.model_features or {})
    normalized = package.backend.value in getattr(graph, "normalized_in", ())
    if config is not None and config.post_processing is not None:
        stated = _checked(config.post_processing, getattr(graph, "activation", task.post_processing), task)
        fused = bool(stated.fused) or fused
        normalized = normalized if stated.boxes is None else stated.boxes == "normalized"
    return OpenedPackage(
        sessions={},
        preprocess=graph.preprocess,
        class_names=_class_names(model, folder, options, graph) if task.has_classes else (),
        removed_class_names=config.removed_class_names if config else (),
        key_points=folder.key_points,
        top_down=config.top_down if config else None,
        calibration=config.calibration if config else None,
        fused=fused,
        normalized_boxes=normalized,
        max_dynamic_batch=config.forward_pass.max_dynamic_batch_size if config else None,
        recommended=package.recommended_parameters or model.recommended_parameters,
        arrays=options.arrays,
        label=f"model {model.model_id!r}",
    )


def _writes_parts(opened: OpenedPackage, preprocess: PreprocessSpec, config: InferenceConfig | None) -> bool:
    """Whether boxes that are parts of the input size by their format are so in this export, unless the package says it.

    Ultralytics 8.4 leaves the final rows of LiteRT graphs in pixels; releases that wrote channels last did not.
    """
    stated = config.post_processing.boxes if config is not None and config.post_processing is not None else None
    return stated is not None or not opened.fused or preprocess.layout == "nhwc"


def _class_names(model: ModelMetadata, folder: PackageFolder, options: LoadOptions, graph: Graph) -> tuple[str, ...]:
    if options.labels is not None:
        return read_labels(options.labels)
    if folder.class_names is not None:
        return folder.class_names
    if graph.class_names:
        return graph.class_names
    raise MissingModelInitParameterError(
        f"model {model.model_id!r} does not say what its classes are called.",
        needs="class_names.txt in the package, or labels=",
        found="neither",
        fix='pass labels="labels.txt" (one name per line), a list of names, or labels="coco"',
    )


def _checked(stated: PostProcessing, needed: str | None, task: Task) -> PostProcessing:
    """What a package says of the work behind its graph, which must be that of its task."""
    if stated.type == needed:
        return stated
    raise CorruptedModelPackageError(
        f"inference_config.json: post_processing.type does not suit {task.name}.",
        needs=repr(needed),
        found=repr(stated.type),
    )
