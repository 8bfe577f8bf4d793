from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from inference_models import AutoModel, load
from inference_models.backends import null
from inference_models.errors import EnvironmentConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

GRAPH = {
    "inputs": [{"name": "images", "shape": [None, 3, 64, 64]}],
    "outputs": [{"name": "scores", "shape": [None, 2], "value": 0.5}],
}
CONFIG = {"model_architecture": "resnet", "task_type": "classification", "backend_type": "null"}


class AlwaysOnTheCpu:
    """A runtime that takes the CPU without saying so."""

    @staticmethod
    def open_session(request: object) -> null.NullSession:
        return null.NullSession(null._Graph.model_validate(GRAPH))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "model_config.json").write_text(json.dumps(CONFIG))
    (folder / "class_names.txt").write_text("a\nb\n")
    (folder / "graph.json").write_text(json.dumps(GRAPH))
    monkeypatch.setattr(load, "find_backend", lambda runtime: AlwaysOnTheCpu)
    return str(folder)


def test_a_model_that_opens_on_another_device_than_asked_for_is_refused(package: str) -> None:
    with pytest.raises(EnvironmentConfigurationError) as caught:
        AutoModel.from_pretrained(package, device="mps")
    assert str(caught.value) == (
        "device 'mps' was chosen, but the model was opened on 'cpu'.\n"
        "needs mps; found: cpu\n"
        "pass allow_fallback=True to run it there, or check the driver of the device: inference-models doctor"
    )


def test_where_fallback_is_allowed_it_is_told_and_the_model_says_where_it_runs(
    package: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = AutoModel.from_pretrained(package, device="mps", allow_fallback=True)
    assert model.resolved_model.device == "cpu"
    assert [record.getMessage() for record in caplog.records] == [
        "device 'mps' was chosen; the model runs on 'cpu', as allow_fallback permits"
    ]
