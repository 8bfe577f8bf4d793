"""From a package whose files are here to the object the caller holds."""

from __future__ import annotations

import inspect
import json
import logging
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from inference_models.backends import find_backend
from inference_models.backends.session import SessionRequest
from inference_models.entities import BackendType, ResolvedModelMetadata
from inference_models.errors import (
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    MissingModelInitParameterError,
    ModelImplementationNotFoundError,
    refuse_unknown_options,
)
from inference_models.families import find_graph, module_builder
from inference_models.machine.hardware import usable_cpus
from inference_models.machine.verdicts import ensure_importable
from inference_models.negotiate.request import ANY_PACKAGE
from inference_models.package.class_names import read_labels
from inference_models.package.code import check_archive_consent, load_model_class
from inference_models.package.formats import FORMATS, bare_files, files_by_role, is_graph, needs_consent
from inference_models.providers.local import FUSED, HINTS
from inference_models.tasks import find_task
from inference_models.tasks.graph_input import (
    InputHints,
    fit_default_spec,
    fit_stated_spec,
    hint_of_default_spec,
    hint_of_stated_spec,
)
from inference_models.tasks.graph_runner import OpenedPackage
from inference_models.tasks.stages import LoadedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from inference_models.backends.session import InputHint, Session
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.families import Graph
    from inference_models.negotiate.case import Candidate
    from inference_models.negotiate.plan import Plan
    from inference_models.negotiate.request import PackageRequest
    from inference_models.options import LoadOptions
    from inference_models.package.folder import PackageFolder
    from inference_models.package.inference_config import InferenceConfig
    from inference_models.tasks import Task
    from inference_models.tasks.any_model import AnyModel

_log = logging.getLogger("inference-models")


@dataclass(frozen=True, kw_only=True)
class LoadRequest:
    """How to open a package."""

    options: LoadOptions
    wanted: PackageRequest = ANY_PACKAGE
    """Which packages the caller takes."""
    device: str | None = None
    execution_providers: tuple[Any, ...] | None = None
    extra: Mapping[str, Any] | None = None
    """Options for a package that brings its own code."""
    dependencies: Mapping[str, Any] | None = None
    """Models such a package needs, by its names for them."""
    is_pinned: bool = False
    """Whether a lock pins the content of every file, so that the word of its provider is not needed."""

    def with_plan(self, plan: Plan) -> LoadRequest:
        """The same, with the settings of `plan`."""
        options = self.options if plan.threads is None else replace(self.options, threads=plan.threads)
        providers = self.execution_providers if plan.execution_providers is None else plan.execution_providers
        return replace(self, options=options, execution_providers=providers)


def load_package(model: ModelMetadata, candidate: Candidate, folder: PackageFolder, request: LoadRequest) -> AnyModel:
    """The model in `folder`, opened by the runtime of `candidate` and ready to be called.

    Raises:
        ModelLoadingError: the package is damaged, contradicts itself, or brings code that was not allowed.
        EnvironmentConfigurationError: the device that was asked for cannot be used.
    """
    package = candidate.package
    if package.backend is BackendType.CUSTOM:
        return _load_code(model, package, folder, request)
    task, graph = _task_and_graph(model)
    files = files_by_role(folder.files, graph.files, package.backend, label=f"model {model.model_id!r}")
    graphs = _session_requests(folder, graph, package.backend, files, request)
    if package.backend is BackendType.TORCH_SCRIPT and needs_consent(package) and not request.is_pinned:
        archives = [wanted.files[FORMATS[package.backend].weights[0]] for wanted in graphs.values()]
        check_archive_consent(archives, request.options.allow_local_code_packages)
    with ExitStack() as unfinished:
        sessions: dict[str, Session] = {}
        for role, wanted in graphs.items():
            sessions[role] = _open(candidate.runtime, wanted, request)
            unfinished.callback(sessions[role].close)
        loaded: Any = cast("Any", task.bind)(_opened(model, package, folder, request, sessions, files), graph)
        unfinished.pop_all()
    session = next(iter(sessions.values()))
    loaded.resolved_model = _of_session(_resolved(model, package, session.running_on), candidate, session, request)
    return cast("AnyModel", loaded)


