"""The session of a backend, named arrays in and named arrays out: base class, common checks, batches of any length."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import field

from inference_models.arrays import ANY_SHAPE, device_of, is_torch, namespace
from inference_models.backends.runtime import Runtime, first_line
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    ModelRuntimeError,
)
from inference_models.fork import Lock, keep_for_ever, renewed_in_children
from inference_models.machine.hardware import memory_limit, total_memory
from inference_models.package.onnx_file import OnnxFile, check_external_data, file_stamp, read_onnx_file
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference_models.arrays import Array, Shape, TensorSpec
    from inference_models.package.graph_facts import GraphFacts

ONNX_WEIGHTS = "weights.onnx"
CLOSED = "the model was closed; load it again to use it."
"""What a session says when it is run after `close`."""
PIXEL_MASK = "pixel_mask"
"""Input of DETR beside the images, (B, h, w): 1 where one shows, and not padding that brings a batch to one size."""
IN_CHILDREN = "load the model in each worker after the fork, or start workers with the method 'spawn'"
"""What always helps where a runtime does not survive a fork."""
_NUMBERS = frozenset(
    {"bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
)
"""Number formats that are compared; what else a runtime names (texts, packed formats) it has to judge itself."""
_BITS = re.compile(r"(8|16|32|64)$")
_ALWAYS_FITS = 1 << 28
"""Bytes that fit wherever a runtime does, so that the memory of the machine need not be looked up."""
_UNKNOWN_MEMORY = 8 << 30
_AT_THE_BORDER = {"bfloat16": "float32"}
"""Number formats that NumPy does not have, and what stands for them outside of a session."""
_log = logging.getLogger("inference-models")


class Session(Protocol):
    """An opened graph. Safe to call from many threads."""

    inputs: tuple[TensorSpec, ...]
    """In the order of the graph."""
    outputs: tuple[TensorSpec, ...]
    """In the order of the graph; empty until the first run where neither file nor package tells them."""
    running_on: str
    """The device in use, as the runtime reports it: `cpu`, `cuda:0`, ..."""
    execution_providers: tuple[str, ...]
    """What executes the graph inside the runtime, first choice first; empty where it has no such parts."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name, in the order of the graph.

        Raises:
            ModelRuntimeError: the runtime refused the feeds or failed.
        """

    def close(self) -> None:
        """Give memory back. A second call does nothing; `run` afterwards is an error."""


class BaseSession:
    """A session of which the driver gives only `_run`.

    What is opened is dropped by `close`; its memory goes back when the runs under way have ended.

    In a forked child, the first run asks `_opened_in_child` what to use there.
    """

    runtime: Runtime
    """The record of what runs it."""
    run_errors: tuple[type[Exception], ...] = (RuntimeError, ValueError)
    """What the runtime raises for feeds it cannot use; each becomes a `ModelRuntimeError`."""
    execution_providers: tuple[str, ...] = ()

    def __init__(
        self, opened: Any, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], *, running_on: str = "cpu"
    ) -> None:
        check_sizes((*inputs, *outputs))
        self._opened = opened
        self.inputs = inputs
        self.outputs = outputs
        self.running_on = running_on
        self._is_inherited = False
        self._opening = Lock()
        renewed_in_children.add(self)

    def renew(self) -> None:
        """In a forked child: nothing is taken down, since that waits for threads which are not here."""
        keep_for_ever(self._opened)
        self._is_inherited = True

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name, in the order of the graph; the arrays are the caller's own.

        Raises:
            ModelRuntimeError: the session is closed, a feed does not fit, or the runtime failed; or it was opened
                before this process was forked, and cannot be used here.
        """
        if self._is_inherited:
            self._start_in_child()
        opened = self._opened
        if opened is None:
            raise ModelRuntimeError(CLOSED)
        check_feeds(self.inputs, feeds)
        arrays = [feeds[spec.name] for spec in self.inputs]
        answers = self._answers(opened, arrays)
        return {spec.name: answer for spec, answer in zip(self.outputs, answers, strict=True)}

    def close(self) -> None:
        """Drop the graph."""
        self._opened = None

    def _run(self, opened: Any, arrays: Sequence[Array]) -> Sequence[Array]:
        """The outputs in their order for arrays that fit the inputs, in the order of these."""
        raise NotImplementedError

    def _opened_in_child(self, opened: Any) -> Any:
        """What takes the place of `opened` in a forked child: itself where the runtime survives a fork.

        Raises:
            BaseInferenceModelsError: nothing can.
        """
        return opened

    def _start_in_child(self) -> None:
        with self._opening:
            if not self._is_inherited or self._opened is None:
                return
            try:
                if self.running_on != "cpu":
                    raise EnvironmentConfigurationError("a GPU in use does not survive a fork")
                self._opened = self._opened_in_child(self._opened)
            except BaseInferenceModelsError as exc:
                raise ModelRuntimeError(
                    f"this process was forked after the model was loaded, and {self.runtime.label} cannot use it here.",
                    needs="a model that was loaded in this process",
                    found=f"one loaded before the fork: {exc.summary.rstrip('.')}",
                    fix=IN_CHILDREN,
                ) from exc
            self._is_inherited = False

    def _reason(self, exc: Exception) -> str:
        """One line from an error of the runtime."""
        return first_line(exc)

    def _answers(self, opened: Any, arrays: Sequence[Array]) -> Sequence[Array]:
        """`_run`, with the errors of the runtime as errors of this library."""
        try:
            return self._run(opened, arrays)
        except ModelRuntimeError:
            raise
        except self.run_errors as exc:
            pairs = zip(self.inputs, arrays, strict=True)
            given = ", ".join(f"{spec.name} {tuple(array.shape)} {dtype_name(array)}" for spec, array in pairs)
            raise ModelRuntimeError(
                f"{self.runtime.label} failed while running the graph on {given or 'nothing'}.",
                needs=", ".join(map(str, self.inputs)),
                found=self._reason(exc),
            ) from exc


