"""What every runtime offers: named arrays in, named arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.arrays import Array, Shape, TensorSpec
    from inference_models.backends.runtime import Runtime
    from inference_models.package.onnx_file import OnnxFile


class Session(Protocol):
    """An opened graph. Safe to call from many threads."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """In the order of the graph."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """In the order of the graph."""

    @property
    def running_on(self) -> str:
        """The device in use, as the runtime reports it: `cpu`, `cuda:0`, ..."""

    @property
    def execution_providers(self) -> tuple[str, ...]:
        """What executes the graph inside the runtime, first choice first; empty where it has no such parts."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name, in the order of the graph.

        Raises:
            ModelRuntimeError: the runtime refused the feeds or failed.
        """

    def close(self) -> None:
        """Give memory back. A second call does nothing; `run` afterwards is an error."""


@dataclass(frozen=True)
class InputHint:
    """What a package says about its image input, for graphs that do not say it themselves."""

    shape: Shape
    """None where it is open."""
    example: tuple[int, ...] | None = None
    """The axes after the batch in a run that is certain to fit; None: the package names no size."""


ModuleBuilder = Callable[[Mapping[str, tuple[int, ...]]], Any]
"""From the shapes of a package's weights, by name, to the `torch.nn.Module` that takes them."""


@dataclass(frozen=True)
class SessionRequest:
    """What to open, and how."""

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
    graph: OnnxFile | None = None
    """What was read of `weights.onnx` earlier in this load; None: a backend that needs it reads it."""
    input_hint: InputHint | None = None
    """For runtimes whose files hold no shapes; the others ignore it."""
    module: ModuleBuilder | None = None
    """For packages that hold nothing but weights; None: the family has no such network."""


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
