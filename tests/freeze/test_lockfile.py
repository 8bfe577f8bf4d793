"""Lock files pin every byte, and loading from one gives exactly these bytes, from wherever they can be had."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

import hosted
from inference_models import AutoModel, ObjectDetectionModel
from inference_models.cli import main
from inference_models.entities import ModelDependency
from inference_models.errors import (
    CorruptedModelPackageError,
    InvalidParameterError,
    ModelNotFoundError,
    ModelRetrievalError,
    NoCompatiblePackageError,
)
from inference_models.freeze.from_lock import dependency_mirror, fetch_locked
from inference_models.freeze.lockfile import Lock, lock_text, make_lock, parse_lock, read_lock, write_lock
from inference_models.freeze.pull import pull_model
from inference_models.negotiate.request import PackageRequest
from providers.published import published
from registry.packages import serving

IMAGE = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return hosted.detector_files(tmp_path / "made")


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> dict[str, hosted.Hosted]:
    """`host` has `team/cats/1`, also known as `cats`; `mirror` has the same files as `copy` and knows only MD5."""
    made = {"host": hosted.Hosted(), "mirror": hosted.Hosted(announces=("md5_hash",)), "empty": hosted.Hosted()}
    made["host"].add("team/cats/1", files, asked_for="cats")
    made["mirror"].add("copy", files)
    hosted.install(monkeypatch, made)
    return made


@pytest.fixture
def lock(hosts: dict[str, hosted.Hosted]) -> Lock:
    return make_lock(pull_model("host:cats"))


def empty_cache() -> None:
    shutil.rmtree(os.environ["INFERENCE_HOME"])


class TestWriting:
    def test_every_file_is_pinned_as_an_independent_hash_of_it_says(self, lock: Lock, files: dict[str, bytes]) -> None:
        (model,) = lock.models
        pinned = {file.handle: (file.size, file.sha256, file.md5) for file in model.files}
        assert pinned == {
            handle: (len(data), hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest())
            for handle, data in files.items()
        }
        assert (model.provider, model.id, model.asked_for, model.package) == ("host", "team/cats/1", "cats", "p1")
        assert model.license == "MIT"
        assert "onnx" in lock.runtimes

    def test_it_reads_back_equal(self, lock: Lock, tmp_path: Path) -> None:
        write_lock(lock, tmp_path / "models.lock")
        assert read_lock(tmp_path / "models.lock") == lock
        assert lock_text(lock).startswith("# Written by `inference-models lock`.")

    def test_features_of_any_shape_are_pinned(self, lock: Lock) -> None:
        features = {"nms": {"iou": 0.5, "none": None}, "sizes": [1, 2], "a b": [{"x": 'quo"te\n'}, {}]}
        (model,) = lock.models
        model.description["model_packages"][0]["model_features"] = features
        read = parse_lock(lock_text(lock), where="x").models[0].metadata().model_packages[0].model_features
        assert read == {**features, "nms": {"iou": 0.5}}

    def test_a_revision_in_the_id_is_pinned(self, hosts: dict[str, hosted.Hosted], files: dict[str, bytes]) -> None:
        hosts["host"].add("team/dogs@0123abcd", files, asked_for="dogs")
        (model,) = make_lock(pull_model("host:dogs")).models
        assert model.revision == "0123abcd"


def test_the_command_writes_a_file_of_a_usual_name_from_which_the_models_load(
    hosts: dict[str, hosted.Hosted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts["host"].add("team/dogs/1", hosted.detector_files(tmp_path / "dogs", score=0.5), asked_for="dogs")
    monkeypatch.chdir(tmp_path)
    assert main(["lock", "host:cats", "host:dogs"]) == 0
    assert capsys.readouterr().out == "models.lock: 2 packages, 8 files\n"
    assert [model.asked_for for model in read_lock("models.lock").models] == ["cats", "dogs"]
    empty_cache()
    with AutoModel.from_lock("models.lock", "dogs") as model:
        assert float(model(IMAGE)[0].confidence[0]) == pytest.approx(0.5)


class TestFetching:
    @pytest.mark.parametrize("mirror", [None, "mirror:copy"])
    def test_an_empty_cache_is_filled_from_the_provider_or_a_mirror(
        self, lock: Lock, hosts: dict[str, hosted.Hosted], files: dict[str, bytes], mirror: str | None
    ) -> None:
        empty_cache()
        folder = fetch_locked(lock.models[0], mirror=mirror)
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in files} == files
        source = hosts["mirror" if mirror else "host"]
        assert sorted(source.read_files[-4:]) == sorted(files)

    def test_a_mirror_that_hands_over_other_bytes_under_the_same_hash_is_refused(
        self, lock: Lock, hosts: dict[str, hosted.Hosted]
    ) -> None:
        empty_cache()
        contents = hosts["mirror"].contents
        for url in contents:
            contents[url] = b"x" * len(contents[url])
        with pytest.raises(ModelRetrievalError, match="is not the file that was announced"):
            fetch_locked(lock.models[0], mirror="mirror:copy")
        assert fetch_locked(lock.models[0]).is_dir()

    def test_a_newer_version_at_the_provider_is_not_taken(
        self, lock: Lock, hosts: dict[str, hosted.Hosted], tmp_path: Path
    ) -> None:
        empty_cache()
        hosts["host"].models.clear()
        hosts["host"].add("team/cats/1", hosted.detector_files(tmp_path / "new", score=0.5), asked_for="cats")
        with pytest.raises(ModelRetrievalError) as caught:
            fetch_locked(lock.models[0])
        weights = next(file for file in lock.models[0].files if file.handle == "weights.onnx")
        assert str(caught.value) == (
            "'host' does not offer weights.onnx of 'team/cats/1' as it is locked.\n"
            f"needs a file with sha256 {weights.sha256}; found: 4 files with other content\n"
            'name a source that has it: mirror="provider:id"'
        )

    def test_without_a_network_and_without_the_files_it_says_so(
        self, lock: Lock, hosts: dict[str, hosted.Hosted], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        empty_cache()
        monkeypatch.setenv("OFFLINE_MODE", "1")
        with pytest.raises(ModelRetrievalError) as caught:
            fetch_locked(lock.models[0])
        assert str(caught.value) == (
            "'team/cats/1' is not in the cache as it is locked.\nneeds network access; found: OFFLINE_MODE is set"
        )


class TestLoading:
    def test_from_lock_predicts_offline_what_was_locked(
        self, lock: Lock, tmp_path: Path, hosts: dict[str, hosted.Hosted], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_lock(lock, tmp_path / "models.lock")
        monkeypatch.setenv("OFFLINE_MODE", "1")
        asked = list(hosts["host"].described)
        with AutoModel.from_lock(tmp_path / "models.lock") as model:
            assert float(model(IMAGE)[0].confidence[0]) == pytest.approx(0.9)
            assert model.resolved_model.model_id == "team/cats/1"
        assert hosts["host"].described == asked

    def test_other_runtimes_are_said_on_the_log(
        self, lock: Lock, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_lock(structs.replace(lock, runtimes={"onnx": "0.0.1"}), tmp_path / "models.lock")
        with caplog.at_level(logging.WARNING, logger="inference-models"):
            AutoModel.from_lock(tmp_path / "models.lock").close()
        assert "the lock was made with the onnx runtime 0.0.1; here is 1." in caplog.text

    def test_a_model_is_chosen_by_any_of_its_names(self, lock: Lock) -> None:
        both = structs.replace(lock, models=[*lock.models, structs.replace(lock.models[0], asked_for="x")])
        for name in ("cats", "team/cats/1", "host:team/cats/1"):
            assert both.find(name) is lock.models[0]
        with pytest.raises(InvalidParameterError) as caught:
            both.find(None)
        assert str(caught.value) == (
            "the lock file pins more than one model.\nneeds model_id=, one of them; found: cats, x"
        )
        with pytest.raises(InvalidParameterError) as caught:
            both.find("cat")
        assert str(caught.value) == "the lock file pins no model 'cat'; nearest: 'cats'."


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text: "", "format is missing"),
        (lambda text: text.replace("format = 1", "format = 2"), "format: needs int <= 1; found: 2"),
        (lambda text: text.replace("format = 1", "format = "), "Invalid value (at line 3, column 10)"),
        (lambda text: text.replace("format = 1", "format = 1\nnew = 1"), "new: needs no such key; found: 1"),
        (
            lambda text: text.replace('sha256 = "', 'sha256 = "g'),
            "models[0].files[0]: the size or a hash of 'class_names.txt' is none",
        ),
    ],
)
def test_what_is_no_lock_file_is_refused(lock: Lock, change: Any, found: str) -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        parse_lock(change(lock_text(lock)), where="models.lock")
    assert str(caught.value).startswith(
        f"models.lock is no lock file.\nneeds a file that `inference-models lock` wrote; found: {found}"
    )


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        (
            "package",
            "other",
            (
                "the lock of 'team/cats/1' contradicts itself.\n"
                "needs a description of 'team/cats/1', package other; found: 'team/cats/1', ['p1']"
            ),
        ),
        (
            "description",
            {"model_id": 3},
            (
                "the lock of 'team/cats/1' contradicts itself.\n"
                "needs a description this release can read; found: Expected `str`, got `int` - at `$.model_id`"
            ),
        ),
    ],
)
def test_a_lock_that_contradicts_itself_is_refused(lock: Lock, field: str, value: Any, text: str) -> None:
    with pytest.raises(CorruptedModelPackageError) as caught:
        structs.replace(lock.models[0], **{field: value}).metadata()
    assert str(caught.value) == text


def test_a_damaged_package_cannot_be_locked(hosts: dict[str, hosted.Hosted]) -> None:
    (pulled,) = pull_model("host:cats")
    (pulled.folder / ".manifest.json").unlink()
    with pytest.raises(CorruptedModelPackageError) as caught:
        make_lock([replace(pulled, asked_for="x")])
    assert str(caught.value) == (
        f"package folder '{pulled.folder}' is not complete.\nneeds .manifest.json; found: No such file or directory"
    )


class TestOtherSources:
    """Locked from one kind of provider, had from another."""

    @pytest.fixture
    def shelf(self, tmp_path: Path) -> Path:
        folder = tmp_path / "shelf"
        for path, data in published(tmp_path / "published").items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder

    @pytest.fixture
    def registry_lock(self, tmp_path: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Lock:
        library = tmp_path / "library" / "day-night" / "fp32"
        shutil.copytree(shelf / "day-night", library)
        stated = {"model_architecture": "classifier", "task_type": "classification", "backend_type": "onnx"}
        (library / "model_config.json").write_text(json.dumps(stated))
        with serving(tmp_path / "library") as server:
            monkeypatch.setenv("ROBOFLOW_API_HOST", server.url)
            made = make_lock(pull_model("roboflow:day-night"))
        empty_cache()
        return made

    def test_a_package_of_a_registry_loads_from_a_manifest_without_a_network(
        self, registry_lock: Lock, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_lock(registry_lock, tmp_path / "models.lock")
        monkeypatch.setenv("OFFLINE_MODE", "1")
        mirror = f"{shelf.as_uri()}#day-night"
        with AutoModel.from_lock(tmp_path / "models.lock", "day-night", mirror=mirror) as model:
            assert model.class_names == ["day", "night"]

    def test_a_package_folder_of_this_machine_is_a_source_too(
        self, lock: Lock, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        empty_cache()
        (tmp_path / "copy").mkdir()
        for name, data in files.items():
            (tmp_path / "copy" / name).write_bytes(data)
        monkeypatch.setenv("OFFLINE_MODE", "1")
        folder = fetch_locked(lock.models[0], mirror=f"local:{tmp_path / 'copy'}")
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in files} == files

    def test_what_was_locked_from_a_folder_with_a_manifest_comes_from_there_offline(
        self, shelf: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = make_lock(pull_model(f"{shelf.as_uri()}#day-night"))
        empty_cache()
        monkeypatch.setenv("OFFLINE_MODE", "1")
        assert (fetch_locked(made.models[0]) / "weights.onnx").is_file()

    def test_a_text_that_is_not_the_pinned_one_is_refused(self, shelf: Path) -> None:
        (model,) = make_lock(pull_model(f"{shelf.as_uri()}#day-night")).models
        empty_cache()
        changed = [structs.replace(file, text="{}") if file.text else file for file in model.files]
        (text,) = (file for file in model.files if file.text)
        with pytest.raises(CorruptedModelPackageError) as caught:
            fetch_locked(structs.replace(model, files=changed))
        assert str(caught.value) == (
            f"the lock of {model.id!r} contradicts itself.\n"
            f"needs a text of {text.handle} with sha256 {text.sha256}; "
            f"found: sha256 {hashlib.sha256(b'{}').hexdigest()}"
        )


class TestTrust:
    def test_what_nobody_vouched_for_needs_the_callers_word(
        self, hosts: dict[str, hosted.Hosted], lock: Lock, tmp_path: Path
    ) -> None:
        (model,) = lock.models
        description = json.loads(json.dumps(model.description))
        description["model_packages"][0]["trusted_source"] = False
        doubtful = structs.replace(model, description=description)
        write_lock(structs.replace(lock, models=[doubtful]), tmp_path / "models.lock")
        with pytest.raises(NoCompatiblePackageError) as caught:
            AutoModel.from_lock(tmp_path / "models.lock", device="cpu")
        lines = str(caught.value).splitlines()
        assert lines[0] == "team/cats/1: cannot run here."
        assert f"  you asked for  {PackageRequest(device='cpu').describe()}" in lines
        assert "                 needs a trusted source; found: an untrusted one" in lines
        assert "  fewest steps   1. pass allow_untrusted_packages=True" in lines
        AutoModel.from_lock(tmp_path / "models.lock", allow_untrusted_packages=True).close()


class TestNeededModels:
    @pytest.fixture
    def both(self, lock: Lock) -> Lock:
        """`cats` as it was asked for, and another package of it that `zoo` needs."""
        (cats,) = lock.models
        inner = structs.replace(cats, package="p2", direct=False)
        return structs.replace(lock, models=[cats, inner])

    @pytest.mark.parametrize(("package", "index"), [("p1", 0), ("p2", 1), (None, 1)])
    def test_the_package_that_is_needed_is_found(self, both: Lock, package: str | None, index: int) -> None:
        needed = ModelDependency(name="inner", model_id="team/cats/1", model_package_id=package)
        assert both.find_dependency(both.models[0], needed) is both.models[index]

    def test_what_is_not_pinned_is_said(self, both: Lock) -> None:
        with pytest.raises(CorruptedModelPackageError) as caught:
            both.find_dependency(both.models[0], ModelDependency(name="x", model_id="cats", model_package_id="p3"))
        assert str(caught.value) == (
            "the lock of 'team/cats/1' does not pin the models it needs.\n"
            "needs cats, package p3; found: team/cats/1, package p1, team/cats/1, package p2\n"
            "write the lock file again"
        )

    @pytest.mark.parametrize(
        ("mirror", "asked_for", "expected"),
        [
            ("mirror:zoo", "cats", "mirror:cats"),
            ("file:///shelf#zoo", "https://host/m.json#cats", "file:///shelf#cats"),
            ("https://host/m.json?signed=1#zoo", "cats", "https://host/m.json?signed=1#cats"),
        ],
    )
    def test_it_is_looked_for_at_the_mirror(self, lock: Lock, mirror: str, asked_for: str, expected: str) -> None:
        needed = structs.replace(lock.models[0], asked_for=asked_for)
        assert dependency_mirror(mirror, needed) == expected


def test_the_class_of_a_task_loads_an_id_and_a_lock_file(lock: Lock, tmp_path: Path) -> None:
    write_lock(lock, tmp_path / "models.lock")
    for model in ("host:cats", tmp_path / "models.lock"):
        with ObjectDetectionModel.from_pretrained(model) as loaded:
            assert loaded.class_names == ["cat", "dog"]


def test_the_class_of_a_task_asks_the_provider_that_is_named_whatever_lies_here(
    hosts: dict[str, hosted.Hosted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cats").mkdir()
    monkeypatch.chdir(tmp_path)
    with ObjectDetectionModel.from_pretrained("cats", weights_provider="host") as loaded:
        assert loaded.class_names == ["cat", "dog"]
    assert hosts["host"].described == ["cats"]


def test_a_text_that_can_be_no_path_is_an_error_of_ours() -> None:
    with pytest.raises(ModelNotFoundError):
        ObjectDetectionModel.from_pretrained("x" * 5000)
