"""ONNX Runtime: graphs in `weights.onnx`, on the CPU or on what an execution provider offers.

Checked against onnxruntime 1.23 and 1.32.
"""

from __future__ import annotations

import importlib
import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, cast

from packaging.version import Version

from inference_models.arrays import to_numpy
from inference_models.backends.session import TensorSpec
from inference_models.config import requested_execution_providers
from inference_models.entities import BackendType
from inference_models.errors import (
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    MissingDependencyError,
    ModelRuntimeError,
)
from inference_models.package.external_data import check_external_data
from inference_models.package.onnx_file import read_onnx_file
from inference_models.package.onnx_shapes import with_free_input_dims
from inference_models.resolve.hardware import cuda_device_visible, usable_cpus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inference_models.arrays import Array, NumpyArray
    from inference_models.backends.session import SessionRequest

TYPE = BackendType.ONNX
READS = (BackendType.ONNX,)
REQUIRES = "onnxruntime>=1.19"
INSTALL = 'pip install "inference-models[onnx-cpu]"'
WEIGHTS = "weights.onnx"
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Variable that ONNX Runtime reads when it is loaded."""

DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-silicon",
)
_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_DEVICE_OF_PROVIDER = {
    "CUDAExecutionProvider": "cuda",
    "CoreMLExecutionProvider": "coreml",
    "DmlExecutionProvider": "directml",
    "OpenVINOExecutionProvider": "openvino",
    "TensorrtExecutionProvider": "cuda",
}
_DTYPES = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
}
_OPEN_ERRORS = (
    "EPFail",
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "NoModel",
    "NotImplemented",
    "RuntimeException",
)
"""What ONNX Runtime raises for a file it cannot use."""
_RUN_ERRORS = ("EPFail", "Fail", "InvalidArgument", "NotImplemented", "RuntimeException")
_ERRORS_ONLY = 3
"""Log severity: graphs of older exporters draw hundreds of warnings that no user can act on."""


def installed_version() -> Version | None:
    """Version of whichever ONNX Runtime distribution is installed; None when there is none."""
    for name in DISTRIBUTIONS:
        try:
            return Version(version(name))
        except PackageNotFoundError:
            continue
    return None


def open_session(request: SessionRequest) -> OnnxSession:
    """An opened graph.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        CorruptedModelPackageError: the file is no ONNX graph, is damaged, or points outside its folder.
        EnvironmentConfigurationError: the device or provider that was asked for is not there.
    """
    runtime = _import_runtime()
    path = request.files[WEIGHTS]
    check_external_data(read_onnx_file(path), path.parent)
    providers = choose_providers(request, runtime.get_available_providers())
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = request.threads or usable_cpus()
    try:
        session = runtime.InferenceSession(_model_source(path, request), sess_options=options, providers=providers)
    except _errors(_OPEN_ERRORS) as exc:
        raise CorruptedModelPackageError(
            f"{path.name}: ONNX Runtime {runtime.__version__} cannot open the graph.",
            needs="a graph this runtime supports",
            found=_first_line(exc),
            fix="export the model again, or update the runtime: " + INSTALL.replace("install", "install -U", 1),
        ) from exc
    _check_running(session.get_providers(), providers)
    return OnnxSession(session, running_on=_device_of(providers[0]))


def choose_providers(request: SessionRequest, available: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Execution providers for a request, as (name, options), first choice first.

    Raises:
        EnvironmentConfigurationError: what was asked for explicitly is not in this build of the runtime.
    """
    if request.execution_providers is not None:
        return [_named(entry, available) for entry in request.execution_providers]
    device = request.device
    if device is None:
        return [(name, {}) for name in _automatic(available)]
    if device == "cpu":
        return [(_CPU, {})]
    kind, _, index = device.partition(":")
    if kind == "cuda" and _CUDA in available:
        return [(_CUDA, {"device_id": int(index or 0)})]
    raise EnvironmentConfigurationError(
        f"device {device!r} cannot be used through ONNX Runtime here.",
        needs=_CUDA if kind == "cuda" else "device 'cpu' or 'cuda'",
        found=", ".join(available),
        fix='pip uninstall -y onnxruntime && pip install "inference-models[onnx-gpu]"'
        if kind == "cuda"
        else "device='cpu'",
    )


