from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import graphs
from backends.test_files import with_operator
from inference_models.backends import onnx as backend
from inference_models.backends.runtime import import_runtime
from inference_models.backends.session import SessionRequest
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

os.environ.setdefault(backend.NO_TELEMETRY, "1")
onnxruntime = import_runtime(backend.RUNTIME)
MISSING = next(
    name
    for name in ("CUDAExecutionProvider", "DmlExecutionProvider")
    if name not in onnxruntime.get_available_providers()
)
"""A provider that the build on this machine does not have: no build has both."""


def request_for(path: Path, **changes: object) -> SessionRequest:
    return SessionRequest(directory=path.parent, files={"weights.onnx": path}, **changes)


def test_threads_are_taken_from_the_request(tmp_path: Path) -> None:
    session = backend.open_session(request_for(graphs.convolution(tmp_path / "weights.onnx")[0], threads=1))
    assert session._opened.get_session_options().intra_op_num_threads == 1


def opening(path: Path, **changes: object) -> Callable[[list[backend.Provider]], Any]:
    request = request_for(path, **changes)
    return partial(backend.open_with, onnxruntime, request.onnx_file(), request)


def test_the_runtime_may_not_try_again_on_the_cpu_by_itself(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    assert backend.open_session(request_for(path))._opened._enable_fallback is False


@pytest.mark.skipif("AzureExecutionProvider" not in onnxruntime.get_available_providers(), reason="another build")
def test_a_provider_that_leaves_nodes_to_the_cpu_is_still_the_one_in_use(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    session = backend.open_session(request_for(path, execution_providers=("AzureExecutionProvider",)))
    assert session.execution_providers == ("AzureExecutionProvider", "CPUExecutionProvider")
    # Azure's provider calls services by operators of its own; what the graph has runs here.
    assert session.running_on == "cpu"


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_running_elsewhere_than_chosen_is_an_error(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    with pytest.raises(EnvironmentConfigurationError) as caught:
        opening(path)([(MISSING, {})])
    first, second, last = str(caught.value).splitlines()
    assert first == f"{MISSING} was chosen, but ONNX Runtime cannot open the graph with it."
    assert second.startswith(f"needs {MISSING}; found: ")
    assert last == "check the driver and libraries of the device, or load with device='cpu'"


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_with_a_fallback_allowed_running_elsewhere_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    with caplog.at_level(logging.WARNING, "inference-models"):
        session = opening(path, allow_fallback=True)([(MISSING, {}), ("CPUExecutionProvider", {})])
    assert session.get_providers() == ["CPUExecutionProvider"]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{MISSING} was chosen and cannot be used (")
    assert record.getMessage().endswith("); CPUExecutionProvider runs instead.")


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_broken_graph_is_not_blamed_on_the_provider(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    with_operator(path, b"Rectify")
    with pytest.raises(CorruptedModelPackageError) as caught:
        opening(path, allow_fallback=True)([(MISSING, {}), ("CPUExecutionProvider", {})])
    assert str(caught.value).splitlines()[0].endswith(" cannot open the graph.")


def test_external_data_that_vanishes_after_the_check_is_called_so(tmp_path: Path) -> None:
    late = opening(graphs.with_external_data(tmp_path / "weights.onnx"))
    (tmp_path / "weights.data").unlink()
    with pytest.raises(CorruptedModelPackageError) as caught:
        late([("CPUExecutionProvider", {})])
    assert str(caught.value).startswith("weights.data was removed while it was opened.\n")
