"""What the two doors offer, and what walking through them costs."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import inference_models
from inference_models import developer_tools

HEAVY = ["array_api_compat", "cv2", "numpy", "onnxruntime", "supervision", "torch", "transformers"]
IMPORT = """
import json, socket, sys
def refuse(*arguments):
    raise AssertionError("a socket was opened")
socket.socket = refuse
exec(sys.argv[2])
print(json.dumps(sorted(set(sys.modules) & set(json.loads(sys.argv[1])))))
"""


@pytest.mark.parametrize("door", [inference_models, developer_tools])
def test_the_names_of_a_door_are_sorted_and_all_there(door: object) -> None:
    names = door.__all__
    assert names == sorted(set(names))
    for name in names:
        assert getattr(door, name) is not None


def test_dir_shows_the_public_names_only() -> None:
    assert dir(inference_models) == sorted(inference_models.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'inference_models' has no attribute 'AutoModl'$"):
        inference_models.AutoModl


def test_type_checkers_and_the_interpreter_see_the_same_names() -> None:
    tree = ast.parse(Path(inference_models.__file__).read_text(encoding="utf-8"))
    checking = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        name.name: statement.module
        for statement in checking.body
        if isinstance(statement, ast.ImportFrom)
        for name in statement.names
    }
    assert typed == inference_models._MODULES
    assert list(typed) != []


def test_names_are_loaded_from_where_they_are_defined() -> None:
    for name, module in inference_models._MODULES.items():
        assert getattr(inference_models, name) is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [("import inference_models", HEAVY), ("from inference_models import AutoModel", ["PIL", "cv2", "httpx", "numpy"])],
)
def test_importing_loads_nothing_heavy_and_opens_no_socket(statement: str, heavy: list[str]) -> None:
    command = [sys.executable, "-c", IMPORT, json.dumps(heavy), statement]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == []
    assert done.stderr == ""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the last ONNX Runtime for 3.10 brings four more, 3.10 two")
def test_an_installation_with_a_runtime_is_less_than_thirty_distributions() -> None:
    found: set[str] = set()
    waiting = [Requirement("inference-models-lean[onnx-cpu]")]
    while waiting:
        wanted = waiting.pop()
        if wanted.name in found:
            continue
        found.add(wanted.name)
        for text in requires(wanted.name) or ():
            inner = Requirement(text)
            extras = wanted.extras or {""}
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(inner)
    assert len(found) < 30
    assert "pydantic" not in found
