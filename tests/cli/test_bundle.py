"""`bundle export` here, `bundle import` there, and the model runs there without a network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

import hosted
from inference_models import AutoModel
from inference_models.cli import main
from inference_models.errors import NoCompatiblePackageError


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosted.Hosted:
    made = hosted.Hosted()
    made.add("team/cats/1", hosted.detector_files(tmp_path / "cats"), asked_for="cats", license=None)
    hosted.install(monkeypatch, {"host": made})
    return made


def test_a_model_moves_to_a_machine_without_a_network(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "cats.bundle"
    assert main(["bundle", "export", "host:cats", "-o", str(target)]) == 0
    out, err = capsys.readouterr()
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert out == f"{target}: 1 packages, 0.0 MB\nsha256 {digest}\n"
    assert err == "team/cats/1: no licence is stated\n"

    monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "other-machine"))
    monkeypatch.setenv("OFFLINE_MODE", "1")
    host.down = True
    asked = list(host.described)
    assert main(["bundle", "import", str(target), "--sha256", digest.upper()]) == 0
    assert capsys.readouterr().out == "host:cats  package p1\n"
    with AutoModel.from_pretrained("host:cats") as model:
        assert float(model(np.zeros((64, 64, 3), np.uint8))[0].confidence[0]) == pytest.approx(0.9)
    assert host.described == asked


def test_another_file_than_the_announced_one_is_refused(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "cats.bundle"
    main(["bundle", "export", "host:cats", "-o", str(target)])
    capsys.readouterr()
    assert main(["bundle", "import", str(target), "--sha256", "0" * 64]) == 1
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert capsys.readouterr().err == (
        f"error: {target} is another file.\nneeds sha256 {'0' * 64}; found: sha256 {digest}\n"
    )


def test_without_the_hash_from_its_maker_a_bundle_is_not_trusted(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "cats.bundle"
    main(["bundle", "export", "host:cats", "-o", str(target)])
    monkeypatch.setenv("INFERENCE_HOME", str(tmp_path / "other-machine"))
    monkeypatch.setenv("OFFLINE_MODE", "1")
    capsys.readouterr()
    assert main(["bundle", "import", str(target)]) == 0
    assert capsys.readouterr().err == (
        "nobody vouches for this bundle: its models load with allow_untrusted_packages=True only. "
        "Import it with --sha256 and the hash that `bundle export` printed to trust them.\n"
    )
    with pytest.raises(NoCompatiblePackageError, match="allow_untrusted_packages=True"):
        AutoModel.from_pretrained("host:cats")
    AutoModel.from_pretrained("host:cats", allow_untrusted_packages=True).close()


@pytest.mark.parametrize("command", [["bundle", "export"], ["lock"]])
def test_a_place_that_cannot_be_written_is_said_before_anybody_is_asked(
    command: list[str], host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "nope" / "x"
    assert main([*command, "host:cats", "-o", str(target)]) == 1
    assert capsys.readouterr().err == (
        f"error: '{target}' cannot be written.\n"
        "needs a name in a folder that exists and may be written to; found: no such folder\n"
    )
    assert host.described == []


def test_names_with_square_brackets_are_printed_as_they_are(
    host: hosted.Hosted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "m[red].bundle"
    assert main(["bundle", "export", "host:cats", "-o", str(target)]) == 0
    assert capsys.readouterr().out.startswith(f"{target}: 1 packages")
