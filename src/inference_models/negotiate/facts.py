"""The parts of a negotiation report: frozen values about the model, its packages, files and runtimes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from inference_models.entities import format_text
from inference_models.record import Record

if TYPE_CHECKING:
    from inference_models.entities import BackendType, ModelDependency, Quantization
    from inference_models.errors import Rejection

Plain: TypeAlias = Any
"""What `json.dumps` takes: dict with text keys, list, text, number, bool or None."""


class ModelFacts(Record, frozen=True, kw_only=True):
    """Facts about a model from its provider."""

    model_id: str
    provider: str | None
    architecture: str
    task: str | None
    variant: str | None
    license: str | None
    """Of the weights, as their source states it."""
    source: str | None
    description: str | None
    dependencies: tuple[ModelDependency, ...] = ()
    """Other models that it needs; they are fetched with it and not counted here."""


class PackageFile(Record, frozen=True):
    """One file of a package."""

    handle: str
    size: int | None
    """Bytes; None: the provider does not state it."""
    place: str
    """`remote`: to be fetched; `cache`: stored already; `local`: a file of the user; `description`: the text is part of
    what the provider said."""
    sha256: str | None = None


class Download(Record, frozen=True):
    """The files and bytes that loading a package would fetch."""

    files: int
    """Files that would be fetched."""
    bytes: int
    """Their announced sizes together."""
    unsized_files: int
    """How many of them are of a size that the provider does not state."""
    stored_bytes: int
    """Bytes of the package that are on this machine already."""


class CandidateReport(Record, frozen=True):
    """One runtime that reads a package."""

    package_id: str
    backend: BackendType
    """The runtime."""
    native: bool
    """Whether the package is made for this runtime."""
    rejections: tuple[Rejection, ...]
    """Every reason against it; empty when it would run, but for those that `force=True` overrides."""
    rank: int | None
    """Position among the candidates that would run, counted from 1; None: it would not."""

    @property
    def admissible(self) -> bool:
        """Whether it would run."""
        return self.rank is not None


class PackageReport(Record, frozen=True, kw_only=True):
    """One package with every runtime that reads it."""

    package_id: str
    name: str
    """As people call it: `best.onnx`, `weights.onnx of 7c20 (fp16)`."""
    format: BackendType
    """What the package is made for."""
    quantization: Quantization | None
    dynamic_batch: bool | None
    static_batch: int | None
    trusted: bool
    """Whether the provider vouches for it."""
    details: Mapping[str, Any]
    """What the provider says about its making, by name; only what is stated."""
    files: tuple[PackageFile, ...]
    candidates: tuple[CandidateReport, ...]

    @property
    def admissible(self) -> bool:
        """Whether at least one runtime would run it."""
        return any(candidate.admissible for candidate in self.candidates)

    @property
    def title(self) -> str:
        """Its id, or the file or folder that it is."""
        return self.name if any(file.place == "local" for file in self.files) else self.package_id

    @property
    def label(self) -> str:
        """For reports: `onnx fp32`, or `onnx` where nothing says of which number format."""
        return format_text(self.format, self.quantization)

    @property
    def download(self) -> Download:
        """What loading it would fetch."""
        remote = [file for file in self.files if file.place == "remote"]
        return Download(
            files=len(remote),
            bytes=sum(file.size or 0 for file in remote),
            unsized_files=sum(file.size is None for file in remote),
            stored_bytes=sum(file.size or 0 for file in self.files if file.place in {"cache", "local"}),
        )


class WouldRun(Record, frozen=True):
    """What `AutoModel.from_pretrained` would open with the same arguments."""

    package_id: str
    backend: BackendType
    reason: str
    """`order`, `measured`, `package id`, `remembered`; or `unmeasured`: a load would measure first, and this is the
    first in the declared order."""
    threads: int | None = None
    """None: what the caller says, else the runtime's default."""
    execution_providers: tuple[Any, ...] | None = None


class Step(Record, frozen=True):
    """Commands and arguments that together would make candidates run which do not run now."""

    fixes: tuple[str, ...]
    """In the order in which to follow them."""
    makes_run: tuple[tuple[str, BackendType], ...]
    """(package id, runtime) of each such candidate, best first."""


def _field_names(value: Any) -> tuple[str, ...]:
    return value.__struct_fields__ if isinstance(value, Struct) else tuple(field.name for field in fields(value))


def as_plain(value: object) -> Plain:
    """`value` for JSON: records and dataclasses by their fields, sets sorted, versions and paths as text, no NaN."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {str(as_plain(key)): as_plain(item) for key, item in value.items()}
    if isinstance(value, Struct) or is_dataclass(value):
        return {name: as_plain(getattr(value, name)) for name in _field_names(value)}
    if isinstance(value, AbstractSet):
        return sorted((as_plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    return str(value)
