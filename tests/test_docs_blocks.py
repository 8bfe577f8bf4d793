"""Every block of code of the documentation runs as it stands there, or says in an invisible comment why it does not.

A page's blocks run in their order, in one folder with the files that a reader has. `<!-- not run: REASON -->` above a
block leaves it out, and `<!-- run by FILE -->` names the test that runs it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import graphs
from inference_models import AutoModel
from inference_models.package.manifest import manifest_schema

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^(?: *<!-- ([^\n]*) -->\n)?( *)```(\w*)\n(.*?)^\2```$", flags=re.MULTILINE | re.DOTALL)
SHOWN = {"", "text"}
"""What is printed, or how files lie: nothing to run."""
LEFT_OUT = 22
"""Blocks that are not run here; a higher number needs a reason that a reader accepts."""
ULTRALYTICS = {"description": "Ultralytics YOLOv8n model", "task": "detect", "names": "{0: 'cat', 1: 'dog'}"}


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    code: str
    why_not: str
    """Of the comment above: empty where the block is run here."""


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start(4)), found[3], textwrap.dedent(found[4]), _reason(found[1]))
        for found in BLOCK.finditer(text)
        if found[3] not in SHOWN
    ]


def _reason(comment: str | None) -> str:
    return comment if comment and comment.startswith(("not run: ", "run by ")) else ""


def test_every_fence_is_read_as_the_start_or_the_end_of_a_block() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^ *```", text, flags=re.MULTILINE)) == 2 * len(BLOCK.findall(text)), page.name


def test_blocks_that_are_left_out_are_few_and_say_why() -> None:
    left_out = [block for page in PAGES for block in blocks_of(page) if block.why_not]
    assert len(left_out) == LEFT_OUT
    for block in left_out:
        stated, _, reason = block.why_not.partition(": ")
        if stated.startswith("run by "):
            test = ROOT / stated.removeprefix("run by ")
            assert block.page.name.removesuffix(".md") in test.read_text(encoding="utf-8")
        else:
            assert reason, block


@pytest.fixture
def reader(
    tmp_path: Path, catalogue_home: Path, centerface_onnx: Path, pplcnet_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with the files that the pages speak of, and the commands of this environment."""
    assert centerface_onnx.is_relative_to(catalogue_home)
    photograph = ROOT / "examples" / "astronaut.jpg"
    for name in ("examples/astronaut.jpg", "one.jpg", "two.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(photograph, tmp_path / name)
    two_classes = {"output0": np.zeros((1, 6, 84), np.float32)}
    graphs.constant_outputs(tmp_path / "best.onnx", size=(64, 64), outputs=two_classes, metadata=ULTRALYTICS)
    for name in ("yolox.onnx", "yolox_nano.onnx"):
        output = {"output": np.zeros((1, 84, 85), np.float32)}
        graphs.constant_outputs(tmp_path / name, size=(64, 64), outputs=output)
    package = tmp_path / "my-package"
    graphs.constant_outputs(package / "weights.onnx", size=(640, 640), outputs=two_classes)
    config = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx"}
    (package / "model_config.json").write_text(json.dumps(config))
    (package / "class_names.txt").write_text("cat\ndog\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page: Path, reader: Path) -> None:
    run = {"python": run_python, "sh": run_shell, "bash": run_shell, "json": read_json}
    names: dict[str, object] = {"AutoModel": AutoModel, "image": "one.jpg", "images": ["one.jpg", "two.jpg"]}
    for block in blocks_of(page):
        if not block.why_not:
            if "model(" in block.code and "model =" not in block.code:
                names.setdefault("model", AutoModel.from_pretrained("centerface"))
            run[block.language](block, names)


def run_python(block: Block, names: dict[str, object]) -> None:
    if "__main__" in block.code:  # its worker processes import it
        Path("program.py").write_text(block.code)
        subprocess.run([sys.executable, "program.py"], check=True, timeout=120)
        return
    exec(compile("\n" * block.line + block.code, block.page, "exec"), names)
    written = re.match(r"# (model\.py)\n", block.code)
    if written:
        shutil.rmtree("my-package")
        Path("my-package").mkdir()
        Path("my-package", written[1]).write_text(block.code)
        Path("my-package/model_config.json").write_text('{"model_module": "model.py", "model_class": "MyDetector"}')


def run_shell(block: Block, names: dict[str, object]) -> None:
    subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], check=True, timeout=120)


def read_json(block: Block, names: dict[str, object]) -> None:
    """A configuration of a package loads with it, a manifest keeps to the schema."""
    if "models" in json.loads(block.code):
        pytest.importorskip("jsonschema").validate(json.loads(block.code), manifest_schema())
    else:
        Path("my-package/inference_config.json").write_text(block.code)
        AutoModel.from_pretrained("./my-package/")("one.jpg")
