"""ONNX Runtime: graphs in `weights.onnx`, on the CPU or on what an execution provider offers.

Checked against onnxruntime 1.19, 1.23 and 1.32, on the CPU. CUDA, TensorRT, Core ML, DirectML and OpenVINO as execution
providers are written after ONNX Runtime's documentation and have *not yet run on hardware*.

What is chosen is what runs: ONNX Runtime's own habit of trying again on the CPU is switched off, and a session that
came up with another first provider is an error, or a warning with `allow_fallback`.

A device is hardware: `cpu`, `cuda`, `cuda:1`, `coreml` (also as `mps`, the name PyTorch has for Apple's GPU),
`directml`, `directml:1`. TensorRT and OpenVINO are software that drives the same hardware in another way, with start-up
costs and numbers of their own; they are asked for by name: `onnx_execution_providers=["TensorrtExecutionProvider"]`.

A provider takes the nodes it can run and leaves the rest to the CPU; that is how ONNX Runtime works, and it is not what
is meant here by falling back. Another first provider than the one that was chosen is, and needs `allow_fallback`.
"""

from __future__ import annotations

import importlib
import logging
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from inference_models.arrays import TensorSpec, to_numpy
from inference_models.backends.runtime import (
    first_line,
    import_runtime,
    unreadable,
)
from inference_models.backends.runtimes import ONNX
from inference_models.backends.session import BaseSession
from inference_models.config import EXECUTION_PROVIDERS as KNOWN_PROVIDERS
from inference_models.config import requested_execution_providers
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
)
from inference_models.machine.hardware import cuda_device_visible, usable_cpus
from inference_models.machine.mends import THEN
from inference_models.package.onnx_file import file_stamp
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference_models.arrays import Array, NumpyArray
    from inference_models.backends.session import SessionRequest
    from inference_models.package.onnx_file import OnnxFile

RUNTIME = ONNX
Provider: TypeAlias = "tuple[str, dict[str, Any]]"
"""Name and options, as ONNX Runtime takes them."""

