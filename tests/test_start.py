"""What starting and loading cost, counted: functions entered, files opened, modules imported. Nothing is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphs

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("trials")

MOST = {"the first on a machine": (195, 46), "the first of a process": (164, 43)}
"""Functions and files of a load, with every runtime of the tests installed; on the way to 120 and 25."""
MOST_LINES = 6_000
SLOW = ["fsspec", "httpx", "packaging.requirements", "rich", "typer"]
"""Modules that would cost a start more than all of ours."""

COUNT = """
import json, sys
from pathlib import Path
import inference_models
from inference_models import AutoModel
HOME = str(Path(inference_models.__file__).parent)
OPTIMIZED = 1  # the flag of code that is a function's and no module's or class's
entered, parsed = set(), []
def watch(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(HOME) and code.co_flags & OPTIMIZED and code.co_name[0] != "<":
        entered.add((code.co_filename, code.co_name))
        if code.co_name == "parse_onnx":
            parsed.append(1)
sys.setprofile(watch)
model = AutoModel.from_pretrained(sys.argv[1], labels=["a", "b"], model_type="yolov8")
sys.setprofile(None)
files = sorted({Path(file).relative_to(HOME).as_posix() for file, _ in entered})
print(json.dumps({"functions": len(entered), "files": files, "parsed": len(parsed)}))
"""
IMPORTED = """
import json, sys
from pathlib import Path
from inference_models import AutoModel
if len(sys.argv) > 1:
    AutoModel.from_pretrained(sys.argv[1], labels=["a", "b"], model_type="yolov8")
ours = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "inference_models"]
lines = sum(len(Path(file).read_text(encoding="utf-8").splitlines()) for file in ours)
print(json.dumps({"lines": lines, "modules": sorted(sys.modules)}))
"""


def told(code: str, *arguments: str) -> dict:
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    return graphs.constant_outputs(folder / "m.onnx", size=(64, 64), outputs={"output0": np.zeros((1, 6, 84))})


def test_a_load_of_a_local_file_enters_few_functions_in_few_files(path: Path) -> None:
    for functions, files in MOST.values():  # the second one finds what the first one learned about the machine
        counted = told(COUNT, str(path))
        assert counted["functions"] <= functions
        assert len(counted["files"]) <= files, counted["files"]


def test_a_load_parses_the_file_once(path: Path) -> None:
    assert told(COUNT, str(path))["parsed"] == 1


def test_the_import_of_auto_model_loads_few_lines() -> None:
    assert told(IMPORTED)["lines"] <= MOST_LINES


@pytest.mark.parametrize("arguments", [[], ["path"]], ids=["the import", "a load"])
def test_nothing_slow_is_imported(path: Path, arguments: list[str]) -> None:
    imported = told(IMPORTED, *[str(path) for _ in arguments])["modules"]
    assert [name for name in SLOW if name in imported] == []
