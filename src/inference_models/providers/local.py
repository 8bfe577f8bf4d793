"""Provider `local`: a package folder or a bare file with weights of the user, used in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models.entities import (
    BackendType,
    InlineFileSpecs,
    LocalFileArtefactSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    ONNXPackageDetails,
    PackageSourceType,
    Quantization,
)
from inference_models.errors import (
    CorruptedModelPackageError,
    InvalidParameterError,
    MissingModelInitParameterError,
    ModelNotFoundError,
    ModelRetrievalError,
    nearest_hint,
)
from inference_models.package import class_names, inference_config, model_config
from inference_models.package.class_names import read_labels
from inference_models.package.external_data import check_external_data
from inference_models.package.folder import read_package_folder
from inference_models.package.formats import FORMATS, bare_files, format_of_file
from inference_models.package.onnx_file import read_onnx_file
from inference_models.package.ultralytics import GraphHints, read_ultralytics
from inference_models.providers import NO_OPTIONS, DescribeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inference_models.entities import FileDownloadSpecs
    from inference_models.package.folder import PackageFolder
    from inference_models.package.onnx_file import OnnxFile

PREFIX = "local:"
PACKAGE_ID = "local"
CODE_ARCHITECTURE = "custom"
FUSED = "nms_fused"
"""Feature of packages whose graph does the work of the decoder."""
HINTS = "graph_hints.json"
"""What a bare graph says about its input; exists in memory only."""
_EXTERNAL = "external"
_OWN_NAMES = frozenset({class_names.FILE_NAME, model_config.FILE_NAME, inference_config.FILE_NAME, HINTS})
"""Handles that mean something in the package of a bare file, whatever lies beside the file."""
_MAX_PATH = 4096
_SUFFIXES = sorted(form.suffix for form in FORMATS.values())
_EXAMPLES = {
    "labels": 'labels="coco", a list or a text file (on the command line --labels)',
    "model_type": 'model_type="yolov8" or another architecture (on the command line --family)',
}


def open_provider() -> LocalProvider:
    """A provider for paths on this machine."""
    return LocalProvider()


class LocalProvider:
    """Paths as models. Nothing is copied, and no code of a package runs."""

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:
        """The one package at a path, with or without the prefix `local:`.

        Raises:
            ModelNotFoundError: there is nothing at the path; names the nearest entry of its folder.
            InvalidParameterError: the text cannot be a path, or the file is of a kind nobody reads here.
            MissingModelInitParameterError: a bare file does not say what it is, and the caller did not either.
            CorruptedModelPackageError: a file of the package is damaged.
        """
        path = _existing(model_id.removeprefix(PREFIX))
        if path.is_dir():
            return _describe_folder(model_id, read_package_folder(path))
        kind = format_of_file(path)
        if kind is not None:
            return _describe_file(model_id, path, kind, options)
        raise InvalidParameterError(
            f"'{path}' cannot be loaded.",
            needs=f"a folder with model_config.json, or a file {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}",
            found=f"a {path.suffix} file" if path.suffix else "a file without a suffix",
            fix="export the model to ONNX, or name the folder it lies in",
        )

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """Never needed: local packages announce no downloads."""
        raise ModelRetrievalError(f"{file.file_handle} is not a local file: {file.download_url!r}.")

    def close(self) -> None:
        """Nothing to free."""


def _existing(text: str) -> Path:
    if not text or len(text) > _MAX_PATH or not text.isprintable():
        raise InvalidParameterError("the path cannot be used.", needs="printable characters", found=ascii(text[:80]))
    try:
        path = Path(text).expanduser()
    except RuntimeError as exc:
        raise ModelNotFoundError(f"'{text}' cannot be read: there is no such user.") from exc
    try:
        if path.exists():
            return path
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    except OSError as exc:
        raise ModelNotFoundError(f"'{text}' cannot be read: {exc.strerror or type(exc).__name__}.") from exc
    hint = f"; {nearest_hint(path.name, siblings)}" if len(siblings) <= 50 and siblings else ""
    raise ModelNotFoundError(f"there is no file or folder '{text}'{hint}.")


def _describe_folder(model_id: str, folder: PackageFolder) -> ModelMetadata:
    config = folder.model
    backend = BackendType.CUSTOM if config.backend_type is None or config.is_code_package else config.backend_type
    _check_complete(folder, backend)
    graph = _checked_graph(folder.files[FORMATS[backend].weights[0]]) if backend is BackendType.ONNX else None
    dynamic, static = _batch_mode(graph, config.dynamic_batch_size_supported, config.static_batch_size)
    package = ModelPackageMetadata(
        package_id=PACKAGE_ID,
        backend=backend,
        package_artefacts=_artefacts({**folder.files, **_external_files(graph, folder.directory, folder.files)}),
        package_source=PackageSourceType.LOCAL_CACHE,
        quantization=config.quantization or Quantization.UNKNOWN,
        dynamic_batch_size_supported=dynamic,
        static_batch_size=static,
        onnx_package_details=_onnx_details(graph),
        trusted_source=True,
        model_features=config.model_features,
        recommended_parameters=config.recommended_parameters,
    )
    return ModelMetadata(
        model_id=model_id,
        model_architecture=CODE_ARCHITECTURE if config.is_code_package else config.model_architecture or "",
        model_packages=[package],
        task_type=config.task_type,
        model_dependencies=config.model_dependencies,
        source=f"folder {folder.directory}",
    )


def _check_complete(folder: PackageFolder, backend: BackendType) -> None:
    needed = FORMATS[backend].weights if backend in FORMATS else ()
    missing = [handle for handle in needed if handle not in folder.files]
    if missing:
        raise CorruptedModelPackageError(
            f"package folder '{folder.directory}' is not complete.",
            needs=" and ".join(missing),
            found=", ".join(sorted(folder.files)),
            fix="fetch the package again, or add the missing file",
        )


def _describe_file(model_id: str, path: Path, kind: BackendType, options: DescribeOptions) -> ModelMetadata:
    path = path.absolute()
    files = bare_files(path, kind)
    missing = next((file for file in files.values() if not file.is_file()), None)
    if missing is not None:
        raise ModelNotFoundError(f"'{path.name}' needs '{missing.name}' beside it, and there is none.")
    graph = _checked_graph(path) if kind is BackendType.ONNX else None
    # Only ONNX graphs carry metadata that is read here without their runtime.
    hints = GraphHints() if graph is None else read_ultralytics(graph)
    architecture, task, names = _completed(path, hints, options)
    dynamic, static = _batch_mode(graph, None, None)
    stated = {"model_architecture": architecture, "task_type": task, "backend_type": kind.value}
    config = {name: value for name, value in stated.items() if value is not None}
    package = ModelPackageMetadata(
        package_id=PACKAGE_ID,
        backend=kind,
        package_artefacts=[
            *_artefacts({**files, **_external_files(graph, path.parent, files)}),
            InlineFileSpecs(class_names.FILE_NAME, "\n".join(names) + "\n"),
            InlineFileSpecs(model_config.FILE_NAME, json.dumps(config, indent=2) + "\n"),
            InlineFileSpecs(HINTS, json.dumps({"input_size": hints.input_size, "stride": hints.stride})),
        ],
        package_source=PackageSourceType.LOCAL_CACHE,
        quantization=Quantization.UNKNOWN,
        dynamic_batch_size_supported=dynamic,
        static_batch_size=static,
        onnx_package_details=_onnx_details(graph),
        trusted_source=True,
        model_features={FUSED: True} if hints.fused else None,
    )
    return ModelMetadata(
        model_id=model_id,
        model_architecture=architecture,
        model_packages=[package],
        task_type=task,
        source=f"file {path}",
    )


def _completed(path: Path, hints: GraphHints, options: DescribeOptions) -> tuple[str, str | None, tuple[str, ...]]:
    """Architecture, task and class names: what the caller says wins over what the file says."""
    architecture = options.architecture or hints.architecture
    names = read_labels(options.labels) if options.labels is not None else hints.class_names
    if architecture and names:
        return architecture, options.task_type or hints.task_type, names
    said = {"labels": names, "model_type": architecture}
    missing = [name for name, value in said.items() if not value]
    raise MissingModelInitParameterError(
        f"'{path.name}' does not say everything about itself.",
        needs=" and ".join(missing),
        found=" and ".join(name for name in said if name not in missing) or "nothing in its metadata",
        fix=f"pass {' and '.join(_EXAMPLES[name] for name in missing)}",
    )


def _checked_graph(path: Path) -> OnnxFile:
    graph = read_onnx_file(path)
    check_external_data(graph, path.parent)
    return graph


def _artefacts(files: Mapping[str, Path]) -> list[LocalFileArtefactSpecs]:
    return [LocalFileArtefactSpecs(handle, path) for handle, path in files.items()]


def _external_files(graph: OnnxFile | None, directory: Path, known: Mapping[str, Path]) -> dict[str, Path]:
    """What a graph points to, where it lies beside the graph, without what is known already.

    Whoever takes the digest of a package has to see it. Runtimes find it themselves, from the path of the graph.
    """
    tensors = () if graph is None else graph.external
    places = sorted({value for tensor in tensors for key, value in tensor.entries if key == "location"})
    paths = {place: directory / place for place in places}
    taken = {handle.lower() for handle in (*known, *_OWN_NAMES)}
    return {
        f"{_EXTERNAL}/{place}" if place.lower() in taken else place: path
        for place, path in paths.items()
        if path not in known.values()
    }


def _batch_mode(graph: OnnxFile | None, dynamic: bool | None, static: int | None) -> tuple[bool | None, int | None]:
    if dynamic is not None or static is not None or graph is None or not graph.inputs or not graph.inputs[0].shape:
        return dynamic, static
    stored = graph.inputs[0].shape[0]
    return stored is None, stored


def _onnx_details(graph: OnnxFile | None) -> ONNXPackageDetails | None:
    return ONNXPackageDetails(graph.opset) if graph is not None and graph.opset is not None else None
