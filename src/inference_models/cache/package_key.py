"""What tells any two packages apart."""

from __future__ import annotations

from dataclasses import dataclass

from inference_models.files.names import check_model_id, check_package_id


@dataclass(frozen=True)
class PackageKey:
    """Which package."""

    provider: str
    model_id: str
    package_id: str

    def __post_init__(self) -> None:
        """Refuse what cannot be part of a folder name, before anything touches the disk."""
        check_model_id(self.model_id)
        check_package_id(self.package_id)
