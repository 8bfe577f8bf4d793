"""Every error this library raises on purpose.

The text of an error has three parts: what failed, with the caller's own values; `needs ...; found: ...`;
one thing to do. The parts stay on the object as `summary`, `needs`, `found` and `fix`. What is never raised here exists
so that code which catches it can be imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_models.record import Record
from inference_models.text import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference_models.entities import BackendType


class Rejection(Record, frozen=True):
    """Why one package cannot run here."""

    package_id: str
    check: str
    """Name of the check that refused."""
    needs: str
    found: str
    fix: str | None = None
    """One command or argument that would help; None when nothing would."""
    runtime: BackendType | None = None
    """The runtime that would have opened it; None: the one the package is made for."""


class BaseInferenceModelsError(Exception):
    """Root of all errors of this library."""

    def __init__(
        self,
        message: object,
        help_url: str | None = None,
        *,
        needs: str | None = None,
        found: str | None = None,
        fix: str | None = None,
    ) -> None:
        self._message = without_secrets(message) if isinstance(message, str) else message
        self.help_url = help_url
        self.needs, self.found, self.fix = (
            without_secrets(text) if isinstance(text, str) else text for text in (needs, found, fix)
        )
        super().__init__(self._message)

    @property
    def summary(self) -> str:
        """What failed, in one sentence."""
        return str(self._message)

    def __str__(self) -> str:
        lines = [self.summary]
        if self.needs is not None:
            lines.append(f"needs {self.needs}; found: {self.found}")
        if self.fix is not None:
            lines.append(self.fix)
        if self.help_url is not None:
            lines.append(f"see {self.help_url}")
        return "\n".join(lines)


class AssumptionError(BaseInferenceModelsError, AssertionError):
    """Something this library takes for granted is not so: a mistake of ours, or of a plug-in."""


class ModelInputError(BaseInferenceModelsError, ValueError):
    """An image, or another input of a call, cannot be used. The model is not affected."""

    index: int | None = None
    """Position, counted from 0, of the image in the caller's list; None when it is not about one image."""


class InvalidParameterError(BaseInferenceModelsError, ValueError):
    """An argument has a value that makes no sense."""


class PreloadedDependencyMismatchError(InvalidParameterError):
    """A model was handed in for a dependency and is not the one the metadata names."""


class UnknownOptionError(InvalidParameterError, TypeError):
    """An argument has a name that nothing here knows; the nearest known name is in the text."""

    option: str = ""
    """The name."""


class InvalidEnvVariable(BaseInferenceModelsError, ValueError):  # noqa: N818 - the public name
    """An environment variable holds a text that cannot be read as what it should be."""


class MissingDependencyError(BaseInferenceModelsError, ImportError):
    """An optional package is needed and not installed."""


class EnvironmentConfigurationError(BaseInferenceModelsError, RuntimeError):
    """The machine is not set up for what was asked, for example no execution provider for a device."""


class MissingParityCertificateError(EnvironmentConfigurationError):
    """With `require_parity=True`: no certificate of this machine vouches for the package as it would be opened."""


class ModelConversionError(BaseInferenceModelsError, RuntimeError):
    """A model could not be written in another format, or what was written does not answer as it does."""


class ModelRuntimeError(BaseInferenceModelsError, RuntimeError):
    """The runtime failed while it ran the graph."""


class RetryError(BaseInferenceModelsError):
    """A source did not answer now, after every try that was allowed, and may answer later."""

    def __init__(
        self, message: str, help_url: str | None = None, *, retry_after: float | None = None, **facts: str | None
    ) -> None:
        super().__init__(message, help_url, **facts)
        self.retry_after = retry_after
        """Seconds the source asks to wait; None: it did not say."""


class RangeRequestNotSupportedError(BaseInferenceModelsError):
    """A source was asked for a part of a file and did not hand over that part."""


class UntrustedFileError(BaseInferenceModelsError, ValueError):
    """A file is announced without a hash, so nothing could tell whether it arrived unchanged."""


class ModelRetrievalError(BaseInferenceModelsError):
    """A provider could not say which packages exist, or could not hand over their bytes."""

    status_code: int | None = None
    """HTTP status of the answer that caused it; None when there was none."""


class ModelNotFoundError(ModelRetrievalError, LookupError):
    """The provider knows no model of that name."""


class UnauthorizedModelAccessError(ModelRetrievalError):
    """The source wants an API key, or does not know the one it got."""

    status_code = 401


class PaymentRequiredModelAccessError(ModelRetrievalError):
    """The source wants to be paid before it hands this model over."""

    status_code = 402


