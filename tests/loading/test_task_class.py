"""The class of a task refuses a model of another task by its description, before anything of it is fetched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hosted
from inference_models import ClassificationModel, KeyPointsDetectionModel, ObjectDetectionModel
from inference_models.errors import InvalidParameterError
from inference_models.freeze.lockfile import make_lock, write_lock
from inference_models.freeze.pull import PullOptions, pull_model
from inference_models.negotiate.request import PackageRequest

REFUSAL = (
    "'team/cats/1' is another kind of model.\n"
    "needs ClassificationModel; found: ObjectDetectionModel\n"
    "load it with ObjectDetectionModel.from_pretrained, or with AutoModel.from_pretrained, which takes every kind"
)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("team/cats/1", hosted.detector_files(tmp_path / "made"))
    hosted.install(monkeypatch, {"host": made})
    return made


def test_a_model_of_another_task_is_refused_from_its_description(host: hosted.Hosted) -> None:
    for kind in (ClassificationModel, KeyPointsDetectionModel):
        with pytest.raises(InvalidParameterError) as caught:
            kind.from_pretrained("host:team/cats/1")
        assert str(caught.value) == REFUSAL.replace("ClassificationModel", kind.__name__)
    assert host.read_files == []


def test_the_class_of_its_task_loads_it_and_says_so_when_it_is_remembered(host: hosted.Hosted) -> None:
    with ObjectDetectionModel.from_pretrained("host:team/cats/1") as model:
        assert len(model(np.zeros((64, 64, 3), np.uint8))) == 1
    host.down = True
    ObjectDetectionModel.from_pretrained("host:team/cats/1").close()
    with pytest.raises(InvalidParameterError, match="needs ClassificationModel"):
        ClassificationModel.from_pretrained("host:team/cats/1")


def test_a_lock_of_another_task_is_refused_before_a_file_is_fetched(
    host: hosted.Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "cats.lock"
    write_lock(make_lock(pull_model("host:team/cats/1", PullOptions(request=PackageRequest()))), lock)
    monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "an empty cache"))
    host.read_files.clear()
    with pytest.raises(InvalidParameterError) as caught:
        ClassificationModel.from_pretrained(lock)
    assert str(caught.value) == REFUSAL
    assert host.read_files == []
