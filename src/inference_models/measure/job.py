"""A load as a text that another process can repeat: JSON, so that reading it runs nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_models.entities import BackendType, LocalFileArtefactSpecs
from inference_models.loading.address import LoadRequest
from inference_models.loading.dependencies import needs_models
from inference_models.loading.open import load_package
from inference_models.negotiate.case import Candidate
from inference_models.options import LoadOptions
from inference_models.package.class_names import read_labels
from inference_models.package.folder import read_package, read_package_folder
from inference_models.package.metadata_json import metadata_from_json, metadata_to_json
from inference_models.record import Record, replace
from inference_models.text import without_query

if TYPE_CHECKING:
    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.negotiate.case import Plan
    from inference_models.package.folder import PackageFolder
    from inference_models.tasks.any_model import AnyModel

SERIALIZED_OPTIONS = ("allow_fallback", "allow_local_code_packages", "arrays", "force", "threads")
"""Options that change how a package is opened. What concerns the provider stays here: the files are there already."""


class NotSerializableError(Exception):
    """The load depends on objects of this process that JSON cannot hold."""


class Job(Record, frozen=True):
    """One plan, ready to be opened: its files are on this machine."""

    model: ModelMetadata
    plan: Plan
    folder: PackageFolder
    load: LoadRequest
    """Without what the plan says."""

    def to_json(self) -> str:
        """The text for the other process.

        Raises:
            NotSerializableError: an option is an object that cannot be written down.
        """
        load = self.load.with_plan(self.plan)
        package = self.plan.candidate.package
        if needs_models(self.model, package):
            raise NotSerializableError("it needs other models, which only this process has loaded")
        options = {name: getattr(load.options, name) for name in SERIALIZED_OPTIONS}
        if load.options.labels is not None:
            options["labels"] = list(read_labels(load.options.labels))
        try:
            return json.dumps(
                {
                    "model": metadata_to_json(self._described()),
                    "runtime": self.plan.candidate.runtime.value,
                    "directory": str(self.folder.directory),
                    "options": options,
                    "device": load.device,
                    "execution_providers": load.execution_providers,
                    "extra": dict(load.extra or {}),
                }
            )
        except (TypeError, ValueError) as exc:
            raise NotSerializableError(f"an option cannot be handed to another process ({exc})") from exc

    def _described(self) -> ModelMetadata:
        """The model with this package only, and without the addresses of its files, which may be signed."""
        package = self.plan.candidate.package
        files = package.package_artefacts if _is_local(package) else []
        return replace(
            self.model,
            model_id=without_query(self.model.model_id),
            model_packages=[replace(package, package_artefacts=files)],
            model_dependencies=None,
        )


def load_job(stated: dict[str, Any]) -> AnyModel:
    """The model that `Job.to_json` describes."""
    model = metadata_from_json(stated["model"])
    (package,) = model.model_packages
    is_local = _is_local(package)
    folder = read_package(package.package_artefacts) if is_local else read_package_folder(Path(stated["directory"]))
    named = stated["execution_providers"]
    providers = None if named is None else tuple(tuple(item) if isinstance(item, list) else item for item in named)
    request = LoadRequest(
        options=LoadOptions(**stated["options"]),
        device=stated["device"],
        execution_providers=providers,
        extra=stated["extra"],
    )
    return load_package(model, Candidate(package, BackendType(stated["runtime"])), folder, request)


def _is_local(package: ModelPackageMetadata) -> bool:
    return any(isinstance(item, LocalFileArtefactSpecs) for item in package.package_artefacts)
