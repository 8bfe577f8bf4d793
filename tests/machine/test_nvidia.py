"""Versions of NVIDIA's software, from the files its installers and wheels leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from inference_models.machine.libraries import installed_distributions
from inference_models.machine.nvidia import (
    card_names,
    card_stamp,
    counted_version,
    cuda_from_files,
    cudnn_from_files,
    driver_version,
    library_folders,
    tensorrt_from_files,
    torch_cuda,
)
from machines import install, put

if TYPE_CHECKING:
    from pathlib import Path

DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: 12"
OPEN_DRIVER = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\nGCC version: 12"
CARD = "Model: \t\t NVIDIA L4\nIRQ:   \t\t {irq}\nGPU UUID: \t GPU-7d1c\nBus Location: \t 0000:{bus}:00.0\n"
TORCH = "from typing import Optional\ndebug = False\ncuda: Optional[str] = {cuda}\nhip: Optional[str] = None\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [(DRIVER, Version("535.183.1")), (OPEN_DRIVER, Version("570.86.15")), ("nonsense", None), ("", None)],
)
def test_the_version_of_the_driver(tmp_path: Path, text: str, expected: Version | None) -> None:
    put(tmp_path, "proc/driver/nvidia/version", text)
    assert driver_version(tmp_path) == expected


def test_the_cards_are_named_by_the_kernel_module(tmp_path: Path) -> None:
    for bus in ("31", "17"):
        put(tmp_path, f"proc/driver/nvidia/gpus/0000:{bus}:00.0/information", CARD.format(irq=5, bus=bus))
    assert card_names(tmp_path) == ("NVIDIA L4", "NVIDIA L4")


def test_a_restart_is_no_other_card_and_a_new_driver_is(tmp_path: Path) -> None:
    card = "proc/driver/nvidia/gpus/0000:17:00.0/information"
    put(tmp_path, "proc/driver/nvidia/version", DRIVER)
    put(tmp_path, card, CARD.format(irq=5, bus=17))
    before = card_stamp(tmp_path)
    put(tmp_path, card, CARD.format(irq=77, bus=17))
    assert card_stamp(tmp_path) == before
    put(tmp_path, "proc/driver/nvidia/version", OPEN_DRIVER)
    assert card_stamp(tmp_path) != before


class TestCuda:
    def test_is_that_of_the_wheel_then_the_toolkit_then_pytorch(self, tmp_path: Path) -> None:
        site = tmp_path / "site"

        def found() -> Version | None:
            return cuda_from_files(installed_distributions([str(site)]), tmp_path)

        assert found() is None
        install(site, "torch", "2.5.1+cu124")
        put(site, "torch/version.py", TORCH.format(cuda="'12.1'"))
        assert found() == Version("12.1")
        put(tmp_path, "usr/local/cuda/version.json", '{"cuda": {"name": "CUDA SDK", "version": "12.4.1"}}')
        assert found() == Version("12.4.1")
        install(site, "nvidia-cuda-runtime-cu12", "12.8.90")
        assert found() == Version("12.8.90")

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"cuda": 3}', '{"cuda": {"version": "new"}}'])
    def test_a_toolkit_that_says_nothing_usable_is_none(self, tmp_path: Path, text: str) -> None:
        put(tmp_path, "usr/local/cuda/version.json", text)
        assert cuda_from_files({}, tmp_path) is None

    def test_of_a_toolkit_that_does_not_say_is_in_the_name_of_its_folder(self, tmp_path: Path) -> None:
        for name in ("cuda-12.4", "cuda-13.0", "cuda-keyring"):
            put(tmp_path, f"usr/local/{name}/include/cuda.h", "")
        assert cuda_from_files({}, tmp_path) == Version("13.0")

    @pytest.mark.parametrize(("cuda", "expected"), [("'12.4'", Version("12.4")), ("None", None)])
    def test_that_pytorch_was_built_with_is_read_from_its_text(
        self, tmp_path: Path, cuda: str, expected: Version | None
    ) -> None:
        install(tmp_path, "torch", "2.5.1")
        put(tmp_path, "torch/version.py", TORCH.format(cuda=cuda))
        assert torch_cuda(installed_distributions([str(tmp_path)])) == expected

    @pytest.mark.parametrize(
        ("number", "expected"), [(12040, Version("12.4")), (11080, Version("11.8")), (0, None), ("x", None)]
    )
    def test_counts_in_thousands(self, number: object, expected: Version | None) -> None:
        assert counted_version(number) == expected


def test_libraries_of_the_system_carry_their_version_in_their_name(tmp_path: Path) -> None:
    for name in ("libcudnn.so.9", "libcudnn.so.9.1.0", "libcudnn.so.8.9.7", "libnvinfer.so.10.3.0"):
        put(tmp_path, f"usr/lib/x86_64-linux-gnu/{name}", "")
    assert cudnn_from_files({}, tmp_path) == Version("9.1.0")
    assert tensorrt_from_files(tmp_path) == Version("10.3.0")
    assert tensorrt_from_files(tmp_path / "elsewhere") is None


def test_folders_the_loader_was_told_of_count(tmp_path: Path) -> None:
    put(tmp_path, "etc/ld.so.conf.d/nvidia.conf", "# comment\n/opt/nvidia/lib\n/nowhere\n")
    put(tmp_path, "opt/nvidia/lib/libcudnn.so.9.8.0", "")
    assert library_folders(tmp_path) == [tmp_path / "opt/nvidia/lib"]
    assert cudnn_from_files({}, tmp_path) == Version("9.8.0")


def test_the_wheel_of_cudnn_counts_before_the_system(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib64/libcudnn.so.9.1.0", "")
    install(tmp_path, "nvidia-cudnn-cu12", "9.8.0.87")
    assert cudnn_from_files(installed_distributions([str(tmp_path)]), tmp_path) == Version("9.8.0.87")
