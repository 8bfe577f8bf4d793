"""Captured CUDA graphs of a TensorRT engine, and contexts of pycuda. Not yet run on hardware."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from inference_models.config import read_bool
from inference_models.errors import InvalidParameterError
from inference_models.fork import RLock

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

CudaGraphKey: TypeAlias = "tuple[Hashable, ...]"
"""(shape, dtype, device) of the input."""
SWITCH = "ENABLE_AUTO_CUDA_GRAPHS_FOR_TRT_BACKEND"


class TRTCudaGraphCache:
    """At most `capacity` graphs by key; reading or writing one makes it the most recently used. Thread-safe."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise InvalidParameterError(
                "the capacity of a CUDA graph cache makes no sense.", needs="at least 1", found=str(capacity)
            )
        self._capacity = capacity
        self._lock = RLock()
        self._graphs: OrderedDict[CudaGraphKey, Any] = OrderedDict()

    def get_current_size(self) -> int:
        """How many graphs are kept."""
        with self._lock:
            return len(self._graphs)

    def list_keys(self) -> list[CudaGraphKey]:
        """Their keys, the least recently used first."""
        with self._lock:
            return list(self._graphs)

    def safe_remove(self, key: CudaGraphKey) -> None:
        """Drop a graph, if it is there."""
        with self._lock:
            self._graphs.pop(key, None)

    def purge(self, n_oldest: int | None = None) -> None:
        """Drop the `n_oldest` least recently used graphs; None: all of them."""
        with self._lock:
            for key in list(self._graphs)[:n_oldest]:
                del self._graphs[key]

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._graphs

    def __getitem__(self, key: CudaGraphKey) -> Any:
        with self._lock:
            graph = self._graphs[key]
            self._graphs.move_to_end(key)
            return graph

    def __setitem__(self, key: CudaGraphKey, graph: Any) -> None:
        with self._lock:
            self._graphs[key] = graph
            self._graphs.move_to_end(key)
            while len(self._graphs) > self._capacity:
                self._graphs.popitem(last=False)


def establish_trt_cuda_graph_cache(
    default_cuda_graph_cache_size: int, cuda_graph_cache: TRTCudaGraphCache | None = None
) -> TRTCudaGraphCache | None:
    """The cache that was given, else a new one where `ENABLE_AUTO_CUDA_GRAPHS_FOR_TRT_BACKEND` asks for it, else None.

    Raises:
        InvalidEnvVariable: the variable is no switch.
    """
    if cuda_graph_cache is not None:
        return cuda_graph_cache
    return TRTCudaGraphCache(default_cuda_graph_cache_size) if read_bool(SWITCH, default=False) else None


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
