"""A package that brings its own code, made by that code once its content was consented to."""

from __future__ import annotations

import inspect
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from inference_models.entities import ResolvedModelMetadata
from inference_models.errors import CorruptedModelPackageError, refuse_unknown_options
from inference_models.package.code import load_model_class
from inference_models.tasks.stages import LoadedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference_models.entities import ModelMetadata, ModelPackageMetadata
    from inference_models.loading.address import LoadRequest
    from inference_models.package.folder import PackageFolder
    from inference_models.tasks.any_model import AnyModel

_FOR_CODE = ("rf_detr_max_input_resolution", "trt_cuda_graph_cache")
"""Options that code of a package may take, where the caller gave them."""


def load_code(
    model: ModelMetadata, package: ModelPackageMetadata, folder: PackageFolder, request: LoadRequest
) -> AnyModel:
    """The model that the code of the package makes.

    Raises:
        ForbiddenLocalCodePackageAccessError: nobody consented to this content.
        CorruptedModelPackageError: the class does not say how it is made, or makes nothing.
    """
    consent = request.options.allow_local_code_packages
    model_class = cast("Any", load_model_class(folder.directory, folder.model, consent))
    # One of a base of ours would load this package again, and again.
    if getattr(model_class.from_pretrained, "__func__", None) is LoadedModel.from_pretrained.__func__:  # type: ignore[attr-defined]
        raise CorruptedModelPackageError(
            f"class {folder.model.model_class} does not say how it is made.",
            needs="a class method from_pretrained of its own",
            found="that of its base class",
        )
    device = request.device or "cpu"
    providers = request.execution_providers
    offered = {
        "onnx_execution_providers": None if providers is None else list(providers),
        "device": _device_for_code(device),
        "default_onnx_trt_options": True,
        "engine_host_code_allowed": request.options.trt_engine_host_code_allowed,
        **_stated_by_provider(model, package, request),
        **{name: value for name in _FOR_CODE if (value := getattr(request.options, name)) is not None},
    }
    keywords = _keywords_taken(model_class.from_pretrained, offered, request.extra or {})
    loaded = model_class.from_pretrained(str(folder.directory), **keywords)
    if loaded is None:
        raise CorruptedModelPackageError(
            f"{folder.model.model_class}.from_pretrained returned nothing.", needs="the model", found="None"
        )
    # A class without a base of ours may refuse new attributes; the model works without it.
    with suppress(AttributeError):
        loaded.resolved_model = ResolvedModelMetadata(
            model_id=model.model_id,
            model_package_id=package.package_id,
            backend=package.backend.value,
            quantization=package.quantization.value if package.quantization else "unknown",
            device=device,
            package_format=package.backend.value,
            license=model.license,
        )
    return cast("AnyModel", loaded)


def _stated_by_provider(model: ModelMetadata, package: ModelPackageMetadata, request: LoadRequest) -> dict[str, object]:
    """Arguments for a code package from the provider's description; absent ones are left out."""
    recommended = package.recommended_parameters or model.recommended_parameters
    facts = {"recommended_parameters": recommended, "model_dependencies": request.dependencies}
    return {name: value for name, value in facts.items() if value}


def _keywords_taken(
    function: Callable[..., object], offered: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """`given` with those of `offered` that `function` takes; a name in `given` that it does not take is refused."""
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return {**offered, **given}
    refuse_unknown_options(given, parameters, where="from_pretrained of the package")
    return {**{name: value for name, value in offered.items() if name in parameters}, **given}


def _device_for_code(device: str) -> object:
    """A torch device for code that imports torch, which expects one; else the name."""
    torch = sys.modules.get("torch")
    return device if torch is None else torch.device(device)
