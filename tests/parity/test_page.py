"""What the page about parity shows is run here, as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from inference_models.cli import main
from inference_models.parity.certificate import Certificate, Subject
from inference_models.parity.compare import FP16, FP32, DeviationFacts

PAGE = (Path(__file__).parents[2] / "docs" / "parity.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found, *_ = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return found


def masked(text: str) -> set[str]:
    """Lines without what differs from machine to machine."""
    lines = (line for line in text.splitlines() if not line.startswith("this machine"))
    return {re.sub(r"(?<=within )[-+.e\d]+", "#", re.sub(r" +", " ", line)) for line in lines}


def test_the_command_prints_what_the_page_shows_and_the_model_loads(
    pplcnet_onnx: Path, catalogue_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(block("sh"))[1:]) == 0
    printed = {line for line in masked(capsys.readouterr().out) if " through " not in line or "openvino" in line}
    assert printed <= masked(block("text"))
    names: dict[str, object] = {}
    exec(compile(block("python"), "docs/parity.md", "exec"), names)
    assert names["model"].resolved_model.model_id == "pplcnet-page-orientation"
    for path in (catalogue_home / "parity").glob("*/*.json"):
        path.unlink()


def test_the_page_names_every_field_and_every_gate() -> None:
    for record in (Certificate, DeviationFacts, Subject):
        for name in set(record.__struct_fields__) - {"asked_device", "asked_providers"}:
            assert f"`{name}`" in PAGE
    assert f"| {FP32.box_px} px | {FP16.box_px:g} px |" in PAGE
    assert f"| {FP32.score} | {FP16.score} |" in PAGE
    assert f"| all | {FP16.matched:.1%} |".replace("%", " %") in PAGE
    assert f"| {FP32.mask_iou} | {FP16.mask_iou} |" in PAGE
    assert f"| {FP32.pixels:.1%} | {FP16.pixels:.1%} |".replace("%", " %") in PAGE
    assert f"| {FP32.raw} | {FP16.raw} |" in PAGE
