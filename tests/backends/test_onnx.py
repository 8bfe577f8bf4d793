from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import graphs
from backends.contract import SessionContract
from inference_models.backends import onnx as backend
from inference_models.backends.session import SessionRequest
from inference_models.errors import CorruptedModelPackageError, EnvironmentConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.backends.session import Session

CPU_BUILD = ["AzureExecutionProvider", "CPUExecutionProvider"]
GPU_BUILD = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def request_for(path: Path, **changes: object) -> SessionRequest:
    return SessionRequest(directory=path.parent, files={"weights.onnx": path}, **changes)


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
    assert session._session.get_session_options().intra_op_num_threads == 1


def test_a_wrong_static_shape_can_be_freed(tmp_path: Path) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx", batch=1)
    freed = request_for(path, free_input_dims={"images": (None, 3, None, None)})
    session = backend.open_session(freed)
    assert session.inputs[0].shape == (None, 3, None, None)
    assert session.run({"images": np.zeros((2, 3, 16, 10), np.float32)})["output0"].shape == (2, 4, 14, 8)


def test_a_graph_with_an_unknown_operator_is_refused_with_the_reason(tmp_path: Path) -> None:
    from onnx import helper, load, save

    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    model = load(path)
    model.graph.node[1].op_type = "Rectify"
    model.opset_import.append(helper.make_opsetid("custom", 1))
    save(model, path)
    with pytest.raises(CorruptedModelPackageError) as caught:
        backend.open_session(request_for(path))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("weights.onnx: ONNX Runtime ")
    assert lines[0].endswith(" cannot open the graph.")
    assert "Rectify" in lines[1]
    assert lines[2].startswith('export the model again, or update the runtime: pip install -U "inference-models[')


@pytest.mark.parametrize(
    ("device", "available", "expected"),
    [
        ("cpu", GPU_BUILD, [("CPUExecutionProvider", {})]),
        ("cuda", GPU_BUILD, [("CUDAExecutionProvider", {"device_id": 0})]),
        ("cuda:1", GPU_BUILD, [("CUDAExecutionProvider", {"device_id": 1})]),
        (None, CPU_BUILD, [("CPUExecutionProvider", {})]),
    ],
)
def test_the_device_decides_the_provider(
    tmp_path: Path, device: str | None, available: list[str], expected: list[object]
) -> None:
    assert backend.choose_providers(request_for(tmp_path, device=device), available) == expected


def test_cuda_is_chosen_by_itself_only_when_a_device_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "cuda_device_visible", lambda: True)
    assert backend.choose_providers(request_for(tmp_path), GPU_BUILD)[0][0] == "CUDAExecutionProvider"
    monkeypatch.setattr(backend, "cuda_device_visible", lambda: False)
    assert backend.choose_providers(request_for(tmp_path), GPU_BUILD) == [("CPUExecutionProvider", {})]


def test_the_environment_variable_orders_the_providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", "[OpenVINOExecutionProvider,CPUExecutionProvider]")
    assert backend.choose_providers(request_for(tmp_path), CPU_BUILD) == [("CPUExecutionProvider", {})]


def test_the_environment_variable_never_falls_back_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRUNTIME_EXECUTION_PROVIDERS", "CUDAExecutionProvider")
    with pytest.raises(EnvironmentConfigurationError) as caught:
        backend.choose_providers(request_for(tmp_path), CPU_BUILD)
    assert str(caught.value) == (
        "ONNXRUNTIME_EXECUTION_PROVIDERS names nothing that this build of ONNX Runtime has.\n"
        "needs CUDAExecutionProvider; found: AzureExecutionProvider, CPUExecutionProvider\n"
        "unset ONNXRUNTIME_EXECUTION_PROVIDERS, or install the build of onnxruntime that has one of them"
    )


def test_cuda_with_a_cpu_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentConfigurationError) as caught:
        backend.choose_providers(request_for(tmp_path, device="cuda"), CPU_BUILD)
    assert str(caught.value) == (
        "device 'cuda' cannot be used through ONNX Runtime here.\n"
        "needs CUDAExecutionProvider; found: AzureExecutionProvider, CPUExecutionProvider\n"
        'pip uninstall -y onnxruntime && pip install "inference-models[onnx-gpu]"'
    )


def test_an_unknown_execution_provider_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentConfigurationError) as caught:
        backend.choose_providers(request_for(tmp_path, execution_providers=("RknpuExecutionProvider",)), CPU_BUILD)
    assert str(caught.value) == (
        "execution provider 'RknpuExecutionProvider' is not in this build of ONNX Runtime.\n"
        "needs RknpuExecutionProvider; found: AzureExecutionProvider, CPUExecutionProvider\n"
        "leave out onnx_execution_providers, or install the build of onnxruntime that has it"
    )


def test_running_elsewhere_than_chosen_is_an_error() -> None:
    with pytest.raises(EnvironmentConfigurationError) as caught:
        backend._check_running(["CPUExecutionProvider"], [("CUDAExecutionProvider", {})])
    assert str(caught.value) == (
        "CUDAExecutionProvider was chosen, but ONNX Runtime opened the graph without it.\n"
        "needs CUDAExecutionProvider; found: CPUExecutionProvider\n"
        "check the driver and libraries of the device, or load with device='cpu'"
    )


LOADS = """
import sys
from pathlib import Path
from inference_models.backends import onnx
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
