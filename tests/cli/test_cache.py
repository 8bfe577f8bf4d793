"""The cache commands as a person types them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import hosted
from inference_models import AutoModel
from inference_models.cli import main
from inference_models.cli.sizes import parse_size
from inference_models.freeze.pull import pull_model


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    """Has `cats` and `dogs`; `cats` is in the cache."""
    made = hosted.Hosted()
    made.add("team/cats/1", hosted.detector_files(tmp_path / "cats"), asked_for="cats")
    made.add("team/dogs/1", hosted.detector_files(tmp_path / "dogs", score=0.5), asked_for="dogs", license=None)
    hosted.install(monkeypatch, {"host": made})
    pull_model("host:cats")
    return made


def typed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What a command prints; both streams together where it fails."""
    capsys.readouterr()
    assert main(list(arguments)) == code
    out, err = capsys.readouterr()
    assert code or err == ""
    return out + err


@pytest.mark.usefixtures("host")
class TestLooking:
    def test_ls_shows_what_is_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = typed(capsys, "cache", "ls")
        (row,) = (line for line in shown.splitlines() if "team/cats/1" in line)
        assert [cell.strip() for cell in row.strip("│").split("│")][:4] == ["team/cats/1", "p1", "host", "0.0"]
        assert shown.splitlines()[-1] == "1 package, 0.0 MB"

    def test_ls_json_states_bytes_hashes_and_times(self, capsys: pytest.CaptureFixture[str]) -> None:
        (stated,) = json.loads(typed(capsys, "cache", "ls", "--json"))
        assert (stated["provider"], stated["model_id"], stated["package_id"]) == ("host", "team/cats/1", "p1")
        assert stated["size"] == sum(path.stat().st_size for path in Path(stated["folder"]).glob("[!.]*"))
        assert stated["last_used"] >= stated["stored_at"] > 1.7e9
        assert {len(file["sha256"]) for file in stated["files"]} == {64}

    @pytest.mark.parametrize("name", ["team/cats/1", "host:team/cats/1"])
    def test_info_lists_files_with_their_hashes(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        shown = typed(capsys, "cache", "info", name)
        assert "host:team/cats/1  package p1" in shown
        assert "weights.onnx" in shown
        assert json.loads(typed(capsys, "cache", "info", name, "--json"))[0]["model_id"] == "team/cats/1"

    def test_a_misspelt_name_is_answered_with_the_nearest(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert typed(capsys, "cache", "info", "team/cat/1", code=1) == (
            "error: model 'team/cat/1' is not in the cache; nearest: 'team/cats/1'.\ninference-models cache ls\n"
        )

    def test_dir_is_the_folder(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert typed(capsys, "cache", "dir") == os.environ["INFERENCE_HOME"] + "\n"

    def test_an_empty_cache_is_fine(self, capsys: pytest.CaptureFixture[str]) -> None:
        shutil.rmtree(os.environ["INFERENCE_HOME"])
        assert typed(capsys, "cache", "ls").splitlines()[-1] == "0 packages, 0.0 MB"
        assert typed(capsys, "cache", "verify") == "0 of 0 packages found sound\n"
        assert typed(capsys, "cache", "gc").startswith("freed 0.0 MB")
        assert not Path(os.environ["INFERENCE_HOME"], "packages").exists()


@pytest.mark.usefixtures("host")
class TestChecking:
    def test_verify_counts_sound_packages(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert typed(capsys, "cache", "verify") == "1 of 1 package found sound\n"
        assert typed(capsys, "cache", "verify", "--fast", "team/cats/1") == "1 of 1 package found sound\n"

    def test_verify_finds_one_changed_bit_even_when_size_and_time_are_the_same(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = next(Path(os.environ["INFERENCE_HOME"]).glob("packages/*/*/weights.onnx"))
        before = path.stat()
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        shown = typed(capsys, "cache", "verify", code=1)
        assert "0 of 1 package found sound\n" in shown
        assert "host:team/cats/1: weights.onnx: " in shown


class TestCleaning:
    def test_rm_removes_one_model(self, host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
        pull_model("host:dogs")
        typed(capsys, "cache", "rm", "team/cats/1")
        assert [item["model_id"] for item in json.loads(typed(capsys, "cache", "ls", "--json"))] == ["team/dogs/1"]

    def test_rm_all_removes_decisions_too(self, host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
        typed(capsys, "cache", "rm", "--all")
        assert json.loads(typed(capsys, "cache", "ls", "--json")) == []
        assert list(Path(os.environ["INFERENCE_HOME"]).glob("resolutions/*/*.json")) == []

    @pytest.mark.parametrize("arguments", [[], ["team/cats/1", "--all"]])
    def test_rm_wants_one_model_or_all(
        self, host: hosted.Hosted, capsys: pytest.CaptureFixture[str], arguments: list[str]
    ) -> None:
        assert "name one model, or pass --all" in typed(capsys, "cache", "rm", *arguments, code=2)
        assert len(json.loads(typed(capsys, "cache", "ls", "--json"))) == 1

    def test_gc_keeps_models_and_decisions(self, host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
        assert typed(capsys, "cache", "gc").startswith("freed 0.0 MB: 0 packages")
        host.down = True
        with AutoModel.from_pretrained("host:cats") as model:
            assert len(model(np.zeros((64, 64, 3), np.uint8))[0]) == 1

    def test_gc_makes_room_but_not_of_what_was_pinned(
        self, host: hosted.Hosted, capsys: pytest.CaptureFixture[str]
    ) -> None:
        typed(capsys, "pull", "host:dogs", "--pin")
        typed(capsys, "cache", "gc", "--max-size", "0MB")
        (left,) = json.loads(typed(capsys, "cache", "ls", "--json"))
        assert (left["model_id"], left["pinned"]) == ("team/dogs/1", True)


@pytest.mark.parametrize(
    ("text", "size"), [("20GB", 20 * 10**9), ("1.5 mb", 1_500_000), ("0", 0), ("7kB", 7000), ("3TB", 3 * 10**12)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1XB", "1e3", "1.2.3"])
def test_other_texts_are_no_sizes(capsys: pytest.CaptureFixture[str], text: str) -> None:
    shown = typed(capsys, "cache", "gc", f"--max-size={text}", code=2)
    assert "is no size" in shown
