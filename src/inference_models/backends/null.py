"""Runs nothing: answers every run with fixed arrays. For tests, and to measure all but the graph.

The package holds `graph.json`:

```json
{"inputs": [{"name": "images", "shape": [null, 3, 640, 640], "dtype": "float32"}],
 "outputs": [{"name": "output0", "shape": [null, 84, 8400], "dtype": "float32", "value": 0.0}]}
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from inference_models.arrays import TensorSpec
from inference_models.backends.feeds import CLOSED, check_feeds
from inference_models.backends.runtime import Runtime
from inference_models.entities import BackendType
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError, ModelRuntimeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference_models.arrays import Array, NumpyArray
    from inference_models.backends.session import SessionRequest

RUNTIME = Runtime(type=BackendType.NULL, order=120, devices=("cpu",))
GRAPH = "graph.json"


class _Tensor(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    value: float = 0.0


class _Graph(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inputs: tuple[_Tensor, ...]
    outputs: tuple[_Tensor, ...]


def open_session(request: SessionRequest) -> NullSession:
    """A session with the inputs and outputs that `graph.json` states.

    Raises:
        CorruptedModelPackageError: `graph.json` does not say what it must.
        EnvironmentConfigurationError: a device other than the CPU was asked for.
    """
    if request.device not in {None, "cpu"}:
        raise EnvironmentConfigurationError(
            "the null backend runs nowhere else.", needs="device 'cpu'", found=repr(request.device), fix="device='cpu'"
        )
    try:
        graph = _Graph.model_validate_json(request.files[GRAPH].read_bytes())
    except ValidationError as exc:
        raise CorruptedModelPackageError(f"{GRAPH}: {exc.errors()[0]['msg']}.") from exc
    return NullSession(graph)


class NullSession:
    """Outputs of the stated shape, filled with the stated value; open dimensions follow the batch."""

    def __init__(self, graph: _Graph) -> None:
        self._graph: _Graph | None = graph
        self._inputs = tuple(TensorSpec(item.name, item.shape, item.dtype) for item in graph.inputs)
        self._outputs = tuple(TensorSpec(item.name, item.shape, item.dtype) for item in graph.outputs)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """As `graph.json` states them."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """As `graph.json` states them."""
        return self._outputs

    @property
    def running_on(self) -> str:
        """Always `cpu`."""
        return "cpu"

    @property
    def execution_providers(self) -> tuple[str, ...]:
        """None."""
        return ()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, NumpyArray]:
        """Fixed arrays by name.

        Raises:
            ModelRuntimeError: the session is closed, or a feed does not fit its input.
        """
        graph = self._graph
        if graph is None:
            raise ModelRuntimeError(CLOSED)
        check_feeds(self._inputs, feeds)
        batch = feeds[self._inputs[0].name].shape[0]
        return {item.name: _fixed(item, batch) for item in graph.outputs}

    def close(self) -> None:
        """Nothing to give back; `run` is refused from now on."""
        self._graph = None


def _fixed(item: _Tensor, batch: int) -> NumpyArray:
    shape = tuple(batch if side is None else side for side in item.shape)
    return np.full(shape, item.value, dtype=item.dtype)