def check_feeds(inputs: Sequence[TensorSpec], feeds: Mapping[str, Array]) -> None:
    """Returns nothing when `feeds` has exactly what `inputs` ask for.

    Nothing is converted. A float64 array where the graph takes float32 is refused and not rounded: the conversion would
    cost time on every run and nobody would see it.

    Raises:
        ModelRuntimeError: names the first input that is missing, unknown, or of another shape or dtype.
    """
    for spec in inputs:
        if spec.name not in feeds:
            raise _misfit(spec, "nothing")
        feed = feeds[spec.name]
        special = special_kind(feed)
        if special is not None:
            raise _misfit(spec, special, fix="pass a plain tensor, or a NumPy array")
        dtype = dtype_name(feed)
        if not _same_shape(spec.shape, tuple(feed.shape)):
            raise _misfit(spec, f"{tuple(feed.shape)} {dtype}")
        if dtype != spec.dtype and spec.dtype in _NUMBERS:
            raise _misfit(spec, f"{tuple(feed.shape)} {dtype}", fix=f"convert the feed to {spec.dtype}")
    if len(feeds) != len(inputs):
        names = {spec.name for spec in inputs}
        raise ModelRuntimeError(
            f"the graph has no input {next(name for name in feeds if name not in names)!r}.",
            needs=", ".join(sorted(names)),
            found=", ".join(feeds),
        )


def check_sizes(specs: Sequence[TensorSpec]) -> None:
    """Returns nothing when an array for each of `specs` fits into the memory of this machine, open sides being 1.

    Raises:
        CorruptedModelPackageError: names the tensor, and how much it needs.
    """
    for spec in specs:
        size = prod(side or 1 for side in spec.shape) * int((_BITS.search(spec.dtype) or [0, 32])[1]) // 8
        if size > _ALWAYS_FITS and size > memory_here():
            raise CorruptedModelPackageError(
                f"one run of the graph does not fit into the memory of this machine: {spec.name!r} is {spec.shape}.",
                needs=f"at most {memory_here() / 1e9:.1f} GB",
                found=f"{size / 1e9:.3g} GB of {spec.dtype}",
                fix="export the model for a smaller batch and image size",
            )


def memory_here() -> int:
    """Bytes that processes may use here: those of the machine, or fewer in a container; 8 GB where nothing is known."""
    return min(total_memory() or _UNKNOWN_MEMORY, memory_limit() or sys.maxsize)


