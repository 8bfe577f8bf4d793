from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from inference_models import AutoModel, auto
from inference_models.entities import (
    BackendType,
    LocalFileArtefactSpecs,
    ModelMetadata,
    ModelPackageMetadata,
    Quantization,
)
from inference_models.errors import (
    EnvironmentConfigurationError,
    MissingDependencyError,
    ModelPackageAlternativesExhaustedError,
)
from inference_models.loading import attempt, describe
from inference_models.loading.address import ModelAddress
from inference_models.negotiate.choose import Choice
from inference_models.providers import NO_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GRAPH = {
    "inputs": [{"name": "images", "shape": [None, 3, 64, 64]}],
    "outputs": [{"name": "scores", "shape": [None, 2], "value": 0.5}],
}
CONFIG = {"model_architecture": "resnet", "task_type": "classification", "backend_type": "null"}
PACKAGES = ("a1", "b2", "c3")


class Folders:
    """Three equal packages that run nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in PACKAGES:
            (root / name).mkdir(exist_ok=True)
            (root / name / "model_config.json").write_text(json.dumps(CONFIG))
            (root / name / "class_names.txt").write_text("a\nb\n")
            (root / name / "graph.json").write_text(json.dumps(GRAPH))

    def describe(self, model_id: str, options: object = NO_OPTIONS) -> ModelMetadata:
        packages = [
            ModelPackageMetadata(
                package_id=name,
                backend=BackendType.NULL,
                package_artefacts=[
                    LocalFileArtefactSpecs(path.name, path) for path in sorted((self._root / name).iterdir())
                ],
                quantization=Quantization.FP32,
                dynamic_batch_size_supported=True,
                trusted_source=True,
            )
            for name in PACKAGES
        ]
        return ModelMetadata(model_id, "resnet", packages, task_type="classification")

    def close(self) -> None:
        pass


@pytest.fixture
def opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Exception]], list[str]]:
    """Makes packages fail to open; returns the list of those that were tried."""
    monkeypatch.setattr(describe, "open_provider", lambda name: Folders(tmp_path))
    monkeypatch.setattr(auto, "parse_address", lambda model, *_, **__: ModelAddress("folders", model))
    load_package = attempt.load_package

    def fail(failures: dict[str, Exception]) -> list[str]:
        tried: list[str] = []

        def opened(model, candidate, folder, request):
            tried.append(candidate.package.package_id)
            if candidate.package.package_id in failures:
                raise failures[candidate.package.package_id]
            return load_package(model, candidate, folder, request)

        monkeypatch.setattr(attempt, "load_package", opened)
        return tried

    return fail


def test_what_the_machine_explains_leads_to_the_next_package_and_is_told(
    opening: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    tried = opening({"a1": EnvironmentConfigurationError("the driver sleeps.")})
    model = AutoModel.from_pretrained("m")
    assert (tried, model.resolved_model.model_package_id) == (["a1", "b2"], "b2")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "'m': folder a1 in the null backend was passed over: the driver sleeps."
    ]


def test_what_stands_in_for_a_measured_winner_was_not_measured(
    opening: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening({"a1": EnvironmentConfigurationError("the driver sleeps.")})
    order = Choice.declared_order.fget
    measured = property(lambda choice: replace(order(choice), reason="measured"))
    monkeypatch.setattr(Choice, "declared_order", measured)
    assert AutoModel.from_pretrained("m").resolved_model.selected_by == "order"
    assert AutoModel.from_pretrained("m", model_package_id="b2").resolved_model.selected_by == "measured"


@pytest.mark.parametrize("failure", [ZeroDivisionError, MemoryError])
def test_what_no_other_package_mends_is_raised_and_nothing_else_is_tried(
    opening: Callable, failure: type[Exception]
) -> None:
    tried = opening({"a1": failure("ours")})
    with pytest.raises(failure):
        AutoModel.from_pretrained("m")
    assert tried == ["a1"]


def test_when_nothing_opens_the_whole_story_is_told(opening: Callable) -> None:
    failures = {
        "a1": EnvironmentConfigurationError("the driver sleeps.", needs="a driver", found="none", fix="modprobe it"),
        "b2": MissingDependencyError("no runtime."),
        "c3": EnvironmentConfigurationError("no device."),
    }
    opening(failures)
    with pytest.raises(ModelPackageAlternativesExhaustedError) as caught:
        AutoModel.from_pretrained("m")
    assert caught.value.alternatives_errors == list(failures.values())
    assert str(caught.value) == (
        "3 packages of 'm' fit this machine and none could be opened.\n"
        "  folder a1 in the null backend: the driver sleeps (needs a driver; found: none)\n"
        "  folder b2 in the null backend: no runtime\n"
        "  folder c3 in the null backend: no device\n"
        "modprobe it"
    )


def test_the_error_of_the_only_package_is_its_own(opening: Callable) -> None:
    failure = EnvironmentConfigurationError("the driver sleeps.")
    opening({"a1": failure})
    with pytest.raises(EnvironmentConfigurationError) as caught:
        AutoModel.from_pretrained("m", max_package_loading_attempts=1)
    assert caught.value is failure


def test_the_model_says_how_it_was_chosen(opening: Callable) -> None:
    opening({})
    assert AutoModel.from_pretrained("m").resolved_model.selected_by == "order"
    chosen = AutoModel.from_pretrained("m", model_package_id="c3").resolved_model
    assert (chosen.selected_by, chosen.model_package_id, chosen.backend) == ("package id", "c3", "null")
    assert Version("0") < Version(str(chosen.threads))