def _load_code(
    model: ModelMetadata, package: ModelPackageMetadata, folder: PackageFolder, request: LoadRequest
) -> AnyModel:
    consent = request.options.allow_local_code_packages
    model_class = cast("Any", load_model_class(folder.directory, folder.model, consent))
    # One of a base of ours would load this package again, and again.
    if getattr(model_class.from_pretrained, "__func__", None) is LoadedModel.from_pretrained.__func__:  # type: ignore[attr-defined]
        raise CorruptedModelPackageError(
            f"class {folder.model.model_class} does not say how it is made.",
            needs="a class method from_pretrained of its own",
            found="that of its base class",
        )
    device = request.device or "cpu"
    providers = request.execution_providers
    offered = {
        "onnx_execution_providers": None if providers is None else list(providers),
        "device": _device_for_code(device),
        "default_onnx_trt_options": True,
        "engine_host_code_allowed": request.options.trt_engine_host_code_allowed,
        **_stated_by_provider(model, package, request),
    }
    keywords = _keywords_taken(model_class.from_pretrained, offered, request.extra or {})
    loaded = model_class.from_pretrained(str(folder.directory), **keywords)
    if loaded is None:
        raise CorruptedModelPackageError(
            f"{folder.model.model_class}.from_pretrained returned nothing.", needs="the model", found="None"
        )
    # A class without a base of ours may refuse new attributes; the model works without it.
    with suppress(AttributeError):
        loaded.resolved_model = _resolved(model, package, device)
    return cast("AnyModel", loaded)


def _stated_by_provider(model: ModelMetadata, package: ModelPackageMetadata, request: LoadRequest) -> dict[str, object]:
    """What a code package gets only where there is some."""
    recommended = package.recommended_parameters or model.recommended_parameters
    facts = {"recommended_parameters": recommended, "model_dependencies": request.dependencies}
    return {name: value for name, value in facts.items() if value}


