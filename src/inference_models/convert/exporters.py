"""From a network in PyTorch to the files of another format.

Checked with torch 2.13, onnx 1.23, onnxscript 0.7, onnxruntime 1.32 and openvino 2026.4. The exporter of PyTorch that
follows `torch.export` comes first; the older one, which records a run, where that fails. The batch is left open where
the network lets it, and the size where pictures keep theirs.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any

from inference_models.arrays import is_torch
from inference_models.backends.torch_session import reason_of
from inference_models.entities import BackendType
from inference_models.errors import BaseInferenceModelsError, MissingDependencyError, ModelConversionError
from inference_models.package.formats import FORMATS
from inference_models.package.onnx_file import read_onnx_file
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from inference_models.arrays import Array
    from inference_models.backends.torch_session import TorchSession

ONNX = FORMATS[BackendType.ONNX].weights[0]
XML = FORMATS[BackendType.OPENVINO].weights[0]
ARCHIVE = FORMATS[BackendType.TORCH_SCRIPT].weights[0]
LARGEST_FILE = 1 << 30
"""Bytes of weights that go into the graph itself; more lie in a file beside it."""
_OPSET = 18


class Exportable(Record, frozen=True):
    """A network, and what it is given and gives."""

    module: Any
    """Takes one tensor and gives a tuple of them."""
    input_name: str
    output_names: tuple[str, ...]
    example: Array
    """(2, C, H, W)."""
    free_size: bool
    """Whether pictures reach it in sizes of their own."""
    bytes: int
    """Of its parameters."""


class Exporter(Record, frozen=True):
    """One way to write a network."""

    name: str
    write: Callable[[Exportable, Path, bool], object]
    """Gets the network, the folder to write to, and whether the batch is left open."""
    open_batch: bool = True

    def run(self, given: Exportable, folder: Path) -> None:
        """Write the files.

        Raises:
            ModelConversionError: it cannot.
        """
        try:
            with _quietly():
                self.write(given, folder, self.open_batch)
        except BaseInferenceModelsError:
            raise
        except Exception as exc:  # an exporter raises whatever the code of a network leads to
            reason = " ".join(str(exc).split())[:200]
            raise ModelConversionError(f"it cannot be exported so: {type(exc).__name__}: {reason}") from exc


def exportable(session: TorchSession, example: Array, *, free_size: bool, torch: Any) -> Exportable:
    """The network of a session, for pictures such as `example`, (1, C, H, W)."""
    network = session.network
    modules = [module for module in (network.modules or (network.call,)) if isinstance(module, torch.nn.Module)]
    call = network.call

    class Exported(torch.nn.Module):  # type: ignore[misc] # PyTorch is imported by who needs it
        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(modules)

        def forward(self, images: Array) -> tuple[Array, ...]:
            return tuple(_tensors(call(images)))

    module = Exported().float().eval()
    return Exportable(
        module=module,
        input_name=session.inputs[0].name,
        output_names=tuple(spec.name for spec in session.outputs),
        example=example.float().repeat(2, 1, 1, 1),
        free_size=free_size,
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in module.parameters()),
    )


def exporters_for(kind: BackendType, names: tuple[str, ...], *, half: bool) -> list[Exporter]:
    """The ways to write a format, in the order in which they are tried; of `dynamo` and `legacy` only those in `names`.

    Raises:
        MissingDependencyError: a library that writes it is not installed.
    """
    if kind is BackendType.TORCH_SCRIPT:
        return [Exporter("torch.jit.trace", lambda given, folder, _: _write_archive(given, folder, half=half))]
    for library in ("onnx", *(("onnxscript",) if "dynamo" in names else ())):
        _require(library)
    if kind is BackendType.OPENVINO:
        _require("openvino")
    ways = {"dynamo": ("torch.onnx with dynamo", _write_dynamo), "legacy": ("torch.onnx without dynamo", _write_legacy)}
    chosen = [ways[name] for name in names]

    def finished(write: Callable[..., object]) -> Callable[[Exportable, Path, bool], object]:
        return lambda given, folder, open_batch: _finish(kind, write, given, folder, open_batch=open_batch, half=half)

    return [Exporter(name, finished(write), open_batch) for open_batch in (True, False) for name, write in chosen]


def quantize_weights(path: Path) -> None:
    """Rewrite an ONNX file with weights of 8 bits, whose inputs are brought to 8 bits in each run.

    Raises:
        MissingDependencyError: ONNX Runtime or onnx is not installed.
    """
    quantization = _require("onnxruntime.quantization")
    source = path.with_name("float.onnx")
    path.rename(source)
    with _quietly():
        quantization.quantize_dynamic(
            str(source),
            str(path),
            weight_type=quantization.QuantType.QUInt8,  # convolutions on the CPU take no others
            use_external_data_format=source.stat().st_size > LARGEST_FILE,
        )
    for old in [source, *path.parent.glob(f"{source.name}.data")]:
        old.unlink()


def _finish(
    kind: BackendType,
    write: Callable[..., object],
    given: Exportable,
    folder: Path,
    *,
    open_batch: bool,
    half: bool,
) -> None:
    path = folder / ONNX
    write(given, path, open_batch=open_batch)
    batch = read_onnx_file(path).inputs[0].shape
    if open_batch and batch is not None and batch[0] is not None:
        raise ModelConversionError("the network takes one size of batch alone when it is exported so.")
    if kind is BackendType.OPENVINO:
        _write_openvino(path, folder / XML, half=half)
        for old in folder.glob(f"{ONNX}*"):
            old.unlink()
    elif half:
        _halve(path)


def _write_dynamo(given: Exportable, path: Path, *, open_batch: bool) -> None:
    torch = import_module("torch")
    free = torch.export.Dim.AUTO
    axes = {0: free, **({2: free, 3: free} if given.free_size else {})} if open_batch else {}
    torch.onnx.export(
        given.module,
        (given.example if open_batch else given.example[:1],),
        str(path),
        dynamo=True,
        input_names=[given.input_name],
        output_names=list(given.output_names),
        dynamic_shapes=(axes,),
        external_data=given.bytes > LARGEST_FILE,
        verbose=False,
    )


def _write_legacy(given: Exportable, path: Path, *, open_batch: bool) -> None:
    torch = import_module("torch")
    sides = {2: "height", 3: "width"} if given.free_size else {}
    axes: Mapping[str, dict[int, str]] = {
        given.input_name: {0: "batch", **sides},
        **{name: {0: "batch"} for name in given.output_names},
    }
    torch.onnx.export(
        given.module,
        (given.example if open_batch else given.example[:1],),
        str(path),
        dynamo=False,
        input_names=[given.input_name],
        output_names=list(given.output_names),
        dynamic_axes=axes if open_batch else {given.input_name: sides},
        opset_version=_OPSET,
    )


def _write_openvino(source: Path, target: Path, *, half: bool) -> None:
    from inference_models.backends.openvino import import_openvino  # noqa: PLC0415 - only for this format

    openvino = import_openvino()
    openvino.save_model(openvino.convert_model(str(source)), str(target), compress_to_fp16=half)


def _write_archive(given: Exportable, folder: Path, *, half: bool) -> None:
    torch = import_module("torch")
    module, example = (given.module.half(), given.example.half()) if half else (given.module, given.example)
    with torch.no_grad():
        torch.jit.trace(
            _answering_by_name(module, given.output_names, torch), (example,), check_trace=False, strict=False
        ).save(str(folder / ARCHIVE))


def _answering_by_name(module: Any, names: tuple[str, ...], torch: Any) -> Any:
    """A module that answers by name, which a tuple in an archive does not."""

    class Named(torch.nn.Module):  # type: ignore[misc] # as above
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, images: Array) -> dict[str, Array]:
            return dict(zip(names, self.inner(images), strict=True))

    return Named().eval()


def _halve(path: Path) -> None:
    float16, onnx = _require("onnxruntime.transformers.float16"), _require("onnx")
    model = float16.convert_float_to_float16(onnx.load(str(path)), keep_io_types=True)
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    large = model.ByteSize() > LARGEST_FILE
    onnx.save(model, str(path), save_as_external_data=large, location=f"{path.name}.data" if large else None)


def _tensors(answer: Any) -> Iterator[Array]:
    if is_torch(answer):
        yield answer
        return
    for part in answer.values() if isinstance(answer, dict) else answer or ():
        yield from _tensors(part)


def _require(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as exc:
        library = name.partition(".")[0]
        raise MissingDependencyError(
            "the model cannot be converted here.",
            needs=library,
            found="not installed" if isinstance(exc, ModuleNotFoundError) else reason_of(exc),
            fix=f'pip install "{library}"',
        ) from exc


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what exporters write to the terminal for those who develop them."""
    level = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)