def special_kind(array: Array) -> str | None:
    """Why a tensor is no plain block of numbers, in words; None when it is one, as every NumPy array is."""
    if not is_torch(array):
        return None
    if array.is_nested:
        return "a nested tensor"
    layout = str(array.layout).removeprefix("torch.")
    if layout != "strided":
        return f"a tensor with layout {layout}"
    if array.is_quantized:
        return "a quantised tensor"
    if array.is_meta:
        return "a tensor without values"
    # What repeats its values by strides of zero could ask for any amount of memory when it is copied.
    claimed = array.numel() * array.element_size()
    return "a tensor that repeats its values" if claimed > max(array.untyped_storage().nbytes(), _ALWAYS_FITS) else None


def dtype_name(array: Array) -> str:
    """The number format of an array of either kind, by its NumPy name."""
    name = str(array.dtype).removeprefix("torch.")
    return _AT_THE_BORDER.get(name, name)


def _same_shape(wanted: Shape, given: tuple[int, ...]) -> bool:
    fits = len(wanted) == len(given) and all(side in {None, actual} for side, actual in zip(wanted, given, strict=True))
    return fits or wanted == ANY_SHAPE


def _misfit(spec: TensorSpec, found: str, *, fix: str | None = None) -> ModelRuntimeError:
    return ModelRuntimeError(
        f"the feed for input {spec.name!r} does not fit.", needs=f"{spec.shape} {spec.dtype}", found=found, fix=fix
    )


class BatchLimits(Record, frozen=True):
    """Batch sizes a graph takes."""

    smallest: int = 1
    largest: int | None = None
    """None: any."""

    @classmethod
    def of(cls, session: Session, *, largest_dynamic: int | None = None) -> BatchLimits:
        """Limits of a session's first input: its static batch, else 1 up to `largest_dynamic`."""
        static = session.inputs[0].shape[0]
        return cls(static, static) if static is not None else cls(1, largest_dynamic)


def run_in_batches(session: Session, batch: Array, limits: BatchLimits, *others: Array) -> list[Array]:
    """Outputs in the order of the graph for `batch` (B, ...), whatever B is, and `others`, for its further inputs.

    Longer batches are split, shorter ones filled with zeros; the filling is cut off again.
    """
    feeds = {spec.name: array for spec, array in zip(session.inputs, (batch, *others), strict=False)}
    count = batch.shape[0]
    if limits.smallest <= count <= (limits.largest or count):
        return _outputs(session, feeds, count)
    size = limits.largest or count
    pieces = ({name: array[start : start + size] for name, array in feeds.items()} for start in range(0, count, size))
    parts = [_run_part(session, piece, limits.smallest) for piece in pieces]
    xp = namespace(parts[0][0])
    return [xp.concat([part[index] for part in parts]) for index in range(len(parts[0]))]


def _run_part(session: Session, feeds: dict[str, Array], smallest: int) -> list[Array]:
    count = next(iter(feeds.values())).shape[0]
    if count >= smallest:
        return _outputs(session, feeds, count)
    filled = {name: _filled(array, smallest) for name, array in feeds.items()}
    return [output[:count] for output in _outputs(session, filled, smallest)]


def _filled(array: Array, count: int) -> Array:
    xp = namespace(array)
    filling = xp.zeros((count - array.shape[0], *array.shape[1:]), dtype=array.dtype, device=device_of(array))
    return xp.concat([array, filling])


def _outputs(session: Session, feeds: dict[str, Array], count: int) -> list[Array]:
    batch = next(iter(feeds.values()))
    masks = {spec.name: _ones(spec, batch) for spec in session.inputs if spec.name not in feeds}
    outputs = list(session.run(feeds | masks).values())
    for spec, output in zip(session.outputs, outputs, strict=True):
        # A table that does not depend on the image, such as priors, is the answer to one as well.
        is_table = count == 1 and len(output.shape) == 2
        if len(output.shape) == 0 or (output.shape[0] != count and not is_table):
            raise CorruptedModelPackageError(
                f"output {spec.name!r} does not answer every image of a batch.",
                needs=f"{count} rows for {count} images",
                found=f"shape {tuple(output.shape)}",
                fix="export the graph with a batch of 1, or with a batch that all of it follows",
            )
    return outputs


def _ones(mask: TensorSpec, batch: Array) -> Array:
    """(B, h, w) for images without padding, of the size that is stated, else that of the images (B, C, h, w)."""
    xp = namespace(batch)
    sides = (stated or side for stated, side in zip(mask.shape[1:], batch.shape[2:], strict=True))
    return xp.ones((batch.shape[0], *sides), dtype=getattr(xp, mask.dtype), device=device_of(batch))


