from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from packaging.version import Version

import graphs
from backends.contract import SessionContract, varied_feed_for
from inference_models.backends import onnx as backend
from inference_models.backends.onnx_graph import guarded_graph
from inference_models.backends.session import SessionRequest
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError
from inference_models.package.onnx_shapes import with_free_input_dims

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.backends.session import Session

onnxruntime = backend._import_runtime()
MISSING = next(
    name
    for name in ("CUDAExecutionProvider", "DmlExecutionProvider")
    if name not in onnxruntime.get_available_providers()
)
"""A provider that the build on this machine does not have: no build has both."""


def request_for(path: Path, **changes: object) -> SessionRequest:
    return SessionRequest(directory=path.parent, files={"weights.onnx": path}, **changes)


def _with_unknown_operator(path: Path) -> None:
    from onnx import helper, load, save

    model = load(path)
    model.graph.node[1].op_type = "Rectify"
    model.opset_import.append(helper.make_opsetid("custom", 1))
    save(model, path)


class TestOnnxSession(SessionContract):
    @pytest.fixture
    def session(self, tmp_path: Path) -> Session:
        return backend.open_session(request_for(graphs.convolution(tmp_path / "weights.onnx")[0]))


def test_numbers_agree_with_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path, kernel, bias = graphs.convolution(tmp_path / "weights.onnx")
    images = np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype(np.float32)
    ours = backend.open_session(request_for(path)).run({"images": images})["output0"]
    theirs = torch.relu(torch.nn.functional.conv2d(*map(torch.from_numpy, (images, kernel, bias))))
    # torch 2.13.0 CPU and onnxruntime 1.32 sum in another order: 1e-5 absolute.
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_threads_are_taken_from_the_request(tmp_path: Path) -> None:
    session = backend.open_session(request_for(graphs.convolution(tmp_path / "weights.onnx")[0], threads=1))
    assert session._opened.get_session_options().intra_op_num_threads == 1


def test_a_wrong_static_shape_can_be_freed(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx", batch=1)
    freed = request_for(path, free_input_dims={"images": (None, 3, None, None)})
    session = backend.open_session(freed)
    assert session.inputs[0].shape == (None, 3, None, None)
    assert session.run({"images": np.zeros((2, 3, 16, 10), np.float32)})["output0"].shape == (2, 4, 14, 8)


def test_a_graph_with_an_unknown_operator_is_refused_with_the_reason(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    _with_unknown_operator(path)
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(request_for(path))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("weights.onnx: ONNX Runtime ")
    assert lines[0].endswith(" cannot open the graph.")
    assert "Rectify" in lines[1]
    assert lines[2].startswith('export or fetch the file again, or update the runtime: pip install -U "onnxruntime>=')


def opening(path: Path, **changes: object) -> backend._Opening:
    request = request_for(path, **changes)
    return backend._Opening(onnxruntime, guarded_graph(request), request)


def test_a_session_says_which_providers_it_has(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    assert backend.open_session(request_for(path)).execution_providers == ("CPUExecutionProvider",)


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
        opening(path).with_providers([(MISSING, {})])
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
        session = opening(path, allow_fallback=True).with_providers([(MISSING, {}), ("CPUExecutionProvider", {})])
    assert session.get_providers() == ["CPUExecutionProvider"]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{MISSING} was chosen and cannot be used (")
    assert record.getMessage().endswith("); CPUExecutionProvider runs instead.")


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_broken_graph_is_not_blamed_on_the_provider(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    _with_unknown_operator(path)
    with pytest.raises(CorruptedModelPackageError) as caught:
        opening(path, allow_fallback=True).with_providers([(MISSING, {}), ("CPUExecutionProvider", {})])
    assert str(caught.value).splitlines()[0].endswith(" cannot open the graph.")


def test_a_name_that_is_no_text_is_refused_with_the_words_of_the_runtime(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    _with_unknown_operator(path)
    path.write_bytes(path.read_bytes().replace(b"Rectify", b"Rect\xbffy"))
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(request_for(path))
    assert r"Rect\xbffy" in str(caught.value)


REMOVED = (
    "{} was removed while it was opened.\n"
    "needs the file where it was found; found: no such file any more\n"
    "load the model again"
)


def test_a_file_that_vanishes_after_the_check_is_called_so(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    late = opening(path)
    path.unlink()
    with pytest.raises(CorruptedModelPackageError) as caught:
        late.with_providers([("CPUExecutionProvider", {})])
    assert str(caught.value) == REMOVED.format("weights.onnx")


def test_external_data_that_vanishes_after_the_check_is_called_so(tmp_path: Path) -> None:
    late = opening(graphs.with_external_data(tmp_path / "weights.onnx"))
    (tmp_path / "weights.data").unlink()
    with pytest.raises(CorruptedModelPackageError) as caught:
        late.with_providers([("CPUExecutionProvider", {})])
    assert str(caught.value) == REMOVED.format("weights.data")


def test_a_file_that_vanishes_before_its_shapes_are_freed_is_called_so(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    graph = guarded_graph(request_for(path))
    path.unlink()
    with pytest.raises(CorruptedModelPackageError) as caught:
        with_free_input_dims(graph, {"images": (None, 3, 8, 8)})
    assert str(caught.value) == REMOVED.format("weights.onnx")


@pytest.mark.skipif(
    backend.RUNTIME.installed_version() < Version("1.22"),
    reason="before, a graph in memory could have no external data",
)
def test_external_data_is_found_from_any_folder_also_with_freed_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = backend.open_session(request_for(graphs.convolution(tmp_path / "weights.onnx")[0]))
    path = graphs.with_external_data(tmp_path / "out" / "weights.onnx")
    monkeypatch.chdir(tmp_path)
    feeds = varied_feed_for(inside)
    for dims in ({}, {"images": (None, 3, None, None)}):
        session = backend.open_session(request_for(path, free_input_dims=dims))
        np.testing.assert_array_equal(session.run(feeds)["output0"], inside.run(feeds)["output0"])


def test_a_package_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(SessionRequest(directory=tmp_path, files={"notes.txt": tmp_path / "notes.txt"}))
    assert str(caught.value) == "the package has no weights.onnx.\nneeds weights.onnx; found: notes.txt"


LOADS = """
import sys
from pathlib import Path
from inference_models.backends import onnx
from inference_models.backends.onnx_graph import guarded_graph
from inference_models.backends.session import SessionRequest
path = Path(sys.argv[1])
session = onnx.open_session(SessionRequest(directory=path.parent, files={"weights.onnx": path}))
"""


def test_the_runtime_keeps_no_telemetry_and_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "model" / "weights.onnx")
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
    subprocess.run([sys.executable, "-c", LOADS, str(path)], check=True, env=environment, timeout=60)
    assert list(home.rglob("*")) == []
