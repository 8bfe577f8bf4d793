"""At which node of an ONNX graph two runtimes part first.

Each probe opens the graph with one tensor more as an output, in both runtimes, and compares what they give for the same
pictures; halving finds the first node whose answer differs while what it takes does not. One tensor at a time, since
every further output keeps a runtime from joining operators, and a fault may be in just that.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_models.arrays import ANY_SHAPE, TensorSpec, to_numpy
from inference_models.backends import find_backend, find_runtime, probe_environment
from inference_models.backends.session import SessionRequest
from inference_models.entities import BackendType
from inference_models.errors import BaseInferenceModelsError, ModelImplementationNotFoundError
from inference_models.loading.address import LoadRequest, parse_address
from inference_models.loading.describe import describe_model
from inference_models.loading.open import fetch_package, load_package
from inference_models.loading.remember import RememberedModels
from inference_models.negotiate.case import Candidate, candidates_of
from inference_models.package.onnx_wire import WireReader
from inference_models.parity.check import pick_references
from inference_models.parity.compare import FP32
from inference_models.parity.images import probe_images
from inference_models.record import Record
from inference_models.tasks.graph_runner import GraphModel
from inference_models.text import without_query

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from inference_models.arrays import NumpyArray
    from inference_models.negotiate.request import PackageRequest
    from inference_models.options import LoadOptions
    from inference_models.package.folder import PackageFolder
    from inference_models.package.onnx_wire import Message

_GRAPH = "weights.onnx"


class Parting(Record, frozen=True, kw_only=True):
    """What was found out about one runtime."""

    package: str
    reference: str
    runtime: str
    nodes: int
    probes: int
    """Tensors that were looked at."""
    node: str | None
    """Name, or place where it has none, of the first node whose answer differs; None: the answers are the same."""
    operator: str = ""
    output: str = ""
    largest: float = 0.0
    """Difference there, relative to the largest magnitude of that output."""
    before: float = 0.0
    """The same of the last tensor in front of it that was looked at and is the same."""
    failure: str | None = None
    """Why the two could not be compared."""

    def text(self) -> str:
        """One sentence."""
        if self.failure:
            return f"{self.runtime}: not compared: {self.failure}"
        if self.node is None:
            return f"{self.runtime}: does not part from {self.reference}; outputs within {self.largest:.2g}"
        place = f"node {self.node} ({self.operator}), output {self.output!r}"
        return (
            f"{self.runtime}: parts from {self.reference} at {place}: "
            f"{self.largest:.2g} of its largest magnitude; before it {self.before:.2g} "
            f"({self.probes} of {self.nodes} nodes looked at)"
        )


def find_partings(
    model: str | os.PathLike[str],
    *,
    request: PackageRequest,
    load: LoadOptions,
    reference: str | None = None,
    api_key: str | None = None,
    tolerance: float = FP32.raw,
) -> list[Parting]:
    """Where each other runtime that reads the ONNX package of `model` parts from the first.

    Args:
        model: A model id or path.
        request: Which package.
        load: Options of a load.
        reference: As for `check_parity`; ONNX Runtime where it is not named.
        api_key: For the provider.
        tolerance: Differences up to this part of the largest magnitude of a tensor are none.

    Raises:
        ModelImplementationNotFoundError: it has no ONNX package that two runtimes here read, or is not one graph.
    """
    environment = probe_environment()
    asked = LoadRequest(options=load, wanted=request, device="cpu")
    address = parse_address(model, api_key=api_key)
    memory = RememberedModels(asked, environment, enabled=False)
    with describe_model(address, asked, api_key=api_key, memory=memory) as (metadata, source):
        fitting = [item for item in candidates_of(metadata) if _could_run(item, request, environment.runtimes)]
        if not fitting:
            raise _no_pair("no ONNX package")
        first = pick_references(fitting, reference)[0].candidate
        others = [item for item in fitting if item.package is first.package and item.runtime is not first.runtime]
        if not others:
            raise _no_pair(f"{find_runtime(first.runtime).label} alone")
        folder = fetch_package(metadata, first.package, source)
        loaded: Any = load_package(metadata, first, folder, asked)
        try:
            feeds = _feeds(loaded)
        finally:
            getattr(loaded, "close", lambda: None)()
        return [_Search(folder, first, other, feeds, tolerance).run(without_query(first.label)) for other in others]


def _could_run(item: Candidate, request: PackageRequest, here: Any) -> bool:
    """Whether its runtime is here; what negotiation has against it may be what is sought."""
    named = request.package_id in {None, item.package.package_id}
    wanted = request.backends is None or item.runtime in request.backends
    return item.package.backend is BackendType.ONNX and item.runtime in here and named and wanted


def _no_pair(found: str) -> ModelImplementationNotFoundError:
    return ModelImplementationNotFoundError(
        "there is nothing that could part.",
        needs="one ONNX graph, and two runtimes here that read it",
        found=found,
        fix='pip install "openvino>=2025.0" "onnxruntime>=1.19"',
    )


def _feeds(loaded: Any) -> dict[str, NumpyArray]:
    """Network inputs: of three pictures of one size where the graph takes several, else of one."""
    sessions = list(loaded.opened.sessions.values()) if isinstance(loaded, GraphModel) else []
    if len(sessions) != 1 or len(sessions[0].inputs) != 1:
        raise _no_pair("a model of several graphs or inputs")
    (spec,) = sessions[0].inputs
    batch = spec.shape[0] if spec.shape else None
    photo = probe_images()[-1]
    pictures = [photo, np.ascontiguousarray(photo[:, ::-1]), np.ascontiguousarray(photo[::-1])][: batch or 3]
    inputs: Any = loaded.pre_process(pictures)
    inputs = inputs[0] if isinstance(inputs, tuple) else inputs
    array = to_numpy(inputs[0] if isinstance(inputs, list) else inputs)
    if batch is not None and len(array) < batch:
        array = np.repeat(array, batch, axis=0)[:batch]
    return {spec.name: array}


class _Search:
    """The search in one graph with two runtimes."""

    def __init__(
        self, folder: PackageFolder, first: Candidate, other: Candidate, feeds: dict[str, NumpyArray], tolerance: float
    ) -> None:
        self._folder = folder
        self._pair = (first.runtime, other.runtime)
        self._feeds = feeds
        self._tolerance = tolerance
        self._probes = 0

    def run(self, package: str) -> Parting:
        """What was found."""
        labels = [find_runtime(kind).label for kind in self._pair]
        nodes = _nodes(self._folder.files[_GRAPH])
        found: dict[str, Any] = {"package": package, "reference": labels[0], "runtime": labels[1], "nodes": len(nodes)}
        try:
            at_end = self._difference(None)
            if at_end <= self._tolerance:
                return Parting(**found, probes=0, node=None, largest=at_end)
            place, largest, before = self._bisect(nodes, at_end)
        except BaseInferenceModelsError as exc:
            return Parting(**found, probes=self._probes, node=None, failure=exc.summary)
        node = nodes[place]
        name = (node.get("name") or [""])[-1] or f"number {place}"
        return Parting(
            **found,
            probes=self._probes,
            node=name,
            operator=node["op_type"][-1],
            output=node["output"][0],
            largest=largest,
            before=before,
        )

    def _bisect(self, nodes: Sequence[Message], at_end: float) -> tuple[int, float, float]:
        """The first node after which the two differ, by how much, and by how much they do in front of it."""
        low, high, largest, before = -1, len(nodes) - 1, at_end, 0.0
        while high - low > 1:
            middle = (low + high) // 2
            difference = self._difference(nodes[middle]["output"][0])
            if difference > self._tolerance:
                high, largest = middle, difference
            else:
                low, before = middle, difference
        return high, largest, before

    def _difference(self, tensor: str | None) -> float:
        """Of one tensor of the graph, else of its outputs, relative to the largest magnitude."""
        self._probes += tensor is not None
        first, other = (self._answers(kind, tensor) for kind in self._pair)
        names = first if tensor is None else [tensor]
        return max((_relative(first[name], other[name]) for name in names if name in other), default=0.0)

    def _answers(self, runtime: BackendType, tensor: str | None) -> dict[str, NumpyArray]:
        backend = find_backend(runtime)
        further = () if tensor is None else (TensorSpec(tensor, ANY_SHAPE, "any"),)
        request = SessionRequest(
            directory=self._folder.directory, files=self._folder.files, device="cpu", further_outputs=further
        )
        session = backend.open_session(request)  # type: ignore[union-attr] # it is among the runtimes of this machine
        try:
            return {name: to_numpy(value) for name, value in session.run(self._feeds).items()}
        finally:
            session.close()


def _relative(first: NumpyArray, other: NumpyArray) -> float:
    if first.shape != other.shape:
        return float("inf")
    if not first.size:
        return 0.0
    left, right = first.astype(np.float64), other.astype(np.float64)
    if not (np.isfinite(left) == np.isfinite(right)).all():
        return float("inf")
    known = np.isfinite(left)
    apart, scale = np.abs(left - right)[known].max(initial=0.0), np.abs(left[known]).max(initial=0.0)
    return float(apart / scale) if scale else float(apart > 0)


def _nodes(path: Any) -> list[Message]:
    """Those of the graph itself that compute something, in its order, which is that of the work."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = WireReader(data)
        nodes = [node for graph in reader.message("Named", 0, len(data)).get("graph", ()) for node in graph["node"]]
    return [node for node in nodes if node.get("output") and node.get("op_type") != ["Constant"]]
