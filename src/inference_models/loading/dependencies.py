"""Models that a model needs: loaded with it, one level deep, or supplied by the caller."""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from inference_models.entities import BackendType
from inference_models.errors import (
    CorruptedModelPackageError,
    DependencyModelParametersValidationError,
    PreloadedDependencyMismatchError,
    nearest_hint,
)
from inference_models.families import find_graph
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inference_models.entities import ModelDependency, ModelMetadata, ModelPackageMetadata, Quantization
    from inference_models.loading.address import LoadRequest
    from inference_models.options import LoadOptions

    LoadModel = Callable[..., Any]
    """`AutoModel.from_pretrained`."""

NOTHING: Mapping[str, Any] = MappingProxyType({})
FORWARDED = (
    "owlv2_class_embeddings_cache",
    "owlv2_enforce_model_compilation",
    "owlv2_images_embeddings_cache",
)
"""Options of the model that its dependencies get too, unless `forwarded_kwargs=` names others."""


class SuppliedDependency(Record, frozen=True):
    """A model the caller has loaded already; its ids must be exactly those the provider states."""

    model_id: str
    model_package_id: str | None
    instance: Any


class DependencyModelParameters:
    """How to load one model among several. Names that are not listed go to the model's class.

    Raises:
        DependencyModelParametersValidationError: a field has a value that makes no sense.
    """

    model_id_or_path: str | None = None
    weights_provider: str | None = None
    model_package_id: str | None = None
    backend: str | BackendType | list[str | BackendType] | None = None
    batch_size: int | tuple[int, int] | None = None
    quantization: str | Quantization | list[str | Quantization] | None = None
    onnx_execution_providers: list[str | tuple[str, dict[str, Any]]] | None = None
    device: Any = None
    """Its own: that of the model which needs it is not taken over."""
    default_onnx_trt_options: bool = True
    nms_fusion_preferences: bool | dict[str, Any] | None = None
    model_type: str | None = None
    task_type: str | None = None

    def __init__(self, **arguments: Any) -> None:
        for name, value in arguments.items():
            kinds = _KINDS.get(name, (object,))
            if not isinstance(value, kinds) and (value is not None or name == "default_onnx_trt_options"):
                raise DependencyModelParametersValidationError(
                    f"{name} cannot be used.", needs=" or ".join(kind.__name__ for kind in kinds), found=repr(value)
                )
        self.__dict__.update(arguments)

    def arguments(self) -> dict[str, Any]:
        """The fields that were set, under the argument names of `AutoModel.from_pretrained`."""
        return dict(self.__dict__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DependencyModelParameters) and self.arguments() == other.arguments()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"DependencyModelParameters({', '.join(f'{name}={value!r}' for name, value in self.arguments().items())})"
        )


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("model_id_or_path", "weights_provider", "model_package_id", "model_type", "task_type"), (str,)),
    **dict.fromkeys(("backend", "quantization"), (str, list)),
    "batch_size": (int, tuple, list),
    "onnx_execution_providers": (list,),
    "default_onnx_trt_options": (bool,),
    "nms_fusion_preferences": (bool, dict),
}


def needs_models(model: ModelMetadata, package: ModelPackageMetadata) -> bool:
    """Whether a package is opened with the models that its description names: it has code, or is made of them."""
    if not model.model_dependencies or package.backend is BackendType.CUSTOM:
        return bool(model.model_dependencies)
    return bool(find_graph(model.model_architecture, model.task_type or "").models)


