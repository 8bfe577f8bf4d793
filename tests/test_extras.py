"""What the resolver would install for each extra beside a PyTorch that is there already, such as one for the CPU."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CUDA = re.compile(r"^(cuda|cupy|nvidia|pytorch-triton|tensorrt|triton)")
THERE = 'torch ; python_version < "3"\n'
"""As an override: PyTorch is asked for by nobody."""


def planned(extra: str, folder: Path) -> set[str]:
    """Names of the distributions, as `uv pip install` would take them."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("asks the resolver of uv")
    (folder / "there.txt").write_text(THERE)
    command = [uv, "pip", "compile", "-q", "--no-header", "--no-annotate", "--python", sys.executable]
    stated = ["--override", str(folder / "there.txt"), "--extra", extra, str(ROOT / "pyproject.toml")]
    done = subprocess.run([*command, *stated], capture_output=True, text=True, check=True, timeout=300)
    return {re.split(r"[=\[ ;]", line)[0] for line in done.stdout.splitlines() if line}


@pytest.mark.network
@pytest.mark.parametrize(
    ("extra", "brings"),
    [
        ("convert", {"onnx", "onnxscript"}),
        ("hugging-face", {"safetensors", "transformers"}),
        ("onnx-cpu", {"onnxruntime"}),
        ("openvino", {"openvino"}),
        ("standard", {"opencv-python-headless", "safetensors", "supervision", "transformers"}),
        ("supervision", {"supervision"}),
        ("torch", {"safetensors"}),
    ],
)
def test_an_extra_beside_pytorch_brings_neither_cuda_nor_torchvision(
    extra: str, brings: set[str], tmp_path: Path
) -> None:
    plan = planned(extra, tmp_path)
    assert brings <= plan
    assert sorted(name for name in plan if CUDA.match(name) or name in {"torch", "torchvision"}) == []


@pytest.mark.network
def test_timm_brings_torchvision_which_no_other_extra_does(tmp_path: Path) -> None:
    plan = planned("timm", tmp_path)
    assert {"timm", "torchvision"} <= plan
    assert sorted(filter(CUDA.match, plan)) == []
