"""`AutoModelPipeline`: several models behind one call, loaded by the name of the pipeline."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

from inference_models import pipelines
from inference_models.errors import (
    DependencyModelParametersValidationError,
    ModelPipelineInitializationError,
    ModelPipelineNotFound,
    nearest_hint,
)
from inference_models.loading.dependencies import DependencyModelParameters, close_models, parse_model_parameters
from inference_models.machine.libraries import entry_points
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENTRY_POINT_GROUP = "inference_models.pipelines"


class Pipeline(Record, frozen=True):
    """One pipeline: `PIPELINE` in a file of `inference_models.pipelines`, or what an entry point leads to."""

    build: Callable[..., Any]
    """From the loaded models, in order, and the caller's options to what the caller gets: `Class.with_models`."""
    models: tuple[DependencyModelParameters | None, ...]
    """What each of its models is when the caller does not say; None: the caller has to."""


class AutoModelPipeline:
    """Loads pipelines. Has no instances: `AutoModelPipeline.from_pretrained` returns the pipeline itself."""

    @classmethod
    def list_available_pipelines(cls) -> None:
        """Print the pipelines there are, and the models each one uses unless it is told otherwise."""
        from rich.console import Console  # noqa: PLC0415 - only needed to print
        from rich.tree import Tree  # noqa: PLC0415

        tree = Tree("Available model pipelines:")
        for name in known_pipelines():
            branch = tree.add(name)
            for model in find_pipeline(name).models:
                branch.add((model.model_id_or_path if model else None) or "a model you name")
        Console().print(tree)

    @classmethod
    def from_pretrained(
        cls,
        pipline_id: str,
        models_parameters: Sequence[object] | None = None,
        weights_provider: str | None = None,
        api_key: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The pipeline, with its models loaded.

        Args:
            pipline_id: Name of the pipeline; the argument is spelt as in the public interface.
            models_parameters: For each model None (what the pipeline uses by default), a model id, or the arguments
                of `AutoModel.from_pretrained` as a mapping.
            weights_provider: Provider of the models that do not name theirs.
            api_key: Passed to the providers.
            **kwargs: Fields of `LoadOptions` go to every model, the rest to the pipeline.

        Raises:
            ModelPipelineNotFound: there is no such pipeline; the text names the nearest.
            ModelPipelineInitializationError: a model is not named and has no default, or there are too many.
            DependencyModelParametersValidationError: the parameters of a model make no sense.
        """
        from inference_models.auto import AutoModel  # noqa: PLC0415 - loads nothing when only names are asked for
        from inference_models.options import NO_EFFECT, OPTION_NAMES  # noqa: PLC0415

        pipeline = find_pipeline(pipline_id)
        stated = _parameters(pipline_id, pipeline, models_parameters)
        for_models = {name: value for name, value in kwargs.items() if name in OPTION_NAMES | NO_EFFECT.keys()}
        rest = {name: value for name, value in kwargs.items() if name not in for_models}
        shared = {"weights_provider": weights_provider, "api_key": api_key, **for_models}
        models: list[Any] = []
        try:
            for parameters in stated:
                models.append(AutoModel.from_pretrained(**{**shared, **parameters.arguments()}))
            return pipeline.build(models, **rest)
        except BaseException:
            close_models(models)
            raise


def known_pipelines() -> list[str]:
    """Names of all pipelines, sorted."""
    return sorted(_built_in() | {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})


def find_pipeline(name: str) -> Pipeline:
    """The pipeline with this name: a file of `inference_models.pipelines`, or an installed plug-in.

    Raises:
        ModelPipelineNotFound: there is none; the text names the nearest.
    """
    if name in _built_in():
        found: Pipeline = importlib.import_module(f"{pipelines.__name__}.{name.replace('-', '_')}").PIPELINE
        return found
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            plugged: Pipeline = entry.load()
            return plugged
    raise ModelPipelineNotFound(f"there is no pipeline {name!r}; {nearest_hint(name, known_pipelines())}.")


@cache
def _built_in() -> frozenset[str]:
    return frozenset(info.name.replace("_", "-") for info in pkgutil.iter_modules(pipelines.__path__))


def _parameters(name: str, pipeline: Pipeline, given: Sequence[object] | None) -> list[DependencyModelParameters]:
    count = len(pipeline.models)
    chosen = [None] * count if given is None else list(given)
    if len(chosen) != count:
        raise ModelPipelineInitializationError(
            f"pipeline {name!r} cannot be built.",
            needs=f"models_parameters with {count} entries",
            found=f"{len(chosen)} entries",
            fix="None in a place stands for the model the pipeline uses by default",
        )
    pairs = enumerate(zip(chosen, pipeline.models, strict=True))
    return [_one(name, index, own, default) for index, (own, default) in pairs]


def _one(name: str, index: int, own: object, default: DependencyModelParameters | None) -> DependencyModelParameters:
    where = f"models_parameters[{index}]"
    if own is None:
        if default is not None:
            return default
        raise ModelPipelineInitializationError(
            f"pipeline {name!r} has no default for its model {index}.", needs=f"{where}", found="None"
        )
    parsed = parse_model_parameters({"model_id_or_path": own} if isinstance(own, str) else own, where=where)
    if parsed.model_id_or_path is None:
        raise DependencyModelParametersValidationError(
            f"{where} does not say which model.", needs="model_id_or_path", found=", ".join(sorted(parsed.arguments()))
        )
    return parsed
