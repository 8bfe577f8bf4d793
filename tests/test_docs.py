"""What the documentation shows is run here, as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import inference_models
from inference_models import AutoModel, ObjectDetectionModel, developer_tools
from inference_models.developer_tools import code_digest
from inference_models.errors import ForbiddenLocalCodePackageAccessError
from inference_models.negotiate.report import report_lines
from negotiate.negotiations import NOTHING, ONLY_ONNX, report_of

ROOT = Path(__file__).parent.parent
SET_BY_OTHERS = {"CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"}
"""Facts about the machine, which are looked at as they are."""
PROBE = "inference_models.backends.probe_environment"


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_the_first_two_commands_of_the_readme_are_one_line_each() -> None:
    first, second = blocks("README.md", "sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert "inference-models predict centerface examples/astronaut.jpg --save out" in first
    assert "pytest" in second


@pytest.fixture
def code_package(tmp_path: Path) -> Path:
    folder = tmp_path / "my-package"
    folder.mkdir()
    (folder / "model.py").write_text(blocks("docs/custom-code.md", "python")[0])
    (folder / "model_config.json").write_text(json.dumps({"model_module": "model.py", "model_class": "MyDetector"}))
    return folder


def test_the_documented_own_code_runs_with_consent(code_package: Path) -> None:
    model = AutoModel.from_pretrained(code_package, allow_local_code_packages=code_digest(code_package))
    assert isinstance(model, ObjectDetectionModel)
    (detections,) = model(np.full((40, 60, 3), 51, np.uint8))
    np.testing.assert_allclose(detections.xyxy, [[0, 0, 60, 40]])
    assert float(detections.confidence[0]) == pytest.approx(0.2)
    assert model.annotate(np.full((40, 60, 3), 51, np.uint8), detections).shape == (40, 60, 3)
    assert model.resolved_model is not None
    assert model.resolved_model.backend == "custom"


@pytest.mark.parametrize("consent", [False, True, "sha256:" + "0" * 64])
def test_own_code_without_its_digest_never_runs(code_package: Path, consent: object) -> None:
    marker = code_package.parent / "ran"
    source = (code_package / "model.py").read_text()
    (code_package / "model.py").write_text(f"open({str(marker)!r}, 'w').close()\n{source}")
    with pytest.raises(ForbiddenLocalCodePackageAccessError) as caught:
        AutoModel.from_pretrained(code_package, allow_local_code_packages=consent)
    assert not marker.exists()
    assert f'allow_local_code_packages="{code_digest(code_package)}"' in str(caught.value)


def test_consent_ends_when_a_byte_of_the_code_changes(code_package: Path) -> None:
    digest = code_digest(code_package)
    with (code_package / "model.py").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(ForbiddenLocalCodePackageAccessError):
        AutoModel.from_pretrained(code_package, allow_local_code_packages=digest)


def test_the_generated_tables_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write-docs", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_reports_in_the_documentation_are_those_of_two_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    for machine in (ONLY_ONNX, NOTHING):
        monkeypatch.setattr(PROBE, lambda thorough=False, found=machine: found)
        shown.append("\n".join(report_lines(AutoModel.explain("centerface"), width=80)) + "\n")
    assert blocks("docs/explain.md", "text") == shown


def test_the_documented_questions_to_a_report_have_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(PROBE, lambda thorough=False: ONLY_ONNX)
    exec(compile(blocks("docs/explain.md", "python")[0], "docs/explain.md", "exec"), {})
    out = capsys.readouterr().out
    assert "\nonnxfp32 onnx order\n" in out
    assert " bytes to fetch\n" in out


def test_the_documented_keys_are_those_of_a_report() -> None:
    text = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    keys = set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE))
    assert keys | {"schema_version", "library_version"} == set(report_of("nothing-installed").to_dict())


def test_every_variable_that_is_read_is_among_the_settings() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    read = set(re.findall(r"""(?:read_bool|read_int|environ\.get)\(\s*"([A-Z][A-Z_]+)\"""", source))
    assert read - SET_BY_OTHERS == {name for name in read if f"`{name}`" in page}


@pytest.mark.parametrize(("page", "door"), [("api.md", inference_models), ("developer-tools.md", developer_tools)])
def test_the_reference_holds_every_public_name(page: str, door: ModuleType) -> None:
    listed = re.findall(r"^::: \S+\.(\w+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(listed) == sorted(set(door.__all__) - {"__version__"})
