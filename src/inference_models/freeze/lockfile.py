"""Lock files: one TOML file that pins models to the byte."""

from __future__ import annotations

import importlib
import logging
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tomli_w
from msgspec import Meta, Struct, field, structs, to_builtins

from inference_models.backends import probe_environment
from inference_models.cache.manifest import Damage, PackageKey, read_manifest
from inference_models.entities import FileFacts, InlineFileSpecs, without_signatures
from inference_models.errors import (
    CorruptedModelPackageError,
    EnvironmentConfigurationError,
    InvalidParameterError,
    ModelNotFoundError,
    nearest_hint,
)
from inference_models.files.durable import write_atomic
from inference_models.package.metadata_json import metadata_from_json, metadata_to_json
from inference_models.package.text_files import fitted, read_text
from inference_models.record import replace
from inference_models.text import without_query
from inference_models.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inference_models.entities import ModelDependency, ModelMetadata
    from inference_models.freeze.pull import PulledPackage

_log = logging.getLogger("inference-models")
FORMAT = 1
HEADER = "# Written by `inference-models lock`. AutoModel.from_lock loads exactly these bytes.\n"
MAX_LOCK_BYTES = 3 << 19
"""The reader of TOML takes a second and 120 MB per MB of the worst text."""
_MAX_DOTS = 32
"""In the keys of one line: the time to read a key grows with the square of its parts."""
_QUOTED = re.compile(r"""(\"(?:[^\"\\]|\\.)*\"|'[^']*')|\"(?:[^\"\\]|\\.)*|'[^']*""")
"""In one line; one that does not end there goes to the end of it, so that each character is looked at once."""


class LockedFile(FileFacts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file, by its content."""

    text: str | None = None
    """The content, where the provider's description holds it: no other source need have such a file."""


class LockedModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One package of one model."""

    provider: str
    id: str
    """What the provider calls the model."""
    asked_for: str
    revision: str | None = None
    package: str
    license: str | None = None
    direct: bool = True
    """False: it is there because another one needs it."""
    description: dict[str, Any]
    """`metadata_to_json` with this package only and without its files."""
    files: Annotated[list[LockedFile], Meta(min_length=1)]

    def has_name(self, name: str) -> bool:
        """Whether `name` is one of the ids of the model."""
        return without_query(name) in {self.id, self.asked_for, f"{self.provider}:{self.id}"}

    @property
    def key(self) -> PackageKey:
        """Where the package is in the cache."""
        return PackageKey(self.provider, self.metadata().model_packages[0].cache_model_id or self.id, self.package)

    def metadata(self) -> ModelMetadata:
        """The model with this package and the pinned files, of which no address is known.

        Raises:
            CorruptedModelPackageError: the description contradicts the pins.
        """
        try:
            model = metadata_from_json(self.description)
        except ValueError as exc:
            raise contradiction(self.id, "a description this release can read", str(exc)) from exc
        packages = [package.package_id for package in model.model_packages]
        if (model.model_id, packages) != (self.id, [self.package]):
            raise contradiction(
                self.id, f"a description of {self.id!r}, package {self.package}", f"{model.model_id!r}, {packages}"
            )
        pinned = replace(model.model_packages[0], package_artefacts=[file.at("") for file in self.files])
        return replace(model, model_packages=[pinned])


class Lock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a lock file pins."""

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)]
    created_with: str
    runtimes: dict[str, str] = field(default_factory=dict)
    """Backend -> version of its runtime where the lock was made."""
    models: Annotated[list[LockedModel], Meta(min_length=1)]

    def find(self, model_id: str | None) -> LockedModel:
        """The model with this id, or the only one that was asked for.

        Raises:
            InvalidParameterError: there is none of that name, or there are several and no name was given.
        """
        direct = [model for model in self.models if model.direct]
        if model_id is None and len(direct) == 1:
            return direct[0]
        for model in self.models:
            if model_id is not None and model.has_name(model_id):
                return model
        ids = [model.asked_for for model in direct]
        if model_id is None:
            raise InvalidParameterError(
                "the lock file pins more than one model.", needs="model_id=, one of them", found=", ".join(ids)
            )
        name = without_query(model_id)
        raise InvalidParameterError(f"the lock file pins no model {name!r}; {nearest_hint(name, ids)}.")

    def find_dependency(self, outer: LockedModel, dependency: ModelDependency) -> LockedModel:
        """The package that `outer` needs under this name, which its provider was asked for when the lock was made.

        Raises:
            CorruptedModelPackageError: it is not in the lock.
        """
        package = dependency.model_package_id
        found = [
            model
            for model in self.models
            if model.provider == outer.provider
            and model.has_name(dependency.model_id)
            and package in {None, model.package}
        ]
        if found:
            # Of a model that was also asked for itself, another package may be pinned: that one is not meant.
            return min(found, key=lambda model: model.direct)
        wanted = without_query(dependency.model_id) + (f", package {package}" if package else "")
        raise CorruptedModelPackageError(
            f"the lock of {outer.id!r} does not pin the models it needs.",
            needs=wanted,
            found=", ".join(f"{model.id}, package {model.package}" for model in self.models),
            fix="write the lock file again",
        )


