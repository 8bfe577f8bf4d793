"""A parity certificate: what was compared with what, where, on which images, and how far apart the answers were.

It is a record and no security boundary: whoever may write to the cache can write one. Its checksum finds damage, not
intent.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from inference_models.parity.deviation import Deviation
    from inference_models.parity.gates import Gate

SCHEMA_VERSION = 1
CHECKSUM = "checksum"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=(), allow_inf_nan=False)


class Subject(_Record):
    """A package as a runtime opened it."""

    package_id: str
    package_format: str
    quantization: str
    runtime: str
    runtime_version: str
    """Empty: the package brings its own code."""
    files: str
    """SHA-256 over the names and SHA-256 of all its files."""
    device: str
    """As the runtime reports it: `cpu`, `cuda:0`."""
    execution_providers: tuple[str, ...] = ()
    """As the runtime reports them, first choice first."""
    asked_device: str | None = None
    """As the caller named it; None: the best there was."""
    asked_providers: tuple[str, ...] | None = None
    """As the caller named them; None: the runtime's own choice."""
    asked_options: str = ""
    """SHA-256 over the execution providers and their options as the caller named them; empty: no options."""

    @property
    def label(self) -> str:
        """For reports: `7c20 onnx fp32`, or `7c20 onnx fp32 through openvino`."""
        through = "" if self.runtime == self.package_format else f" through {self.runtime}"
        return f"{self.package_id} {self.package_format} {self.quantization}{through}"

    @property
    def asked(self) -> tuple[str | None, tuple[str, ...] | None, str]:
        """Device, execution providers and their options as the caller named them."""
        return self.asked_device, self.asked_providers, self.asked_options

    @property
    def device_kind(self) -> str:
        """`cpu`, `cuda`, ..."""
        return self.device.partition(":")[0]


class ImageFacts(_Record):
    """The images that answers were compared on."""

    kind: str
    """`probe`: those of the library; `files`: the user's."""
    count: int
    digest: str
    """SHA-256 over the SHA-256 of each, in their order."""


class DeviationFacts(_Record):
    """How far the answers were apart; the fields are those of `Deviation`."""

    least_score: float
    objects: int
    matched: int
    unmatched: int
    borderline: int
    """Of those without a partner: how many a change of the score within the gate explains."""
    matched_rate: float
    class_flips: int
    max_box_px: float
    max_point_px: float
    max_score: float
    mean_mask_iou: float | None
    min_mask_iou: float | None
    classified: int
    top1_flips: int
    label_flips: int
    pixels: int
    pixel_flips: int
    not_finite: int

    @classmethod
    def of(cls, deviation: Deviation, gate: Gate | None) -> DeviationFacts:
        """The facts of a comparison, under the gate it is judged by."""
        names = set(cls.model_fields) - {"unmatched", "borderline"}
        return cls(
            unmatched=len(deviation.unmatched_scores),
            borderline=0 if gate is None else deviation.borderline(gate),
            **{name: getattr(deviation, name) for name in names},
        )


class OutputFacts(_Record):
    """How far one raw output was off, for the same network inputs."""

    name: str
    max_abs: float
    max_rel: float
    not_finite: int


class GateFacts(_Record):
    """What was allowed."""

    matched: float
    box_px: float
    score: float
    mask_iou: float
    pixels: float
    raw: float


class Certificate(_Record):
    """The outcome for one package and one runtime on one machine."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    model_id: str
    provider: str
    subject: Subject
    reference: Subject
    """The same as `subject`: it is the reference itself."""
    library_version: str
    machine: str
    """Changes when a runtime or a device comes, goes, or gets another version."""
    images: ImageFacts
    deviation: DeviationFacts | None = None
    """None: of the reference itself."""
    outputs: tuple[OutputFacts, ...] = ()
    compared_inputs: int = 0
    """Network inputs whose raw outputs were compared."""
    gate: GateFacts | None = None
    """None: of the reference itself, or there is none for its number format."""
    violations: tuple[str, ...] = ()
    """What differed more than it may, in words."""
    passed: bool
    """Whether it vouches for the package."""
    created_at: datetime

    @property
    def is_reference(self) -> bool:
        """Whether this is what the others were compared with."""
        return self.subject == self.reference

    def is_of(self, subject: Subject) -> bool:
        """Whether it is of these files in the same version of the runtime, on the same kind of device."""
        mine, other = (
            (item.files, item.runtime_version, item.device_kind, item.execution_providers, item.asked_options)
            for item in (self.subject, subject)
        )
        return mine == other


def certificate_json(certificate: Certificate) -> dict[str, Any]:
    """The certificate as plain values, with a checksum over the rest."""
    content = certificate.model_dump(mode="json")
    return {**content, CHECKSUM: _checksum(content)}


def parse_certificate(data: bytes) -> Certificate:
    """The certificate in a file.

    Raises:
        ValueError: there is none in it, it is damaged, or it is of a later release; the text says which.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise ValueError("it is no JSON") from exc
    if not isinstance(content, dict):
        raise ValueError("it is no certificate")  # noqa: TRY004 - of the file, not of an argument
    version = content.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ValueError(f"it has schema version {version}; this release knows {SCHEMA_VERSION}")
    if content.pop(CHECKSUM, None) != _checksum(content):
        raise ValueError("its checksum does not match")
    try:
        return Certificate.model_validate(content)
    except ValidationError as exc:
        raise ValueError("it is no certificate") from exc


def _checksum(content: dict[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
