"""Torch tensors through an ONNX Runtime session: bound where they lie, in batches the graph takes.

Checked against onnxruntime 1.32 and torch 2.13 on the CPU; the path for CUDA tensors has not run on hardware yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.arrays import device_of, namespace
from inference_models.errors import InvalidParameterError, ModelInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from inference_models.arrays import Array

_DTYPES = {
    "tensor(bool)": ("bool", np.bool_),
    "tensor(double)": ("float64", np.float64),
    "tensor(float)": ("float32", np.float32),
    "tensor(float16)": ("float16", np.float16),
    "tensor(int16)": ("int16", np.int16),
    "tensor(int32)": ("int32", np.int32),
    "tensor(int64)": ("int64", np.int64),
    "tensor(int8)": ("int8", np.int8),
    "tensor(uint8)": ("uint8", np.uint8),
}
"""ONNX Runtime type -> name in torch, type in NumPy."""


def run_onnx_session_via_iobinding(
    session: Any,
    inputs: Mapping[str, Any],
    output_shape_mapping: Mapping[str, tuple[int, ...]] | None = None,
    stream: Any = None,
) -> list[Any]:
    """The outputs of the session as torch tensors, in its order, on the device it runs on.

    Inputs are moved to that device and converted to the type the graph takes where they differ; otherwise the session
    reads them where they lie.

    Args:
        session: `onnxruntime.InferenceSession`.
        inputs: Input name -> torch tensor.
        output_shape_mapping: Output name -> shape, for outputs that are to be written into memory of torch.
        stream: CUDA stream on which the inputs are made; None: the current one. It is waited for.

    Raises:
        ModelInputError: an input is missing, or the graph has none of that name.
    """
    import torch  # noqa: PLC0415 - heavy imports stay inside functions

    device = _session_device(session, torch)
    fed = _fed_tensors(session, inputs, device, torch)
    if any(tensor.numel() == 0 for tensor in fed.values()):
        # Empty tensors have no address that could be bound.
        arrays = session.run(None, {name: tensor.cpu().numpy() for name, tensor in fed.items()})
        return [torch.from_numpy(array).to(device) for array in arrays]
    binding = session.io_binding()
    for node in session.get_inputs():
        tensor = fed[node.name]
        kind = _DTYPES[node.type][1]
        binding.bind_input(node.name, device.type, device.index or 0, kind, tuple(tensor.shape), tensor.data_ptr())
    own = _bind_outputs(session, binding, output_shape_mapping or {}, device, torch)
    if device.type == "cuda":
        (stream or torch.cuda.current_stream(device)).synchronize()
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    values = zip(session.get_outputs(), binding.get_outputs(), strict=True)
    return [own[node.name] if node.name in own else _to_tensor(value, device, torch) for node, value in values]


def run_onnx_session_with_batch_size_limit(
    session: Any,
    inputs: Mapping[str, Any],
    output_shape_mapping: Mapping[str, tuple[int, ...]] | None = None,
    max_batch_size: int | None = None,
    min_batch_size: int | None = None,
    stream: Any = None,
) -> list[Any]:
    """The outputs for a batch of any size, as torch tensors, in the order of the session.

    Longer batches are split, shorter ones filled with zeros; what belongs to the filling is cut off.

    Args:
        session: `onnxruntime.InferenceSession`.
        inputs: Input name -> torch tensor; the first dimension of all of them is the batch.
        output_shape_mapping: Output name -> shape for the whole batch.
        max_batch_size: Largest batch of one run; None: any.
        min_batch_size: Smallest batch of one run; None: 1.
        stream: CUDA stream on which the inputs are made.

    Raises:
        ModelInputError: the inputs have batches of different sizes.
        InvalidParameterError: the limits make no sense.
    """
    import torch  # noqa: PLC0415 - heavy imports stay inside functions

    count = _batch_size(inputs)
    smallest = min_batch_size or 1
    largest = max_batch_size or max(count, smallest)
    if not 1 <= smallest <= largest:
        raise InvalidParameterError(
            "the batch limits make no sense.",
            needs="1 <= min_batch_size <= max_batch_size",
            found=f"min_batch_size={min_batch_size}, max_batch_size={max_batch_size}",
        )
    parts = []
    for start in range(0, max(count, 1), largest):
        size = min(largest, count - start)
        filled = {name: _filled(tensor[start : start + size], smallest) for name, tensor in inputs.items()}
        shapes = {name: (max(size, smallest), *shape[1:]) for name, shape in (output_shape_mapping or {}).items()}
        outputs = run_onnx_session_via_iobinding(session, filled, shapes, stream)
        parts.append([output[:size] for output in outputs])
    return parts[0] if len(parts) == 1 else [torch.cat(pieces) for pieces in zip(*parts, strict=True)]


def generate_batch_chunks(input_batch: Array, chunk_size: int) -> Iterator[tuple[Array, int]]:
    """Yields (chunk, filling): `chunk_size` rows of `input_batch` each, the last `filling` of them zeros.

    Raises:
        InvalidParameterError: `chunk_size` is not positive.
    """
    if chunk_size < 1:
        raise InvalidParameterError("chunk_size makes no sense.", needs="at least 1", found=str(chunk_size))
    for start in range(0, input_batch.shape[0], chunk_size):
        chunk = input_batch[start : start + chunk_size]
        yield _filled(chunk, chunk_size), chunk_size - chunk.shape[0]


def _filled(chunk: Array, size: int) -> Array:
    missing = size - chunk.shape[0]
    if missing <= 0:
        return chunk
    xp = namespace(chunk)
    return xp.concat([chunk, xp.zeros((missing, *chunk.shape[1:]), dtype=chunk.dtype, device=device_of(chunk))])


def _batch_size(inputs: Mapping[str, Any]) -> int:
    sizes = {name: tensor.shape[0] for name, tensor in inputs.items()}
    if len(set(sizes.values())) == 1:
        return int(next(iter(sizes.values())))
    raise ModelInputError(
        "the inputs do not form one batch.",
        needs="the same first dimension for all inputs",
        found=", ".join(f"{name} {size}" for name, size in sizes.items()) or "no inputs",
    )


def _session_device(session: Any, torch: Any) -> Any:
    options = session.get_provider_options()
    for name in ("CUDAExecutionProvider", "TensorrtExecutionProvider"):
        if name in options:
            return torch.device("cuda", int(options[name].get("device_id", 0)))
    return torch.device("cpu")


def _fed_tensors(session: Any, inputs: Mapping[str, Any], device: Any, torch: Any) -> dict[str, Any]:
    known = {node.name: node.type for node in session.get_inputs()}
    if set(known) != set(inputs):
        raise ModelInputError(
            "the inputs are not those of the graph.",
            needs=", ".join(sorted(known)),
            found=", ".join(sorted(inputs)) or "none",
        )
    return {
        name: inputs[name].to(device=device, dtype=getattr(torch, _DTYPES[kind][0])).contiguous()
        for name, kind in known.items()
    }


def _bind_outputs(
    session: Any, binding: Any, shapes: Mapping[str, Sequence[int]], device: Any, torch: Any
) -> dict[str, Any]:
    own = {}
    for node in session.get_outputs():
        place = device.type, device.index or 0
        if node.name not in shapes:
            binding.bind_output(node.name, *place)
            continue
        name, kind = _DTYPES[node.type]
        tensor = own[node.name] = torch.empty(tuple(shapes[node.name]), dtype=getattr(torch, name), device=device)
        binding.bind_output(node.name, *place, kind, tuple(tensor.shape), tensor.data_ptr())
    return own


def _to_tensor(value: Any, device: Any, torch: Any) -> Any:
    """Without a copy where this ONNX Runtime can hand over memory."""
    if hasattr(value, "__dlpack__"):
        return torch.from_dlpack(value)
    return torch.from_numpy(value.numpy()).to(device)
