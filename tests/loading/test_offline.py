"""Which models load without a network, and what lies in the cache of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hosted
from inference_models import (
    AutoModel,
    OfflineArtefactStatus,
    OfflineModelStatus,
    OfflinePackagePresence,
    OfflinePackageStatus,
    find_cached_model_package_dir,
)

FILES = ["weights.onnx", "class_names.txt", "inference_config.json", "model_config.json"]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    """Has two packages of `team/cats/1`, also known as `cats`; the one that fits was loaded."""
    made = hosted.Hosted()
    files = hosted.detector_files(tmp_path / "made")
    made.add("team/cats/1", files, asked_for="cats", package_id="absent")
    made.add("team/cats/1", files, asked_for="cats")
    hosted.install(monkeypatch, {"host": made})
    AutoModel.from_pretrained("host:cats", model_package_id="p1").close()
    return made


def folder() -> Path:
    found = find_cached_model_package_dir("cats")
    assert found is not None
    return Path(found)


def test_an_empty_cache_holds_nothing() -> None:
    assert AutoModel.list_offline_models() == AutoModel.verify_offline_model("cats") == []
    assert find_cached_model_package_dir("cats") is None


def test_a_loaded_model_is_listed_with_the_packages_that_are_here_and_those_that_are_not(host: hosted.Hosted) -> None:
    (status,) = AutoModel.list_offline_models()
    assert (status.recorded_at, list(status.proven)) == (status.proven["p1"], ["p1"])
    assert status == OfflineModelStatus(
        canonical_model_id="team/cats/1",
        requested_aliases=["cats"],
        source="host",
        recorded_at=status.recorded_at,
        proven=status.proven,
        packages=[
            OfflinePackageStatus("absent", True, OfflinePackagePresence.MISSING, FILES),
            OfflinePackageStatus("p1", True, OfflinePackagePresence.OK),
        ],
    )


@pytest.mark.parametrize("name", ["cats", "team/cats/1", "host:cats"])
def test_the_folder_of_a_model_is_found_by_each_of_its_names(host: hosted.Hosted, name: str) -> None:
    found = find_cached_model_package_dir(name, api_key="whoever")
    assert found == str(folder())
    with AutoModel.from_pretrained(f"local:{found}") as model:
        assert len(model(np.zeros((64, 64, 3), np.uint8))[0]) == 1


def test_a_file_that_is_gone_or_changed_is_found(host: hosted.Hosted) -> None:
    place = folder()
    (place / "weights.onnx").unlink()
    (place / "class_names.txt").write_bytes(b"cat\ncow\n")

    def verdicts(**options: bool) -> list[OfflineArtefactStatus]:
        return [item.status for item in AutoModel.verify_offline_model("cats", **options) if item.package_id == "p1"]

    gone, right = OfflineArtefactStatus.MISSING, OfflineArtefactStatus.OK
    assert verdicts() == [gone, right, right, right]
    assert verdicts(check_hashes=True) == [gone, OfflineArtefactStatus.HASH_MISMATCH, right, right]
    (status,) = AutoModel.list_offline_models()
    assert status.packages[1].presence is OfflinePackagePresence.INCOMPLETE
    assert status.packages[1].missing_files == ["weights.onnx"]
    assert find_cached_model_package_dir("cats") is None


def test_a_package_without_a_remembered_description_is_listed_too(host: hosted.Hosted) -> None:
    for path in folder().parents[2].glob("resolutions/*/*.json"):
        path.unlink()
    (status,) = AutoModel.list_offline_models()
    assert (status.canonical_model_id, status.recorded_at, status.proven) == ("team/cats/1", None, {})
    assert status.packages == [OfflinePackageStatus("p1", None, OfflinePackagePresence.OK)]
    assert {item.status for item in AutoModel.verify_offline_model("team/cats/1", check_hashes=True)} == {
        OfflineArtefactStatus.OK
    }


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), (None, False)])
def test_the_switch_is_read_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, text: str | None, value: bool
) -> None:
    import inference_models

    monkeypatch.delenv("OFFLINE_MODE", raising=False)
    if text is not None:
        monkeypatch.setenv("OFFLINE_MODE", text)
    assert inference_models.OFFLINE_MODE is value
