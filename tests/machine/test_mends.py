from __future__ import annotations

import re
from pathlib import Path

import pytest

import inference_models
from inference_models.machine.mends import cuda_wheels, imported_from, mend_of, set_variable

MISSING = "ImportError: {}: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("label", "problem", "expected"),
    [
        ("onnxruntime 1.23.0", "importing it ended the process by SIGILL", 'pip install "onnxruntime<1.23.0"'),
        (
            "onnxruntime-gpu 1.23.0",
            "importing it ended the process by SIGABRT",
            "pip install --force-reinstall --no-deps onnxruntime-gpu==1.23.0",
        ),
        ("torch 2.5.1+cu124", "RuntimeError", "pip install --force-reinstall --no-deps torch==2.5.1"),
        ("torch 2.5.1", "importing it did not end within 60 s", "inference-models doctor"),
        (
            "torch 2.5.1",
            imported_from("importing it ended the process by SIGILL", "/home/me/torch.py"),
            "rename /home/me/torch.py, or take /home/me off the import path",
        ),
        ("torch 2.5.1", MISSING.format("libcudnn.so.9"), "pip install nvidia-cudnn-cu12"),
        ("torch 2.9.0", MISSING.format("libcublas.so.13"), "pip install nvidia-cublas"),
        ("mediapipe 0.10", MISSING.format("libGL.so.1"), "apt-get install -y libgl1"),
        ("openvino 2026.4", MISSING.format("libfoo.so"), "pip install --force-reinstall --no-deps openvino==2026.4"),
    ],
)
def test_every_problem_has_a_command(label: str, problem: str, expected: str) -> None:
    assert mend_of(label, problem) == expected


@pytest.mark.parametrize(
    ("sonames", "release", "expected"),
    [
        (
            ["libcublasLt.so.12", "libcublas.so.12", "libcurand.so.10"],
            None,
            ["nvidia-cublas-cu12", "nvidia-curand-cu12"],
        ),
        (["libcufft.so.11"], 11, ["nvidia-cufft-cu11"]),
        (["libcudart.so.13", "libcudnn.so.9"], None, ["nvidia-cuda-runtime", "nvidia-cudnn-cu13"]),
        (["libfoo.so.1"], None, []),
    ],
)
def test_the_wheels_of_libraries(sonames: list[str], release: int | None, expected: list[str]) -> None:
    assert cuda_wheels(sonames, release) == expected


def test_powershell_is_told_in_its_own_words() -> None:
    assert set_variable("INFERENCE_HOME", "D:\\models", powershell=True) == '$env:INFERENCE_HOME = "D:\\models"'
    assert set_variable("INFERENCE_HOME", "/models", powershell=False) == "export INFERENCE_HOME=/models"


def test_no_advice_is_written_for_one_shell_alone() -> None:
    root = Path(inference_models.__file__).parent
    sources = {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in root.rglob("*.py")}
    posix = re.compile(r"""["'\w] && ["'\w{]|["' ]export [A-Z_]+=""")
    assert [name for name, text in sources.items() if posix.search(text)] == ["machine/mends.py"]