class OnnxSession:
    """A graph opened by ONNX Runtime; `InferenceSession.run` is safe from many threads."""

    def __init__(self, session: Any, *, running_on: str) -> None:
        self._session = session
        self._inputs = tuple(_tensor_spec(node) for node in session.get_inputs())
        self._outputs = tuple(_tensor_spec(node) for node in session.get_outputs())
        self._output_names = [spec.name for spec in self._outputs]
        self._running_on = running_on
        self._providers: tuple[str, ...] = tuple(session.get_providers())
        # A missing feed is a ValueError of the Python layer; everything else comes from the runtime itself.
        self._run_errors: tuple[type[Exception], ...] = (*_errors(_RUN_ERRORS), ValueError)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """In the order of the graph."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """In the order of the graph."""
        return self._outputs

    @property
    def running_on(self) -> str:
        """`cpu`, `cuda`, ... of the first execution provider in use."""
        return self._running_on

    @property
    def execution_providers(self) -> tuple[str, ...]:
        """As the runtime reports them."""
        return self._providers

    def run(self, feeds: Mapping[str, Array]) -> dict[str, NumpyArray]:
        """All outputs by name.

        Raises:
            ModelRuntimeError: the session is closed, or the runtime refused the feeds or failed.
        """
        session = self._session
        if session is None:
            raise ModelRuntimeError("the model was closed; load it again to use it.")
        try:
            arrays = session.run(self._output_names, {name: to_numpy(array) for name, array in feeds.items()})
        except self._run_errors as exc:
            given = ", ".join(f"{name} {tuple(array.shape)} {array.dtype}" for name, array in feeds.items())
            raise ModelRuntimeError(
                f"ONNX Runtime failed while running the graph on {given or 'nothing'}.",
                needs=", ".join(f"{spec.name} {spec.shape} {spec.dtype}" for spec in self._inputs),
                found=_first_line(exc),
            ) from exc
        return dict(zip(self._output_names, arrays, strict=True))

    def close(self) -> None:
        """Drop the session; memory goes back when the runs under way have ended."""
        self._session = None


def _import_runtime() -> Any:
    # Recent official builds send telemetry unless they are told not to before they are loaded. Who wants it sets 0.
    os.environ.setdefault(NO_TELEMETRY, "1")
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as exc:
        raise MissingDependencyError(
            "ONNX packages cannot run here.", needs=REQUIRES, found="not installed", fix=INSTALL
        ) from exc


def _model_source(path: Path, request: SessionRequest) -> str | bytes:
    if not request.free_input_dims:
        return str(path)
    return with_free_input_dims(path.read_bytes(), request.free_input_dims, where=path.name)


def _automatic(available: Sequence[str]) -> list[str]:
    wanted = requested_execution_providers()
    if wanted is not None:
        found = [name for name in wanted if name in available]
        if found:
            return found
        raise EnvironmentConfigurationError(
            "ONNXRUNTIME_EXECUTION_PROVIDERS names nothing that this build of ONNX Runtime has.",
            needs=" or ".join(wanted),
            found=", ".join(available),
            fix="unset ONNXRUNTIME_EXECUTION_PROVIDERS, or install the build of onnxruntime that has one of them",
        )
    if _CUDA in available and cuda_device_visible():
        return [_CUDA, _CPU]
    return [_CPU]


def _named(entry: object, available: Sequence[str]) -> tuple[str, dict[str, Any]]:
    name, options = (entry, {}) if isinstance(entry, str) else cast("tuple[str, dict[str, Any]]", entry)
    if name in available:
        return name, dict(options)
    raise EnvironmentConfigurationError(
        f"execution provider {name!r} is not in this build of ONNX Runtime.",
        needs=str(name),
        found=", ".join(available),
        fix="leave out onnx_execution_providers, or install the build of onnxruntime that has it",
    )


def _check_running(running: Sequence[str], chosen: Sequence[tuple[str, dict[str, Any]]]) -> None:
    first = chosen[0][0]
    if running and running[0] == first:
        return
    raise EnvironmentConfigurationError(
        f"{first} was chosen, but ONNX Runtime opened the graph without it.",
        needs=first,
        found=", ".join(running),
        fix="check the driver and libraries of the device, or load with device='cpu'",
    )


def _device_of(provider: tuple[str, dict[str, Any]]) -> str:
    name, options = provider
    kind = _DEVICE_OF_PROVIDER.get(name, "cpu")
    return f"cuda:{options.get('device_id', 0)}" if kind == "cuda" else kind


def _tensor_spec(node: Any) -> TensorSpec:
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in node.shape)
    return TensorSpec(node.name, shape, _DTYPES.get(node.type, node.type))


def _errors(names: Sequence[str]) -> tuple[type[Exception], ...]:
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    return tuple(getattr(state, name) for name in names if hasattr(state, name))


def _first_line(exc: Exception) -> str:
    text = str(exc).strip()
    return text.splitlines()[0][:300] if text else type(exc).__name__
