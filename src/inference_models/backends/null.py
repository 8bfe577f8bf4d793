"""Runs nothing: answers every run with fixed arrays. For tests, and to measure all but the graph.

The package holds `graph.json`:

```json
{"inputs": [{"name": "images", "shape": [null, 3, 640, 640], "dtype": "float32"}],
 "outputs": [{"name": "output0", "shape": [null, 84, 8400], "dtype": "float32", "value": 0.0}]}
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from inference_models.arrays import TensorSpec
from inference_models.backends.runtimes import NULL
from inference_models.backends.session import BaseSession, use_cpu_instead
from inference_models.errors import CorruptedModelPackageError
from inference_models.files.prepared import prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.arrays import Array, NumpyArray
    from inference_models.backends.session import SessionRequest

RUNTIME = NULL
GRAPH = "graph.json"


class _Tensor(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    value: float = 0.0

    def spec(self) -> TensorSpec:
        return TensorSpec(self.name, self.shape, self.dtype)


class _Graph(msgspec.Struct, forbid_unknown_fields=True):
    inputs: tuple[_Tensor, ...]
    outputs: tuple[_Tensor, ...]


def open_session(request: SessionRequest) -> NullSession:
    """A session with the inputs and outputs that `graph.json` states.

    Raises:
        CorruptedModelPackageError: `graph.json` does not say what it must.
        EnvironmentConfigurationError: a device other than the CPU was asked for.
    """
    if request.device not in {None, "cpu"}:
        use_cpu_instead(request, RUNTIME, ["cpu"], needs="device 'cpu'")
    try:
        graph = msgspec.json.decode(request.files[GRAPH].read_bytes(), type=prepared(_Graph))
    except msgspec.DecodeError as exc:
        raise CorruptedModelPackageError(f"{GRAPH}: {exc}.") from exc
    return NullSession(graph, tuple(item.spec() for item in graph.inputs), tuple(item.spec() for item in graph.outputs))


class NullSession(BaseSession):
    """Outputs of the stated shape, filled with the stated value; open dimensions follow the batch."""

    runtime = RUNTIME

    def _run(self, opened: _Graph, arrays: Sequence[Array]) -> list[NumpyArray]:
        batch = arrays[0].shape[0]
        shapes = [[batch if side is None else side for side in item.shape] for item in opened.outputs]
        return [np.full(shape, item.value, item.dtype) for shape, item in zip(shapes, opened.outputs, strict=True)]
