"""Provider `local`: a package folder or a bare file with weights of the user, used in place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

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
    nearest_names,
)
from inference_models.package import class_names, graph_facts, inference_config, key_point_names, model_config
from inference_models.package.checkpoint_file import SUFFIXES, read_checkpoint, read_hints
from inference_models.package.class_names import check_class_names, format_class_names, read_labels
from inference_models.package.exporters import GraphHints, read_exporter
from inference_models.package.folder import PackageFolder, incomplete_folder, list_package_files, read_package_folder
from inference_models.package.formats import FORMATS, HF_CONFIG, bare_files
from inference_models.package.graph_facts import InputHints, read_graph
from inference_models.package.key_point_names import format_key_point_names
from inference_models.package.model_config import MODEL_TYPE, ModelConfig
from inference_models.package.onnx_file import OnnxFile
from inference_models.package.text_files import read_text
from inference_models.providers import NO_OPTIONS, DescribeOptions, ProviderRecord, with_model_config
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inference_models.entities import FileDownloadSpecs
    from inference_models.package.graph_facts import GraphFacts
    from inference_models.package.hf_folder import HubPackage

PREFIX = "local:"
PACKAGE_ID = "local"
CODE_ARCHITECTURE = "custom"
FUSED = "nms_fused"
"""Feature of packages whose graph does the work of the decoder."""
_EXTERNAL = "external"
_OWN_NAMES = frozenset(
    {
        graph_facts.HINTS,
        class_names.FILE_NAME,
        key_point_names.FILE_NAME,
        model_config.FILE_NAME,
        inference_config.FILE_NAME,
    }
)
"""Handles that mean something in the package of a bare file, whatever lies beside the file."""
_MAX_PATH = 4096
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")
"""Control characters, and what stands for bytes that are no text. Spaces and joiners of every script are fine."""
_FORMATS = {form.suffix: kind for kind, form in sorted(FORMATS.items(), key=lambda item: item[1].suffix)}
"""Suffix of a bare file to what it is."""
_CHECKPOINTS = frozenset({".ckpt", ".pt", ".pth", ".bin"})
_WEIGHTS = "weights.pth"
_ARCHIVES = frozenset({".gz", ".tar", ".tgz", ".zip"})
_PICTURES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".mp4", ".png", ".tif", ".tiff", ".webp"})
_EXPORT = (
    "export it to ONNX with the library that made it, for example yolo export model=best.pt format=onnx, or "
    'torch.onnx.export(network, (example,), "best.onnx")'
)
_CLASSIFIER_TASKS = ("classification", "multi-label-classification")
_EXAMPLES = {
    "labels": 'labels="coco", a list of names or a text file',
    "model_type": 'model_type="yolov8" or another architecture',
}


class LocalProvider:
    """Paths as models. Nothing is copied, and no code of a package runs."""

    def __init__(self) -> None:
        self.folders: dict[str, PackageFolder] = {}
        """What `describe` read, by model, so that it is read once."""

    def describe(self, model_id: str, options: DescribeOptions = NO_OPTIONS) -> ModelMetadata:
        """The one package at a path, with or without the prefix `local:`.

        Raises:
            ModelNotFoundError: there is nothing at the path; names the nearest entry of its folder.
            InvalidParameterError: the text cannot be a path, or the file is of a kind nobody reads here.
            MissingModelInitParameterError: a bare file does not say what it is, and the caller did not either.
            CorruptedModelPackageError: a file of the package is damaged.
        """
        path = _existing(model_id.removeprefix(PREFIX)).absolute()
        kind = None if path.is_dir() else _FORMATS.get(path.suffix.lower())
        if path.is_dir() and is_snapshot(path):
            return _described_snapshot(model_id, path, options.task_type)
        if path.is_dir():
            folder = _read_folder(path)
        elif kind is not None:
            folder = _read_bare_file(path, kind, options)
        elif path.suffix.lower() in SUFFIXES:
            kind, folder = BackendType.TORCH, _read_bare_weights(path, options)
        else:
            raise _not_loaded(path)
        self.folders[model_id] = folder
        return _described(model_id, folder, source=f"{'file' if kind else 'folder'} {path}")

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """Never needed: local packages announce no downloads."""
        raise ModelRetrievalError(f"{file.file_handle} is not a local file: {file.download_url!r}.")

    def close(self) -> None:
        """Does nothing."""


def _what_helps(path: Path) -> str:
    """What to do about a file that is no model."""
    suffix = path.suffix.lower()
    if suffix in _CHECKPOINTS:
        return _EXPORT
    if suffix in _ARCHIVES:
        return f"unpack it and name the folder with model_config.json: ./{path.name.partition('.')[0]}/"
    if suffix in _PICTURES:
        return "name the model first, then the pictures"
    return "export the model to ONNX, or name its folder"


def _existing(text: str) -> Path:
    if not text or len(text) > _MAX_PATH or _CONTROL.search(text):
        raise InvalidParameterError(
            "the path cannot be used.", needs="a path without control characters", found=ascii(text[:80])
        )
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
    near = nearest_names(
        path.name, [name for name in siblings if Path(name).suffix.lower() in {"", *_FORMATS, *_CHECKPOINTS}]
    )
    hint = f"; nearest: {', '.join(map(repr, near))}" if near else ""
    fix = f"check the path; it was looked up in {path.parent.absolute()}"
    if path.suffix.lower() in _CHECKPOINTS:
        fix = f"{_EXPORT}; such a file is not loaded itself"
    raise ModelNotFoundError(f"there is no file or folder '{text}'{hint}.", fix=fix)


def _read_folder(path: Path) -> PackageFolder:
    folder = read_package_folder(path)
    backend = folder.model.backend_type
    if folder.model.is_code_package or backend not in FORMATS:
        return folder
    form = FORMATS[backend]
    missing = [handle for handle in form.weights if handle not in folder.files]
    # Packages of several graphs call them otherwise; the family says how.
    graphs = [handle for handle in folder.files if handle.endswith(form.suffix) and handle != form.weights[0]]
    if missing and not graphs and not folder.model.model_dependencies:
        raise incomplete_folder(folder, missing)
    return folder if missing else _with_graph(folder, backend)


def is_snapshot(path: Path) -> bool:
    """Whether a folder is as `save_pretrained` of Transformers writes it."""
    return (path / HF_CONFIG).is_file() and not (path / model_config.FILE_NAME).exists()


def _described_snapshot(model_id: str, path: Path, asked: str | None) -> ModelMetadata:
    """A folder of Transformers: its weights, and each export beside them, as packages of one model."""
    from inference_models.package.hf_config import parse_hub_config  # noqa: PLC0415 - for these folders alone
    from inference_models.package.hf_folder import (  # noqa: PLC0415
        dtypes_of,
        find_packages,
        make_packages,
        skipped_files,
        texts_of,
    )

    files = list_package_files(path)

    def read(name: str) -> str | None:
        return read_text(files[name], where=name) if name in files else None

    config = parse_hub_config(read(HF_CONFIG) or "", asked=asked)
    packages, skipped, reason = make_packages(
        find_packages(files, dtypes_of(files), config, pickles=True),
        lambda found: _snapshot_package(found, files, texts_of(found, config, read, label=f"folder '{path}'")),
    )
    if not packages:
        folder = PackageFolder(path, files, ModelConfig(), None, None)
        raise reason or incomplete_folder(folder, ["model.safetensors or onnx/model.onnx"])
    return with_model_config(
        ModelMetadata(
            model_id=model_id,
            model_architecture=config.architecture,
            model_variant=config.model_type,
            task_type=config.task_type,
            source=f"folder {path}",
            model_packages=packages,
            skipped_packages=(*skipped_files(files, config), *skipped),
        )
    )


def _snapshot_package(found: HubPackage, files: Mapping[str, Path], texts: Mapping[str, str]) -> ModelPackageMetadata:
    places = {handle: files[place] for handle, place in found.files.items()}
    places |= {name: files[name] for name in texts if name in files}  # as it lies there, where it does
    graph = None if found.backend is BackendType.HF else read_graph(found.backend, next(iter(places.values())))
    return ModelPackageMetadata(
        package_id=found.package_id,
        backend=found.backend,
        quantization=Quantization.INT8 if graph and graph.quantization is Quantization.INT8 else found.quantization,
        package_source=PackageSourceType.LOCAL_CACHE,
        trusted_source=True,
        operator_faults=graph.faults or None if graph is not None else None,
        package_artefacts=[
            *(LocalFileArtefactSpecs(handle, place) for handle, place in places.items()),
            *(InlineFileSpecs(handle, text) for handle, text in texts.items() if handle not in places),
        ],
    )


def _read_bare_file(path: Path, kind: BackendType, options: DescribeOptions) -> PackageFolder:
    files = bare_files(path, kind)
    missing = next((file for file in files.values() if not file.is_file()), None)
    if missing is not None:
        raise ModelNotFoundError(f"'{path.name}' needs '{missing.name}' beside it, and there is none.")
    folder = PackageFolder(path.parent, files, ModelConfig(), inference=None, class_names=None)
    folder = _with_graph(folder, kind)
    hints = GraphHints() if folder.graph is None else read_exporter(folder.graph)
    architecture, task, names = _completed(path, hints, options, folder.graph)
    if options.input_size is not None:
        _refuse_other_size(options.input_size, folder.graph)
    return _of_bare_file(replace(folder, class_names=names), kind, (architecture, task), hints, options, {})


def _of_bare_file(
    folder: PackageFolder,
    kind: BackendType,
    model: tuple[str, str | None],
    hints: GraphHints,
    options: DescribeOptions,
    texts: Mapping[str, str],
) -> PackageFolder:
    """`folder` with what is known of the architecture and task of its one file, as a package would say it."""
    (architecture, task), names = model, folder.class_names
    about_input = InputHints(options.input_size or hints.input_size, hints.stride, only=kind is BackendType.TORCH)
    stated = {"model_architecture": architecture, "task_type": task, "backend_type": kind.value}
    config = {name: value for name, value in stated.items() if value is not None}
    named = {} if names is None else {class_names.FILE_NAME: format_class_names(names)}
    points = {} if hints.key_points is None else {key_point_names.FILE_NAME: format_key_point_names(hints.key_points)}
    return replace(
        folder,
        key_points=hints.key_points,
        hints=about_input,
        model=ModelConfig(
            model_architecture=architecture,
            task_type=task,
            backend_type=kind,
            model_features={FUSED: True} if hints.fused else None,
        ),
        texts={
            **texts,
            **points,
            **named,
            model_config.FILE_NAME: json.dumps(config, indent=2) + "\n",
            graph_facts.HINTS: msgspec.json.encode(about_input).decode(),
        },
    )


def _read_bare_weights(path: Path, options: DescribeOptions) -> PackageFolder:
    """A file of weights whose network the caller names, or its tensors do.

    Raises:
        InvalidParameterError: neither does.
    """
    try:
        hints = read_hints(read_checkpoint(path))
    except CorruptedModelPackageError:
        if options.architecture is None:
            raise _not_loaded(path) from None
        hints = GraphHints()  # PyTorch says better what is wrong with it
    if options.architecture is None and hints.architecture is None:
        raise _not_loaded(path)
    architecture, task, names = _completed(path, hints, options, None)
    size = {} if options.architecture is None else {MODEL_TYPE: json.dumps({"model_type": architecture})}
    folder = PackageFolder(path.parent, {_WEIGHTS: path}, ModelConfig(), inference=None, class_names=names)
    return _of_bare_file(folder, BackendType.TORCH, (architecture, task), hints, options, size)


def _not_loaded(path: Path) -> InvalidParameterError:
    suffixes = list(_FORMATS)
    return InvalidParameterError(
        f"'{path}' cannot be loaded.",
        needs=f"a folder with model_config.json, or a file {', '.join(suffixes[:-1])} or {suffixes[-1]}",
        found=f"a {path.suffix} file" if path.suffix else "a file without a suffix",
        fix=_what_helps(path),
    )


def _refuse_other_size(wanted: tuple[int, int], graph: GraphFacts | None) -> None:
    """Return unless the graph takes one size, and the caller wants another one.

    Raises:
        InvalidParameterError: it does.
    """
    shape = graph.inputs[0].shape if graph is not None and graph.inputs else None
    sides = [shape[2:4], shape[1:3]] if shape is not None and len(shape) == 4 else []
    if not sides or any(None in pair or pair == wanted for pair in sides):
        return
    height, width = sides[0] if shape is not None and shape[1] in {1, 3} else sides[1]
    raise InvalidParameterError(
        f"input_size={wanted} is not what the graph takes.",
        needs=f"{height} x {width}, the only size of this graph",
        found=f"{wanted[0]} x {wanted[1]}",
        fix="leave input_size out, or export the graph for another size",
    )


def _with_graph(folder: PackageFolder, kind: BackendType) -> PackageFolder:
    """`folder` with what its graph says, and with the files the graph points to.

    Whoever takes the digest of a package has to see those. Runtimes find them themselves, from the path of the graph.
    """
    graph = read_graph(kind, folder.files[FORMATS[kind].weights[0]])
    if not isinstance(graph, OnnxFile) or not graph.external:
        return replace(folder, graph=graph)
    taken = {handle.lower() for handle in (*folder.files, *_OWN_NAMES)}
    places = {place: graph.path.parent / place for place in graph.locations}
    pointed_to = {
        f"{_EXTERNAL}/{place}" if place.lower() in taken else place: path
        for place, path in places.items()
        if path not in folder.files.values()
    }
    return replace(folder, files={**folder.files, **pointed_to}, graph=graph)


def _described(model_id: str, folder: PackageFolder, *, source: str) -> ModelMetadata:
    config, graph = folder.model, folder.graph
    dynamic, static = config.dynamic_batch_size_supported, config.static_batch_size
    if dynamic is static is None and graph is not None and graph.inputs and graph.inputs[0].shape:
        static = graph.inputs[0].shape[0]
        dynamic = static is None
    stated = config.quantization or Quantization.UNKNOWN
    read = Quantization.UNKNOWN if graph is None else graph.quantization  # which is what runs
    opset = graph.opset if isinstance(graph, OnnxFile) else None
    package = ModelPackageMetadata(
        package_id=PACKAGE_ID,
        backend=BackendType.CUSTOM if config.backend_type is None or config.is_code_package else config.backend_type,
        package_artefacts=[
            *(LocalFileArtefactSpecs(handle, path) for handle, path in folder.files.items()),
            *(InlineFileSpecs(handle, text) for handle, text in folder.texts.items()),
        ],
        package_source=PackageSourceType.LOCAL_CACHE,
        quantization=read if read is Quantization.INT8 or stated is Quantization.UNKNOWN else stated,
        dynamic_batch_size_supported=dynamic,
        static_batch_size=static,
        onnx_package_details=None if opset is None else ONNXPackageDetails(opset),
        trusted_source=True,
        model_features=config.model_features,
        recommended_parameters=config.recommended_parameters,
        operator_faults=graph.faults or None if graph is not None else None,
    )
    return ModelMetadata(
        model_id=model_id,
        model_architecture=CODE_ARCHITECTURE if config.is_code_package else config.model_architecture or "",
        model_packages=[package],
        task_type=config.task_type,
        model_dependencies=config.model_dependencies,
        source=source,
    )


def _completed(
    path: Path, hints: GraphHints, options: DescribeOptions, graph: GraphFacts | None
) -> tuple[str, str | None, tuple[str, ...] | None]:
    """Architecture, task and class names, if any: what the caller says wins over what the file says."""
    architecture = options.architecture or hints.architecture
    if options.labels is not None:
        names: tuple[str, ...] | None = read_labels(options.labels)
    else:
        names = hints.class_names and check_class_names(hints.class_names, path.name)
    if architecture:  # whether its models need names, the family knows
        return architecture, options.task_type or hints.task_type, names
    raise _unknown(path, hints, graph, labels=names, by_caller=options.labels is not None, stated=options.task_type)


def _unknown(
    path: Path,
    hints: GraphHints,
    graph: GraphFacts | None,
    *,
    labels: tuple[str, ...] | None,
    by_caller: bool,
    stated: str | None,
) -> MissingModelInitParameterError:
    """The error for a file of which nobody says the architecture; `stated` is the task that the caller names."""
    shapes = [] if graph is None else [spec.shape for spec in graph.outputs]
    is_classifier = len(shapes) == 1 and len(shapes[0] or ()) == 2
    examples = dict(_EXAMPLES)
    if is_classifier:
        tasks = " or ".join(f'task_type="{task}"' for task in _CLASSIFIER_TASKS if stated not in _CLASSIFIER_TASKS)
        examples["model_type"] = 'model_type="resnet"' + (tasks and f" and {tasks}")
    missing = ["model_type"] if labels else ["labels", "model_type"]
    known = "labels" if labels else "nothing in its metadata"
    if not by_caller and hints.nameless is not None:
        known += f"; names of classes, and none for class {hints.nameless}"
    if graph is not None and hints.class_names:
        task = graph.metadata.get("task", "").strip().lower()
        known += f"; task {task!r}, outputs {', '.join(map(str, shapes))}"
    return MissingModelInitParameterError(
        f"'{path.name}' does not say everything about itself.",
        needs=" and ".join(missing),
        found=known,
        fix=f"pass {' and '.join(examples[name] for name in missing)}",
    )


RECORD = ProviderRecord(open=LocalProvider, offline=True, remembered=False)
