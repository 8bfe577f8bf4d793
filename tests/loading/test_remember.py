"""The second load asks nobody; what changed, expired or broke is asked for again."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hosted
from inference_models import AutoModel
from inference_models.entities import BackendType, ModelDependency, RecommendedParameters
from inference_models.errors import CorruptedModelPackageError, ForbiddenLocalCodePackageAccessError, RetryError

IMAGE = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    """Has `team/cats/1`, also known as `cats`."""
    made = hosted.Hosted()
    made.add("team/cats/1", hosted.detector_files(tmp_path / "made"), asked_for="cats")
    hosted.install(monkeypatch, {"host": made})
    return made


def score(model_id: str = "host:cats", **options: object) -> float:
    with AutoModel.from_pretrained(model_id, **options) as model:
        return round(float(model(IMAGE)[0].confidence[0]), 4)


class TestSecondLoad:
    def test_neither_asks_the_provider_nor_opens_a_socket(
        self, host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert score() == 0.9
        assert (host.described, len(host.read_files)) == (["cats"], 4)
        monkeypatch.setattr(socket, "socket", lambda *arguments: pytest.fail("a socket was opened"))
        assert score() == 0.9
        assert (host.described, len(host.read_files)) == (["cats"], 4)

    def test_writes_nothing(self, host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
        score()
        score()
        root = Path(os.environ["INFERENCE_HOME"])
        before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in root.rglob("*")}
        score()
        assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in root.rglob("*")} == before

    def test_keeps_the_name_the_provider_gave(self, host: hosted.Hosted) -> None:
        score()
        model = AutoModel.from_pretrained("host:cats")
        assert model.resolved_model is not None
        assert (model.resolved_model.model_id, model.resolved_model.license) == ("team/cats/1", "MIT")
        model.close()

    def test_asks_again_when_told_not_to_remember(self, host: hosted.Hosted) -> None:
        score(use_auto_resolution_cache=False)
        score(use_auto_resolution_cache=False)
        assert host.described == ["cats", "cats"]

    def test_asks_again_after_the_lifetime(self, host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
        score()
        monkeypatch.setenv("AUTO_LOADER_CACHE_EXPIRATION_MINUTES", "0")
        monkeypatch.setattr("inference_models.cache.resolution_files.time.time", lambda: 4e9)
        score()
        assert host.described == ["cats", "cats"]

    def test_asks_again_when_a_file_left_the_cache(self, host: hosted.Hosted) -> None:
        score()
        for path in Path(os.environ["INFERENCE_HOME"]).rglob("weights.onnx"):
            path.unlink()
        assert score() == 0.9
        assert host.described == ["cats", "cats"]

    def test_asks_for_a_better_package_rather_than_take_one_that_is_here(
        self, host: hosted.Hosted, tmp_path: Path
    ) -> None:
        host.add("team/cats/1", hosted.detector_files(tmp_path / "x", score=0.7), asked_for="cats", package_id="a0")
        assert score(model_package_id="p1") == 0.9
        assert score() == 0.7
        assert len(host.described) == 2

    def test_an_object_of_ones_own_remembers_instead_of_files(self, host: hosted.Hosted) -> None:
        kept: dict[str, object] = {}

        class Mine:
            def register(self, auto_negotiation_hash: str, cache_entry: object) -> None:
                kept[auto_negotiation_hash] = cache_entry

            def retrieve(self, auto_negotiation_hash: str) -> object:
                return kept.get(auto_negotiation_hash)

            def invalidate(self, auto_negotiation_hash: str) -> None:
                kept.pop(auto_negotiation_hash, None)

        score(auto_resolution_cache=Mine())
        score(auto_resolution_cache=Mine())
        assert host.described == ["cats"]
        assert not (Path(os.environ["INFERENCE_HOME"]) / "resolutions").exists()


class TestOffline:
    def test_a_remembered_model_loads_whatever_its_age(
        self, host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        score()
        monkeypatch.setenv("OFFLINE_MODE", "true")
        monkeypatch.setattr("inference_models.cache.resolution_files.time.time", lambda: 4e9)
        assert score() == 0.9
        assert host.described == ["cats"]

    def test_another_request_takes_what_is_here(
        self, host: hosted.Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host.add("team/cats/1", hosted.detector_files(tmp_path / "x", score=0.7), asked_for="cats", package_id="a0")
        score(model_package_id="p1")
        monkeypatch.setenv("OFFLINE_MODE", "true")
        assert score() == 0.9

    def test_a_provider_that_does_not_answer_is_the_same(
        self, host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        score()
        monkeypatch.setattr("inference_models.cache.resolution_files.time.time", lambda: 4e9)
        host.down = True
        with caplog.at_level(logging.WARNING, logger="inference-models"):
            assert score() == 0.9
        assert "provider 'host' does not answer; 'cats' is loaded from the cache" in caplog.text

    def test_what_is_not_here_is_the_providers_error(self, host: hosted.Hosted) -> None:
        host.down = True
        with pytest.raises(RetryError, match=r"^the server does not answer\.$"):
            score()


def test_without_a_network_another_stored_package_stands_in_for_the_one_that_is_gone(
    host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host.add("team/cats/1", hosted.detector_files(tmp_path / "other", score=0.8), asked_for="cats", package_id="p2")
    assert (score(model_package_id="p2"), score()) == (0.8, 0.9)
    for path in Path(os.environ["INFERENCE_HOME"]).glob("packages/*/p1/weights.onnx"):
        path.unlink()
    monkeypatch.setenv("OFFLINE_MODE", "true")
    assert score() == 0.8


def test_a_remembered_package_that_does_not_load_is_forgotten_and_asked_for_again(
    host: hosted.Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    score()
    import inference_models.loading.attempt as attempt

    load_package, calls = attempt.load_package, []

    def failing_once(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 1:
            raise CorruptedModelPackageError("it does not load.")
        return load_package(*arguments)

    monkeypatch.setattr(attempt, "load_package", failing_once)
    assert score() == 0.9
    assert host.described == ["cats", "cats"]


CODE = """
class Model:
    @classmethod
    def from_pretrained(cls, directory, **kwargs):
        made = cls()
        made.kwargs = kwargs
        return made
    def close(self):
        pass
