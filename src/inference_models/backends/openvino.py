"""OpenVINO: its own format (`weights.xml` with `weights.bin`) and ONNX (`weights.onnx`), on CPUs, Intel GPUs and NPUs.

Checked against openvino 2025.0 and 2026.4, on the CPU. `device="gpu"`, `"gpu:1"` and `"npu"` are written after
OpenVINO's documentation and have *not yet run on hardware*; they are used only when the caller names them.

On the CPU, OpenVINO computes whole numbers of 64 bits with 32, and no setting changes that: what lies beyond 2**31
comes out wrong.

What is set and why:

* `INFERENCE_PRECISION_HINT` is f32. Left alone, OpenVINO computes in bfloat16 on CPUs that are fast at it and in
  float16 on Arm and on GPUs, so the same package would answer differently from machine to machine. For the same reason
  it may not quantize activations by itself (`DYNAMIC_QUANTIZATION_GROUP_SIZE`).
* One stream for the lowest latency, with as many threads as the request says, hyper-threads included. Threads are not
  pinned to cores: each process would pin its own to the same ones.
* Weights are read and not mapped. A mapped file that somebody overwrites ends the process.
* Nothing is cached on disk, and nothing is sent: importing `openvino` would report that to its makers and leave an
  identifier in the home folder, so it is imported without its telemetry.
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from inference_models.arrays import TensorSpec, to_numpy
from inference_models.backends.runtime import error_text, import_runtime, reading
from inference_models.backends.runtimes import OPENVINO
from inference_models.backends.session import IN_CHILDREN, ONNX_WEIGHTS, BaseSession, use_cpu_instead
from inference_models.errors import EnvironmentConfigurationError
from inference_models.fork import Lock, keep_for_ever, was_used_before_fork
from inference_models.machine.hardware import usable_cpus
from inference_models.package.onnx_shapes import check_free_input_dims

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference_models.arrays import Array, NumpyArray
    from inference_models.backends.session import SessionRequest

Names: TypeAlias = "tuple[Sequence[str], Sequence[str]]"
"""What the file calls inputs and outputs."""

RUNTIME = OPENVINO
XML, BIN = "weights.xml", "weights.bin"
TELEMETRY = "openvino_telemetry"
"""Module that `openvino` imports and does without where it is missing."""

_CPU = "CPU"
_DTYPES = {"bf16": "bfloat16", "boolean": "bool", "string": "str"}
_NUMBER = r"([fiu])(8|16|32|64)"
_KINDS = {"f": "float", "i": "int", "u": "uint"}
_ERRORS = (RuntimeError, UnicodeDecodeError)
"""What OpenVINO raises for files and feeds it cannot use."""
_SAYS_NOTHING = ("Check '", "Exception from ", "FrontEnd API failed", "Model wasn't fully converted", "Summary:")
"""How the lines of an error begin that name places in OpenVINO's source, or announce what follows."""
_importing = Lock()
_cores: list[Any] = []
"""The `Core` of this process, once there is one."""
_log = logging.getLogger("inference-models")


def import_openvino() -> Any:
    """The module `openvino`, imported so that nothing is sent and nothing is written.

    Raises:
        MissingDependencyError: it is not installed.
        EnvironmentConfigurationError: it is installed and cannot be imported.
    """
    with _importing, _without_telemetry():
        return import_runtime(RUNTIME)


def open_session(request: SessionRequest) -> OpenVinoSession:
    """An opened graph.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        CorruptedModelPackageError: the files are no graph, are damaged, or point outside their folder.
        EnvironmentConfigurationError: the device that was asked for cannot be used, or this process was forked from one
            that uses OpenVINO.
    """
    from inference_models.package.openvino_file import read_graph  # noqa: PLC0415 - needed to open a graph only

    runtime = import_openvino()
    if was_used_before_fork(RUNTIME.label):
        raise _lost_in_fork()
    core = _core(runtime)
    device = choose_device(request, core)
    names: Names = ((), ())
    with ExitStack() as opened:
        if ONNX_WEIGHTS in request.files and XML not in request.files:
            graph = request.onnx_file()
            files = [opened.enter_context(graph.without_links()), *graph.files[1:]]
            # OpenVINO may know several names for one tensor.
            outputs = (*graph.outputs, *request.further_outputs)
            names = [spec.name for spec in graph.inputs], [spec.name for spec in outputs]
        else:
            files = [request.file(XML), request.file(BIN)]
        opened.enter_context(reading(RUNTIME, files, (*_ERRORS, OSError), _reason))
        if files[0].suffix == ".xml":
            read_graph(files[0])  # OpenVINO would try the readers of all formats it knows
        model = core.read_model(str(files[0]), *map(str, files[1:] if files[0].suffix == ".xml" else ()))
        _free_dims(runtime, model, request, where=files[0].name)
        model.add_outputs([spec.name for spec in request.further_outputs])
        _take_apart(runtime, model)
        compiled, device = _compiled(core, model, device, request)
        return OpenVinoSession(compiled, names, running_on=_our_name(device))


