"""Which packages of ours lie in a folder or repository as Transformers writes it, and what is said of all of them.

Beside `config.json` lie weights (`model.safetensors`, whole or in shards) and, often, exports: `onnx/model.onnx` of
optimum and transformers.js, `openvino/openvino_model.xml` of optimum-intel.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from math import prod
from typing import TYPE_CHECKING

from inference_models.entities import BackendType, Quantization, SkippedPackage
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    ModelImplementationNotFoundError,
    UntrustedFileError,
)
from inference_models.files.regular import open_regular
from inference_models.package import class_names, inference_config, key_point_names
from inference_models.package.formats import FORMATS, HF_CONFIG
from inference_models.package.hf_config import (
    PREPARED_TASKS,
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
    VIDEO_CONFIG,
    inference_config_of,
    parse_hub_config,
)
from inference_models.package.key_point_names import COCO_PERSON, KeyPointNames
from inference_models.package.text_files import MAX_TEXT_BYTES, decode_text, parse_json_object
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from inference_models.entities import ModelPackageMetadata
    from inference_models.package.hf_config import HubConfig

PICKLE = "pytorch_model.bin"
WEIGHTS = FORMATS[BackendType.ONNX].weights[0]
_ONNX_FOLDERS = ("", "onnx")
_VARIANTS = {
    "": Quantization.FP32,
    "bf16": Quantization.BF16,
    "fp16": Quantization.FP16,
    "fp32": Quantization.FP32,
    "int8": Quantization.INT8,
    "quantized": Quantization.INT8,
    "uint8": Quantization.INT8,
}
"""End of a file name after `model_`, as optimum and transformers.js name their exports; others are mixtures."""
_DTYPES = {"BF16": Quantization.BF16, "F16": Quantization.FP16, "F32": Quantization.FP32, "I8": Quantization.INT8}
_PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
_DATA_MARKS = (".onnx_data", ".onnx.data")
"""In the names of external data that most exporters write; the graph has what stands before."""
_SHARD = re.compile(r"^(?P<stem>.+)-\d{5}-of-\d{5}\.safetensors$")


class HubPackage(Record, frozen=True):
    """Files that can be run together."""

    package_id: str
    backend: BackendType
    quantization: Quantization
    files: Mapping[str, str]
    """Paths by the name they get in the package folder."""


def find_packages(
    paths: Collection[str], dtypes: Mapping[str, int], config: HubConfig, *, pickles: bool = False
) -> list[HubPackage]:
    """ONNX exports and safetensors, each with the files it needs and an id that differs on every file system.

    Args:
        paths: of the files, with forward slashes.
        dtypes: number of parameters per safetensors dtype, as the Hub counts them.
        config: What `config.json` says.
        pickles: Whether to take `pytorch_model.bin` where there are no safetensors.
    """
    packages: dict[str, HubPackage] = {}
    graphs = _sets_of_graphs(paths, config.graphs) if config.graphs else _onnx_packages(paths)
    openvino = () if config.graphs else _openvino_packages(paths)
    found = [*graphs, *openvino, *_safetensors_packages(paths, dtypes)]
    if pickles and PICKLE in paths and not any(package.backend is BackendType.HF for package in found):
        found.append(HubPackage("pickle", BackendType.HF, Quantization.UNKNOWN, {PICKLE: PICKLE}))
    companions = {name: name for name in config.companions if name in paths}
    for package in found:
        name = package.package_id
        if name.lower() in packages:
            name += hashlib.sha256(next(iter(package.files.values())).encode()).hexdigest()[:8]
        packages[name.lower()] = replace(package, package_id=name, files={**package.files, **companions})
    return list(packages.values())


def make_packages(
    found: Iterable[HubPackage], make: Callable[[HubPackage], ModelPackageMetadata]
) -> tuple[list[ModelPackageMetadata], list[SkippedPackage], BaseInferenceModelsError | None]:
    """What `make` makes of those it can, the others with the reason, and the first of these reasons."""
    packages, skipped, first = [], [], None
    for each in found:
        try:
            packages.append(make(each))
        except (ModelImplementationNotFoundError, CorruptedModelPackageError, UntrustedFileError) as exc:
            first = first or exc
            skipped.append(SkippedPackage(each.package_id, " ".join(str(exc).split("\n")[:2])))
    return packages, skipped, first


def skipped_files(paths: Collection[str], config: HubConfig) -> list[SkippedPackage]:
    """Weights that are left out, each with the reason."""
    sets = _sets_of_graphs(paths, config.graphs)
    used = {path for each in sets for path in each.files.values()} if config.graphs else set(_whole_graphs(paths))
    parts = [path for path in sorted(paths) if path.endswith(".onnx") and path not in used]
    reason = "one graph of a model of several; no program here runs them"
    pickle = "a pickle, which can run code when it is opened; it is never opened"
    return [
        *(SkippedPackage(path, reason) for path in parts),
        *(SkippedPackage(path, pickle) for path in sorted(paths) if path.endswith(_PICKLES)),
    ]


def _whole_graphs(paths: Collection[str]) -> list[str]:
    graphs = [path for path in sorted(paths) if path.endswith(".onnx")]
    whole = []
    for path in graphs:
        folder, _, name = path.rpartition("/")
        named_so = name == "model.onnx" or name.startswith("model_")
        if folder in _ONNX_FOLDERS and (named_so or len(graphs) == 1):
            whole.append(path)
    return whole


def _onnx_packages(paths: Collection[str]) -> Iterator[HubPackage]:
    for path in _whole_graphs(paths):
        stem = path.rpartition("/")[2].removesuffix(".onnx")
        named, _, variant = stem.partition("_") if stem.startswith("model") else stem.rpartition("_")
        yield HubPackage(
            package_id="onnx" + _plain(variant or "fp32" if named == "model" else stem),
            backend=BackendType.ONNX,
            quantization=_VARIANTS.get(variant if named else "unknown", Quantization.UNKNOWN),
            files={WEIGHTS: path, **_data_beside(path, paths)},
        )


def _data_beside(path: str, paths: Collection[str]) -> dict[str, str]:
    """The files with the data of a graph, which itself names them, so that they keep their names beside it."""
    starts = tuple(path.removesuffix(".onnx") + mark for mark in _DATA_MARKS)
    return {other.rpartition("/")[2]: other for other in sorted(paths) if other.startswith(starts)}


def _sets_of_graphs(paths: Collection[str], names: Sequence[str]) -> list[HubPackage]:
    """Exports whose graphs are called `names`, of which all must be there, with the same end and in the same folder."""
    sets = []
    for path in sorted(paths):
        folder, slash, file = path.rpartition("/")
        if folder in _ONNX_FOLDERS and file.endswith(".onnx") and names and file.startswith(names[0]):
            end = file[len(names[0]) :]
            graphs = [f"{folder}{slash}{name}{end}" for name in names]
            variant = end.removesuffix(".onnx").removeprefix("_")
            if all(graph in paths for graph in graphs):
                sets.append(
                    HubPackage(
                        package_id="onnx" + _plain(variant or "fp32"),
                        backend=BackendType.ONNX,
                        quantization=_VARIANTS.get(variant, Quantization.UNKNOWN),
                        files={graph.rpartition("/")[2]: graph for graph in graphs}
                        | {name: data for graph in graphs for name, data in _data_beside(graph, paths).items()},
                    )
                )
    return sets


def _openvino_packages(paths: Collection[str]) -> Iterator[HubPackage]:
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        data = path.removesuffix(".xml") + ".bin"
        if folder in {"", "openvino"} and name.startswith("openvino_model") and name.endswith(".xml") and data in paths:
            variant = name[len("openvino_model") : -len(".xml")].strip("_")
            yield HubPackage(
                package_id="openvino" + _plain(variant or "fp32"),
                backend=BackendType.OPENVINO,
                quantization=Quantization.UNKNOWN if variant else Quantization.FP32,
                files=dict(zip(FORMATS[BackendType.OPENVINO].weights, (path, data), strict=True)),
            )


def _safetensors_packages(paths: Collection[str], dtypes: Mapping[str, int]) -> Iterator[HubPackage]:
    sets: dict[str, dict[str, str]] = {}
    for path in sorted(paths):
        if "/" in path or not path.endswith((".safetensors", ".safetensors.index.json")):
            continue
        shard = _SHARD.match(path)
        stem = shard["stem"] if shard else path.removesuffix(".index.json").removesuffix(".safetensors")
        if stem.startswith("model"):
            # The backend knows one name; shards keep theirs, which the index names.
            handle = path if shard else path.replace(stem, "model", 1)
            sets.setdefault(stem, {})[handle] = path
    most = max(dtypes, key=lambda name: dtypes[name], default="")
    for stem, parts in sets.items():
        yield HubPackage(
            package_id="safetensors" + _plain(stem.removeprefix("model")),
            backend=BackendType.HF,
            # The Hub counts the parameters of the main file only.
            quantization=_DTYPES.get(most, Quantization.UNKNOWN) if stem == "model" else Quantization.UNKNOWN,
            files=parts,
        )


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name)[:64]


def safetensors_header(path: Path) -> dict[str, object]:
    """What a safetensors file says of its tensors, each there once. Names of real networks take well under 1 MB.

    Raises:
        CorruptedModelPackageError: the file cannot be read, or its header is longer than it or 8 MB, or no JSON object.
    """
    try:
        with os.fdopen(open_regular(path, follow=True), "rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = stream.read(min(size, MAX_TEXT_BYTES))
        found = f"a header of {size} bytes" if len(header) < size else None
    except OSError as exc:
        found = exc.strerror or str(exc)
    if found is not None:
        raise CorruptedModelPackageError(
            f"{path.name} cannot be read.",
            needs=f"a safetensors file with a header of at most {MAX_TEXT_BYTES} bytes",
            found=found,
            fix="fetch the package again",
        )
    return parse_json_object(decode_text(header, where=path.name), where=path.name)


def dtypes_of(files: Mapping[str, Path]) -> dict[str, int]:
    """Number of parameters per dtype in the header of `model.safetensors`; none where there is no such file."""
    path = files.get("model.safetensors")
    if path is None:
        return {}
    counts: dict[str, int] = {}
    for entry in safetensors_header(path).values():
        if isinstance(entry, dict) and isinstance(entry.get("dtype"), str) and isinstance(entry.get("shape"), list):
            sides = [side for side in entry["shape"] if isinstance(side, int)]
            counts[entry["dtype"]] = counts.get(entry["dtype"], 0) + prod(sides)
    return counts


def texts_of(
    package: HubPackage, config: HubConfig, read: Callable[[str], str | None], *, label: str
) -> dict[str, str]:
    """The small files that make a package of ours of `package`, by handle.

    Args:
        package: One of `find_packages`.
        config: What `config.json` says.
        read: The text of a file beside it by name; None: there is none.
        label: Of the folder or repository, in error texts.

    Raises:
        CorruptedModelPackageError: nothing says how images are prepared.
        ModelImplementationNotFoundError: they are prepared as our pre-processing does not do it.
    """
    texts = {}
    if config.class_names is not None:
        texts[class_names.FILE_NAME] = class_names.format_class_names(config.class_names)
    if config.key_points:
        lines = COCO_PERSON.skeletons[0] if len(config.key_points) == len(COCO_PERSON.classes[0]) else ()
        names = KeyPointNames.of_one(config.key_points, lines)
        texts[key_point_names.FILE_NAME] = key_point_names.format_key_point_names(names)
    if package.backend is BackendType.HF:
        texts[HF_CONFIG] = read(HF_CONFIG) or ""
    stated = _processor_of(read)
    if config.must_prepare or (config.task_type in PREPARED_TASKS and stated is not None):
        if stated is None and config.timm is None:
            raise CorruptedModelPackageError(
                f"{label} does not say how images are prepared.", needs=PREPROCESSOR_CONFIG, found="no such file"
            )
        texts[inference_config.FILE_NAME] = json.dumps(inference_config_of(config, stated), indent=2) + "\n"
    return texts


def preparation_of(read: Callable[[str], str | None]) -> str | None:
    """The `inference_config.json` of a package of ours that Transformers wrote; None: its family says it.

    Raises:
        CorruptedModelPackageError: a file is none of Transformers.
        ModelImplementationNotFoundError: images are prepared as our pre-processing does not do it.
    """
    config, stated = parse_hub_config(read(HF_CONFIG) or ""), _processor_of(read)
    if config.task_type not in PREPARED_TASKS or stated is None:
        return None
    return json.dumps(inference_config_of(config, stated))


def _processor_of(read: Callable[[str], str | None]) -> str | None:
    """What the image processor is; None: no file says it."""
    stated, whole = read(PREPROCESSOR_CONFIG) or read(VIDEO_CONFIG), read(PROCESSOR_CONFIG)
    if stated is not None or whole is None:
        return stated
    inside = parse_json_object(whole, where=PROCESSOR_CONFIG).get("image_processor")
    return json.dumps(inside) if isinstance(inside, dict) else None
