"""Reports as people read them, whole, on narrow and on wide terminals."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_models.negotiate.report_text import package_report_lines, report_lines
from negotiate.negotiations import SCENES, report_of

FOLDER = Path(__file__).parent / "reports"


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", SCENES)
def test_the_whole_text(name: str, width: int) -> None:
    lines = report_lines(report_of(name), width=width)
    assert "\n".join(lines) + "\n" == (FOLDER / f"{name}-{width}.txt").read_text(encoding="utf-8")
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("package_id", ["a1f3", "7c20"])
def test_the_whole_text_of_one_package(package_id: str) -> None:
    lines = package_report_lines(report_of("only-onnxruntime"), package_id, width=80)
    assert "\n".join(lines) + "\n" == (FOLDER / f"package-{package_id}.txt").read_text(encoding="utf-8")
    assert max(map(len, lines)) <= 80


def test_every_golden_text_belongs_to_a_report() -> None:
    names = {f"{name}-{width}.txt" for name in SCENES for width in (80, 120)}
    assert {path.name for path in FOLDER.iterdir()} == names | {"package-a1f3.txt", "package-7c20.txt"}
