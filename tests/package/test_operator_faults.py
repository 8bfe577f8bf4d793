"""What runtimes are known to compute wrongly: each entry of the table with its reproduction, and where it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper, numpy_helper
from packaging.version import Version

import graphs
from inference_models import AutoModel
from inference_models.backends import probe_environment
from inference_models.entities import BackendType
from inference_models.package.onnx_file import read_onnx_file
from inference_models.package.operator_faults import fault_of, known_faults

if TYPE_CHECKING:
    from pathlib import Path

ROWS = "openvino-rows-of-a-batch"


def reduced(path: Path, *, batch: int | str = "batch", **changes: Any) -> Path:
    """(B, 3, 8) -> three numbers each: the sums of the rows, times three constants; or as `changes` say."""
    stated: dict[str, Any] = {"shape": [3, 8], "axes": [2], "factors": np.array([1.0, 2.0, 4.0], np.float32)} | changes
    reduce = {"inputs": ["images", "axes"], "weights": {"axes": np.array(stated["axes"], np.int64)}}
    graphs.save(
        path,
        [
            helper.make_node("ReduceSum", reduce["inputs"], ["sums"], keepdims=0),
            *([] if stated.get("stored", True) else [_constant(stated["factors"])]),
            helper.make_node("Mul", ["sums", "factors"], ["output0"]),
        ],
        inputs={"images": [batch, *stated["shape"]]},
        outputs={"output0": [batch, *[None] * (len(stated["shape"]) - len(stated["axes"]))]},
        weights=reduce["weights"] | ({"factors": stated["factors"]} if stated.get("stored", True) else {}),
    )
    return path


def _constant(values: np.ndarray) -> Any:
    return helper.make_node("Constant", [], ["factors"], value=numpy_helper.from_array(values))


def classifier(path: Path) -> Path:
    """Three logits: how red, green and blue a picture is; the rows are added up as OpenVINO gets it wrong."""
    return graphs.save(
        path,
        [
            helper.make_node("Reshape", ["images", "shape"], ["rows"]),
            helper.make_node("ReduceSum", ["rows", "axes"], ["sums"], keepdims=0),
            helper.make_node("Mul", ["sums", "factors"], ["output0"]),
        ],
        inputs={"images": ["batch", 3, 8, 8]},
        outputs={"output0": ["batch", 3]},
        weights={
            "shape": np.array([0, 3, 64], np.int64),
            "axes": np.array([2], np.int64),
            "factors": np.array([0.1, 0.2, 0.4], np.float32),
        },
    )


def test_openvino_still_mixes_up_the_rows_of_a_batch(tmp_path: Path) -> None:
    version = probe_environment().runtimes.get(BackendType.OPENVINO)
    (fault,) = (fault for fault in known_faults() if fault.name == ROWS)
    if version is None or not fault.is_in(version):
        pytest.skip(f"the fault is of openvino {fault.versions}")
    from inference_models.backends.openvino import import_openvino

    compiled = import_openvino().Core().compile_model(str(reduced(tmp_path / "weights.onnx")), "CPU")
    images = np.random.default_rng(0).random((2, 3, 8), dtype=np.float32)
    right = images.sum(2) * np.array([1, 2, 4], np.float32)
    (found,) = compiled(images).values()
    (alone,) = compiled(images[:1]).values()
    np.testing.assert_allclose(alone, right[:1], rtol=1e-5)
    assert np.abs(found - right).max() > 0.1 * np.abs(right).max()


def test_every_entry_of_the_table_names_a_test_that_is_there() -> None:
    for fault in known_faults():
        path, _, name = fault.reproduction.partition("::")
        assert path.endswith("test_operator_faults.py")
        assert callable(globals()[name])


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, (ROWS,)),
        ({"axes": [-1]}, (ROWS,)),
        ({"stored": False}, (ROWS,)),
        ({"axes": [1], "factors": np.ones(8, np.float32)}, ()),
        ({"factors": np.array([2.0], np.float32)}, ()),
        ({"shape": [3, 8, 8], "axes": [2], "factors": np.ones(8, np.float32)}, ()),
        ({"shape": [3, 8, 8], "axes": [2, 3]}, ()),
    ],
)
def test_the_pattern_is_found_where_it_is_and_only_there(
    tmp_path: Path, changes: dict[str, Any], found: tuple[str, ...]
) -> None:
    assert read_onnx_file(reduced(tmp_path / "weights.onnx", **changes)).faults == found


@pytest.mark.parametrize(
    ("version", "batch", "has"),
    [("2026.4.1", None, True), ("2026.4.1", 8, True), ("2026.4.1", 1, False), ("2026.5.0", None, False)],
)
def test_only_the_releases_and_batches_of_an_entry_have_its_fault(version: str, batch: int | None, has: bool) -> None:
    assert (fault_of([ROWS], BackendType.OPENVINO, Version(version), batch) is not None) == has
    assert fault_of([ROWS], BackendType.ONNX, Version(version), batch) is None


def test_negotiation_refuses_the_runtime_that_would_answer_wrongly(tmp_path: Path) -> None:
    environment = probe_environment()
    path = classifier(tmp_path / "weights.onnx")
    version = environment.runtimes.get(BackendType.OPENVINO)
    if version is None or fault_of([ROWS], BackendType.OPENVINO, version, None) is None:
        pytest.skip("this openvino has no such fault")
    report = AutoModel.explain(
        str(path), labels=["red", "green", "blue"], model_type="resnet", task_type="classification"
    )
    by_runtime = {item.backend: item for package in report.packages for item in package.candidates}
    assert by_runtime[BackendType.ONNX].admissible
    (reason,) = by_runtime[BackendType.OPENVINO].rejections
    assert reason.check == "operator_faults"
    assert "rows of (B, H, W)" in reason.needs
    assert reason.found == f"openvino {version}"
