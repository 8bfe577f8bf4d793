from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference_models.machine.libraries import find_library
from inference_models.machine.onnxruntime_files import providers_in_wheel
from machines import LIBRARIES, install, put

if TYPE_CHECKING:
    from pathlib import Path

CAPI = "onnxruntime/capi"


@pytest.mark.parametrize(
    ("name", "platform", "libraries", "expected"),
    [
        ("onnxruntime", "linux", ("shared",), ["CPU"]),
        ("onnxruntime-gpu", "linux", ("shared", "cuda", "tensorrt"), ["Tensorrt", "CUDA", "CPU"]),
        ("onnxruntime-openvino", "linux", ("openvino",), ["OpenVINO", "CPU"]),
        ("onnxruntime", "darwin", (), ["CoreML", "CPU"]),
        ("onnxruntime-directml", "linux", (), ["Dml", "CPU"]),
    ],
)
def test_the_files_of_a_wheel_say_what_it_can_run_on(
    tmp_path: Path, name: str, platform: str, libraries: tuple[str, ...], expected: list[str]
) -> None:
    install(tmp_path, name)
    (tmp_path / CAPI).mkdir(parents=True)
    for library in libraries:
        put(tmp_path, f"{CAPI}/libonnxruntime_providers_{library}.so", "")
    distribution = find_library(LIBRARIES["onnxruntime"], [str(tmp_path)])
    assert distribution is not None
    assert providers_in_wheel(distribution, platform) == tuple(f"{kind}ExecutionProvider" for kind in expected)


def test_an_installation_with_files_elsewhere_runs_on_the_processor(tmp_path: Path) -> None:
    install(tmp_path, "onnxruntime")
    distribution = find_library(LIBRARIES["onnxruntime"], [str(tmp_path)])
    assert distribution is not None
    assert providers_in_wheel(distribution, "linux") == ("CPUExecutionProvider",)


def test_the_runtime_that_is_here_agrees() -> None:
    runtime = pytest.importorskip("onnxruntime")
    distribution = find_library(LIBRARIES["onnxruntime"])
    assert distribution is not None
    stated = [name for name in runtime.get_available_providers() if name != "AzureExecutionProvider"]
    assert list(providers_in_wheel(distribution)) == stated