"""


def consent_to(model_id: str) -> str:
    """What the refusal says has to be passed, as somebody who has read the code passes it."""
    with pytest.raises(ForbiddenLocalCodePackageAccessError) as caught:
        AutoModel.from_pretrained(model_id, allow_loading_dependency_models=True)
    return str(caught.value.fix).split('"')[-2]


class TestDependencies:
    @pytest.fixture
    def consent(self, host: hosted.Hosted) -> str:
        config = {"model_module": "model.py", "model_class": "Model"}
        files = {"model.py": CODE.encode(), "model_config.json": json.dumps(config).encode()}
        host.add(
            "team/gaze/1",
            files,
            asked_for="gaze",
            backend=BackendType.CUSTOM,
            model_architecture="custom",
            task_type=None,
            model_dependencies=[ModelDependency(name="cats", model_id="team/cats/1", model_package_id="p1")],
            recommended_parameters=RecommendedParameters(confidence=0.3),
        )
        consent = consent_to("host:gaze")
        host.described.clear()
        return consent

    def test_are_loaded_and_handed_to_the_code_with_the_recommended_parameters(
        self, host: hosted.Hosted, consent: str
    ) -> None:
        for _ in range(2):
            model = AutoModel.from_pretrained(
                "host:gaze",
                allow_local_code_packages=consent,
                dependency_models_params={"cats": {"threads": 1}},
            )
            (name,) = model.kwargs["model_dependencies"]
            inner = model.kwargs["model_dependencies"][name]
            assert name == "cats"
            assert float(inner(IMAGE)[0].confidence[0]) == pytest.approx(0.9)
            assert model.kwargs["recommended_parameters"] == RecommendedParameters(confidence=0.3)
            inner.close()
        # The inner model was loaded, and remembered, when the consent was asked for.
        assert host.described == ["gaze"]

    def test_can_be_forbidden(self, consent: str) -> None:
        with pytest.raises(CorruptedModelPackageError, match="loading them was not allowed"):
            AutoModel.from_pretrained(
                "host:gaze", allow_local_code_packages=consent, allow_loading_dependency_models=False
            )


OPEN_IN_A_CLOSED_BOX = """
import os, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
import pytest, hosted, numpy
from inference_models import AutoModel
patch = pytest.MonkeyPatch()
hosted.install(patch, {"host": hosted.Hosted()})
with AutoModel.from_pretrained("host:cats") as model:
    print(float(model(numpy.zeros((64, 64, 3), numpy.uint8))[0].confidence[0]))
"""


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(os, "geteuid"), reason="needs mount namespaces")
def test_a_filled_cache_works_on_a_read_only_mount_without_a_network(host: hosted.Hosted, tmp_path: Path) -> None:
    score()
    home = os.environ["INFERENCE_HOME"]
    box = ["unshare", "--mount", "--net", "--map-root-user", "sh", "-c"]
    mount = f"mount --bind {home} {home} && mount -o remount,bind,ro {home}"
    if subprocess.run([*box, mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("this process may not make namespaces")
    paths = os.pathsep.join([str(Path(__file__).parent), *[path for path in sys.path if path]])
    done = subprocess.run(
        [*box, f'{mount} && exec "$0" -c "$1" "$2"', sys.executable, OPEN_IN_A_CLOSED_BOX, paths],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout) == pytest.approx(0.9)
