"""The rarer options of `AutoModel.from_pretrained`, in one frozen value."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol

from inference_models.errors import (
    OTHER_NAMES,
    InvalidParameterError,
    MissingDependencyError,
    nearest_names,
    refuse_unknown_options,
)
from inference_models.record import Record, replace

if TYPE_CHECKING:
    from typing import Literal

    from inference_models.arrays import ArrayKind
    from inference_models.entities import BackendType

    SelectBy = Literal["auto", "order", "measured"]

NO_EFFECT = {
    "allow_vllm_proxy": "every model runs in this process",
    "content_addressed_artifact_cache": "the cache of this library itself keeps every file by its hash",
    "default_onnx_trt_options": "the TensorRT execution provider gets the options you name, and no others",
    "download_files_without_hash": "files without a hash are never fetched",
    "model_download_file_lock_acquire_timeout": "no lock is ever waited for",
    "verify_hash_while_download": "hashes are always verified",
}
"""Options of the public library that are accepted so that existing calls run, and why they change nothing."""
WORKS_OTHERWISE = {
    "allow_local_code_packages": "consent is the hash of the code; `True` is not enough",
    "model_access_manager": "asked `is_model_access_forbidden` and `retrieve_model_instance` before a model of a "
    "provider is loaded; told `on_model_access_forbidden`, `on_model_alias_discovered`, "
    "`on_model_package_access_granted` and `on_model_loaded`; its other methods are not called",
    "point_model_directory": "called with the folder of the package that was loaded, for models of a provider",
    "rf_detr_max_input_resolution": "holds for RF-DETR on every backend, and for code of packages that takes it",
    "trt_cuda_graph_cache": "handed to code of packages that takes it; no CUDA graphs are captured otherwise",
    "trt_engine_host_code_allowed": "off unless it is switched on",
}
"""Options of the public library that do something else here, or less, and what."""


OF_A_CALL = frozenset({"class_filter", "confidence", "image_size", "iou_threshold", "mask_format", "max_detections"})
"""Options that calls of most models take, and a load does not."""
MOST_THREADS = max(64, 4 * (os.cpu_count() or 1))
"""Upper limit of `threads`: runtimes start as many as given, and far more than there are processors hang the load."""


SWITCHES = (
    "allow_direct_local_storage_loading",
    "allow_fallback",
    "allow_loading_dependency_models",
    "allow_untrusted_packages",
    "force",
    "require_parity",
    "trt_engine_host_code_allowed",
    "use_auto_resolution_cache",
    "verbose",
)
"""Options that are True or False. A text such as "no" would count as True and switch a protection off."""


_ONE_OF = {
    "select": (("auto", "order", "measured"), "'auto', 'order' or 'measured'"),
    "arrays": ((None, "numpy", "torch"), "'numpy', 'torch' or None"),
}


class AutoResolutionCache(Protocol):
    """Where remembered choices are kept; pass an object of your own as `auto_resolution_cache=`.

    Entries are `AutoResolutionCacheEntry` of the developer tools.
    """

    def register(self, auto_negotiation_hash: str, cache_entry: Any) -> None:
        """Keep an entry; replaces the one that was there."""

    def retrieve(self, auto_negotiation_hash: str) -> Any:
        """The entry, or None."""

    def invalidate(self, auto_negotiation_hash: str) -> None:
        """Drop the entry, if there is one."""


class LoadOptions(Record, frozen=True, kw_only=True):
    """What `AutoModel.from_pretrained` takes besides its ten common arguments; each can also be passed by name."""

    labels: Sequence[str] | str | PathLike[str] | None = None
    """Class names of a bare file: a list, the path of a text file with one per line, "coco", "imagenet" or "voc"."""
    model_type: str | None = None
    """Architecture of a bare file, for example "yolov8"."""
    task_type: str | None = None
    """Task of a bare file, for example "object-detection"."""
    model_class: type | None = None
    """Base class of a task; a model of another task is refused before anything of it is fetched."""
    input_size: int | tuple[int, int] | None = None
    """Network size of a bare file whose graph takes any, in pixels or as (height, width); None: what it says, else that
    of its family."""
    arrays: ArrayKind | None = None
    """Kind of array predictions hold, "numpy" or "torch"; None: the kind the package computes in."""
    threads: int | None = None
    """Threads of one run on the CPU; None: all this process may use."""
    verbose: bool = False
    """Say on the log what was chosen, and why not the rest."""
    max_package_loading_attempts: int | None = None
    """Packages tried at most, best first; None: all that fit."""
    select: SelectBy = "auto"
    """"order": the declared order of runtimes; "measured": what is fastest here, measured now if that is not known
    yet; "auto": what an earlier measurement found, else the declared order."""
    allow_fallback: bool = False
    """Whether the CPU, or the next execution provider, may stand in for the device that was chosen."""
    require_parity: bool = False
    """Load only what a parity certificate on this machine vouches for."""
    nms_fusion_preferences: bool | Mapping[str, Any] | None = None
    """Also take exports that hold non-maximum suppression: True for the usual settings, or the settings wanted."""
    disabled_backends: Sequence[str | BackendType] | None = None
    """Backends left out where `backend` is not given."""
    force: bool = False
    """With `model_package_id`: load it even where the checks refuse it; the reasons are told as warnings."""
    required_capabilities: Sequence[str] | str | None = None
    """What the model must be able to do besides its task: "image_embeddings"."""
    trt_engine_host_code_allowed: bool = False
    """Whether a TensorRT engine may run the code for the host that it brings to work with newer versions."""
    allow_untrusted_packages: bool = False
    """Also take packages their provider does not vouch for."""
    allow_local_code_packages: bool | str = False
    """`sha256:...` of the code of a local package that may run; True is not enough, for it binds to nothing."""
    allow_direct_local_storage_loading: bool = True
    """Whether a path may be loaded at all; servers that take model ids from strangers say no."""
    use_auto_resolution_cache: bool = True
    """Whether to remember which package was loaded, and not to ask the provider again while that holds."""
    auto_resolution_cache: AutoResolutionCache | None = None
    """Where to remember it; None: in files of the cache folder."""
    allow_loading_dependency_models: bool = True
    """Whether models that the model needs may be loaded with it."""
    dependency_models_params: Mapping[str, Any] | None = None
    """Name of such a model -> `DependencyModelParameters`, or their fields as a mapping."""
    preloaded_model_dependencies: Mapping[str, Any] | None = None
    """Name of such a model -> `SuppliedDependency`, for models that are loaded already."""
    weights_provider_extra_query_params: Sequence[tuple[str, str]] | None = None
    """Sent along with every question to the provider."""
    weights_provider_extra_headers: Mapping[str, str] | None = None
    """Sent along with every question to the provider; never to the hosts of files."""
    model_access_manager: Any = None
    """Object with the methods of the public library's `ModelAccessManager` that `WORKS_OTHERWISE` names."""
    point_model_directory: Callable[[str], object] | None = None
    """Called with the folder of the package that was loaded; not for a path."""
    rf_detr_max_input_resolution: int | tuple[int, int] | None = None
    """Largest network input of an RF-DETR model, in pixels or as (height, width); a larger one is refused."""
    trt_cuda_graph_cache: Any = None
    """Handed to a package with code of its own that takes it; this library captures no CUDA graphs itself."""
    forwarded_kwargs: Sequence[str] | None = None
    """Names of options that such models get too; None: the caches of OWLv2."""

    def __post_init__(self) -> None:
        """Refuse values that make no sense, before anything is loaded."""
        for name, most in (("threads", MOST_THREADS), ("max_package_loading_attempts", None)):
            value = getattr(self, name)
            if value is not None and not (type(value) is int and 1 <= value <= (most or value)):
                raise InvalidParameterError(
                    f"{name}={value!r} makes no sense.",
                    needs=f"a whole number from 1 {f'to {most}' if most else 'on'}, or None",
                    found=repr(value),
                )
        if self.input_size is not None:
            _check_size(self.input_size)
        for name in SWITCHES:
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise InvalidParameterError(
                    f"{name}={value!r} makes no sense.", needs="True or False", found=repr(value)
                )
        if not isinstance(self.model_class, type | None):
            raise InvalidParameterError(
                f"model_class={self.model_class!r} makes no sense.",
                needs="a class such as ObjectDetectionModel, or None",
                found=repr(self.model_class),
            )
        for name, (choices, words) in _ONE_OF.items():
            value = getattr(self, name)
            if value not in choices:
                raise InvalidParameterError(f"{name}={value!r} makes no sense.", needs=words, found=repr(value))
        if self.arrays == "torch" and importlib.util.find_spec("torch") is None:
            raise MissingDependencyError(
                "predictions cannot be torch tensors.",
                needs="torch",
                found="not installed",
                fix="pip install torch",
            )