def _core(runtime: Any) -> Any:
    """The one `Core` of this process, which is never taken down.

    The first graph that is compiled on the CPU gives its thread a stack for signal handlers, and the end of the `Core`
    it was compiled with frees that stack, also where it is still in use: with a second `Core`, or in another thread.
    The next signal, a Ctrl-C too, would then end the process with a segmentation fault (openvino 2025.0 to 2026.4).
    """
    with _importing:
        if not _cores:
            _cores.append(runtime.Core())
            _cores[0].set_property({"ENABLE_MMAP": False, "CACHE_DIR": ""})
            keep_for_ever(_cores[0])
        return _cores[0]


def choose_device(request: SessionRequest, core: Any) -> str:
    """OpenVINO's name of the device: `CPU` unless the request names another one that is there.

    Raises:
        EnvironmentConfigurationError: there is no such device, and `allow_fallback` is off.
    """
    wanted = request.device or "cpu"
    if wanted == "cpu":
        return _CPU
    kind, _, index = wanted.partition(":")
    name = f"{kind.upper()}.{index}" if index else kind.upper()
    found = core.available_devices
    # With one GPU the list has `GPU`, which may be called `GPU.0`; with several `GPU.0`, `GPU.1`: `GPU` is the first.
    names = {item for device in found for item in (device, device.partition(".")[0])}
    names |= {f"{device}.0" for device in found if "." not in device}
    if kind in {"gpu", "npu"} and name in names:
        return name
    needs = name if kind in {"gpu", "npu"} else "device 'cpu', 'gpu' or 'npu'"
    use_cpu_instead(request, RUNTIME, found, needs=needs)
    return _CPU


class OpenVinoSession(BaseSession):
    """A graph compiled by OpenVINO. One stream runs one request at a time, so that runs wait for each other."""

    runtime = RUNTIME
    run_errors = _ERRORS

    def __init__(self, compiled: Any, names: Names, *, running_on: str) -> None:
        inputs, outputs = _specs(compiled.inputs, names[0]), _specs(compiled.outputs, names[1])
        super().__init__(compiled.create_infer_request(), inputs, outputs, running_on=running_on)
        self._lock = Lock()

    def _run(self, opened: Any, arrays: Sequence[Array]) -> Sequence[NumpyArray]:
        feeds = dict(enumerate(map(to_numpy, arrays)))
        with self._lock:
            # Inputs are used where they lie; outputs are copied, for the next run writes to the same memory.
            answers: Sequence[NumpyArray] = opened.infer(feeds, share_inputs=True, share_outputs=False).to_tuple()
        return answers

    def _opened_in_child(self, opened: Any) -> Any:  # noqa: ARG002
        raise _lost_in_fork()

    def _reason(self, exc: Exception) -> str:
        return _reason(exc)


def _lost_in_fork() -> EnvironmentConfigurationError:
    # Its scheduler is one for the whole process, whose locks a thread that is not here may hold.
    return EnvironmentConfigurationError(
        "OpenVINO was used before this process was forked, and its threads are not here.",
        needs="a process that was not forked from one that uses OpenVINO",
        found="a fork",
        fix=IN_CHILDREN,
    )


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """While it lasts, `openvino_telemetry` counts as not installed; a program that has imported it keeps it."""
    absent = object()
    before = sys.modules.get(TELEMETRY, absent)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[TELEMETRY]
        if before is not absent:
            sys.modules[TELEMETRY] = before  # type: ignore[assignment]


def _free_dims(runtime: Any, model: Any, request: SessionRequest, *, where: str) -> None:
    dims = request.free_input_dims
    if not dims:
        return
    check_free_input_dims(dims, {_name(port): tuple(port.partial_shape) for port in model.inputs}, where=where)
    shapes = {name: runtime.PartialShape([-1 if side is None else side for side in dims[name]]) for name in dims}
    model.reshape(shapes)


