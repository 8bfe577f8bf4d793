"""The node at which two runtimes part: a graph that OpenVINO 2026.4 gets wrong, and one on which both agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from inference_models import cli
from inference_models.backends import probe_environment
from inference_models.entities import BackendType
from inference_models.errors import ModelImplementationNotFoundError
from inference_models.negotiate.request import PackageRequest
from inference_models.options import LoadOptions
from inference_models.package.operator_faults import fault_of
from inference_models.parity.where import find_partings
from package.test_operator_faults import ROWS, classifier
from parity.packages import classifier as right_classifier

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("openvino", reason="compares with OpenVINO")
OPTIONS = LoadOptions(labels=["red", "green", "blue"], model_type="resnet", task_type="classification")


def test_the_node_is_named_with_its_operator_and_by_how_much(tmp_path: Path) -> None:
    version = probe_environment().runtimes.get(BackendType.OPENVINO)
    if fault_of([ROWS], BackendType.OPENVINO, version, None) is None:
        pytest.skip("this openvino has no such fault")
    (found,) = find_partings(classifier(tmp_path / "weights.onnx"), request=PackageRequest(), load=OPTIONS)
    assert (found.reference, found.runtime, found.operator, found.output) == (
        "ONNX Runtime",
        "OpenVINO",
        "Mul",
        "output0",
    )
    assert found.largest > 0.1
    assert found.before < 1e-5
    assert found.nodes == 3
    assert "parts from ONNX Runtime at node number 2 (Mul), output 'output0'" in found.text()


def test_runtimes_that_agree_do_not_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right_classifier(tmp_path / "weights.onnx")
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\nblue\n")
    stated = ["--labels", str(labels), "--family", "resnet", "--task", "classification"]
    assert cli.main(["parity", str(tmp_path / "weights.onnx"), *stated, "--where", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["partings"]
    assert found["node"] is None
    assert found["largest"] < 1e-4


def test_one_runtime_alone_cannot_part(tmp_path: Path) -> None:
    right_classifier(tmp_path / "weights.onnx")
    wanted = PackageRequest(backends=frozenset({BackendType.ONNX}))
    with pytest.raises(ModelImplementationNotFoundError, match="nothing that could part"):
        find_partings(tmp_path / "weights.onnx", request=wanted, load=OPTIONS)