def _check_size(size: object) -> None:
    sides = size if isinstance(size, tuple) else (size, size)
    if not (len(sides) == 2 and all(type(side) is int and side > 0 for side in sides)):
        raise InvalidParameterError(
            f"input_size={size!r} makes no sense.", needs="pixels, such as 640, or (height, width)", found=repr(size)
        )


OPTION_NAMES = frozenset(LoadOptions.__struct_fields__)


def merge_options(options: LoadOptions | None, given: Mapping[str, Any]) -> tuple[LoadOptions, dict[str, Any]]:
    """`options` with those of `given` that it knows, and the rest of `given`; options without effect are dropped."""
    known = {name: value for name, value in given.items() if name in OPTION_NAMES}
    rest = {name: value for name, value in given.items() if name not in OPTION_NAMES and name not in NO_EFFECT}
    return LoadOptions(**known) if options is None else replace(options, **known), rest


def refuse_unknown_load_options(rest: Mapping[str, Any]) -> None:
    """Raise for an unknown option; only a package with code of its own takes further options.

    Raises:
        UnknownOptionError: names the nearest option.
    """
    common = {
        "api_key",
        "backend",
        "batch_size",
        "device",
        "model_id_or_path",
        "model_package_id",
        "onnx_execution_providers",
        "options",
        "quantization",
        "weights_provider",
    }
    known = OPTION_NAMES | NO_EFFECT.keys() | common
    unknown = (OTHER_NAMES.get(name, name) for name in rest if name not in known)
    fix = "pass it when you call the model: model(image, {}=...)" if next(unknown, None) in OF_A_CALL else None
    if fix is None and not any(OTHER_NAMES.get(name, name) in known or nearest_names(name, known) for name in rest):
        fix = "help(AutoModel.from_pretrained) tells of all"
    refuse_unknown_options(rest, known, where="AutoModel.from_pretrained", fix=fix)
