"""One folder, one set of names: what the server answers to is what the manifest lists, and both load."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from inference_models import AutoModel
from inference_models.errors import ModelNotFoundError
from inference_models.providers import open_provider
from inference_models.registry.library import PackageLibrary
from inference_models.registry.manifest_writer import write_manifest
from registry.packages import serving, write_detector

SHELF = {
    "faces": {},
    "3": {},
    "pets/fp32": {"quantization": "fp32"},
    "pets/int8": {"quantization": "int8"},
    "team/birds/1": {},
    "team/birds/2": {},
    "single/fp32": {},
    "acme/yolo": {},
    "acme/older": {"model_architecture": "yolov5"},
    "own/name": {"model_id": "own/name"},
    "joined/1": {"model_id": "joined"},
    "joined/2": {"model_id": "joined"},
    "odd/x": {"model_id": "somebody/else"},
    "with-dash/on-nx": {},
    "a/b/c/d/e": {},
}
MODELS = {
    "faces": 1,
    "3": 1,
    "pets": 2,
    "team/birds/1": 1,
    "team/birds/2": 1,
    "single": 1,
    "acme/yolo": 1,
    "acme/older": 1,
    "own/name": 1,
    "joined": 2,
    "odd": 1,
    "with-dash": 1,
    "a/b/c/d": 1,
}
"""Id -> number of packages."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    root = tmp_path_factory.mktemp("names") / "shelf"
    for number, (folder, config) in enumerate(SHELF.items()):
        write_detector(root / folder, score=0.5 + number / 100, **config)
    write_manifest(root)
    return root


def test_every_package_is_in_exactly_one_model(shelf):
    models = list(PackageLibrary(shelf).models())
    assert {model.model_id: len(model.packages) for model in models} == MODELS
    folders = [package.described.folder for model in models for package in model.packages]
    assert sorted(folders) == sorted(SHELF)


@pytest.mark.parametrize("model_id", MODELS)
def test_the_server_and_the_manifest_say_the_same(shelf, monkeypatch, model_id):
    with (
        serving(shelf) as server,
        closing(open_provider("roboflow")) as asked,
        closing(open_provider("file")) as read,
    ):
        monkeypatch.setenv("ROBOFLOW_API_HOST", server.url)
        served, listed = asked.describe(model_id), read.describe(f"{shelf.as_uri()}#{model_id}")

    def told(model):
        return {
            package.package_id: {
                item.file_handle: item.sha256_hash
                for item in package.package_artefacts
                if item.file_handle != "model_config.json"
            }
            for package in model.model_packages
        }

    assert told(served) == told(listed)
    assert len(told(served)) == MODELS[model_id]


@pytest.mark.parametrize(
    "model_id", ["team/birds", "acme", "pets/fp32", "own", "joined/1", "somebody/else", "a/b/c/d/e"]
)
def test_no_other_name_is_answered_to(shelf, model_id):
    with pytest.raises(ModelNotFoundError):
        PackageLibrary(shelf).find(model_id)
    with closing(open_provider("file")) as provider, pytest.raises(ModelNotFoundError):
        provider.describe(f"{shelf.as_uri()}#{model_id}")


def test_a_nested_model_loads_by_its_name_from_both(shelf, monkeypatch, tmp_path):
    image = np.zeros((32, 32, 3), np.uint8)
    monkeypatch.setenv("INFERENCE_HOME", str(tmp_path))
    with serving(shelf) as server:
        monkeypatch.setenv("ROBOFLOW_API_HOST", server.url)
        with AutoModel.from_pretrained("team/birds/2", weights_provider="roboflow") as model:
            served = float(model(image)[0].confidence[0])
    with AutoModel.from_pretrained(f"{shelf.as_uri()}#team/birds/2") as model:
        assert float(model(image)[0].confidence[0]) == served == pytest.approx(0.55)