def make_lock(pulled: Iterable[PulledPackage]) -> Lock:
    """What is in the cache for these packages, pinned.

    Raises:
        CorruptedModelPackageError: a package is not complete.
    """
    installed = probe_environment().runtimes
    return Lock(
        format=FORMAT,
        created_with=f"inference-models {__version__}",
        runtimes={kind.value: str(version) for kind, version in installed.items() if version is not None},
        models=[_locked(item) for item in pulled],
    )


def lock_text(lock: Lock) -> str:
    """`lock` as TOML.

    Raises:
        InvalidParameterError: it pins so much that nobody would read it.
    """
    text = HEADER + "\n" + tomli_w.dumps(_without_none(to_builtins(lock)))
    if len(text.encode()) > MAX_LOCK_BYTES:
        raise InvalidParameterError(
            f"{len(lock.models)} packages do not fit into one lock file.",
            needs=f"at most {MAX_LOCK_BYTES} bytes",
            found=f"{len(text.encode())} bytes",
            fix="write several lock files, or bundles, each with a part of the models",
        )
    return text


def write_lock(lock: Lock, path: Path) -> None:
    """Write `lock` to a file, in one step.

    Raises:
        EnvironmentConfigurationError: it cannot be written there.
    """
    refuse_bad_target(path)
    try:
        write_atomic(path, lock_text(lock).encode())
    except OSError as exc:
        raise bad_target(path, exc.strerror or type(exc).__name__) from exc


def refuse_bad_target(path: Path) -> None:
    """Raise where no file can be written, before hours are spent on what goes into it.

    Raises:
        EnvironmentConfigurationError: its folder is missing, or must not be written to.
    """
    if not path.parent.is_dir():
        raise bad_target(path, "no such folder")
    if path.is_dir():
        raise bad_target(path, "a folder of this name")
    if not os.access(path.parent, os.W_OK):
        raise bad_target(path, "a folder that must not be written to")


def bad_target(path: Path, found: str) -> EnvironmentConfigurationError:
    """The error for a file that cannot be written."""
    return EnvironmentConfigurationError(
        f"'{path}' cannot be written.", needs="a name in a folder that exists and may be written to", found=found
    )


def read_lock(path: str | Path) -> Lock:
    """The lock in a file.

    Raises:
        CorruptedModelPackageError: the file cannot be read, or is no lock file of this format.
    """
    path = Path(path)
    if not path.exists():
        raise ModelNotFoundError(
            f"there is no lock file '{path}'.", fix=f"write it: inference-models lock MODEL -o {shlex.quote(str(path))}"
        )
    return parse_lock(read_text(path, where=path.name, limit=MAX_LOCK_BYTES), where=path.name)


def parse_lock(text: str, *, where: str) -> Lock:
    """The lock in `text`.

    Raises:
        CorruptedModelPackageError: it is no lock file of this format.
    """
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        _refuse_long_keys(text)
        return fitted(Lock, toml.loads(text))
    except (ValueError, RecursionError) as exc:  # MisfitError and TOMLDecodeError are ValueErrors
        found = str(exc)
    raise CorruptedModelPackageError(
        f"{where} is no lock file.",
        needs="a file that `inference-models lock` wrote",
        found=found,
        fix="write one: inference-models lock MODEL -o models.lock",
    )


def _refuse_long_keys(text: str) -> None:
    if any(_QUOTED.sub(_unended, line).count(".") > _MAX_DOTS for line in text.splitlines()):
        raise ValueError(f"a key of more than {_MAX_DOTS} parts")


def _unended(quoted: re.Match[str]) -> str:
    return "" if quoted[1] else quoted[0]


def warn_about_runtimes(lock: Lock) -> None:
    """Say on the log which runtimes are not those the lock was made with."""
    installed = {kind.value: str(version) for kind, version in probe_environment().runtimes.items() if version}
    for name, version in lock.runtimes.items():
        if installed.get(name) != version:
            _log.warning("the lock was made with the %s runtime %s; here is %s", name, version, installed.get(name))


def _locked(pulled: PulledPackage) -> LockedModel:
    manifest = read_manifest(pulled.folder)
    if isinstance(manifest, Damage):
        raise CorruptedModelPackageError(
            f"package folder '{pulled.folder}' is not complete.", needs=manifest.handle, found=manifest.reason
        )
    bare = replace(pulled.package, package_artefacts=[])
    kept = without_signatures(replace(pulled.model, model_packages=[bare]))
    artefacts = pulled.package.package_artefacts
    texts = {item.file_handle: item.text for item in artefacts if isinstance(item, InlineFileSpecs)}
    _, _, revision = kept.model_id.partition("@")
    return LockedModel(
        provider=pulled.key.provider,
        id=kept.model_id,
        asked_for=without_query(pulled.asked_for),
        revision=revision or None,
        package=pulled.package.package_id,
        license=pulled.model.license,
        direct=pulled.direct,
        description=_without_none(metadata_to_json(kept)),
        files=[LockedFile(**structs.asdict(file), text=texts.get(file.handle)) for file in manifest.files],
    )


def _without_none(value: Any) -> Any:
    """`value` without the keys whose value is None, for which TOML has no word."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def contradiction(model_id: str, needs: str, found: str) -> CorruptedModelPackageError:
    """The error for a lock of which two statements do not agree."""
    return CorruptedModelPackageError(f"the lock of {model_id!r} contradicts itself.", needs=needs, found=found)
