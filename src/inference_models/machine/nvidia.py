"""NVIDIA devices and libraries, from files. What only the driver can say is asked for by a child process."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from packaging.version import Version

from inference_models.machine.hardware import ROOT, device_files, public_version, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference_models.machine.libraries import Distribution

_DRIVER = re.compile(r"Kernel Module.*?\s(\d+(?:\.\d+)+)")
_MODEL = re.compile(r"^Model:\s*(.+?)\s*$", re.MULTILINE)
_IDENTITY = re.compile(r"^(?:Model|GPU UUID):.*$", re.MULTILINE)
_TORCH_CUDA = re.compile(r"^cuda\b[^=]*=\s*'([\d.]+)'", re.MULTILINE)
_LIBRARY_FOLDERS = ("usr/lib/*-linux-gnu", "usr/lib64", "usr/local/cuda/lib64", "usr/local/lib")


def driver_version(root: Path) -> Version | None:
    """Version of the NVIDIA kernel module."""
    lines = read_text(root / "proc/driver/nvidia/version").splitlines()
    found = _DRIVER.search(lines[0]) if lines else None
    return public_version(found[1]) if found else None


def card_names(root: Path) -> tuple[str, ...]:
    """Names of the cards in the machine, by place on the bus, without asking the driver."""
    found = (_MODEL.search(text) for text in _card_texts(root))
    return tuple(match[1] for match in found if match)


def card_stamp(root: Path = ROOT) -> list[str]:
    """Changes when a card, the driver, or what this container sees of them changes."""
    cards = [line for text in _card_texts(root) for line in _IDENTITY.findall(text)]
    slices = [str(path) for path in sorted((root / "proc/driver/nvidia/capabilities").glob("gpu*/mig/gi*"))]
    return [*device_files(root), read_text(root / "proc/driver/nvidia/version"), *cards, *slices]


def cuda_from_files(distributions: Mapping[str, Distribution], root: Path) -> Version | None:
    """Version of the CUDA runtime: of its wheel, of the toolkit, or of the one PyTorch was built with."""
    return _of_wheel(distributions, "nvidia-cuda-runtime") or _of_toolkit(root) or torch_cuda(distributions)


def cudnn_from_files(distributions: Mapping[str, Distribution], root: Path) -> Version | None:
    """Version of cuDNN: of its wheel, else of the system's library."""
    return _of_wheel(distributions, "nvidia-cudnn") or _newest_suffix(library_folders(root), "libcudnn")


def tensorrt_from_files(root: Path) -> Version | None:
    """Version of the system's TensorRT library."""
    return _newest_suffix(library_folders(root), "libnvinfer")


def torch_cuda(distributions: Mapping[str, Distribution]) -> Version | None:
    """The CUDA release PyTorch was built with; None for builds for the processor, and without PyTorch."""
    torch = distributions.get("torch")
    if torch is None:
        return None
    found = _TORCH_CUDA.search(read_text(torch.location / "torch/version.py"))
    return public_version(found[1]) if found else None


def counted_version(number: object) -> Version | None:
    """12.4 for 12040, as CUDA counts."""
    if not isinstance(number, int) or number <= 0:
        return None
    return Version(f"{number // 1000}.{number % 1000 // 10}")


def library_folders(root: Path) -> list[Path]:
    """Where Linux keeps the libraries of CUDA, and where its configuration sends the loader, as far as they exist."""
    usual = [folder for pattern in _LIBRARY_FOLDERS for folder in sorted(root.glob(pattern))]
    lines = [line for file in sorted((root / "etc/ld.so.conf.d").glob("*.conf")) for line in read_text(file).split()]
    configured = [root / line.lstrip("/") for line in lines if line.startswith("/")]
    return [*usual, *(folder for folder in configured if folder.is_dir() and folder not in usual)]


def _card_texts(root: Path) -> list[str]:
    return [read_text(path) for path in sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))]


def _of_wheel(distributions: Mapping[str, Distribution], name: str) -> Version | None:
    found = (public_version(distributions[wheel].version) for wheel in _wheels(name) if wheel in distributions)
    return max((version for version in found if version is not None), default=None)


def _wheels(name: str) -> tuple[str, ...]:
    return (name, *(f"{name}-cu{release}" for release in (11, 12, 13, 14)))


def _of_toolkit(root: Path) -> Version | None:
    """Of the toolkit that is in use; else of the newest one, whose folder has its release in the name."""
    try:
        stated = json.loads(read_text(root / "usr/local/cuda/version.json"))
        version = public_version(stated["cuda"]["version"])
    except (ValueError, KeyError, TypeError):
        version = None
    names = (path.name.removeprefix("cuda-") for path in (root / "usr/local").glob("cuda-*"))
    return version or max((found for name in names if (found := public_version(name)) is not None), default=None)


def _newest_suffix(folders: list[Path], library: str) -> Version | None:
    """The highest version that files `<library>.so.<version>` of these folders carry in their names."""
    found = [
        version
        for folder in folders
        for path in folder.glob(f"{library}.so.*.*")
        if (version := public_version(path.name.removeprefix(f"{library}.so."))) is not None
    ]
    return max(found, default=None)
