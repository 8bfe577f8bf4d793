"""Models that a model needs."""

from __future__ import annotations

from typing import Any

import pytest

from inference_models.entities import BackendType, ModelDependency, ModelMetadata
from inference_models.errors import (
    BaseInferenceModelsError,
    CorruptedModelPackageError,
    DependencyModelParametersValidationError,
    ModelNotFoundError,
    PreloadedDependencyMismatchError,
)
from inference_models.loading.address import LoadRequest
from inference_models.loading.dependencies import (
    DependencyModelParameters,
    SuppliedDependency,
    load_dependencies,
)
from inference_models.options import LoadOptions

FACES = ModelDependency(name="faces", model_id="team/faces/2", model_package_id="a1")
EYES = ModelDependency(name="eyes", model_id="team/eyes/1")
MODEL = ModelMetadata("team/gaze/1", "gaze", [], model_dependencies=[FACES, EYES])


class Loaded:
    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments
        self.closed = False

    def close(self) -> None:
        self.closed = True


def load(**arguments: Any) -> Loaded:
    return Loaded(arguments)


def request(extra: Any = None, **options: Any) -> LoadRequest:
    return LoadRequest(options=LoadOptions(**options), extra=extra)


def never(**arguments: Any) -> Loaded:
    raise AssertionError("a model was loaded")


class TestLoading:
    def test_each_one_is_loaded_by_what_the_provider_states_and_without_others_of_its_own(self) -> None:
        shared = {"weights_provider": "p", "api_key": "k"}
        models = load_dependencies(MODEL, request(), load, shared=shared)
        assert {name: model.arguments for name, model in models.items()} == {
            "faces": {
                "weights_provider": "p",
                "api_key": "k",
                "model_id_or_path": "team/faces/2",
                "model_package_id": "a1",
                "allow_loading_dependency_models": False,
            },
            "eyes": {
                "weights_provider": "p",
                "api_key": "k",
                "model_id_or_path": "team/eyes/1",
                "model_package_id": None,
                "allow_loading_dependency_models": False,
            },
        }

    @pytest.mark.parametrize(
        "given",
        [
            {
                "device": "cuda:1",
                "backend": ["onnx"],
                "labels": ["a"],
                "model_id_or_path": "other",
                "batch_size": (1, 4),
            },
            DependencyModelParameters(
                device="cuda:1", backend=[BackendType.ONNX], labels=["a"], model_id_or_path="other", batch_size=(1, 4)
            ),
        ],
        ids=["a mapping", "an object"],
    )
    def test_its_own_parameters_are_passed_but_cannot_name_another_model(self, given: Any) -> None:
        models = load_dependencies(MODEL, request(dependency_models_params={"faces": given}), load)
        assert models["faces"].arguments == {
            "device": "cuda:1",
            "backend": ["onnx"],
            "labels": ["a"],
            "batch_size": (1, 4),
            "model_id_or_path": "team/faces/2",
            "model_package_id": "a1",
            "allow_loading_dependency_models": False,
        }
        assert "device" not in models["eyes"].arguments

    def test_named_options_of_the_outer_model_are_forwarded_unless_the_inner_one_has_its_own(self) -> None:
        outer = {"size": 1, "owlv2_images_embeddings_cache": 2}
        stated = request(outer, dependency_models_params={"eyes": {"size": 3}}, forwarded_kwargs=("size",))
        models = load_dependencies(MODEL, stated, load)
        assert [models[name].arguments["size"] for name in ("faces", "eyes")] == [1, 3]
        assert "owlv2_images_embeddings_cache" not in models["eyes"].arguments

    def test_the_caches_of_owlv2_are_forwarded_by_default(self) -> None:
        models = load_dependencies(MODEL, request({"owlv2_images_embeddings_cache": 2, "x": 3}), load)
        assert models["eyes"].arguments["owlv2_images_embeddings_cache"] == 2
        assert "x" not in models["eyes"].arguments

    def test_a_model_without_needs_loads_nothing(self) -> None:
        assert (
            load_dependencies(ModelMetadata("m", "a", []), request(allow_loading_dependency_models=False), never) == {}
        )

    def test_when_one_cannot_be_loaded_the_others_are_closed(self) -> None:
        loaded: list[Loaded] = []

        def load_once(**arguments: Any) -> Loaded:
            if loaded:
                raise ModelNotFoundError("no eyes")
            loaded.append(Loaded(arguments))
            return loaded[0]

        with pytest.raises(ModelNotFoundError, match=r"^no eyes$"):
            load_dependencies(MODEL, request(), load_once)
        assert loaded[0].closed


class TestSupplied:
    def test_models_that_are_supplied_are_used_and_stay_open(self) -> None:
        mine = Loaded({})
        stated = request(
            allow_loading_dependency_models=False,
            preloaded_model_dependencies={
                "eyes": SuppliedDependency("team/eyes/1", None, mine),
                "faces": SuppliedDependency("team/faces/2", "a1", mine),
            },
        )
        assert load_dependencies(MODEL, stated, never) == {"faces": mine, "eyes": mine}
        assert not mine.closed


@pytest.mark.parametrize(
    ("request_", "error", "text"),
    [
        (
            request(allow_loading_dependency_models=False),
            CorruptedModelPackageError,
            (
                "model 'team/gaze/1' needs other models, and loading them was not allowed.\n"
                "needs faces (team/faces/2), eyes (team/eyes/1); found: allow_loading_dependency_models=False, "
                "or a model that is itself a dependency\n"
                "pass them as preloaded_model_dependencies"
            ),
        ),
        (
            request(dependency_models_params={"face": {}}),
            DependencyModelParametersValidationError,
            "dependency_models_params: model 'team/gaze/1' needs no 'face'; nearest: 'faces'.",
        ),
        (
            request(dependency_models_params={"faces": {"backend": 7}}),
            DependencyModelParametersValidationError,
            ("dependency_models_params['faces']: backend cannot be used.\nneeds str or list; found: 7"),
        ),
        (
            request(dependency_models_params={"faces": 7}),
            DependencyModelParametersValidationError,
            (
                "dependency_models_params['faces']: the whole cannot be used.\n"
                "needs a dict or DependencyModelParameters; found: 7"
            ),
        ),
        (
            request(preloaded_model_dependencies={"eye": SuppliedDependency("x", None, None)}),
            PreloadedDependencyMismatchError,
            "preloaded_model_dependencies: model 'team/gaze/1' needs no 'eye'; nearest: 'eyes'.",
        ),
        (
            request(preloaded_model_dependencies={"faces": SuppliedDependency("team/faces/2", None, None)}),
            PreloadedDependencyMismatchError,
            (
                "the model supplied as 'faces' is not the one that 'team/gaze/1' needs.\n"
                "needs 'team/faces/2', package 'a1'; found: 'team/faces/2', package None"
            ),
        ),
        (
            request(preloaded_model_dependencies={"faces": Loaded({})}),  # type: ignore[dict-item]
            PreloadedDependencyMismatchError,
            (
                "the model supplied as 'faces' is not the one that 'team/gaze/1' needs.\n"
                "needs SuppliedDependency(model_id, model_package_id, instance); found: a Loaded"
            ),
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_loaded(
    request_: LoadRequest, error: type[BaseInferenceModelsError], text: str
) -> None:
    with pytest.raises(error) as caught:
        load_dependencies(MODEL, request_, never)
    assert str(caught.value) == text