def _keywords_taken(
    function: Callable[..., object], offered: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """`given` with those of `offered` that `function` takes; a name in `given` that it does not take is refused."""
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return {**offered, **given}
    refuse_unknown_options(given, parameters, where="from_pretrained of the package")
    return {**{name: value for name, value in offered.items() if name in parameters}, **given}


def _device_for_code(device: str) -> object:
    """A torch device for code that imports torch, which expects one; else the name."""
    torch = sys.modules.get("torch")
    return device if torch is None else torch.device(device)


def _task_and_graph(model: ModelMetadata) -> tuple[Task, Graph]:
    """The task of the model, and what its family says of its graphs, in the form that this task takes."""
    graph = find_graph(model.model_architecture, model.task_type or "")
    task = find_task(model.task_type or "")
    if task.bind is not None and task.graph is not None and isinstance(graph, task.graph):
        return task, graph
    raise ModelImplementationNotFoundError(
        f"family {model.model_architecture!r} describes graphs for {task.name!r} that this task does not take.",
        needs=task.graph.__name__ if task.graph else "none: only code packages do this task",
        found=type(graph).__name__,
    )


def _session_requests(
    folder: PackageFolder, graph: Graph, kind: BackendType, files: Mapping[str, Path], request: LoadRequest
) -> dict[str, SessionRequest]:
    """What to open for each graph, by its role; the one that takes the images comes first."""
    images = SessionRequest(
        directory=folder.directory,
        files=folder.files,
        device=request.device,
        threads=request.options.threads,
        execution_providers=request.execution_providers,
        allow_fallback=request.options.allow_fallback,
        free_input_dims=folder.inference.free_input_dims if folder.inference else {},
        graph=folder.graph,
        input_hint=_input_hint(folder, graph),
        module=module_builder(graph),
    )
    if not files:
        _check_complete(folder, kind)
        return {"graph": images}
    further = replace(images, graph=None, input_hint=None, free_input_dims={})
    requests: dict[str, SessionRequest] = {}
    for role in filter(lambda role: is_graph(graph.files[role]), files):
        start = further if requests else replace(images, graph=None)
        requests[role] = replace(start, directory=files[role].parent, files=bare_files(files[role], kind))
    return requests


def _check_complete(folder: PackageFolder, kind: BackendType) -> None:
    missing = [handle for handle in FORMATS[kind].weights if handle not in folder.files] if kind in FORMATS else []
    if missing:
        raise CorruptedModelPackageError(
            f"package folder '{folder.directory}' is not complete.",
            needs=" and ".join(missing),
            found=", ".join(sorted(folder.files)),
            fix="fetch the package again, or add the missing file",
        )


def _open(runtime: BackendType, wanted: SessionRequest, request: LoadRequest) -> Session:
    backend = find_backend(runtime)
    if backend is None:
        raise ModelImplementationNotFoundError(f"no backend runs {runtime.value} packages in this release.")
    for library in backend.RUNTIME.libraries:
        ensure_importable(library)
    session = backend.open_session(wanted)
    try:
        _check_device(request, session)
    except EnvironmentConfigurationError:
        session.close()
        raise
    return session


def _input_hint(folder: PackageFolder, graph: Graph) -> InputHint:
    config = folder.inference
    if config is None:
        return hint_of_default_spec(graph.preprocess, _hints(folder))
    return hint_of_stated_spec(config.preprocess, config.forward_pass.static_batch_size)


def _check_device(request: LoadRequest, session: Session) -> None:
    """Compare where the session runs with what was asked for: nothing runs elsewhere unless that was allowed."""
    wanted, used = request.device, session.running_on
    # A device named without a number is any of its kind; explicit execution providers decide by themselves.
    if wanted is None or used == wanted or used.partition(":")[0] == wanted or request.execution_providers is not None:
        return
    if request.options.allow_fallback:
        _log.warning("device %r was chosen; the model runs on %r, as allow_fallback permits", wanted, used)
        return
    raise EnvironmentConfigurationError(
        f"device {wanted!r} was chosen, but the model was opened on {used!r}.",
        needs=wanted,
        found=used,
        fix="pass allow_fallback=True to run it there, or check the driver of the device: inference-models doctor",
    )


def _opened(
    model: ModelMetadata,
    package: ModelPackageMetadata,
    folder: PackageFolder,
    request: LoadRequest,
    sessions: Mapping[str, Session],
    files: Mapping[str, Path],
) -> OpenedPackage:
    config, session = folder.inference, next(iter(sessions.values()))
    task, graph = _task_and_graph(model)
    if config is None:
        preprocess = fit_default_spec(graph.preprocess, session, _hints(folder))
    else:
        preprocess = fit_stated_spec(config.preprocess, session, graph.instead_of_fit_longer_edge)
    return OpenedPackage(
        sessions=sessions,
        files=files,
        preprocess=preprocess,
        class_names=_class_names(model, folder, request.options) if task.has_classes else (),
        fused=_is_fused(package, config, task),
        max_dynamic_batch=config.forward_pass.max_dynamic_batch_size if config else None,
        recommended=package.recommended_parameters or model.recommended_parameters,
        arrays=request.options.arrays,
        label=f"model {model.model_id!r}",
    )


def _hints(folder: PackageFolder) -> InputHints:
    stated = json.loads(folder.texts.get(HINTS, "{}"))
    size = stated.get("input_size")
    return InputHints(input_size=tuple(size) if size else None, stride=stated.get("stride"))


def _class_names(model: ModelMetadata, folder: PackageFolder, options: LoadOptions) -> tuple[str, ...]:
    if options.labels is not None:
        return read_labels(options.labels)
    if folder.class_names is not None:
        return folder.class_names
    raise MissingModelInitParameterError(
        f"model {model.model_id!r} does not say what its classes are called.",
        needs="class_names.txt in the package, or labels=",
        found="neither",
        fix='pass labels="labels.txt" (one name per line), a list of names, or labels="coco"',
    )


def _is_fused(package: ModelPackageMetadata, config: InferenceConfig | None, task: Task) -> bool:
    stated = config.post_processing if config else None
    if stated is not None and stated.type != task.post_processing:
        raise CorruptedModelPackageError(
            f"inference_config.json: post_processing.type does not suit {task.name}.",
            needs=repr(task.post_processing),
            found=repr(stated.type),
        )
    return bool(stated and stated.fused) or FUSED in (package.model_features or {})


def _resolved(model: ModelMetadata, package: ModelPackageMetadata, device: str) -> ResolvedModelMetadata:
    return ResolvedModelMetadata(
        model_id=model.model_id,
        model_package_id=package.package_id,
        backend=package.backend.value,
        quantization=package.quantization.value if package.quantization else "unknown",
        device=device,
        package_format=package.backend.value,
        license=model.license,
    )


def _of_session(
    resolved: ResolvedModelMetadata, candidate: Candidate, session: Session, request: LoadRequest
) -> ResolvedModelMetadata:
    return replace(
        resolved,
        backend=candidate.runtime.value,
        execution_providers=session.execution_providers,
        threads=(request.options.threads or usable_cpus()) if session.running_on == "cpu" else None,
    )
