from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from packaging.version import Version

from inference_models.entities import BackendType, MemoryProfile, ONNXPackageDetails
from inference_models.machine.environment import Gpu
from inference_models.negotiate.plain_data import as_plain


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("a", "a"),
        (Version("1.2.0"), "1.2.0"),
        (Path("a") / "b", "a/b"),
        (BackendType.TORCH_SCRIPT, "torch-script"),
        (frozenset({"b", "a"}), ["a", "b"]),
        ((BackendType.ONNX, ["x"]), ["onnx", ["x"]]),
        ({BackendType.ONNX: Version("1.0")}, {"onnx": "1.0"}),
        (ONNXPackageDetails(17), {"opset": 17, "incompatible_providers": None}),
        (MemoryProfile(peak_vram_mb={1: 512}), {"peak_vram_mb": {"1": 512}}),
        (Gpu(name="L4", memory=24), {"name": "L4", "compute_capability": None, "memory": 24}),
    ],
)
def test_facts_are_plain_values(value: object, plain: object) -> None:
    assert as_plain(value) == plain
    assert json.loads(json.dumps(as_plain(value), allow_nan=False)) == plain


@pytest.mark.parametrize(("value", "text"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_what_json_cannot_say_is_text(value: float, text: str) -> None:
    assert json.dumps(as_plain({"x": [value]}), allow_nan=False) == f'{{"x": ["{text}"]}}'


def test_the_order_of_a_set_does_not_show() -> None:
    assert as_plain(frozenset({BackendType.TRT, BackendType.ONNX, BackendType.HF})) == ["hugging-face", "onnx", "trt"]
