"""Imports of the public library's internals in the code of a package, and the public name that replaces each."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = "inference_models"
_DOORS = (_ROOT, f"{_ROOT}.developer_tools")
_IMPORT_FAILURES = frozenset({"BaseException", "Exception", "ImportError", "ModuleNotFoundError"})
_TASKS = "the name of the task as a text, for example 'object-detection'"
_REPLACEMENTS = {
    "AutoResolutionCache": "any class with register, retrieve and invalidate",
    "ContentAddressedArtifactCache": "any class with restore and schedule_store",
    "DEFAULT_DEVICE": "the argument `device` of from_pretrained",
    "DEFAULT_DEVICE_STR": "the argument `device` of from_pretrained",
    "INFERENCE_HOME": "the folder that from_pretrained gets",
    "ImageDimensions": "from inference_models.entities import ImageDimensions",
    "InferenceFuture": "what InstanceSegmentationModel.infer_async returns",
    "LOGGER": 'logging.getLogger("inference-models")',
    "MODEL_CONFIG_FILE_NAME": "'model_config.json'",
    "ModelAccessManager": "any class with the methods of it that you need",
    "OFFLINE_MODE": "from inference_models import OFFLINE_MODE",
    "OFFLINE_MODE_WARM_UP": "nothing: every model that was loaded once loads offline",
    "PreprocessedInputs": "typing.Any",
    "PreprocessingMetadata": "typing.Any",
    "RawPrediction": "typing.Any",
    "coco_rle_masks_to_numpy_mask": "InstancesRLEMasks.to_dense, from inference_models",
    "coco_rle_masks_to_torch_mask": "InstancesRLEMasks.to_dense, from inference_models",
    "import_class_from_file": "importlib.util.spec_from_file_location",
    "torch_mask_to_coco_rle": "InstancesRLEMasks.from_dense, from inference_models",
    "torchscript_global_lock": "a threading.Lock of your own",
    "verbose_debug": 'logging.getLogger("inference-models").debug',
    "verbose_info": 'logging.getLogger("inference-models").info',
}
"""Names of the public library 0.39.6 that have no public namesake here. The others are found at the two doors."""


def refuse_private_imports(source: str, name: str) -> None:
    """Return when every module of `inference_models` that the code in `source` imports exists here.

    What stands in a `try` that catches the failure of an import, or under `TYPE_CHECKING`, is not looked at.

    Raises:
        CorruptedModelPackageError: one does not; the text has a line with the replacement for every name.
    """
    try:
        imported = list(_imported(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):  # told when the code is run
        return
    absent = [(module, each) for module, each in dict.fromkeys(imported) if not _exists(module)]
    if absent:
        modules = dict.fromkeys(module for module, _ in absent)
        lines = (f"  {each or module}: {_replacement(module, each)}" for module, each in absent)
        raise CorruptedModelPackageError(
            f"{name} imports internals of another library of this name.",
            needs="imports from inference_models and inference_models.developer_tools only",
            found=", ".join(modules),
            fix="\n".join([f"replace in {name}:", *lines]),
        )


def _imported(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Module and name of every import of this library; no name: the module itself."""
    if isinstance(tree, ast.Import):
        yield from ((alias.name, None) for alias in tree.names if alias.name.split(".")[0] == _ROOT)
    elif isinstance(tree, ast.ImportFrom) and not tree.level and (tree.module or "").split(".")[0] == _ROOT:
        yield from ((str(tree.module), alias.name) for alias in tree.names)
    guarded = tree.body if _is_guarded(tree) else []  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(tree):
        if child not in guarded:
            yield from _imported(child)


def _is_guarded(tree: ast.AST) -> bool:
    if isinstance(tree, ast.If):
        return ast.unparse(tree.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
    if not isinstance(tree, ast.Try):
        return False
    kinds = [handler.type for handler in tree.handlers]
    caught = [each for kind in kinds for each in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
    return any(kind is None or ast.unparse(kind) in _IMPORT_FAILURES for kind in caught)


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # a module above it does not
        return False


def _replacement(module: str, name: str | None) -> str:
    if name is None:
        return f"import the names you use from {' or '.join(_DOORS)}"
    for door in _DOORS:
        if name in dir(importlib.import_module(door)):
            return f"from {door} import {name}"
    if name in _REPLACEMENTS:
        return _REPLACEMENTS[name]
    if module == f"{_ROOT}.configuration":
        return f'a constant of your own, or os.environ.get("{name}")'
    return _TASKS if name.endswith("_TASK") else "no public name; keep a copy of what you need in the package"