def load_dependencies(
    model: ModelMetadata, load: LoadRequest, load_model: LoadModel, *, shared: Mapping[str, Any] = NOTHING
) -> dict[str, Any]:
    """The models that `model` needs, by the names it knows them by; {} when it needs none.

    When one of them cannot be loaded, those that were loaded before are closed. Each is loaded with the `shared`
    arguments: provider, key, security switches.

    Raises:
        CorruptedModelPackageError: it needs models, and loading them was forbidden.
        DependencyModelParametersValidationError: parameters for a name it does not need, or that make no sense.
        PreloadedDependencyMismatchError: a supplied model is not the one it needs.
    """
    needed = {dependency.name: dependency for dependency in model.model_dependencies or ()}
    preloaded = load.options.preloaded_model_dependencies or {}
    _refuse_unknown(model, needed, load.options)
    for name, supplied in preloaded.items():
        _check_supplied(model, needed[name], supplied)
    to_load = [dependency for name, dependency in needed.items() if name not in preloaded]
    if to_load and not load.options.allow_loading_dependency_models:
        raise CorruptedModelPackageError(
            f"model {model.model_id!r} needs other models, and loading them was not allowed.",
            needs=", ".join(f"{item.name} ({item.model_id})" for item in to_load),
            found="allow_loading_dependency_models=False, or a model that is itself a dependency",
            fix="pass them as preloaded_model_dependencies",
        )
    loaded: dict[str, Any] = {}
    try:
        for dependency in to_load:
            loaded[dependency.name] = load_model(**_arguments(dependency, load, shared))
    except BaseException:
        close_models(loaded.values())
        raise
    return {name: loaded[name] if name in loaded else preloaded[name].instance for name in needed}


def close_models(models: Iterable[Any]) -> None:
    """Close what can be closed."""
    for model in models:
        close = getattr(model, "close", None)
        if callable(close):
            with suppress(RuntimeError):
                close()


def parse_model_parameters(value: object, *, where: str) -> DependencyModelParameters:
    """`value`, a mapping or such parameters already, checked.

    Raises:
        DependencyModelParametersValidationError: a field has a value that makes no sense.
    """
    if isinstance(value, DependencyModelParameters):
        return value
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise DependencyModelParametersValidationError(
            f"{where}: the whole cannot be used.", needs="a dict or DependencyModelParameters", found=repr(value)
        )
    try:
        return DependencyModelParameters(**value)
    except DependencyModelParametersValidationError as exc:
        raise DependencyModelParametersValidationError(
            f"{where}: {exc.summary}", needs=exc.needs, found=exc.found
        ) from exc


def _arguments(dependency: ModelDependency, load: LoadRequest, shared: Mapping[str, Any]) -> dict[str, Any]:
    where = f"dependency_models_params[{dependency.name!r}]"
    params, extra, names = load.options.dependency_models_params or {}, load.extra or {}, load.options.forwarded_kwargs
    own = parse_model_parameters(params.get(dependency.name, {}), where=where).arguments()
    forwarded = {name: extra[name] for name in (FORWARDED if names is None else names) if name in extra}
    return {
        **shared,
        **forwarded,
        **own,
        # What the provider states wins over what the caller says.
        "model_id_or_path": dependency.model_id,
        "model_package_id": dependency.model_package_id,
        "allow_loading_dependency_models": False,
    }


def _refuse_unknown(model: ModelMetadata, needed: Mapping[str, ModelDependency], options: LoadOptions) -> None:
    for argument, error in (
        ("dependency_models_params", DependencyModelParametersValidationError),
        ("preloaded_model_dependencies", PreloadedDependencyMismatchError),
    ):
        for name in getattr(options, argument) or ():
            if name not in needed:
                raise error(f"{argument}: model {model.model_id!r} needs no {name!r}; {nearest_hint(name, needed)}.")


def _check_supplied(model: ModelMetadata, dependency: ModelDependency, supplied: object) -> None:
    if not isinstance(supplied, SuppliedDependency):
        found = f"a {type(supplied).__name__}"
        needs = "SuppliedDependency(model_id, model_package_id, instance)"
    elif (supplied.model_id, supplied.model_package_id) != (dependency.model_id, dependency.model_package_id):
        found = f"{supplied.model_id!r}, package {supplied.model_package_id!r}"
        needs = f"{dependency.model_id!r}, package {dependency.model_package_id!r}"
    else:
        return
    raise PreloadedDependencyMismatchError(
        f"the model supplied as {dependency.name!r} is not the one that {model.model_id!r} needs.",
        needs=needs,
        found=found,
    )
