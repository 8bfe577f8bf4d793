"""LiteRT (TensorFlow Lite): one FlatBuffer, `weights.tflite`, on the CPU.

Checked against ai-edge-litert 1.2 and 2.3.

*Names.* Where the file has a signature (`serving_default`, or the only one there is), inputs and outputs have its
names. Else they have the names of their tensors, without what exporters put around them: `serving_default_` before a
name and `:0` behind it. They come in the order of the graph.

*Shapes.* A side is open where the file says so, or where the package frees it with `free_input_dims`; what the outputs
are then is known only after a run, so all their sides are open. An interpreter works on one set of shapes at a time;
one is kept for each of the sets used last.

*Whole numbers.* Inputs are what the graph takes: a uint8 input is fed the pixels themselves. Outputs with a scale are
given as the float32 they stand for, since nobody after the session knows the scale: a score of 0.996 is stored as 255.

*Threads.* Interpreters are not made for several threads at once, so that runs wait for each other.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.arrays import TensorSpec, to_numpy
from inference_models.backends.runtime import error_text, first_line, import_runtime, reading
from inference_models.backends.runtimes import LITERT
from inference_models.backends.session import BaseSession, use_cpu_instead
from inference_models.fork import Lock, keep_for_ever
from inference_models.machine.hardware import usable_cpus
from inference_models.package.onnx_shapes import check_free_input_dims
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference_models.arrays import Array, NumpyArray, Shape
    from inference_models.backends.session import SessionRequest

    Shapes = tuple[tuple[int, ...], ...]

RUNTIME = LITERT
WEIGHTS = "weights.tflite"
MAX_SHAPES = 4
"""Interpreters kept at once; each holds its own activations."""

_SIGNATURE = "serving_default"
_PRIVATE = r"unresolved custom op: (\S+?)\.(?:\s|$)|\((Flex\w+)\)"
"""How LiteRT names an operator it does not have: a private one, or one of TensorFlow itself."""


def open_session(request: SessionRequest) -> LiteRtSession:
    """An opened graph.

    Raises:
        MissingDependencyError: LiteRT is not installed.
        CorruptedModelPackageError: the file is no such graph, is damaged, or needs operators LiteRT does not have.
        EnvironmentConfigurationError: a device other than the CPU was asked for.
    """
    from inference_models.package.tflite_file import read_graph  # noqa: PLC0415 - needed to open a graph only

    runtime = import_runtime(RUNTIME)
    if request.device not in {None, "cpu"}:
        use_cpu_instead(request, RUNTIME, ["cpu"], needs="device 'cpu'")
    path = request.file(WEIGHTS)
    threads = request.threads or usable_cpus()

    def build() -> Any:
        return runtime.Interpreter(model_content=content, num_threads=threads)

    with reading(RUNTIME, [path], (OSError, RuntimeError, ValueError), _reason):
        # Read and not mapped: a mapped file that somebody overwrites ends the process.
        read_graph(path)  # refuses what leads out of the file
        content = path.read_bytes()
        interpreter = build()
        interpreter.allocate_tensors()
        return LiteRtSession(*_describe(interpreter, request.free_input_dims, where=path.name), build, interpreter)


class _Tensor(Record, frozen=True):
    """One input or output."""

    spec: TensorSpec
    index: int
    """In the interpreter."""
    scale: float | None = None
    """None: the values are what they are."""
    zero_point: int = 0

    def as_stated(self, values: NumpyArray) -> NumpyArray:
        """`values` dequantized with scale and zero point, where the tensor has them."""
        if self.scale is None:
            return values
        stated: NumpyArray = (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)
        return stated


class LiteRtSession(BaseSession):
    """A graph opened by LiteRT, with an interpreter for each of the shapes used last."""

    runtime = RUNTIME

    def __init__(
        self, ins: Sequence[_Tensor], outs: Sequence[_Tensor], build: Callable[[], Any], interpreter: Any
    ) -> None:
        super().__init__(build, tuple(tensor.spec for tensor in ins), tuple(tensor.spec for tensor in outs))
        self._ins, self._outs = ins, outs
        self._lock = Lock()
        shapes = {detail["index"]: tuple(map(int, detail["shape"])) for detail in interpreter.get_input_details()}
        self._ready: OrderedDict[Shapes, Any] = OrderedDict()
        self._ready[tuple(shapes[tensor.index] for tensor in ins)] = interpreter

    def renew(self) -> None:
        """In a forked child: interpreters are made anew from the content of the file."""
        super().renew()
        keep_for_ever(self._ready)
        self._ready = OrderedDict()

    def close(self) -> None:
        """Drop the graph; memory goes back when the runs under way have ended."""
        super().close()
        with self._lock:
            self._ready.clear()

    def _run(self, opened: Callable[[], Any], arrays: Sequence[Array]) -> list[NumpyArray]:
        given = [np.ascontiguousarray(to_numpy(array)) for array in arrays]
        shapes = tuple(array.shape for array in given)
        with self._lock:
            interpreter = self._ready.pop(shapes, None) or self._resized(opened(), shapes)
            answers = self._invoked(interpreter, given)
            # Only now: an interpreter that failed is not used again.
            self._keep(shapes, interpreter)
        return [tensor.as_stated(answer) for tensor, answer in zip(self._outs, answers, strict=True)]

    def _resized(self, interpreter: Any, shapes: Shapes) -> Any:
        for tensor, shape in zip(self._ins, shapes, strict=True):
            interpreter.resize_tensor_input(tensor.index, shape)
        interpreter.allocate_tensors()
        return interpreter

    def _invoked(self, interpreter: Any, arrays: Sequence[NumpyArray]) -> list[NumpyArray]:
        for tensor, array in zip(self._ins, arrays, strict=True):
            interpreter.set_tensor(tensor.index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(tensor.index) for tensor in self._outs]

    def _keep(self, shapes: Shapes, interpreter: Any) -> None:
        if self._opened is None:
            return
        self._ready[shapes] = interpreter
        while len(self._ready) > MAX_SHAPES:
            self._ready.popitem(last=False)


def _describe(interpreter: Any, freed: Mapping[str, Shape], *, where: str) -> tuple[list[_Tensor], list[_Tensor]]:
    ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
    signed = _signature_names(interpreter, [*ins, *outs])
    named = list(zip(_names(ins, signed, "input"), ins, strict=True))
    check_free_input_dims(freed, {name: _sides(detail) for name, detail in named}, where=where)
    inputs = [
        _Tensor(TensorSpec(name, tuple(freed.get(name, _sides(detail))), _dtype(detail)), int(detail["index"]))
        for name, detail in named
    ]
    names = _names(outs, signed, "output")
    return inputs, [_output(name, detail, is_open=bool(freed)) for name, detail in zip(names, outs, strict=True)]


def _output(name: str, detail: Mapping[str, Any], *, is_open: bool) -> _Tensor:
    sides = (None,) * len(_sides(detail)) if is_open else _sides(detail)
    scales = detail["quantization_parameters"]["scales"]
    if len(scales) != 1 or np.dtype(detail["dtype"]).kind not in "iu":
        return _Tensor(TensorSpec(name, sides, _dtype(detail)), int(detail["index"]))
    zero_point = int(detail["quantization_parameters"]["zero_points"][0])
    return _Tensor(TensorSpec(name, sides, "float32"), int(detail["index"]), float(scales[0]), zero_point)


def _signature_names(interpreter: Any, details: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Names by index of the tensor; empty when there is no signature for these inputs and outputs."""
    known = interpreter.get_signature_list()
    key = _SIGNATURE if _SIGNATURE in known else next(iter(known)) if len(known) == 1 else None
    if key is None:
        return {}
    runner = interpreter.get_signature_runner(key)
    signed = [*runner.get_input_details().items(), *runner.get_output_details().items()]
    names = {int(detail["index"]): name for name, detail in signed}
    # A signature may belong to another part of the file than the one that is run.
    return names if set(names) == {int(detail["index"]) for detail in details} else {}


def _names(details: Sequence[Mapping[str, Any]], signed: Mapping[int, str], kind: str) -> list[str]:
    raw = [str(detail["name"]) for detail in details]
    plain = [
        signed.get(int(detail["index"]), name.removeprefix(f"{_SIGNATURE}_").removesuffix(":0"))
        for detail, name in zip(details, raw, strict=True)
    ]
    for names in (plain, raw):
        if len(set(names)) == len(names) and all(names):
            return names
    return [f"{kind}{position}" for position in range(len(details))]


def _sides(detail: Mapping[str, Any]) -> Shape:
    # Files of older converters have no signature of the shape; the shape itself is then what holds.
    stated = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    return tuple(int(side) if side > 0 else None for side in stated)


def _dtype(detail: Mapping[str, Any]) -> str:
    dtype = np.dtype(detail["dtype"])
    return dtype.name if dtype.kind in "biufc" else "str"


def _reason(exc: Exception) -> str:
    """The first line of an error, or the operator it is about that LiteRT does not have."""
    private = re.search(_PRIVATE, error_text(exc))
    return f"the private operator {private[1] or private[2]!r}, which LiteRT lacks" if private else first_line(exc)
