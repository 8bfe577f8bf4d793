"""TensorRT engines on torch tensors. Written for TensorRT 10 and not yet run on hardware."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_models.authors.onnx_tensors import generate_batch_chunks
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError, ModelRuntimeError
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.authors.cuda import TRTCudaGraphCache

_TORCH_DTYPES = {
    "BOOL": "bool",
    "FLOAT": "float32",
    "HALF": "float16",
    "INT32": "int32",
    "INT64": "int64",
    "INT8": "int8",
}


class _Target(Record, frozen=True):
    """Where an engine runs."""

    engine: Any
    context: Any
    input_name: str
    outputs: tuple[str, ...]
    device: Any


class _CapturedGraph(Record, frozen=True):
    graph: Any
    input_buffer: Any
    output_buffers: list[Any]
    context: Any
    """Kept, because the graph runs in its memory."""


def load_trt_model(model_path: str | Path, engine_host_code_allowed: bool = False) -> Any:
    """The `ICudaEngine` in a file.

    Args:
        model_path: The engine.
        engine_host_code_allowed: Whether an engine may bring a runtime of its own, which is code that runs here.

    Raises:
        CorruptedModelPackageError: the file cannot be read, or is no engine for this TensorRT and device.
    """
    tensorrt = importlib.import_module("tensorrt")
    path = Path(model_path)
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise CorruptedModelPackageError(
            f"{path.name} cannot be read.", needs="a readable file", found=exc.strerror or type(exc).__name__
        ) from exc
    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    runtime.engine_host_code_allowed = engine_host_code_allowed
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise CorruptedModelPackageError(
            f"{path.name}: TensorRT {tensorrt.__version__} cannot open the engine.",
            needs="an engine built with this version for this device",
            found="an engine it refuses; its log above says why",
            fix="build the engine on this machine",
        )
    return engine


def get_trt_engine_inputs_and_outputs(engine: Any) -> tuple[list[str], list[str]]:
    """Names of the inputs and of the outputs of an engine, in its order."""
    tensorrt = importlib.import_module("tensorrt")
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
    return inputs, [name for name in names if name not in inputs]


def infer_from_trt_engine(  # noqa: PLR0913, PLR0917 - the public interface
    pre_processed_images: Any,
    trt_config: Any,
    engine: Any,
    context: Any,
    device: Any,
    input_name: str,
    outputs: Sequence[str],
    stream: Any = None,
    trt_cuda_graph_cache: TRTCudaGraphCache | None = None,
    synchronize: bool = True,
) -> list[Any]:
    """The outputs for a batch of any size, as torch tensors on `device`, in the order of `outputs`.

    Args:
        pre_processed_images: Batch on `device`.
        trt_config: Has `static_batch_size`, or `dynamic_batch_size_min` and `dynamic_batch_size_max`.
        engine: Of `load_trt_model`.
        context: Execution context of the engine; one thread at a time may use it.
        device: torch CUDA device.
        input_name: The engine's only input.
        outputs: Names of the outputs that are wanted.
        stream: torch CUDA stream; None: the current one.
        trt_cuda_graph_cache: Keeps captured graphs, one for each shape.
        synchronize: Whether to wait for the results.

    Raises:
        EnvironmentConfigurationError: `device` is no CUDA device.
        ModelRuntimeError: TensorRT failed.
    """
    import torch  # noqa: PLC0415 - heavy imports stay inside functions

    device = torch.device(device)
    if device.type != "cuda":
        raise EnvironmentConfigurationError(
            "TensorRT runs on CUDA devices only.", needs="device cuda", found=str(device)
        )
    target = _Target(engine, context, input_name, tuple(outputs), device)
    stream = stream or torch.cuda.current_stream(device)
    smallest, largest = _batch_limits(trt_config)
    count = pre_processed_images.shape[0]
    size = min(largest, max(count, smallest))
    parts = []
    with torch.cuda.stream(stream):
        for chunk, filling in generate_batch_chunks(pre_processed_images, size):
            results = _run(chunk.contiguous(), target, stream, trt_cuda_graph_cache, torch)
            parts.append([result[: size - filling] for result in results])
        merged = parts[0] if len(parts) == 1 else [torch.cat(pieces) for pieces in zip(*parts, strict=True)]
    if synchronize:
        stream.synchronize()
    return merged


def _batch_limits(trt_config: Any) -> tuple[int, int]:
    static = trt_config.static_batch_size
    if static is not None:
        return static, static
    return trt_config.dynamic_batch_size_min, trt_config.dynamic_batch_size_max


def _run(chunk: Any, target: _Target, stream: Any, cache: TRTCudaGraphCache | None, torch: Any) -> list[Any]:
    if cache is None:
        return _execute(chunk, target, stream, torch)
    key = tuple(chunk.shape), chunk.dtype, chunk.device
    if key not in cache:
        cache[key] = _capture(chunk, target, stream, torch)
    captured: _CapturedGraph = cache[key]
    captured.input_buffer.copy_(chunk)
    captured.graph.replay()
    return [buffer.clone() for buffer in captured.output_buffers]


def _capture(chunk: Any, target: _Target, stream: Any, torch: Any) -> _CapturedGraph:
    own = _Target(
        target.engine, target.engine.create_execution_context(), target.input_name, target.outputs, target.device
    )
    buffer = chunk.clone()
    # TensorRT allocates on the first run of a shape, which must not be part of the graph.
    _execute(buffer, own, stream, torch)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        results = _execute(buffer, own, stream, torch)
    return _CapturedGraph(graph, buffer, results, own.context)


def _execute(chunk: Any, target: _Target, stream: Any, torch: Any) -> list[Any]:
    context = target.context
    if not context.set_input_shape(target.input_name, tuple(chunk.shape)):
        raise ModelRuntimeError(
            "TensorRT refused the shape of the input.",
            needs="a shape the engine was built for",
            found=str(tuple(chunk.shape)),
        )
    context.set_tensor_address(target.input_name, chunk.data_ptr())
    results = []
    for name in target.outputs:
        dtype = getattr(torch, _TORCH_DTYPES[target.engine.get_tensor_dtype(name).name])
        results.append(torch.empty(tuple(context.get_tensor_shape(name)), dtype=dtype, device=target.device))
        context.set_tensor_address(name, results[-1].data_ptr())
    if not context.execute_async_v3(stream_handle=stream.cuda_stream):
        raise ModelRuntimeError(
            "TensorRT failed while running the engine.", needs="a run without errors", found="its log"
        )
    return results
