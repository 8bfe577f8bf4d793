"""CUDA contexts of pycuda, current for the length of a block. Not yet run on hardware."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def use_primary_cuda_context(cuda_device: Any) -> Iterator[Any]:
    """The primary context of a `pycuda.driver.Device`, the one that torch uses too."""
    with use_cuda_context(cuda_device.retain_primary_context()) as context:
        yield context


@contextmanager
def use_cuda_context(context: Any) -> Iterator[Any]:
    """A `pycuda.driver.Context`, pushed at the beginning and popped at the end."""
    context.push()
    try:
        yield context
    finally:
        context.pop()
