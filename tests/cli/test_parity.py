"""`parity`: what is printed, what is written, and the exit code."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

import hosted
from inference_models.cli import main
from parity import packages

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = ["parity", "host:m", "--backend", "onnx"]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("m", packages.as_files(packages.detector(tmp_path / "made" / "weights.onnx")), package_id="a1")
    hosted.install(monkeypatch, {"host": made})
    return made


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), 80 * number, np.uint8))
    return folder


def test_equal_packages_are_a_success(host: hosted.Hosted, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--count", "2"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("parity of 'm' on 2 probe images (")
    reference = "weights.onnx of a1 (fp32) in ONNX Runtime"
    assert lines[2] == f"reference     {reference}, cpu: the first fp32 package on ONNX Runtime, on the CPU"
    assert lines[-1] == f"{reference}  reference"
    assert err == ""


def test_a_wrong_package_is_a_failure_that_says_why(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = packages.shifted_boxes(3)(packages.detector(tmp_path / "made" / "weights.onnx"))
    host.add("m", packages.as_files(wrong), package_id="b2")
    assert main([*COMMAND, "--count", "2"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("weights.onnx of b2 (fp32) in ONNX Runtime  failed: ")
    assert "boxes differ by up to " in last


def test_a_folder_of_images_is_used_instead(
    host: hosted.Hosted, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, "--images", str(photos), "--count", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["images"]["kind"], report["images"]["count"]) == ("files", 2)
    assert report["candidates"][0]["verdict"] == "reference"
    assert report["candidates"][0]["certificate"]["images"] == report["images"]


def test_the_report_is_written_where_it_is_asked_for(host: hosted.Hosted, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    assert main([*COMMAND, "--count", "1", "--output", str(target)]) == 0
    assert json.loads(target.read_text())["passed"] is True


def test_a_place_that_cannot_be_written_to_is_named(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "no" / "report.json"
    assert main([*COMMAND, "--count", "1", "--output", str(target)]) == 1
    assert capsys.readouterr().err == (
        f"error: '{target}' cannot be written to.\n"
        "needs a file in a folder where you may write; found: No such file or directory\n"
        "pass another file to --output\n"
    )


def test_a_full_disk_leaves_the_older_report(
    host: hosted.Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "report.json").write_text("older")
    monkeypatch.setattr("inference_models.files.durable.sync", full)
    assert main([*COMMAND, "--count", "1", "--output", str(tmp_path / "report.json")]) == 1
    assert [(path.name, path.read_text()) for path in tmp_path.glob("*report*")] == [("report.json", "older")]