COREML = "CoreMLExecutionProvider"
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
DIRECTML = "DmlExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
INSTALL_GPU = 'pip install "onnxruntime-gpu>=1.19"'
PROVIDER_OF_DEVICE = {"coreml": COREML, "cpu": CPU, "cuda": CUDA, "directml": DIRECTML, "mps": COREML}
"""What runs on a device, by the part of its name before the colon."""
ON_NVIDIA = frozenset({CUDA, TENSORRT})
NUMBERED = frozenset({*ON_NVIDIA, DIRECTML})
"""Providers that take the number of a device as their option `device_id`."""
NOT_LOCAL = frozenset({"AzureExecutionProvider"})
"""Providers that send the images to a remote service."""
_DEVICE_OF_PROVIDER = {
    "AzureExecutionProvider": "cpu",
    DIRECTML: "directml",
    "DnnlExecutionProvider": "cpu",
    TENSORRT: "cuda",
    "XnnpackExecutionProvider": "cpu",
}
"""Kind of device of those that are not called after it."""
# The builds of ONNX Runtime overwrite each other's files, so the one that is there has to go first.
_REPLACE = f"pip uninstall -y onnxruntime{THEN}"
BUILDS = {
    CUDA: (("linux x86_64", "win32"), _REPLACE + INSTALL_GPU),
    DIRECTML: (("win32",), _REPLACE + "pip install onnxruntime-directml"),
    OPENVINO: (("linux x86_64", "win32"), _REPLACE + "pip install onnxruntime-openvino"),
    TENSORRT: (("linux x86_64", "win32"), _REPLACE + INSTALL_GPU),
}
"""Execution provider to the systems for which there is a build with it, and the command that installs it."""
_VARIABLE = "ONNXRUNTIME_EXECUTION_PROVIDERS"
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Variable that ONNX Runtime reads when it is loaded."""

_DTYPES = {"double": "float64", "float": "float32", "string": "str"}
"""Number formats that ONNX Runtime does not name as NumPy does."""
_ERRORS_ONLY = 3
"""Log severity: graphs of older exporters draw hundreds of warnings that no user can act on."""
_EXTERNAL_DATA_FOLDER = "session.model_external_initializers_file_folder_path"
_log = logging.getLogger("inference-models")


def open_session(request: SessionRequest) -> OnnxSession:
    """An opened graph.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        CorruptedModelPackageError: the file is no ONNX graph, is damaged, or points outside its folder.
        EnvironmentConfigurationError: the device or provider that was asked for is not there, or does not run.
    """
    # Recent official builds send telemetry unless they are told not to before they are loaded. Who wants it sets 0.
    os.environ.setdefault(NO_TELEMETRY, "1")
    runtime = import_runtime(RUNTIME)
    graph = request.onnx_file()
    providers = choose_providers(request, runtime.get_available_providers())
    with graph.without_links() if graph.external else nullcontext(graph.path) as path:
        session = open_with(runtime, replace(graph, path=path), request, providers)
    running = session.get_providers()[0]
    options = next((given for name, given in providers if name == running), {})
    files = graph.files
    stamps = [file_stamp(path.stat()) for path in files]

    def open_again() -> Any:
        if stamps != [file_stamp(path.stat()) if path.exists() else () for path in files]:
            raise CorruptedModelPackageError(f"{graph.path.name} changed since then.")
        return open_with(runtime, graph, request, providers)

    return OnnxSession(session, open_again, running_on=device_of((running, options)))


def open_with(runtime: Any, graph: OnnxFile, request: SessionRequest, providers: Sequence[Provider]) -> Any:
    """A session whose first provider is the first of `providers`, or with `allow_fallback` another one.

    Raises:
        CorruptedModelPackageError: the CPU cannot open the graph either.
        EnvironmentConfigurationError: another provider than the first would run it, and the request does not allow it.
    """
    first = providers[0][0]
    failed: Exception | None = None
    of_the_graph: tuple[type[Exception], ...] = (*_errors(), UnicodeDecodeError)
    errors: tuple[type[Exception], ...] = (*of_the_graph, RuntimeError, ValueError)
    try:
        session = _session(runtime, graph, request, providers)
    except BaseInferenceModelsError:
        raise
    except errors as exc:
        if first == CPU and not isinstance(exc, of_the_graph):
            raise
        if first == CPU:
            raise unreadable(RUNTIME, graph.files, exc) from exc
        failed = exc
        try:
            # The CPU runs every graph that is one. Where it fails too the graph is at fault, else the provider.
            session = _session(runtime, graph, request, [(CPU, {})])
        except of_the_graph as fault:
            raise unreadable(RUNTIME, graph.files, fault) from fault
    running = session.get_providers()
    if running[0] == first:
        return session
    found = ", ".join(running) if failed is None else first_line(failed)
    if not request.allow_fallback:
        raise EnvironmentConfigurationError(
            f"{first} was chosen, but ONNX Runtime cannot open the graph with it.",
            needs=first,
            found=found,
            fix="check the driver and libraries of the device, or load with device='cpu'",
        ) from failed
    _log.warning("%s was chosen and cannot be used (%s); %s runs instead.", first, found, running[0])
    return session


def _session(runtime: Any, graph: OnnxFile, request: SessionRequest, providers: Sequence[Provider]) -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = request.threads or usable_cpus()
    source: str | bytes = str(graph.path)
    dims, further = request.free_input_dims, request.further_outputs
    if dims or further:
        from inference_models.package.onnx_head import further_outputs  # noqa: PLC0415 - most graphs run as they are
        from inference_models.package.onnx_shapes import with_free_input_dims  # noqa: PLC0415

        source = with_free_input_dims(graph, dims) + further_outputs(further)
        # Bytes lie nowhere: without a folder, external data would be looked for in the working directory.
        options.add_session_config_entry(_EXTERNAL_DATA_FOLDER, str(graph.path.parent))
    session = runtime.InferenceSession(source, sess_options=options, providers=list(providers), enable_fallback=0)
    # Also for failures while running; releases that do not know the keyword ignore it.
    session.disable_fallback()
    return session


class OnnxSession(BaseSession):
    """A graph opened by ONNX Runtime; `InferenceSession.run` is safe from many threads.

    In a forked child it is opened again: its threads are missing there, and its locks may be held.
    """

    runtime = RUNTIME

    def __init__(self, session: Any, open_again: Callable[[], Any], *, running_on: str) -> None:
        inputs = tuple(_tensor_spec(node) for node in session.get_inputs())
        outputs = tuple(_tensor_spec(node) for node in session.get_outputs())
        super().__init__(session, inputs, outputs, running_on=running_on)
        self.execution_providers = tuple(session.get_providers())
        self._open_again = open_again
        self.run_errors = (*_errors(), *self.run_errors)
        self._input_names = [spec.name for spec in inputs]
        self._output_names = [spec.name for spec in outputs]

    def _run(self, opened: Any, arrays: Sequence[Array]) -> list[NumpyArray]:
        feeds = zip(self._input_names, map(to_numpy, arrays), strict=True)
        answers: list[NumpyArray] = opened.run(self._output_names, dict(feeds))
        return answers

    def _opened_in_child(self, opened: Any) -> Any:  # noqa: ARG002
        return self._open_again()


def _tensor_spec(node: Any) -> TensorSpec:
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in node.shape)
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    return TensorSpec(node.name, shape, _DTYPES.get(kind, kind))


def _errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for files and feeds it cannot use."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    return tuple(value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))


def choose_providers(request: SessionRequest, available: Sequence[str]) -> list[Provider]:
    """Execution providers for a request, as (name, options), first choice first.

    With `allow_fallback` the CPU is always among them, and a warning says what stands in for what this build lacks.

    Raises:
        EnvironmentConfigurationError: what was asked for is not in this build of the runtime.
    """
    wanted = _wanted(request)
    present = [provider for provider in wanted if provider[0] in available]
    by_variable = request.execution_providers is None and request.device is None
    on_gpu = not wanted and CUDA in available and cuda_device_visible()
    usual: list[Provider] = [(CUDA if on_gpu else CPU, {})]
    if request.allow_fallback:
        present = present or usual
        if CPU not in {name for name, _ in present}:
            present.append((CPU, {}))
        if wanted and wanted[0][0] != present[0][0]:
            _log.warning("%s is not in this build of ONNX Runtime; %s runs instead.", wanted[0][0], present[0][0])
    elif not wanted:
        return usual
    elif not present or (len(present) < len(wanted) and not by_variable):
        raise _refusal(request, wanted, available)
    return present


def device_of(provider: Provider) -> str:
    """Where a provider runs: `cpu`, `cuda:0`, `coreml`, `directml:0`, ...; one that is not known here, by its name."""
    name, options = provider
    kind = _DEVICE_OF_PROVIDER.get(name, name.removesuffix("ExecutionProvider").lower())
    return f"{kind}:{options.get('device_id', 0)}" if name in NUMBERED else kind


def _wanted(request: SessionRequest) -> list[Provider]:
    """The requested providers, available or not; empty when the request names none."""
    if request.execution_providers is not None:
        return _named(request)
    if request.device is None:
        return [(name, {}) for name in requested_execution_providers() or ()]
    provider = _of_device(request.device)
    # A device of another runtime (`npu`) has no provider; its own name is what the warning shows.
    return [provider or (f"device {request.device!r}", {})]


def _of_device(device: str) -> Provider | None:
    kind, _, index = device.partition(":")
    name = PROVIDER_OF_DEVICE.get(kind)
    if name is None:
        return None
    return name, {"device_id": int(index or 0)} if name in NUMBERED else {}


def _named(request: SessionRequest) -> list[Provider]:
    """`execution_providers` with the number in `device` for those that take one and were not told another."""
    named: list[Provider] = []
    index = (request.device or "").partition(":")[2]
    for entry in request.execution_providers or ():
        name, options = (entry, {}) if isinstance(entry, str) else cast("Provider", entry)
        numbered = {"device_id": int(index)} if index and name in NUMBERED else {}
        named.append((name, {**numbered, **options}))
    return named


def _refusal(
    request: SessionRequest, wanted: Sequence[Provider], available: Sequence[str]
) -> EnvironmentConfigurationError:
    needs = next(name for name, _ in wanted if name not in available)
    if request.execution_providers is not None:
        summary = f"execution provider {needs!r} is not in this build of ONNX Runtime."
        fix = "leave out onnx_execution_providers, or install the build of onnxruntime that has it"
    elif request.device is not None:
        summary = f"device {request.device!r} cannot be used through ONNX Runtime here."
        needs = needs if needs in KNOWN_PROVIDERS else " or ".join(sorted(PROVIDER_OF_DEVICE))
        fix = BUILDS[needs][1] if needs in BUILDS else "device='cpu'"
    else:
        summary = f"{_VARIABLE} names nothing that this build of ONNX Runtime has."
        needs = " or ".join(name for name, _ in wanted)
        fix = f"unset {_VARIABLE}, or install the build of onnxruntime that has one of them"
    return EnvironmentConfigurationError(summary, needs=needs, found=", ".join(available), fix=fix)
