"""NumPy arrays and torch tensors: conversions, array-API namespaces, and shapes of inputs and outputs.

NumPy is imported by the first array, and torch only when the caller asks for a torch tensor.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from inference_models.record import Record

if TYPE_CHECKING:
    import numpy.typing as npt

Array: TypeAlias = Any
"""`numpy.ndarray` or `torch.Tensor`. Code that takes one works through `namespace(x)`."""

NumpyArray: TypeAlias = "npt.NDArray[Any]"
ArrayKind = Literal["numpy", "torch"]
Shape = tuple[int | None, ...]
"""None: decided by each run."""
ANY_SHAPE: Shape = (-1,)
"""Of an input of which nothing is known, not even how many axes it has."""


class TensorSpec(Record, frozen=True):
    """One input or output of a graph."""

    name: str
    shape: Shape
    dtype: str
    """NumPy name, for example `float32`."""

    def __str__(self) -> str:
        return f"{self.name} {'of any shape' if self.shape == ANY_SHAPE else f'{self.shape} {self.dtype}'}"


def is_torch(value: object) -> bool:
    """Whether `value` is a torch tensor; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def namespace(array: Array) -> Any:
    """The array-API namespace of `array`: NumPy itself where it follows the standard, else array-api-compat's."""
    if _is_standard_numpy(array):
        return sys.modules["numpy"]
    from array_api_compat import array_namespace  # noqa: PLC0415 - heavy imports stay inside functions

    return array_namespace(array)


def device_of(array: Array) -> Any:
    """Where `array` is, as its namespace names it; NumPy arrays had no `device` before 2.0."""
    if _is_standard_numpy(array):
        return "cpu"
    from array_api_compat import device  # noqa: PLC0415

    return device(array)


def _is_standard_numpy(array: Array) -> bool:
    """Whether `array` is NumPy's and follows the array API, from 2.1 on.

    The layer over older ones imports all of NumPy, tests included, which takes as long as OpenCV.
    """
    np = sys.modules.get("numpy")
    follows = hasattr(np, "astype") and hasattr(np, "concat")
    return np is not None and follows and isinstance(array, np.ndarray | np.generic)


def to_numpy(array: Array) -> NumpyArray:
    """`array` as a NumPy array on the host; shares memory where that is possible.

    bfloat16, which NumPy does not have, becomes float32.
    """
    import numpy as np  # noqa: PLC0415 - heavy imports stay inside functions

    if not is_torch(array):
        return np.asarray(array)
    array = array.detach().cpu()
    return np.asarray((array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy())


def to_torch(array: Array, device: str | None = None) -> Array:
    """`array` as a torch tensor on `device` (default: where it is, or the CPU).

    Raises:
        MissingDependencyError: PyTorch is not installed.
    """
    import numpy as np  # noqa: PLC0415

    torch = _import_torch()
    if not is_torch(array):
        # torch warns about memory that must not be written to, so that is copied.
        array = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    return array if device is None else array.to(device)


def as_kind(array: Array, kind: ArrayKind) -> Array:
    """`array` as the kind that was asked for."""
    return to_torch(array) if kind == "torch" else to_numpy(array)


def _import_torch() -> Any:
    try:
        import torch  # noqa: PLC0415
    except ImportError as exc:
        from inference_models.errors import MissingDependencyError  # noqa: PLC0415

        raise MissingDependencyError(
            "predictions cannot be turned into torch tensors.",
            needs="torch",
            found="not installed",
            fix="pip install torch",
        ) from exc
    return torch
