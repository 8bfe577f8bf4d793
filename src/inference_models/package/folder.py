"""One package as one frozen value: its files, and what its configuration files say."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import field

from inference_models.entities import BackendType, InlineFileSpecs, LocalFileArtefactSpecs
from inference_models.errors import CorruptedModelPackageError
from inference_models.files.names import may_lead
from inference_models.package import class_names, graph_facts, inference_config, key_point_names, model_config
from inference_models.package.formats import FORMATS, HF_CONFIG
from inference_models.package.graph_facts import InputHints
from inference_models.package.text_files import read_text, removed
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from inference_models.entities import ArtefactSpecs
    from inference_models.package.graph_facts import GraphFacts
    from inference_models.package.inference_config import InferenceConfig
    from inference_models.package.key_point_names import KeyPointNames
    from inference_models.package.model_config import ModelConfig

MAX_FILES = 10_000
"""A folder with more files is no package, but a wrong path."""


class PackageFolder(Record, frozen=True):
    """What a package holds."""

    directory: Path
    """The folder, absolute; for a bare file, the folder the file lies in."""
    files: Mapping[str, Path]
    """Regular files by handle (relative name with forward slashes)."""
    model: ModelConfig
    inference: InferenceConfig | None
    """None: the package says nothing, the family's own pre-processing holds."""
    class_names: tuple[str, ...] | None
    """None: the package has no `class_names.txt`."""
    key_points: KeyPointNames | None = None
    """None: the package has no `keypoints_metadata.json`."""
    graph: GraphFacts | None = None
    """What was read of its graph while the package was described; None: not read yet."""
    hints: InputHints = InputHints()
    """What a bare graph says about its input."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Small files that exist only in memory, by handle."""


def incomplete_folder(folder: PackageFolder, missing: Sequence[str]) -> CorruptedModelPackageError:
    """The error for a package without the files that its format needs."""
    return CorruptedModelPackageError(
        f"package folder '{folder.directory}' is not complete.",
        needs=" and ".join(missing),
        found=", ".join(sorted(folder.files)),
        fix="fetch the package again, or add the missing file",
    )


def read_package_folder(directory: str | Path) -> PackageFolder:
    """The package in `directory`. Nothing is written and no code of the package runs.

    Raises:
        CorruptedModelPackageError: a file is missing, cannot be read, or says something impossible.
    """
    directory = Path(directory).absolute()
    return _read(directory, list_package_files(directory), {})


def read_package(artefacts: Sequence[ArtefactSpecs]) -> PackageFolder:
    """The package that `artefacts` describe, when all of them are local files or inline texts: nothing is copied.

    Raises:
        CorruptedModelPackageError: a file is missing, cannot be read, or says something impossible.
        ValueError: an artefact would have to be downloaded first.
    """
    files = {item.file_handle: item.path.absolute() for item in artefacts if isinstance(item, LocalFileArtefactSpecs)}
    texts = {item.file_handle: item.text for item in artefacts if isinstance(item, InlineFileSpecs)}
    if len(files) + len(texts) != len(artefacts) or not files:
        raise ValueError("read_package takes local files and inline texts, and at least one local file")
    handle, path = next(iter(files.items()))
    # The folder that holds every file at its handle, where there is one.
    depth = min(handle.count("/"), len(path.parents) - 1)
    return _read(path.parents[depth], files, texts)


def list_package_files(directory: Path) -> dict[str, Path]:
    """The regular files below `directory` by handle, sorted. Names that begin with a dot are left out.

    Links may lead to files below the folder and, in a snapshot that `huggingface_hub` made, to those of its cache.

    Raises:
        CorruptedModelPackageError: the folder does not exist, is no package, or holds a link that leads elsewhere.
    """
    try:
        found = sorted(_walk(directory, directory.resolve(strict=True)))
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise CorruptedModelPackageError(
            f"package folder '{directory}' cannot be read.", needs="a folder with a package", found=reason
        ) from exc
    return dict(found)


