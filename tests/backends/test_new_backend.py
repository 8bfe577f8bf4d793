"""A new backend is one module with a record: it is negotiated, explained, opened and probed without another change."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.contract import SessionContract
from inference_models import AutoModel, backends
from inference_models.backends import probe_environment
from inference_models.backends.session import SessionRequest
from inference_models.entities import BackendType
from inference_models.errors import NoCompatiblePackageError
from machines import install, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inference_models.backends.session import Session


TOY = '''
"""The mean of every image, by a library called toylib."""

import numpy as np

from inference_models.arrays import TensorSpec
from inference_models.backends.runtime import THREADS, Runtime, import_runtime
from inference_models.backends.session import BaseSession
from inference_models.entities import BackendType
from inference_models.machine.libraries import Library

RUNTIME = Runtime(
    label="Toy",
    type=BackendType("toy"),
    order=15,
    libraries=(Library("toylib", "toylib", ("toylib",)),),
    requires="toylib>=2",
    install='pip install "toylib>=2"',
    devices=("toy-card", "cpu"),
    settings=frozenset({THREADS}),
)


def open_session(request):
    opened = import_runtime(RUNTIME)
    inputs = (TensorSpec("images", (None, 3, 8, 8), "float32"),)
    outputs = (TensorSpec("scores", (None, 2), "float32"),)
    return ToySession(opened, inputs, outputs, running_on=request.device or "cpu")


class ToySession(BaseSession):
    runtime = RUNTIME

    def _run(self, opened, arrays):
        means = arrays[0].mean((1, 2, 3))
        return [np.stack([means, -means], 1)]
'''
CONFIG = {"model_architecture": "resnet", "task_type": "classification", "backend_type": "toy"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the import path with the plug-in."""
    folder = tmp_path / "site"
    metadata = install(folder, "toy-plugin")
    put(metadata, "entry_points.txt", "[inference_models.backends]\ntoy = toy_plugin\n")
    put(folder, "toy_plugin.py", TOY)
    monkeypatch.syspath_prepend(folder)
    for name in ("toy_plugin", "toylib"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    backends.forget_backends()
    probe_environment.cache_clear()
    yield folder
    monkeypatch.undo()
    backends.forget_backends()
    probe_environment.cache_clear()


@pytest.fixture
def package(tmp_path: Path) -> str:
    folder = tmp_path / "package"
    put(folder, "model_config.json", json.dumps(CONFIG))
    put(folder, "class_names.txt", "bright\ndark\n")
    return str(folder)


def test_it_is_negotiated_opened_and_runs(site: Path, package: str) -> None:
    install(site, "toylib", "2.1", toylib="")
    model = AutoModel.from_pretrained(package)
    assert model.resolved_model.backend == "toy"
    assert model(np.full((8, 8, 3), 200, np.uint8)).top(1)[0][0][0] == "bright"
    assert AutoModel.from_pretrained(package, backend="toy", device="toy-card:1").resolved_model.device == "toy-card:1"


@pytest.mark.parametrize(
    ("version", "found", "fix"),
    [(None, "not installed", 'pip install "toylib>=2"'), ("1.9", "1.9", 'pip install -U "toylib>=2"')],
)
def test_what_it_lacks_is_explained(site: Path, package: str, version: str | None, found: str, fix: str) -> None:
    if version is not None:
        install(site, "toylib", version, toylib="")
    with pytest.raises(NoCompatiblePackageError) as caught:
        AutoModel.from_pretrained(package)
    assert f"needs toylib>=2; found: {found}" in str(caught.value)
    report = AutoModel.explain(package)
    assert report.would_run is None
    assert report.steps[0].fixes == (fix,)


def test_what_runs_it_is_explained_and_probed(site: Path, package: str) -> None:
    install(site, "toylib", "2.1", toylib="")
    assert AutoModel.explain(package).would_run.backend is BackendType("toy")
    assert str(probe_environment().runtimes[BackendType("toy")]) == "2.1"
    assert BackendType("toy") in backends.known_runtimes()


class TestToySession(SessionContract):
    @pytest.fixture
    def session(self, site: Path, tmp_path: Path) -> Session:
        install(site, "toylib", "2.1", toylib="")
        backend = backends.find_backend(BackendType("toy"))
        assert backend is not None
        return backend.open_session(SessionRequest(directory=tmp_path, files={}))


def test_a_plug_in_that_cannot_be_imported_takes_nothing_else_away(
    site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(site, "toy_plugin.py", "raise ImportError('libtoy.so: cannot open shared object file')")
    with caplog.at_level(logging.WARNING):
        assert BackendType.ONNX in backends.known_runtimes()
        assert backends.find_backend(BackendType.ONNX) is not None
    assert [record.getMessage() for record in caplog.records] == [
        "the backend plug-in 'toy' cannot be used: libtoy.so: cannot open shared object file"
    ]


def test_a_name_that_nobody_brings_is_no_backend() -> None:
    for name in ("toy-of-nobody", "../backends/onnx", ""):
        with pytest.raises(ValueError, match="is not a valid BackendType"):
            BackendType(name)
