"""The description of a model as JSON values, and back without loss."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any, TypeVar, cast

import msgspec
from packaging.version import Version

from inference_models.entities import (
    FileDownloadSpecs,
    InlineFileSpecs,
    JetsonEnvironmentRequirements,
    LocalFileArtefactSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    ServerEnvironmentRequirements,
)
from inference_models.files.prepared import prepared
from inference_models.record import replace

Read = TypeVar("Read")
_ARTEFACTS: dict[str, type[Any]] = {
    "download_url": FileDownloadSpecs,
    "path": LocalFileArtefactSpecs,
    "text": InlineFileSpecs,
}
"""By the field that only this class has."""


def metadata_to_json(model: ModelMetadata) -> dict[str, Any]:
    """`model` as dictionaries, lists, texts and numbers.

    Raises:
        TypeError: a feature of a package is something else.
    """
    plain = msgspec.to_builtins(model, str_keys=True, enc_hook=_text)
    for package in plain["model_packages"]:
        if details := package["torch_script_package_details"]:
            details["supported_device_types"].sort()  # of a set, whose order differs from run to run
    # Tuples become lists; msgspec's own JSON has no integers over 64 bits.
    return cast("dict[str, Any]", json.loads(json.dumps(plain)))


def metadata_from_json(data: object) -> ModelMetadata:
    """The model that `metadata_to_json` was given.

    Raises:
        ValueError: `data` is not what that function writes.
    """
    try:
        model = _convert(data, ModelMetadata)
        return replace(model, model_packages=[_whole(package) for package in model.model_packages])
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from exc


def _whole(package: ModelPackageMetadata) -> ModelPackageMetadata:
    machine: Any = package.environment_requirements
    if machine is not None:
        kind = JetsonEnvironmentRequirements if "l4t_version" in machine else ServerEnvironmentRequirements
        machine = _convert(machine, kind)
    artefacts = [_artefact(item) for item in package.package_artefacts]
    return replace(package, package_artefacts=artefacts, environment_requirements=machine)


def _artefact(value: Any) -> Any:
    for name, kind in _ARTEFACTS.items():
        if isinstance(value, dict) and name in value:
            return _convert(value, kind)
    raise ValueError(f"a file of a package states none of {', '.join(_ARTEFACTS)}")


def _convert(value: object, kind: type[Read]) -> Read:
    return msgspec.convert(value, prepared(kind), str_keys=True, dec_hook=_parsed)


def _text(value: object) -> str:
    if isinstance(value, (PurePath, Version)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _parsed(kind: type, value: object) -> object:
    if kind not in {Path, Version} or not isinstance(value, str):
        raise ValueError(f"expected the text of a {kind.__name__}")
    return kind(value)
