"""ONNX Runtime: graphs in `weights.onnx`, on the CPU or on what an execution provider offers.

Checked against onnxruntime 1.19, 1.23 and 1.32, on the CPU. CUDA, TensorRT, Core ML, DirectML and OpenVINO as execution
providers are written after ONNX Runtime's documentation and have *not yet run on hardware*.

What is chosen is what runs: ONNX Runtime's own habit of trying again on the CPU is switched off, and a session that
came up with another first provider is an error, or a warning with `allow_fallback`.
"""

from __future__ import annotations

import importlib
import logging
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from inference_models.arrays import TensorSpec, to_numpy
from inference_models.backends.onnx_providers import CPU, choose_providers, device_of
from inference_models.backends.runtime import EXECUTION_PROVIDERS, THREADS, Runtime, import_runtime, reading
from inference_models.backends.session import BaseSession, first_line
from inference_models.entities import BackendType
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
)
from inference_models.machine.hardware import usable_cpus
from inference_models.machine.libraries import Library
from inference_models.package.onnx_file import file_stamp
from inference_models.package.onnx_head import further_outputs
from inference_models.package.onnx_shapes import with_free_input_dims
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference_models.arrays import Array, NumpyArray
    from inference_models.backends.onnx_providers import Provider
    from inference_models.backends.session import SessionRequest
    from inference_models.package.onnx_file import OnnxFile

_BUILDS = ("gpu", "openvino", "directml", "silicon", "rocm", "migraphx", "qnn", "cann", "training")
"""Distributions that all put their files into the same package, `onnxruntime`."""
RUNTIME = Runtime(
    label="ONNX Runtime",
    type=BackendType.ONNX,
    order=20,
    libraries=(
        Library(
            "onnxruntime",
            "onnxruntime",
            ("onnxruntime", *(f"onnxruntime-{build}" for build in _BUILDS), "ort-nightly", "ort-nightly-gpu"),
            deadline=20.0,
            attribute="get_available_providers",
        ),
    ),
    requires="onnxruntime>=1.19",
    install='pip install "onnxruntime>=1.19"',
    devices=("cpu", "cuda", "mps", "coreml", "directml"),
    settings=frozenset({EXECUTION_PROVIDERS, THREADS}),
)
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
        session = _Opening(runtime, replace(graph, path=path), request).with_providers(providers)
    running = session.get_providers()[0]
    options = next((given for name, given in providers if name == running), {})
    files = graph.files
    stamps = [file_stamp(path.stat()) for path in files]

    def open_again() -> Any:
        if stamps != [file_stamp(path.stat()) if path.exists() else () for path in files]:
            raise CorruptedModelPackageError(f"{graph.path.name} changed since then.")
        return _Opening(runtime, graph, request).with_providers(providers)

    return OnnxSession(session, open_again, running_on=device_of((running, options)))


class _Opening:
    """One graph on its way into ONNX Runtime."""

    def __init__(self, runtime: Any, graph: OnnxFile, request: SessionRequest) -> None:
        self._runtime = runtime
        self._graph = graph
        self._request = request
        dims = request.free_input_dims
        self._errors: tuple[type[Exception], ...] = (*_errors(), UnicodeDecodeError)
        further = request.further_outputs
        changed = with_free_input_dims(graph, dims) + further_outputs(further) if dims or further else None
        self._source = changed or str(graph.path)

    def with_providers(self, providers: Sequence[Provider]) -> Any:
        """A session whose first provider is the first of `providers`, or with `allow_fallback` another one."""
        first = providers[0][0]
        errors: tuple[type[Exception], ...] = (*self._errors, RuntimeError, ValueError)
        failed: Exception | None = None
        try:
            session = self._session(providers) if first != CPU else self._on_cpu(providers)
        except BaseInferenceModelsError:
            raise
        except errors as exc:
            # The CPU runs every graph that is one. Where it fails too the graph is at fault, else the provider.
            session, failed = self._on_cpu([(CPU, {})]), exc
        running = session.get_providers()
        if running[0] == first:
            return session
        found = ", ".join(running) if failed is None else first_line(failed)
        if not self._request.allow_fallback:
            raise EnvironmentConfigurationError(
                f"{first} was chosen, but ONNX Runtime cannot open the graph with it.",
                needs=first,
                found=found,
                fix="check the driver and libraries of the device, or load with device='cpu'",
            ) from failed
        _log.warning("%s was chosen and cannot be used (%s); %s runs instead.", first, found, running[0])
        return session

    def _on_cpu(self, providers: Sequence[Provider]) -> Any:
        with reading(RUNTIME, self._graph.files, self._errors):
            return self._session(providers)

    def _session(self, providers: Sequence[Provider]) -> Any:
        options = self._runtime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = self._request.threads or usable_cpus()
        if isinstance(self._source, bytes):
            # Bytes lie nowhere: without a folder, external data would be looked for in the working directory.
            options.add_session_config_entry(_EXTERNAL_DATA_FOLDER, str(self._graph.path.parent))
        session = self._runtime.InferenceSession(
            self._source, sess_options=options, providers=list(providers), enable_fallback=0
        )
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
