"""Each ONNX file is parsed once per load, whatever the way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import graphs
from inference_models import AutoModel
from inference_models.backends.session import SessionRequest
from inference_models.errors import CorruptedModelPackageError
from inference_models.package import onnx_file
from providers.published import published

if TYPE_CHECKING:
    from pathlib import Path

    from inference_models.package.onnx_file import OnnxFile


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were parsed, in order."""
    names = []
    parse = onnx_file.parse_onnx

    def counted(data: onnx_file.Buffer, path: Path) -> OnnxFile:
        names.append(path.name)
        return parse(data, path)

    monkeypatch.setattr(onnx_file, "parse_onnx", counted)
    return names


def shelf(folder: Path) -> Path:
    for name, content in published(folder).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_bare_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsed: list[str]) -> None:
    graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs={"output0": np.zeros((1, 6, 84))})
    monkeypatch.chdir(tmp_path)
    AutoModel.from_pretrained("./best.onnx", labels=["cat", "dog"], model_type="yolov8").close()
    assert parsed == ["best.onnx"]


def test_a_package_folder(tmp_path: Path, parsed: list[str]) -> None:
    folder = shelf(tmp_path) / "day-night"
    (folder / "model_config.json").write_text(
        '{"model_architecture": "classifier", "task_type": "classification", "backend_type": "onnx"}'
    )
    AutoModel.from_pretrained(folder).close()
    assert parsed == ["weights.onnx"]


def test_a_package_that_is_downloaded_and_then_cached(tmp_path: Path, parsed: list[str]) -> None:
    for _ in range(2):
        AutoModel.from_pretrained(f"file://{shelf(tmp_path)}#day-night").close()
        assert parsed == ["weights.onnx"]
        parsed.clear()


def test_a_file_that_changed_since_it_was_described_is_parsed_again(tmp_path: Path, parsed: list[str]) -> None:
    path, *_ = graphs.convolution(tmp_path / "weights.onnx")
    known = onnx_file.read_onnx_file(path)
    request = SessionRequest(tmp_path, {"weights.onnx": path}, graph=known)
    assert request.onnx_file() is known
    path.write_bytes(path.read_bytes() + b"\x10\x00")
    assert request.onnx_file() is not known
    assert len(parsed) == 2
    path.unlink()
    with pytest.raises(CorruptedModelPackageError, match="was removed while it was opened"):
        request.onnx_file()
