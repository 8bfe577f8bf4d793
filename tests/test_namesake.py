"""Another product on the package index has our import name; who has both installed is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import inference_models
from inference_models.doctor.software import examine_libraries
from inference_models.machine.libraries import installed_distributions

OTHER = "inference_models-0.39.6.dist-info"


def folder_with_both(tmp_path: Path) -> Path:
    """A site-packages folder with this library and the metadata of the other product."""
    shutil.copytree(Path(inference_models.__file__).parent, tmp_path / "inference_models")
    (tmp_path / OTHER).mkdir()
    (tmp_path / OTHER / "METADATA").write_text("Metadata-Version: 2.1\nName: inference-models\nVersion: 0.39.6\n")
    return tmp_path


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {code}"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_import_says_that_both_are_installed(tmp_path: Path) -> None:
    done = run(folder_with_both(tmp_path), "import inference_models")

    assert done.returncode == 0
    assert "'inference-models' and 'inference-models-lean' are two products with one import name" in done.stderr
    assert "pip uninstall -y inference-models inference-models-lean" in done.stderr


def test_an_import_beside_other_libraries_says_nothing(tmp_path: Path) -> None:
    shutil.copytree(Path(inference_models.__file__).parent, tmp_path / "inference_models")
    (tmp_path / "inference_models_lean-0.1.0.dist-info").mkdir()

    assert run(tmp_path, "import inference_models").stderr == ""


def test_the_command_says_that_the_other_product_lies_over_it(tmp_path: Path) -> None:
    folder = folder_with_both(tmp_path)
    (folder / "inference_models/__init__.py").write_text('"""The other product."""\n')

    done = run(folder, "from inference_models.cli import main; sys.exit(main(['doctor']))")

    assert done.returncode == 1
    assert "the product inference-models was installed over it" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_names_the_other_product(tmp_path: Path) -> None:
    found = examine_libraries(installed_distributions([str(folder_with_both(tmp_path))]))
    (finding,) = [finding for finding in found if finding.level == "problem" and "runtime" not in finding.what]

    assert finding.what.startswith("inference-models 0.39.6 is another product")
    assert finding.fix == "pip uninstall -y inference-models inference-models-lean"


def test_the_doctor_is_silent_without_it(tmp_path: Path) -> None:
    found = examine_libraries(installed_distributions([str(tmp_path)]))
    assert not [finding for finding in found if "another product" in finding.what]