class ForbiddenModelAccessError(ModelRetrievalError):
    """The source knows who asks and does not hand this model to them."""

    status_code = 403


class UsagePausedModelAccessError(ModelRetrievalError):
    """The source has paused the use of this account."""

    status_code = 423


class ModelMetadataConsistencyError(ModelRetrievalError, ValueError):
    """The description of a package contradicts itself. Never raised here."""


class ModelMetadataHandlerNotImplementedError(ModelRetrievalError):
    """The description of a package is of a kind this release does not know. Never raised here."""


class FileHashSumMissmatch(ModelRetrievalError, ValueError):  # noqa: N818 - the public name
    """The bytes that arrived are not the ones that were announced; they were thrown away."""


class ModelPackageNegotiationError(BaseInferenceModelsError):
    """No package could be chosen."""


class UnknownBackendTypeError(ModelPackageNegotiationError, ValueError):
    """`backend=` names something that is not a backend."""


class UnknownQuantizationError(ModelPackageNegotiationError, ValueError):
    """`quantization=` names something that is not a quantization."""


class InvalidRequestedBatchSizeError(ModelPackageNegotiationError, ValueError):
    """`batch_size=` is no batch size."""


class AmbiguousModelPackageResolutionError(ModelPackageNegotiationError):
    """Two packages of a model have the id that was asked for."""


class RuntimeIntrospectionError(ModelPackageNegotiationError, RuntimeError):
    """A fact about this machine could not be read. Raised as `JetsonTypeResolutionError`."""


class JetsonTypeResolutionError(RuntimeIntrospectionError):
    """`JETSON_MODULE` names no known Jetson module."""


class NoModelPackagesAvailableError(ModelPackageNegotiationError):
    """There is no package to choose from."""


class NoCompatiblePackageError(NoModelPackagesAvailableError):
    """Packages exist and none of them can run here. `rejections` holds every reason as data.

    `message` may be the outcome of a negotiation itself: its text is then made when the error is printed.
    """

    def __init__(self, message: object, *, rejections: Sequence[Rejection] = ()) -> None:
        self.rejections = tuple(rejections)
        super().__init__(message)


class ModelLoadingError(BaseInferenceModelsError):
    """A package was chosen and could not be loaded."""


class CorruptedModelPackageError(ModelLoadingError, ValueError):
    """A file of the package is missing, damaged, or contradicts another one."""


class ModelImplementationNotFoundError(ModelLoadingError, LookupError):
    """No family of this library, or of an installed plug-in, handles the architecture and task."""


class ModelPackageAlternativesExhaustedError(ModelLoadingError):
    """Every package that fits was tried and none could be loaded."""

    def __init__(
        self,
        message: str,
        help_url: str | None = None,
        *,
        alternatives_errors: Sequence[Exception] = (),
        **facts: str | None,
    ) -> None:
        super().__init__(message, help_url, **facts)
        self.alternatives_errors = list(alternatives_errors)
        """One error per package, in the order they were tried."""


class ModelPackageRestrictedError(ModelLoadingError):
    """The package asks for more than a limit of the caller allows, for example a larger network input."""


class QuantizationNotRequestedError(ModelLoadingError):
    """The weights turned out to be quantised, which nobody had said and the caller did not ask for."""


class MissingModelInitParameterError(ModelLoadingError, TypeError):
    """A bare file lacks its architecture, task or class names, and the caller gave none."""


class InvalidModelInitParameterError(ModelLoadingError, ValueError):
    """A parameter of a model class has a value it cannot use. Never raised here."""


class InsecureModelIdentifierError(ModelLoadingError, ValueError):
    """An id holds characters that could lead out of the cache folder. Never raised here."""


class DependencyModelParametersValidationError(ModelLoadingError, ValueError):
    """The parameters for a model that another one needs, or for a step of a pipeline, cannot be used."""


class ModelPipelineInitializationError(ModelLoadingError):
    """A pipeline lacks a model, and has no default for it."""


class ModelPipelineNotFound(ModelPipelineInitializationError, LookupError):  # noqa: N818 - the public name
    """There is no pipeline of that name."""


class ForbiddenLocalCodePackageAccessError(ModelLoadingError, PermissionError):
    """The package brings code, and this code was not allowed to run."""


class DirectLocalStorageAccessError(ModelLoadingError, PermissionError):
    """A path was given while `allow_direct_local_storage_loading=False`."""


def nearest_names(name: str, known: Iterable[str], *, limit: int = 2) -> list[str]:
    """The known names most like `name`, best first, at most `limit` of them."""
    import difflib  # noqa: PLC0415 - only needed where a name is wrong

    by_folded = {candidate.casefold(): candidate for candidate in sorted(known)}
    meant = OTHER_VALUES.get(name.casefold())
    if meant in by_folded:
        return [by_folded[meant]]
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=limit, cutoff=0.6)
    return [by_folded[match] for match in matches]


