"""The system, read from files laid out as NVIDIA's and Linux's distributions lay them out."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from inference_models.errors import JetsonTypeResolutionError
from inference_models.machine import system
from inference_models.machine.system import (
    accelerators,
    boot_id,
    is_jetson,
    is_running,
    jetson_type,
    l4t_version,
    longest_path,
    os_version,
)
from machines import put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

L4T = "# R36 (release), REVISION: 3.0, GCID: 36191598, BOARD: generic, EABI: aarch64"


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


def test_a_variable_says_whether_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_jetson("nvidia-jetson-orin-nx")
    assert not is_jetson(None)
    monkeypatch.setenv("RUNNING_ON_JETSON", "yes")
    assert is_jetson(None)
    monkeypatch.setenv("RUNNING_ON_JETSON", "no")
    assert not is_jetson("nvidia-jetson-orin-nx")


def test_the_version_of_linux_for_tegra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert l4t_version(tmp_path) is None
    put(tmp_path, "etc/nv_tegra_release", L4T)
    assert l4t_version(tmp_path) == Version("36.3.0")
    monkeypatch.setenv("L4T_VERSION", "35.4.1")
    assert l4t_version(tmp_path) == Version("35.4.1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('PRETTY_NAME="Ubuntu 22.04.4 LTS"\nNAME="Ubuntu"\nVERSION_ID="22.04"\n', "ubuntu-22.04"),
        ("NAME='Amazon Linux'\nVERSION_ID='2023'\n", "amazon linux-2023"),
    ],
)
def test_the_name_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    put(tmp_path, "etc/os-release", text)
    assert os_version(tmp_path) == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows devices as nodes")
def test_devices_of_other_makers_are_known_by_their_nodes(tmp_path: Path) -> None:
    assert accelerators(tmp_path) == frozenset()
    put(tmp_path, "dev/dri/card0", "")
    assert accelerators(tmp_path) == frozenset()
    put(tmp_path, "dev/dri/renderD128", "")
    put(tmp_path, "dev/accel/accel0", "")
    assert accelerators(tmp_path) == {"gpu", "npu"}


@pytest.fixture(params=["darwin", "win32"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Another system, with none of its libraries."""
    boot_id.cache_clear()
    monkeypatch.setattr(system.sys, "platform", request.param)
    yield request.param
    boot_id.cache_clear()


@pytest.mark.usefixtures("elsewhere")
def test_libraries_of_a_system_that_are_not_there_make_nothing_fail() -> None:
    assert (isinstance(boot_id(), str), is_running(os.getpid()), longest_path()) == (True, True, None)


class Kernel:
    """What Windows says of a process: a handle or none, and its exit code."""

    def __init__(self, handle: int, code: int) -> None:
        self.handle, self.code, self.closed = handle, code, []

    def OpenProcess(self, *_: object) -> int:
        return self.handle

    def GetExitCodeProcess(self, _: int, code: object) -> int:
        code._obj.value = self.code
        return 1

    def CloseHandle(self, handle: int) -> None:
        self.closed.append(handle)


@pytest.mark.parametrize(
    ("kernel", "error", "running"),
    [
        (Kernel(7, 259), 0, True),
        (Kernel(7, 1), 0, False),
        (Kernel(0, 0), 87, False),
        (Kernel(0, 0), 5, True),
    ],
    ids=["running", "ended", "unknown", "of another user"],
)
def test_windows_is_asked_whether_a_process_runs(kernel: Kernel, error: int, running: bool) -> None:
    assert system._is_running_on_windows(kernel, lambda: error, 1234) is running
    assert kernel.closed == ([7] if kernel.handle else [])
