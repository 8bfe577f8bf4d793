"""Which packages the files of a Hub repository make: ONNX exports and safetensors, each with what it needs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from inference_models.entities import BackendType, Quantization, SkippedPackage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WEIGHTS = "weights.onnx"
_ONNX_FOLDERS = ("", "onnx")
_VARIANTS = {
    "": Quantization.FP32,
    "bf16": Quantization.BF16,
    "fp16": Quantization.FP16,
    "fp32": Quantization.FP32,
    "int8": Quantization.INT8,
    "quantized": Quantization.INT8,
    "uint8": Quantization.INT8,
}
"""End of a file name after `model_`, as optimum and transformers.js name their exports; others are mixtures."""
_DTYPES = {"BF16": Quantization.BF16, "F16": Quantization.FP16, "F32": Quantization.FP32, "I8": Quantization.INT8}
_PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
_SHARD = re.compile(r"^(?P<stem>.+)-\d{5}-of-\d{5}\.safetensors$")


@dataclass(frozen=True)
class HubFile:
    """One file of a repository at a commit."""

    path: str
    size: int
    sha256: str | None
    """Of files the Hub keeps in its large file storage; None for small ones."""
    blob_id: str | None
    """Git object id (SHA-1) of a small file."""

    def holds(self, content: bytes) -> bool:
        """Whether `content` is what git says this file is."""
        git_object = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
        git_object.update(content)
        return git_object.hexdigest() == self.blob_id


@dataclass(frozen=True)
class HubPackage:
    """Files that can be run together."""

    package_id: str
    backend: BackendType
    quantization: Quantization
    files: Mapping[str, HubFile]
    """By the name they get in the package folder."""


@dataclass(frozen=True)
class Recognised:
    """What a repository holds."""

    packages: list[HubPackage] = field(default_factory=list)
    skipped: list[SkippedPackage] = field(default_factory=list)


def recognise(files: Iterable[HubFile], dtypes: Mapping[str, int]) -> Recognised:
    """The packages the files make, and the weights that are left out, each with the reason.

    Args:
        files: of the repository.
        dtypes: number of parameters per safetensors dtype, as the Hub counts them.
    """
    by_path = {file.path: file for file in sorted(files, key=lambda file: file.path)}
    graphs = [path for path in by_path if path.endswith(".onnx")]
    whole = [path for path in graphs if _is_whole_model(path, graphs)]
    packages = [_onnx_package(path, by_path) for path in whole] + _safetensors_packages(by_path, dtypes)
    skipped = [
        SkippedPackage(path, "one graph of a model of several; no program here runs them")
        for path in graphs
        if path not in whole
    ]
    skipped += [
        SkippedPackage(path, "a pickle, which can run code when it is opened; it is never opened")
        for path in by_path
        if path.endswith(_PICKLES)
    ]
    return Recognised(_with_own_ids(packages), skipped)


def _is_whole_model(path: str, graphs: list[str]) -> bool:
    folder, stem = _split(path)
    named_so = stem == "model" or stem.startswith("model_")
    return folder in _ONNX_FOLDERS and (named_so or len(graphs) == 1)


def _onnx_package(path: str, by_path: Mapping[str, HubFile]) -> HubPackage:
    _, stem = _split(path)
    named, _, variant = stem.partition("_") if stem.startswith("model") else stem.rpartition("_")
    files = {WEIGHTS: by_path[path]}
    # The graph itself names these files, so they keep their names beside it.
    for other, file in by_path.items():
        if other.startswith((f"{path}_data", f"{path}.data")):
            files[other.rpartition("/")[2]] = file
    return HubPackage(
        package_id="onnx" + _plain(variant or "fp32" if named == "model" else stem),
        backend=BackendType.ONNX,
        quantization=_VARIANTS.get(variant if named else "unknown", Quantization.UNKNOWN),
        files=files,
    )


def _safetensors_packages(by_path: Mapping[str, HubFile], dtypes: Mapping[str, int]) -> list[HubPackage]:
    sets: dict[str, dict[str, HubFile]] = {}
    for path, file in by_path.items():
        if "/" in path or not path.endswith((".safetensors", ".safetensors.index.json")):
            continue
        shard = _SHARD.match(path)
        stem = shard["stem"] if shard else path.removesuffix(".index.json").removesuffix(".safetensors")
        if stem.startswith("model"):
            sets.setdefault(stem, {})[path] = file
    most = max(dtypes, key=lambda name: dtypes[name], default="")
    return [
        HubPackage(
            package_id="safetensors" + _plain(stem.removeprefix("model")),
            backend=BackendType.HF,
            # The Hub counts the parameters of the main file only.
            quantization=_DTYPES.get(most, Quantization.UNKNOWN) if stem == "model" else Quantization.UNKNOWN,
            files=files,
        )
        for stem, files in sets.items()
    ]


def _with_own_ids(packages: list[HubPackage]) -> list[HubPackage]:
    """Packages whose ids differ on every file system; the first of two keeps the short one."""
    taken: set[str] = set()
    result = []
    for package in packages:
        if package.package_id.lower() in taken:
            path = next(iter(package.files.values())).path
            digest = hashlib.sha256(path.encode()).hexdigest()[:8]
            package = replace(package, package_id=package.package_id + digest)  # noqa: PLW2901 - the same one, renamed
        taken.add(package.package_id.lower())
        result.append(package)
    return result


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name)[:64]


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name.removesuffix(".onnx")