def get_model_package_contents(model_package_dir: str | Path, elements: Sequence[str]) -> dict[str, str]:
    """The path of every element of a package folder, by element.

    Raises:
        CorruptedModelPackageError: elements are missing; names all of them and what the folder has.
    """
    present = list_package_files(Path(model_package_dir).absolute())
    missing = [element for element in elements if element not in present]
    if missing:
        raise CorruptedModelPackageError(
            f"package folder '{model_package_dir}' is not complete.",
            needs=", ".join(missing),
            found=_listed(present),
            fix="fetch the package again, or add the missing files",
        )
    return {element: str(present[element]) for element in elements}


def _read(directory: Path, files: Mapping[str, Path], texts: Mapping[str, str]) -> PackageFolder:
    def text_of(handle: str) -> str | None:
        if handle in texts or handle not in files:
            return texts.get(handle)
        try:
            return read_text(files[handle], where=handle)
        except CorruptedModelPackageError as exc:
            if isinstance(exc.__cause__, FileNotFoundError):
                raise removed(handle) from exc
            raise

    model = text_of(model_config.FILE_NAME)
    if model is None:
        raise CorruptedModelPackageError(
            f"package folder '{directory}' has no {model_config.FILE_NAME}.",
            needs=model_config.FILE_NAME,
            found=_listed(files),
            fix=_what_helps(directory, files),
        )
    stated = model_config.parse_model_config(model)
    inference = text_of(inference_config.FILE_NAME)
    if inference is None and stated.backend_type is BackendType.HF and HF_CONFIG in files:
        from inference_models.package.hf_folder import preparation_of  # noqa: PLC0415 - for these packages alone

        inference = preparation_of(text_of)
    names = text_of(class_names.FILE_NAME)
    points = text_of(key_point_names.FILE_NAME)
    hints = text_of(graph_facts.HINTS)
    return PackageFolder(
        directory=directory,
        files=files,
        model=stated,
        inference=None if inference is None else inference_config.parse_inference_config(inference),
        class_names=None if names is None else class_names.parse_class_names(names),
        key_points=None if points is None else key_point_names.parse_key_point_names(points),
        hints=InputHints() if hints is None else graph_facts.parse_hints(hints),
        texts=texts,
    )


def _what_helps(directory: Path, files: Mapping[str, Path]) -> str:
    """What to do about a folder that is no package."""
    for handle in files:
        if handle.endswith(f"/{model_config.FILE_NAME}"):
            return f"name the folder of the package: {directory / handle.rpartition('/')[0]}"
        if any(handle.lower().endswith(form.suffix) for form in FORMATS.values()):
            return f"name the file with the weights: {directory / handle}"
    return "name a folder with model_config.json, or a file with weights, such as ./best.onnx"


def _walk(directory: Path, root: Path) -> Iterator[tuple[str, Path]]:
    count = 0
    for folder, subfolders, names in os.walk(directory, onerror=_raise):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names + [name for name in subfolders if (Path(folder) / name).is_symlink()]:
            count += 1
            if count > MAX_FILES:
                raise CorruptedModelPackageError(
                    f"folder '{directory}' is not a package.", needs=f"at most {MAX_FILES} files", found="more"
                )
            path = Path(folder) / name
            if not name.startswith(".") and _is_inside(path, root):
                yield path.relative_to(directory).as_posix(), path


def _is_inside(path: Path, root: Path) -> bool:
    if path.is_symlink() and not may_lead(root, path.resolve()):
        raise CorruptedModelPackageError(
            f"'{path.name}' is a link that leads out of the package folder.",
            needs="regular files",
            found=f"a link to '{path.resolve()}'",
            fix="replace the link by a copy of the file",
        )
    return stat.S_ISREG(path.stat().st_mode)


def _raise(error: OSError) -> None:
    raise error


def _listed(files: Mapping[str, Path]) -> str:
    names = sorted(files)
    if not names:
        return "an empty folder"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
