"""A locked package with code of its own that needs another model: from a registry of this machine, then without one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_models import AutoModel, providers
from inference_models.developer_tools import (
    BackendType,
    FileDownloadSpecs,
    ModelDependency,
    ModelMetadata,
    ModelPackageMetadata,
    code_digest,
    get_model_from_provider,
    register_model_provider,
)
from inference_models.errors import (
    DependencyModelParametersValidationError,
    ForbiddenLocalCodePackageAccessError,
    InvalidParameterError,
)
from inference_models.freeze.lockfile import make_lock, write_lock
from inference_models.freeze.pull import PullOptions, pull_model
from inference_models.negotiate.request import PackageRequest
from registry.packages import CLASSES, serving, write_detector
from scripted_server import answer, served_files

IMAGE = np.zeros((64, 64, 3), np.uint8)
CODE = '''
class Counter:
    """Counts what the detector it needs finds."""

    def __init__(self, detector, factor):
        self.detector, self.factor = detector, factor

    @classmethod
    def from_pretrained(cls, path, model_dependencies=None, factor=1, **options):
        return cls(model_dependencies["detector"], factor)

    def __call__(self, image):
        return self.factor * len(self.detector(image)[0])

    def close(self):
        self.detector.close()
'''
FILES = {
    "model_config.json": json.dumps({"model_module": "model.py", "model_class": "Counter"}).encode(),
    "model.py": CODE.encode(),
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A registry with `team/pets/3`, and a provider `acme` that adds `counter`, which needs it; called, they stop.

    `models.lock` pins `counter`; the cache is empty.
    """
    write_detector(tmp_path / "library" / "team" / "pets" / "3")
    with (
        serving(tmp_path / "library") as registry,
        served_files({f"/{name}": data for name, data in FILES.items()}) as web,
    ):
        monkeypatch.setenv("ROBOFLOW_API_HOST", registry.url)
        monkeypatch.setattr(providers, "_registered", {})
        down = False

        def describe(model_id: str, api_key: str | None = None, **options: Any) -> ModelMetadata:
            if down:
                raise AssertionError("the provider was asked")
            return counter(web.url()) if model_id == "counter" else get_model_from_provider(model_id, "roboflow")

        register_model_provider("acme", describe)
        pulled = pull_model("acme:counter", PullOptions(request=PackageRequest(allow_untrusted=True)))
        write_lock(make_lock(pulled), tmp_path / "models.lock")
        shutil.rmtree(os.environ["INFERENCE_HOME"])

        def stop() -> None:
            nonlocal down
            down = True
            web.failures[:] = [answer(500)] * 100
            monkeypatch.setenv("OFFLINE_MODE", "1")

        yield stop


@pytest.fixture
def consent(tmp_path: Path) -> str:
    """To the code as its author has it, read there and not in the cache."""
    folder = tmp_path / "author"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return code_digest(folder)


def counter(url: str) -> ModelMetadata:
    files = [
        FileDownloadSpecs(f"{url}/{name}", name, sha256_hash=hashlib.sha256(data).hexdigest(), size=len(data))
        for name, data in FILES.items()
    ]
    package = ModelPackageMetadata("code1", BackendType.CUSTOM, files, trusted_source=True)
    needed = ModelDependency(name="detector", model_id="team/pets/3")
    return ModelMetadata("counter", "custom", [package], task_type="counting", model_dependencies=[needed])


def test_it_loads_from_the_network_and_then_without_one(world, consent: str, tmp_path: Path) -> None:
    lock = tmp_path / "models.lock"
    with pytest.raises(ForbiddenLocalCodePackageAccessError):
        AutoModel.from_lock(lock)
    first = AutoModel.from_lock(lock, allow_local_code_packages=consent, factor=10)
    assert first(IMAGE) == 10
    first.close()
    world()
    second = AutoModel.from_lock(lock, allow_local_code_packages=consent)
    assert second(IMAGE) == 1
    second.close()


def test_the_needed_model_gets_the_options_that_are_meant_for_it_and_no_others(
    world, consent: str, tmp_path: Path
) -> None:
    lock = tmp_path / "models.lock"
    params = {"detector": {"labels": ["a", "b"], "threads": 1, "device": "cpu"}}
    model = AutoModel.from_lock(lock, allow_local_code_packages=consent, dependency_models_params=params)
    assert model.detector.class_names == ["a", "b"]
    assert model.detector.resolved_model.threads == 1
    model.close()
    model = AutoModel.from_lock(lock, allow_local_code_packages=consent, labels=["x", "y"])
    assert model.detector.class_names == list(CLASSES)
    model.close()


@pytest.mark.parametrize(
    ("params", "kind", "text"),
    [
        (
            {"detector": {"backend": "onnx"}},
            InvalidParameterError,
            (
                "dependency_models_params of 'counter': backend cannot be chosen here.\n"
                "needs the provider and the package that the lock file pins; found: backend=\n"
                "leave it out, or write another lock file: inference-models lock --help"
            ),
        ),
        (
            {"detectr": {}},
            DependencyModelParametersValidationError,
            "dependency_models_params: model 'counter' needs no 'detectr'; nearest: 'detector'.",
        ),
    ],
)
def test_options_that_cannot_be_kept_are_refused(world, consent: str, tmp_path: Path, params, kind, text) -> None:
    with pytest.raises(kind) as caught:
        AutoModel.from_lock(
            tmp_path / "models.lock", allow_local_code_packages=consent, dependency_models_params=params
        )
    assert str(caught.value) == text


@pytest.mark.parametrize("name", ["backend", "batch_size", "quantization", "model_package_id", "weights_provider"])
def test_what_the_lock_has_decided_cannot_be_chosen(world, consent: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        AutoModel.from_lock(tmp_path / "models.lock", allow_local_code_packages=consent, **{name: "x"})
    assert str(caught.value) == (
        f"from_lock: {name} cannot be chosen here.\n"
        f"needs the provider and the package that the lock file pins; found: {name}=\n"
        "leave it out, or write another lock file: inference-models lock --help"
    )


def test_code_that_changed_since_it_was_read_does_not_run(world, consent: str, tmp_path: Path) -> None:
    other = "sha256:" + "0" * 64
    with pytest.raises(ForbiddenLocalCodePackageAccessError, match=consent):
        AutoModel.from_lock(tmp_path / "models.lock", allow_local_code_packages=other)