class InputHint(Record, frozen=True):
    """What a package says about its image input, for graphs that do not say it themselves."""

    shape: Shape
    """None where it is open."""
    example: tuple[int, ...] | None = None
    """The axes after the batch in a run that is certain to fit; None: the package names no size."""


ModuleBuilder = Callable[..., Any]
"""From the shapes of a package's weights, by name, and `stated`, what the training wrote beside them, to the
`torch.nn.Module` that takes them. Where that calls them otherwise, its `names_in_files` says how; `left_out` are names
that it has no use for."""


class SessionRequest(Record, frozen=True):
    """The package to open, and the settings of its session."""

    directory: Path
    """The package folder, or the folder of a bare file."""
    files: Mapping[str, Path]
    """Files of the package by handle."""
    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`, ...; None: the best this backend has here."""
    threads: int | None = None
    """Threads of one run; None: as many as this process may use."""
    execution_providers: tuple[Any, ...] | None = None
    """ONNX Runtime execution providers by name, or (name, options)."""
    allow_fallback: bool = False
    """Take another device or execution provider where the one that was chosen cannot be used."""
    free_input_dims: Mapping[str, Shape] = field(default_factory=dict)
    """Input shapes that replace those stored in the graph, for graphs exported with a wrong static shape."""
    graph: GraphFacts | None = None
    """What was read of `weights.onnx` earlier in this load; None: a backend that needs it reads it."""
    further_outputs: tuple[TensorSpec, ...] = ()
    """Tensors inside an ONNX graph that are outputs of the session too, behind its own; only `weights.onnx` has any."""
    input_hint: InputHint | None = None
    """For runtimes whose files hold no shapes; the others ignore it."""
    module: ModuleBuilder | None = None
    """For packages that hold nothing but weights; None: the family has no such network."""
    role: str | None = None
    """Of the part of a network that is run; only for runtimes that open networks and not graphs. None: all of it."""
    beside: Session | None = None
    """Of another part of the same network, whose weights are shared."""

    def file(self, handle: str) -> Path:
        """The file of the package with that handle.

        Raises:
            CorruptedModelPackageError: the package has none.
        """
        if handle in self.files:
            return self.files[handle]
        raise CorruptedModelPackageError(
            f"the package has no {handle}.", needs=handle, found=", ".join(sorted(self.files)) or "no files"
        )

    def onnx_file(self) -> OnnxFile:
        """The graph in `weights.onnx`, found to be one that this machine can hold, with data that may be opened.

        What was read of it earlier in this load is taken, unless a file changed since.

        Raises:
            CorruptedModelPackageError: the file is no ONNX graph, is damaged, or points outside its folder.
        """
        path, known = self.file(ONNX_WEIGHTS), self.graph
        if (
            not isinstance(known, OnnxFile)
            or known.path != path
            or not path.exists()
            or known.stamp != file_stamp(path.stat())
        ):
            known = read_onnx_file(path)
        elif known.external:
            check_external_data(known)
        check_sizes((*known.inputs, *known.outputs))
        return known


class Backend(Protocol):
    """A module of `inference_models.backends`, or one that another distribution registers."""

    RUNTIME: Runtime
    """What is known of it without importing anything."""

    def open_session(self, request: SessionRequest) -> Session:
        """An opened graph.

        Raises:
            MissingDependencyError: the runtime is not installed.
            CorruptedModelPackageError: the file is not a graph the runtime can read.
            EnvironmentConfigurationError: the device that was asked for cannot be used.
        """


def use_cpu_instead(
    request: SessionRequest, runtime: Runtime, found: Sequence[str], *, needs: str, fix: str = "device='cpu'"
) -> None:
    """Warn that the CPU is used, because the runtime cannot use the device that was asked for.

    Raises:
        EnvironmentConfigurationError: the request does not allow it.
    """
    devices = ", ".join(found)
    if not request.allow_fallback:
        raise EnvironmentConfigurationError(
            f"device {request.device!r} cannot be used through {runtime.label} here.",
            needs=needs,
            found=devices,
            fix=fix,
        )
    _log.warning("%s cannot use device %r (it finds %s); the CPU is used.", runtime.label, request.device, devices)