def _take_apart(runtime: Any, model: Any) -> None:
    """Slices whose elements are gathered become gathers of their places.

    OpenVINO makes one split of all slices of a tensor, and then lets what gathers elements of the first of them
    (`GatherElements`) do so of the whole tensor, whose shape it refuses (2025.0 to 2026.4). Final rows of masks, key
    points and oriented boxes are exported so by Ultralytics.
    """
    for gather in model.get_ordered_ops():
        node = gather.input_value(0).get_node() if gather.get_type_name() == "GatherElements" else None
        span = _span(node) if node is not None and node.get_type_name() == "Slice" else None
        if node is not None and span is not None:
            axis, places = span
            operators = runtime.opset8
            constants = (operators.constant(numbers) for numbers in (places, axis))
            node.output(0).replace(operators.gather(node.input_value(0), *constants).output(0))


def _span(node: Any) -> tuple[int, list[int]] | None:
    """The axis of a `Slice` along one, and the places it takes, next to each other; None where that is not known."""
    stated = [node.input_value(port).get_node() for port in (1, 2, 4) if port < node.get_input_size()]
    if len(stated) < 3 or any(value.get_type_name() != "Constant" or value.get_data().size != 1 for value in stated):
        return None
    start, stop, axis = (int(value.get_data().item()) for value in stated)
    before, after = (port.get_partial_shape()[axis] for port in (node.input_value(0), node.output(0)))
    if before.is_dynamic or after.is_dynamic:
        return None
    first, last, _ = slice(start, stop).indices(before.get_length())
    return (axis, list(range(first, last))) if last - first == after.get_length() else None


def _compiled(core: Any, model: Any, device: str, request: SessionRequest) -> tuple[Any, str]:
    """The graph ready to run, and the device it runs on."""
    try:
        return core.compile_model(model, device, _settings(device, request)), device
    except _ERRORS as exc:
        # The CPU runs every graph that is one. Where it fails too the graph is at fault, else the device.
        on_cpu = core.compile_model(model, _CPU, _settings(_CPU, request))
        if request.allow_fallback:
            _log.warning("OpenVINO cannot run the graph on %s (%s); the CPU is used.", device, _reason(exc))
            return on_cpu, _CPU
        raise EnvironmentConfigurationError(
            f"OpenVINO cannot run the graph on device {_our_name(device)!r}.",
            needs=f"a working {device}",
            found=_reason(exc),
            fix="check the driver of the device, or load with device='cpu'",
        ) from exc


def _settings(device: str, request: SessionRequest) -> dict[str, object]:
    settings: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "CACHE_DIR": ""}
    if not device.startswith("NPU"):
        settings |= {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    if device == _CPU:
        settings |= {
            "INFERENCE_NUM_THREADS": request.threads or usable_cpus(),
            "ENABLE_CPU_PINNING": False,
            "ENABLE_HYPER_THREADING": True,
        }
    return settings


def _specs(ports: Sequence[Any], stated: Sequence[str]) -> tuple[TensorSpec, ...]:
    return tuple(_spec(port, stated) for port in ports)


def _spec(port: Any, stated: Sequence[str]) -> TensorSpec:
    shape = port.partial_shape
    sides = () if shape.rank.is_dynamic else tuple(side.get_length() if side.is_static else None for side in shape)
    kind: str = port.element_type.get_type_name()
    number = re.fullmatch(_NUMBER, kind)
    dtype = f"{_KINDS[number[1]]}{number[2]}" if number else _DTYPES.get(kind, kind)
    return TensorSpec(_name(port, stated), sides, dtype)


def _name(port: Any, stated: Sequence[str] = ()) -> str:
    """The name the file gives the tensor; in IR, which may give several, that of its node, else the shortest."""
    names = port.get_names()
    exact = next((name for name in stated if name in names), None)
    own = port.node.friendly_name
    return exact or (own if own in names or not names else min(names, key=lambda name: (len(name), name)))


def _our_name(device: str) -> str:
    return device.lower().replace(".", ":")


def _reason(exc: Exception) -> str:
    """The message of an error of OpenVINO, without its source locations."""
    lines = [line.strip().removeprefix("-- ") for line in error_text(exc).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_SAYS_NOTHING)]
    return (telling or lines or [type(exc).__name__])[0][:300]
