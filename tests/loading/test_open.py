from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from inference_models.backends import null
from inference_models.entities import BackendType
from inference_models.errors import EnvironmentConfigurationError
from inference_models.loading import open as load
from inference_models.loading.address import LoadRequest
from inference_models.machine.libraries import Library
from inference_models.negotiate.case import Candidate
from inference_models.options import LoadOptions
from inference_models.package.folder import read_package_folder
from inference_models.providers.local import LocalProvider

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from inference_models.backends.session import SessionRequest
    from inference_models.tasks.any_model import AnyModel

GRAPH = {
    "inputs": [{"name": "images", "shape": [None, 3, 64, 64]}],
    "outputs": [{"name": "scores", "shape": [None, 2], "value": 0.5}],
}
CONFIG = {"model_architecture": "resnet", "task_type": "classification", "backend_type": "null"}


class AlwaysOnTheCpu:
    """A runtime that takes the CPU without saying so."""

    RUNTIME = null.RUNTIME

    @staticmethod
    def open_session(request: SessionRequest) -> null.NullSession:
        return null.open_session(replace(request, device=None))


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AnyModel]:
    """Opens a package of that runtime with the options given."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "model_config.json").write_text(json.dumps(CONFIG))
    (folder / "class_names.txt").write_text("a\nb\n")
    (folder / "graph.json").write_text(json.dumps(GRAPH))
    monkeypatch.setattr(load, "find_backend", lambda runtime: AlwaysOnTheCpu)
    model = LocalProvider().describe(str(folder))
    candidate = Candidate(model.model_packages[0], BackendType.NULL)

    def open_on(device: str, **options: object) -> AnyModel:
        request = LoadRequest(options=LoadOptions(**options), device=device)
        return load.load_package(model, candidate, read_package_folder(folder), request)

    return open_on


def test_a_model_that_opens_on_another_device_than_asked_for_is_refused(opened: Callable[..., AnyModel]) -> None:
    with pytest.raises(EnvironmentConfigurationError) as caught:
        opened("mps")
    assert str(caught.value) == (
        "device 'mps' was chosen, but the model was opened on 'cpu'.\n"
        "needs mps; found: cpu\n"
        "pass allow_fallback=True to run it there, or check the driver of the device: inference-models doctor"
    )


def test_where_fallback_is_allowed_it_is_told_and_the_model_says_where_it_runs(
    opened: Callable[..., AnyModel], caplog: pytest.LogCaptureFixture
) -> None:
    model = opened("mps", allow_fallback=True)
    assert model.resolved_model.device == "cpu"
    assert [record.getMessage() for record in caplog.records] == [
        "device 'mps' was chosen; the model runs on 'cpu', as allow_fallback permits"
    ]


def test_a_runtime_that_cannot_be_imported_is_not_imported(
    opened: Callable[..., AnyModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(library: Library) -> None:
        raise EnvironmentConfigurationError(f"{library.name} cannot be used here.")

    library = Library("odd", "odd", ("odd",), deadline=1.0)
    monkeypatch.setattr(AlwaysOnTheCpu, "RUNTIME", replace(null.RUNTIME, libraries=(library,)))
    monkeypatch.setattr(load, "ensure_importable", refuse)
    with pytest.raises(EnvironmentConfigurationError, match=r"^odd cannot be used here\.$"):
        opened("cpu")
