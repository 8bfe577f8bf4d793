"""What the doctor says about NVIDIA devices: the driver, builds that do not use them, libraries that are missing."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from inference_models.backends.onnx import INSTALL_GPU, ON_NVIDIA
from inference_models.backends.runtimes import ONNX
from inference_models.doctor.findings import BAD, GOOD, NOTE, Finding
from inference_models.machine.hardware import ROOT
from inference_models.machine.libraries import CUDA
from inference_models.machine.mends import THEN, cuda_wheels
from inference_models.machine.nvidia import library_folders, torch_cuda
from inference_models.machine.probe import provider_library

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inference_models.machine.environment import Environment
    from inference_models.machine.libraries import Distribution

_ON_DEVICES = {*ON_NVIDIA, "NvTensorRTRTXExecutionProvider"}
_OF_NVIDIA = re.compile(r"lib(cu|nv)\w+\.so")
_OF_THE_DRIVER = re.compile(r"lib(cuda|nvidia-ml)\.so")
_DRIVER_MENDS = {
    "cannot be loaded": "docker run --gpus all <image>",
    "error 803": "sudo reboot",
    "error 999": "sudo modprobe nvidia_uvm",
}
"""By what the driver answered: its library is not in the container, its halves are of two versions, a half is not
loaded."""

_MAGIC = b"\x7fELF\x02\x01"
"""64 bits, least significant byte first: every machine the runtimes are built for."""
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRINGS, _STRINGS_SIZE = 1, 5, 10
_MOST = 1 << 20
"""Bytes of one table; files that state more are not read."""


def examine_driver(environment: Environment) -> Iterable[Finding]:
    """A finding for a device that is present and cannot be used."""
    problem = environment.broken.get(CUDA)
    if problem is not None:
        mend = next((fix for sign, fix in _DRIVER_MENDS.items() if sign in problem), "nvidia-smi")
        yield Finding(BAD, f"this machine shows an NVIDIA device that cannot be used: {problem}", mend)


def examine_builds(environment: Environment, distributions: Mapping[str, Distribution]) -> Iterable[Finding]:
    """Builds for the processor beside a device they could use."""
    if not environment.gpus or environment.jetson is not None:
        return
    device = environment.gpus[0].name
    runtime = environment.builds.get("onnxruntime")
    if runtime and "onnxruntime" not in environment.broken and not _ON_DEVICES & set(environment.execution_providers):
        what = f"{runtime} is a build without CUDA, ONNX packages leave {device} unused"
        yield Finding(NOTE, what, f"pip uninstall -y {runtime.partition(' ')[0]}{THEN}{INSTALL_GPU}")
    torch = environment.builds.get("torch")
    if torch and torch_cuda(distributions) is None:
        what = f"{torch} is a build without CUDA, PyTorch packages leave {device} unused"
        yield Finding(NOTE, what, f"pip uninstall -y torch{THEN}pip install torch")


def examine_cuda_libraries(
    environment: Environment, distributions: Mapping[str, Distribution], root: Path = ROOT
) -> Iterable[Finding]:
    """Libraries of CUDA and cuDNN that ONNX Runtime's CUDA provider needs and that are not installed."""
    runtime = next((distributions[name] for name in ONNX.libraries[0].distributions if name in distributions), None)
    if runtime is None:
        return
    provider = provider_library(runtime.location / "onnxruntime/capi", "cuda")
    needed = [name for name in needed_libraries(provider) if _OF_NVIDIA.match(name) and not _OF_THE_DRIVER.match(name)]
    if not needed:
        return
    folders = _search(distributions, runtime, root)
    missing = [name for name in needed if not any((folder / name).exists() for folder in folders)]
    if not missing:
        yield Finding(GOOD, f"{runtime.label} has the {len(needed)} libraries of CUDA it needs")
        return
    # A library like libcurand.so.10 does not say for which CUDA it is; one beside it among all that are needed does.
    wheels = cuda_wheels(missing, _cuda_release(needed))
    what = f"{runtime.label} needs libraries that are not here: {', '.join(missing)}"
    fix = f"pip install {' '.join(wheels)}" if wheels else None
    yield Finding(BAD if environment.gpus else NOTE, what, fix)


def _cuda_release(sonames: list[str]) -> int | None:
    """The major release of CUDA that some of these libraries are of; None when none of them says so."""
    found = (re.fullmatch(r"lib(?:cublas|cublasLt|cudart)\.so\.(\d+).*", name) for name in sonames)
    return next((int(match[1]) for match in found if match), None)


def _search(distributions: Mapping[str, Distribution], runtime: Distribution, root: Path) -> list[Path]:
    """Where the loader finds libraries, and where wheels bring them."""
    stated = [Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":") if entry]
    places = {distribution.location for name, distribution in distributions.items() if name.startswith("nvidia-")}
    wheels = [folder for place in sorted(places) for folder in sorted(place.glob("nvidia/*/lib"))]
    torch = [distributions["torch"].location / "torch/lib"] if "torch" in distributions else []
    return [runtime.location / "onnxruntime/capi", *stated, *wheels, *torch, *library_folders(root)]


# The dynamic section of a shared object of Linux. Nothing is loaded.


def needed_libraries(path: Path) -> tuple[str, ...]:
    """Names such as `libcublas.so.12`, in the order of the file; empty when it is no such file."""
    try:
        with path.open("rb") as stream:
            return _needed(stream)
    except (OSError, struct.error, ValueError):
        return ()


def _needed(stream: BinaryIO) -> tuple[str, ...]:
    header = stream.read(64)
    if not header.startswith(_MAGIC):
        return ()
    (offset,) = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    programs = [struct.unpack("<IIQQQQ", _at(stream, offset + index * size, 40)) for index in range(count)]
    dynamic = next((program for program in programs if program[0] == _DYNAMIC), None)
    if dynamic is None:
        return ()
    entries = list(struct.iter_unpack("<qQ", _at(stream, dynamic[2], dynamic[5] // 16 * 16)))
    values = dict(entries)
    place = _in_file(values.get(_STRINGS, 0), programs)
    strings = _at(stream, place, values.get(_STRINGS_SIZE, 0))
    return tuple(_text(strings, value) for kind, value in entries if kind == _NEEDED)


def _at(stream: BinaryIO, offset: int, size: int) -> bytes:
    if size > _MOST:
        raise ValueError(size)
    stream.seek(offset)
    return stream.read(size)


def _in_file(address: int, programs: list[tuple[int, ...]]) -> int:
    """Where in the file the loader takes `address` from."""
    for kind, _, offset, start, _, size in programs:
        if kind == _LOAD and start <= address < start + size:
            return offset + address - start
    raise ValueError(address)


def _text(strings: bytes, start: int) -> str:
    return strings[start : strings.index(b"\0", start)].decode("ascii")
