"""What a conversion is asked to write, and what it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import field

from inference_models.entities import BackendType, Quantization
from inference_models.errors import InvalidParameterError
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from inference_models.parity.report import ParityRow, verdict_of
from inference_models.record import Record

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.parity.images import ImageSet

FORMATS = {"onnx": BackendType.ONNX, "openvino": BackendType.OPENVINO, "torchscript": BackendType.TORCH_SCRIPT}
"""What can be written, as callers name it."""


class ConvertOptions(Record, frozen=True, kw_only=True):
    """What is written, and where."""

    to: BackendType = BackendType.ONNX
    quantization: Quantization = Quantization.FP32
    """`FP32`, `FP16` or `INT8`."""
    output: Path | None = None
    """A folder that is not there yet; None: the cache, where it is a further package of the same model."""
    images: ImageSet | None = None
    """What the two are compared on; None: the images that come with the library."""
    exporters: tuple[str, ...] = ("dynamo", "legacy")
    """Those of PyTorch for ONNX, in the order in which they are tried."""
    request: PackageRequest = field(default_factory=PackageRequest)
    """Which package is converted."""
    load: LoadOptions = field(default_factory=LoadOptions)
    api_key: str | None = None


class Conversion(Record, frozen=True, kw_only=True):
    """What was written."""

    model_id: str
    folder: Path
    package_id: str
    format: BackendType
    quantization: Quantization
    source: str
    """The package it was made of, in words."""
    exporter: str
    open_batch: bool
    """Whether it takes batches of any size; else one picture at a time."""
    rows: tuple[ParityRow, ...]
    """How far each runtime that reads it is from the source: the own one of the format first."""

    def lines(self) -> list[str]:
        """What was done, for people."""
        batches = "batches of any size" if self.open_batch else "one picture at a time"
        return [
            f"{self.model_id}: {self.source} -> {self.format.value} {self.quantization.value}",
            f"written by {self.exporter}; takes {batches}",
            *(f"{row.runtime}: {verdict_of(row)}" for row in self.rows),
            f"package {self.package_id}: {self.folder}",
        ]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values that JSON can hold."""
        return {
            "schema_version": 1,
            "model_id": self.model_id,
            "folder": str(self.folder),
            "package_id": self.package_id,
            "format": self.format.value,
            "quantization": self.quantization.value,
            "source": self.source,
            "exporter": self.exporter,
            "open_batch": self.open_batch,
            "runtimes": {row.runtime: verdict_of(row) for row in self.rows},
        }


def parse_format(text: str) -> BackendType:
    """The format of that name.

    Raises:
        InvalidParameterError: there is none that could be written.
    """
    kind = FORMATS.get(text.lower().replace("-", "")) if isinstance(text, str) else None
    if kind is None:
        raise InvalidParameterError(f"no package is written as {text!r}.", needs=", ".join(FORMATS), found=repr(text))
    return kind


def refuse_impossible(options: ConvertOptions) -> None:
    """Refuse what cannot be written, before anything is loaded.

    Raises:
        InvalidParameterError: the numbers do not go with the format, or the folder is there already.
    """
    numbers = (Quantization.FP32, Quantization.FP16, Quantization.INT8)
    if options.quantization not in numbers:
        needs = ", ".join(kind.value for kind in numbers)
        raise InvalidParameterError("such numbers are not written.", needs=needs, found=options.quantization.value)
    if options.quantization is Quantization.INT8 and options.to is not BackendType.ONNX:
        raise InvalidParameterError(
            f"weights of 8 bits are not written for {options.to.value}.",
            needs="onnx, which OpenVINO reads too",
            found=options.to.value,
            fix="convert to onnx with int8",
        )
    if options.output is not None and options.output.exists():
        raise InvalidParameterError(
            f"'{options.output}' is there already, and nothing is written over it.",
            needs="a folder that is not there",
            found="one that is",
            fix="name another folder, or remove this one",
        )
