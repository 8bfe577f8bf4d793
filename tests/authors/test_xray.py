"""Facts about the machine, read from files laid out as NVIDIA's systems lay them out."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from inference_models.authors.xray import (
    driver_version,
    jetson_type,
    l4t_version,
    os_version,
    x_ray_runtime_environment,
)
from inference_models.errors import InvalidEnvVariable, JetsonTypeResolutionError

DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: 12"
OPEN_DRIVER = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\nGCC version: 12"
L4T = "# R36 (release), REVISION: 3.0, GCID: 36191598, BOARD: generic, EABI: aarch64"


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA Jetson Orin Nano Developer Kit\0", "nvidia-jetson-orin-nano"),
        ("NVIDIA Jetson AGX Xavier Industrial", "nvidia-jetson-agx-xavier-industrial"),
        ("NVIDIA Jetson AGX Xavier", "nvidia-jetson-agx-xavier"),
        ("Raspberry Pi 5", None),
    ],
)
def test_a_jetson_is_known_by_its_device_tree(tmp_path: Path, name: str, expected: str | None) -> None:
    put(tmp_path, "proc/device-tree/model", name)
    assert jetson_type(tmp_path) == expected


def test_a_variable_names_the_jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JETSON_MODULE", "NVIDIA Jetson Orin NX")
    assert jetson_type(tmp_path) == "nvidia-jetson-orin-nx"
    monkeypatch.setenv("JETSON_MODULE", "NVIDIA Jetson Orin NZ")
    with pytest.raises(JetsonTypeResolutionError) as caught:
        jetson_type(tmp_path)
    assert str(caught.value) == (
        "JETSON_MODULE='NVIDIA Jetson Orin NZ' names no Jetson; "
        "nearest: 'NVIDIA Jetson Orin NX', 'NVIDIA Jetson Orin Nano'."
    )


def test_the_version_of_linux_for_tegra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert l4t_version(tmp_path) is None
    put(tmp_path, "etc/nv_tegra_release", L4T)
    assert l4t_version(tmp_path) == Version("36.3.0")
    monkeypatch.setenv("L4T_VERSION", "35.4.1")
    assert l4t_version(tmp_path) == Version("35.4.1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [(DRIVER, Version("535.183.1")), (OPEN_DRIVER, Version("570.86.15")), ("nonsense", None), ("", None)],
)
def test_the_version_of_the_driver(tmp_path: Path, text: str, expected: Version | None) -> None:
    put(tmp_path, "proc/driver/nvidia/version", text)
    assert driver_version(tmp_path) == expected


def test_the_name_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    put(tmp_path, "etc/os-release", 'PRETTY_NAME="Ubuntu 22.04.4 LTS"\nNAME="Ubuntu"\nVERSION_ID="22.04"\n')
    assert os_version(tmp_path) == "ubuntu-22.04"


@pytest.fixture(autouse=True)
def _forget() -> None:
    x_ray_runtime_environment.cache_clear()


def test_this_machine_is_described_once_and_as_its_packages_say(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = pytest.importorskip("onnxruntime")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    facts = x_ray_runtime_environment()
    assert facts is x_ray_runtime_environment()
    assert facts.onnxruntime_version == Version(version("onnxruntime"))
    assert facts.available_onnx_execution_providers == runtime.get_available_providers()
    assert (facts.gpu_available, facts.gpu_devices, facts.gpu_devices_cc) == (False, [], [])
    assert facts.os_version


def test_a_switch_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNING_ON_JETSON", "maybe")
    with pytest.raises(InvalidEnvVariable):
        x_ray_runtime_environment()
