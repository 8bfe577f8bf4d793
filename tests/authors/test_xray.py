"""The facts of the environment under the names authors of packages know."""

from __future__ import annotations

from dataclasses import fields
from importlib.metadata import version

import pytest
from packaging.version import Version

from inference_models.authors.xray import RuntimeXRayResult, seen_by_authors, x_ray_runtime_environment
from inference_models.errors import InvalidEnvVariable, JetsonTypeResolutionError
from inference_models.machine.environment import Environment, Gpu

SERVER = Environment(
    system="linux x86_64",
    python="3.11",
    os_version="ubuntu-22.04",
    gpus=(Gpu(name="NVIDIA L4", compute_capability=Version("8.9"), memory=24 << 30), Gpu(name="Tesla T4")),
    driver_version=Version("550.54.15"),
    cuda_version=Version("12.4"),
    tensorrt_version=Version("10.3.0"),
    installed={
        "onnxruntime": Version("1.23.0"),
        "tensorrt": Version("10.3.0"),
        "torch": Version("2.5.1"),
        "torchvision": Version("0.20.1"),
        "transformers": Version("4.57"),
    },
    execution_providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
)


@pytest.fixture(autouse=True)
def _forget() -> None:
    x_ray_runtime_environment.cache_clear()


def test_the_names_are_those_authors_use() -> None:
    assert [field.name for field in fields(RuntimeXRayResult)] == [
        *("gpu_available", "gpu_devices", "gpu_devices_cc", "driver_version", "cuda_version", "trt_version"),
        *("jetson_type", "l4t_version", "os_version", "torch_available", "torch_version", "torchvision_version"),
        *("onnxruntime_version", "available_onnx_execution_providers", "hf_transformers_available"),
        *("trt_python_package_available", "coremltools_version", "environment"),
    ]


def test_a_server() -> None:
    assert seen_by_authors(SERVER) == RuntimeXRayResult(
        gpu_available=True,
        gpu_devices=["nvidia-l4", "tesla-t4"],
        gpu_devices_cc=[Version("8.9")],
        driver_version=Version("550.54.15"),
        cuda_version=Version("12.4"),
        trt_version=Version("10.3.0"),
        os_version="ubuntu-22.04",
        torch_available=True,
        torch_version=Version("2.5.1"),
        torchvision_version=Version("0.20.1"),
        onnxruntime_version=Version("1.23.0"),
        available_onnx_execution_providers=["CUDAExecutionProvider", "CPUExecutionProvider"],
        hf_transformers_available=True,
        trt_python_package_available=True,
    )


def test_a_machine_with_nothing() -> None:
    assert seen_by_authors(Environment(system="linux x86_64", python="3.11")) == RuntimeXRayResult(gpu_available=False)


def test_a_library_that_is_broken_is_not_there() -> None:
    broken = Environment(
        system="linux x86_64", python="3.11", installed=SERVER.installed, broken={"torch": "x", "onnxruntime": "y"}
    )
    facts = seen_by_authors(broken)
    assert (facts.torch_available, facts.torch_version) == (False, None)
    assert (facts.onnxruntime_version, facts.available_onnx_execution_providers) == (None, None)


def test_a_jetson_says_its_release_instead_of_a_system(monkeypatch: pytest.MonkeyPatch) -> None:
    nano = Environment(
        system="linux aarch64", python="3.10", os_version="ubuntu-22.04", jetson="nvidia-jetson-nano", l4t_version=None
    )
    assert (seen_by_authors(nano).jetson_type, seen_by_authors(nano).os_version) == ("nvidia-jetson-nano", None)
    monkeypatch.setenv("RUNNING_ON_JETSON", "no")
    assert seen_by_authors(nano).os_version == "ubuntu-22.04"


def test_this_machine_is_described_once_and_as_its_packages_say(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = pytest.importorskip("onnxruntime")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    facts = x_ray_runtime_environment()
    assert facts is x_ray_runtime_environment()
    assert facts.onnxruntime_version == Version(version("onnxruntime"))
    assert facts.available_onnx_execution_providers == runtime.get_available_providers()
    assert (facts.gpu_available, facts.gpu_devices, facts.gpu_devices_cc) == (False, [], [])
    assert facts.os_version


def test_what_the_user_says_of_a_jetson_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JETSON_MODULE", "NVIDIA Jetson Orin NX")
    monkeypatch.setenv("L4T_VERSION", "36.3.0")
    facts = x_ray_runtime_environment()
    assert (facts.jetson_type, facts.l4t_version) == ("nvidia-jetson-orin-nx", Version("36.3.0"))


def test_a_switch_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNING_ON_JETSON", "maybe")
    with pytest.raises(InvalidEnvVariable):
        x_ray_runtime_environment()


def test_a_module_nobody_knows_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JETSON_MODULE", "Toaster")
    with pytest.raises(JetsonTypeResolutionError):
        x_ray_runtime_environment()


def test_every_other_fact_comes_with_it() -> None:
    found = x_ray_runtime_environment().environment
    assert found is not None
    assert found.cpus >= 1
    assert dict(found.facts())["system"].startswith(found.system)
