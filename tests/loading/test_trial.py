"""Graphs that ask for hours or terabytes are refused when they are loaded, and this process does not pay for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper as h

import hostile_graphs
from inference_models import AutoModel
from inference_models.errors import CorruptedModelPackageError, NoCompatiblePackageError
from inference_models.loading import trial
from package.test_onnx_operators import weight

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("onnxruntime")
IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize("write", hostile_graphs.REFUSED)
def test_what_the_file_itself_tells_is_refused(write: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(CorruptedModelPackageError):
        AutoModel.from_pretrained(write(tmp_path / "m.onnx"))


@pytest.mark.parametrize("write", [write for write in hostile_graphs.TRIED if write is not hostile_graphs.tiled])
def test_what_shows_in_a_run_is_refused_too(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if write in hostile_graphs.ENDLESS:
        monkeypatch.setattr(trial, "SECONDS", 1.0)
    with pytest.raises(CorruptedModelPackageError, match="did not come to the end of one run"):
        AutoModel.from_pretrained(write(tmp_path / "m.onnx"))


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def refused(*_: Any, **__: Any) -> None:
            pytest.fail("a child was started")

        monkeypatch.setattr(trial, "Child", refused)

    return forbid


def computed(path: Path) -> Path:
    """As exporters write it: a size that is computed from that of the input."""
    nodes = [
        h.make_node("Shape", ["mean"], ["n"]),
        h.make_node("ConstantOfShape", ["n"], ["zeros"]),
        h.make_node("Add", ["mean", "zeros"], ["output0"]),
    ]
    return hostile_graphs.save(path, nodes)


def test_a_file_that_passed_is_not_tried_again(tmp_path: Path, no_child: Callable[[], None]) -> None:
    path = computed(tmp_path / "m.onnx")
    with AutoModel.from_pretrained(path) as model:
        assert model(IMAGE).confidence.shape == (1, 3)
    no_child()
    AutoModel.from_pretrained(path).close()


def test_a_file_with_constant_sizes_is_not_tried(tmp_path: Path, no_child: Callable[[], None]) -> None:
    no_child()
    nodes = [h.make_node("Expand", ["mean", "n"], ["output0"])]
    AutoModel.from_pretrained(
        hostile_graphs.save(tmp_path / "m.onnx", nodes, [hostile_graphs.sizes("n", 1, 3)])
    ).close()


def test_a_graph_that_is_quantised_is_not_loaded_unasked(tmp_path: Path) -> None:
    nodes = [h.make_node("DynamicQuantizeLinear", ["mean"], ["q", "s", "z"])]
    nodes += [h.make_node("DequantizeLinear", ["q", "s", "z"], ["output0"])]
    path = hostile_graphs.save(tmp_path / "fp32.onnx", nodes, [weight(1)])
    with pytest.raises(NoCompatiblePackageError, match='pass quantization="int8"'):
        AutoModel.from_pretrained(path)
    model = AutoModel.from_pretrained(path, quantization="int8")
    assert model.resolved_model.quantization == "int8"


def test_a_file_of_16_bits_loads_where_no_provider_would_be_asked_for_one(tmp_path: Path) -> None:
    nodes = [h.make_node("Cast", ["w"], ["wide"], to=1), h.make_node("ReduceMax", ["wide"], ["z"], keepdims=0)]
    path = hostile_graphs.save(
        tmp_path / "m.onnx", [*nodes, h.make_node("Add", ["mean", "z"], ["output0"])], [weight(10)]
    )
    assert AutoModel.from_pretrained(path, device="cpu").resolved_model.quantization == "fp16"
