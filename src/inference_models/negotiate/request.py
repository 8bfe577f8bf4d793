"""The package request: which packages and runtimes a caller takes, parsed from the arguments of a load."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from inference_models import config
from inference_models.backends import known_devices, known_runtimes
from inference_models.entities import BackendType, Quantization
from inference_models.errors import (
    BaseInferenceModelsError,
    InvalidParameterError,
    InvalidRequestedBatchSizeError,
    UnknownBackendTypeError,
    UnknownQuantizationError,
    nearest_hint,
    nearest_names,
)
from inference_models.negotiate.nms_fusion import NmsPreferences, parse_nms_fusion
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from inference_models.options import LoadOptions

Kind = TypeVar("Kind", BackendType, Quantization)
IMAGE_EMBEDDINGS = "image_embeddings"
"""What goes into the last layer of a classifier."""
CAPABILITIES = (IMAGE_EMBEDDINGS,)
"""What `required_capabilities` may name."""


class PackageRequest(Record, frozen=True):
    """Which packages and runtimes a caller takes; None: any. Its `repr`, the same in every process, is remembered."""

    package_id: str | None = None
    backends: frozenset[BackendType] | None = None
    quantizations: frozenset[Quantization] | None = None
    batch_size: tuple[int, int] | None = None
    """(smallest, largest)."""
    device: str | None = None
    allow_untrusted: bool = False
    disabled_backends: tuple[BackendType, ...] = ()
    """Sorted; nothing where `backends` is given."""
    execution_providers: tuple[str, ...] | None = None
    """Of ONNX Runtime, by name, in order; all of them are needed."""
    preferred_providers: tuple[str, ...] | None = None
    """Of ONNX Runtime, in order, for callers who name neither providers nor a device; one of them is enough."""
    nms_fusion: bool | NmsPreferences | None = None
    """Exports that hold non-maximum suppression: none, those with the usual settings, or those with these settings."""
    required_capabilities: tuple[str, ...] = ()
    """Sorted."""
    allow_engine_host_code: bool = False
    """Whether code for the host inside a TensorRT engine may run."""
    allow_fallback: bool = False
    """Whether the CPU may stand in for the device, so that its absence is no reason to refuse."""
    code_consent: bool = False
    """Whether the caller consents to code of a package; to which, only a load compares."""
    force: bool = False
    """Open the package that `package_id` names even where checks refuse it that can be overridden."""

    def describe(self) -> str:
        """One line for error texts and reports."""
        parts = [
            "package " + self.package_id if self.package_id else _listed(self.backends, "backend"),
            _listed(self.quantizations, "quantization"),
            f"device={self.device or 'auto'}",
        ]
        if self.disabled_backends:
            parts.append("without " + " and ".join(kind.value for kind in self.disabled_backends))
        if self.batch_size is not None:
            low, high = self.batch_size
            parts.append(f"batch {low}" if low == high else f"batch {low}..{high}")
        if self.execution_providers is not None:
            parts.append("with " + " and ".join(self.execution_providers))
        parts += self.required_capabilities
        return ", ".join(parts)


ANY_PACKAGE = PackageRequest()


def build_request(
    options: LoadOptions,
    *,
    model_package_id: str | None = None,
    backend: object = None,
    batch_size: object = None,
    quantization: object = None,
    device: object = None,
    onnx_execution_providers: object = None,
) -> PackageRequest:
    """The request in the arguments of `AutoModel.from_pretrained` and in the environment variables.

    Raises:
        UnknownBackendTypeError: a name is no backend.
        UnknownQuantizationError: a name is no quantization.
        InvalidRequestedBatchSizeError: `batch_size` is no batch size.
        InvalidParameterError: another value makes no sense.
    """
    if options.force and model_package_id is None:
        raise InvalidParameterError(
            "force=True makes no sense here.",
            needs="model_package_id, the package to load in spite of what the checks say",
            found="no package named",
        )
    given: dict[str, tuple[Callable[[object], Any], object]] = {
        "backends": (parse_backends, backend),
        "batch_size": (parse_batch_size, batch_size),
        "device": (parse_device, device if device is not None else config.default_device()),
        "disabled_backends": (_parse_disabled, options.disabled_backends if backend is None else None),
        "execution_providers": (_provider_names, onnx_execution_providers),
        "nms_fusion": (parse_nms_fusion, options.nms_fusion_preferences),
        "quantizations": (parse_quantizations, quantization),
        "required_capabilities": (parse_capabilities, options.required_capabilities),
    }
    return PackageRequest(
        package_id=model_package_id,
        **{name: parse(value) for name, (parse, value) in given.items() if value is not None},
        allow_untrusted=options.allow_untrusted_packages,
        preferred_providers=config.requested_execution_providers(),
        allow_engine_host_code=options.trt_engine_host_code_allowed,
        allow_fallback=options.allow_fallback,
        code_consent=isinstance(options.allow_local_code_packages, str),
        force=options.force,
    )


ARGUMENTS = {
    "allow_engine_host_code": "trt_engine_host_code_allowed",
    "allow_untrusted": "allow_untrusted_packages",
    "backends": "backend",
    "batch_size": "batch_size",
    "device": "device",
    "execution_providers": "onnx_execution_providers",
    "nms_fusion": "nms_fusion_preferences",
    "package_id": "model_package_id",
    "quantizations": "quantization",
}
"""Field of `PackageRequest` to the argument of `AutoModel.from_pretrained` that sets it."""


@lru_cache(maxsize=256)  # the same argument helps package after package
def as_arguments(change: tuple[tuple[str, Any], ...]) -> str:
    """Fields of a request, with their values, as a caller writes them: `device="cpu", quantization="fp16"`."""
    return ", ".join(f"{ARGUMENTS[name]}={_literal(value)}" for name, value in change)


def parse_backends(value: object) -> frozenset[BackendType] | None:
    """`backend=` as a set: a name, a `BackendType`, or several of them."""
    return None if value is None else _parse_kinds("backend", value, known_runtimes(), UnknownBackendTypeError)


def parse_quantizations(value: object) -> frozenset[Quantization] | None:
    """`quantization=` as a set: a name, a `Quantization`, or several of them."""
    return None if value is None else _parse_kinds("quantization", value, Quantization, UnknownQuantizationError)


def _parse_kinds(
    argument: str, value: object, kinds: Iterable[Kind], error: type[BaseInferenceModelsError]
) -> frozenset[Kind]:
    known = {kind.value: kind for kind in kinds}
    found = set()
    for item in _several(value):
        name = str(getattr(item, "value", item)).lower()
        if name not in known:
            near = nearest_names(name, known, limit=1)
            fix = f'pass {argument}="{near[0]}"' if near else f"leave {argument} out"
            raise error(f"{item!r} is no {argument}; {nearest_hint(name, known)}.", fix=fix)
        found.add(known[name])
    if found:
        return frozenset(found)
    raise InvalidParameterError(
        f"{argument}={value!r} leaves nothing to choose from.",
        needs="at least one name, or None for any",
        found=repr(value),
        fix=f"leave {argument} out",
    )


def parse_batch_size(value: object) -> tuple[int, int] | None:
    """`batch_size=` as (smallest, largest): a number or such a pair."""
    if value is None:
        return None
    pair = (value, value) if isinstance(value, int) else value
    if (
        isinstance(pair, tuple)
        and len(pair) == 2
        and all(isinstance(item, int) and not isinstance(item, bool) for item in pair)
        and 0 < pair[0] <= pair[1]
    ):
        return pair[0], pair[1]
    raise InvalidRequestedBatchSizeError(
        f"batch_size={value!r} makes no sense.",
        needs="a positive whole number, or (smallest, largest)",
        found=repr(value),
    )


_ONE_OF_A_KIND = frozenset({"coreml", "cpu", "mps", "npu"})
"""Devices without a number, though PyTorch writes `cpu:0` and `mps:0`."""


def parse_device(value: object) -> str | None:
    """`device=` as a name such as `cpu` or `cuda:0`; torch devices are taken by their text."""
    if value is None:
        return None
    text = str(value).strip().lower()
    kind, colon, index = text.partition(":")
    if text == "auto":
        return None
    kinds, is_numbered = known_devices(), kind not in _ONE_OF_A_KIND
    if kind in kinds and (not colon or (index.isdecimal() and (is_numbered or int(index) == 0))):
        return text if is_numbered else kind
    raise InvalidParameterError(
        f"device={value!r} makes no sense.",
        needs=f"'auto', {', '.join(map(repr, kinds))}, or with a number such as 'cuda:1'",
        found=repr(value),
        fix=f'pass device="cuda:{text}"' if text.isdecimal() else "leave device out: the best there is is taken",
    )


def parse_execution_providers(value: object) -> tuple[Any, ...] | None:
    """`onnx_execution_providers=` as names or (name, options) pairs."""
    if value is None:
        return None
    if isinstance(value, list | tuple) and value and all(_is_provider(item) for item in value):
        return tuple(value)
    raise InvalidParameterError(
        f"onnx_execution_providers={value!r} makes no sense.",
        needs="a list of names, or of (name, options) pairs",
        found=repr(value),
        fix=f'pass onnx_execution_providers=["{value if isinstance(value, str) else "CPUExecutionProvider"}"]',
    )


def _provider_names(value: object) -> tuple[str, ...]:
    """The names of execution providers, whose options are not a matter of choosing a package."""
    return tuple(item if isinstance(item, str) else item[0] for item in parse_execution_providers(value) or ())


def _parse_disabled(value: object) -> tuple[BackendType, ...]:
    return tuple(sorted(parse_backends(value) or (), key=lambda kind: kind.value)) if value else ()


def parse_capabilities(value: object) -> tuple[str, ...]:
    """`required_capabilities=` as names, sorted, each once."""
    if value is None:
        return ()
    names = list(_several(value))
    for name in names:
        if name not in CAPABILITIES:
            raise InvalidParameterError(
                f"{name!r} is no capability; {nearest_hint(str(name), CAPABILITIES)}.",
                needs=" or ".join(repr(known) for known in CAPABILITIES),
                found=repr(name),
            )
    return tuple(sorted({str(name) for name in names}))


def _is_provider(item: object) -> bool:
    if isinstance(item, str):
        return True
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], dict)


def _several(value: object) -> Iterable[object]:
    return value if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _listed(kinds: Iterable[BackendType] | Iterable[Quantization] | None, what: str) -> str:
    if kinds is None:
        return f"any {what}"
    return f"{what} " + " or ".join(sorted(kind.value for kind in kinds))


def _literal(value: Any) -> str:
    if isinstance(value, NmsPreferences):
        return "{" + ", ".join(f"{json.dumps(name)}: {setting}" for name, setting in value.as_argument().items()) + "}"
    if isinstance(value, frozenset):
        names = sorted(kind.value for kind in value)
        return json.dumps(names[0] if len(names) == 1 else names)
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(item, int) for item in value):
        return str(value[0]) if value[0] == value[1] else repr(value)
    return repr(value) if isinstance(value, bool) else json.dumps(value)