def nearest_hint(name: str, known: Iterable[str], *, limit: int = 2) -> str:
    """`nearest: 'a', 'b'`, or `known: ...` when nothing is near."""
    known = sorted(known)
    near = nearest_names(name, known, limit=limit)
    if near:
        return "nearest: " + ", ".join(repr(item) for item in near)
    return "known: " + (", ".join(repr(item) for item in known) or "none")


OTHER_NAMES = {
    "agnostic_nms": "class_agnostic_nms",
    "arch": "model_type",
    "architecture": "model_type",
    "class_names": "labels",
    "classes": "class_filter",
    "conf": "confidence",
    "conf_thres": "confidence",
    "execution_providers": "onnx_execution_providers",
    "family": "model_type",
    "img_size": "image_size",
    "imgsz": "image_size",
    "iou": "iou_threshold",
    "iou_thres": "iou_threshold",
    "max_det": "max_detections",
    "min_confidence": "confidence",
    "names": "labels",
    "nms_threshold": "iou_threshold",
    "provider": "weights_provider",
    "providers": "onnx_execution_providers",
    "score_threshold": "confidence",
    "task": "task_type",
    "threshold": "confidence",
}
"""Name of an option in other libraries -> the option here."""

_AT_THE_LOAD = frozenset({"backend", "device", "quantization", "threads"})
_DEVICE = 'load it for a device: AutoModel.from_pretrained(..., device="cuda")'
_OTHER_ATTRIBUTES = {
    "boxes": "boxes are .xyxy",
    "class_ids": "it is called .class_id",
    "cls": "it is called .class_id",
    "conf": "it is called .confidence",
    "cpu": _DEVICE,
    "cuda": _DEVICE,
    "eval": "leave it out: models only answer",
    "names": "they are called .class_names",
    "plot": "model.draw(image, prediction) draws it",
    "predict": "call the model itself: model(images)",
    "probs": "it is called .confidence",
    "scores": "it is called .confidence",
    "to": _DEVICE,
    "xywh": "boxes are .xyxy",
}
"""Attribute of a model or a prediction as other libraries call it -> what is there instead."""


def missing_attribute(owner: object, name: str) -> AttributeError:
    """What `__getattr__` of a model or a prediction raises: says what others call so where it is known."""
    meant = f"; {_OTHER_ATTRIBUTES[name]}" if name in _OTHER_ATTRIBUTES else ""
    return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}{meant}", name=name, obj=owner)


OTHER_VALUES = {
    "classify": "classification",
    "cls": "classification",
    "depth": "depth-estimation",
    "detect": "object-detection",
    "detection": "object-detection",
    "float16": "fp16",
    "float32": "fp32",
    "half": "fp16",
    "hf": "huggingface",
    "hub": "huggingface",
    "image-classification": "classification",
    "keypoints": "keypoint-detection",
    "obb": "oriented-object-detection",
    "onnxruntime": "onnx",
    "pose": "keypoint-detection",
    "pytorch": "torch",
    "segment": "instance-segmentation",
    "segmentation": "instance-segmentation",
    "semantic": "semantic-segmentation",
    "tensorrt": "trt",
    "tflite": "litert",
    "torchscript": "torch-script",
    "yolo": "yolov8",
}
"""Task, backend, number format, provider or architecture as others call it -> the name here."""


_FEW = 16
"""So many options are named where none is near; more of them help nobody."""


def refuse_unknown_options(given: Iterable[str], known: Iterable[str], *, where: str, fix: str | None = None) -> None:
    """Raise for the first name in `given` that is not in `known`.

    Raises:
        UnknownOptionError: names the option, the place, and the option that is meant or the nearest; `fix` is what to
            do about it where that is something else, with `{}` for the name that the option has here.
    """
    allowed = frozenset(known)
    for name in given:
        if name not in allowed:
            meant = OTHER_NAMES.get(name, name)
            few = fix is None and (nearest_names(name, allowed) or len(allowed) <= _FEW)
            hint = f"; {nearest_hint(name, allowed)}" if few else ""
            if meant in allowed:
                hint = f"; it is called {meant!r}"
            elif name in _AT_THE_LOAD:
                hint = f"; it belongs to the load: AutoModel.from_pretrained(..., {name}=...)"
            error = UnknownOptionError(f"{where} has no option {name!r}{hint}.", fix=fix and fix.format(meant))
            error.option = name
            raise error
