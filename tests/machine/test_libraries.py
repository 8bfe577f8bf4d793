"""Installed libraries, as installers leave them."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from inference_models.machine.libraries import (
    find_library,
    hiding,
    import_path,
    installed_distributions,
    installed_libraries,
    module_stamp,
    version_of,
)
from machines import LIBRARIES, install, put

POISON = "raise SystemExit"


def test_this_process_has_what_the_standard_library_finds() -> None:
    names = {
        re.sub(r"[-_.]+", "-", item.metadata["Name"]).lower(): item.version
        for item in reversed(list(importlib.metadata.distributions()))
        if item.metadata["Name"]
    }
    found = {name: item.version for name, item in installed_distributions().items()}
    assert {name: found.get(name) for name in names} == names


@pytest.mark.parametrize("name", LIBRARIES["onnxruntime"].distributions)
def test_every_build_of_onnx_runtime_is_one(tmp_path: Path, name: str) -> None:
    install(tmp_path, name, "1.23.0")
    found = find_library(LIBRARIES["onnxruntime"], [str(tmp_path)])
    assert found is not None
    assert found.label == f"{name} 1.23.0"


def test_what_is_not_installed_is_left_out(tmp_path: Path) -> None:
    install(tmp_path, "ai-edge-litert", "2.3.0")
    install(tmp_path, "torch", "2.5.1+cu124")
    install(tmp_path, "onnxruntime-extensions", "0.13")
    found = installed_libraries(LIBRARIES.values(), [str(tmp_path)])
    assert {library.name: str(version_of(item)) for library, item in found.items()} == {
        "litert": "2.3.0",
        "torch": "2.5.1",
    }
    assert found[LIBRARIES["torch"]].label == "torch 2.5.1+cu124"


def test_the_first_folder_wins_as_it_does_for_imports(tmp_path: Path) -> None:
    install(tmp_path / "user", "torch", "2.6")
    install(tmp_path / "system", "torch", "2.5")
    found = find_library(LIBRARIES["torch"], [str(tmp_path / "user"), str(tmp_path / "system")])
    assert found is not None
    assert found.version == "2.6"


def test_what_other_installers_leave_is_understood(tmp_path: Path) -> None:
    put(tmp_path, "tensorrt-10.3.0.egg-info", "Metadata-Version: 1.1\nName: tensorrt\nVersion: 10.3.0\n")
    put(tmp_path, "openvino-2026.4.1-py3.11.egg-info/PKG-INFO", "Name: openvino\nVersion: 2026.4.1\n")
    put(tmp_path, "CoreMLTools.egg-info/PKG-INFO", "Metadata-Version: 2.1\nName: CoreMLTools\nVersion: 8.0.1\n")
    found = installed_libraries(LIBRARIES.values(), [str(tmp_path)])
    versions = {library.name: version_of(item) for library, item in found.items()}
    assert versions == {
        "tensorrt": Version("10.3.0"),
        "openvino": Version("2026.4.1"),
        "coremltools": Version("8.0.1"),
    }


def test_what_an_interrupted_installation_left_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "torch-2.5.dist-info").mkdir()
    put(tmp_path, "~onnxruntime-1.20.dist-info/METADATA", "")
    put(tmp_path, "unversioned.egg-info/PKG-INFO", "Name: unversioned\n")
    assert installed_distributions([str(tmp_path), str(tmp_path / "nowhere")]) == {}


def test_something_installed_or_removed_later_is_seen(tmp_path: Path) -> None:
    path = [str(tmp_path)]
    assert find_library(LIBRARIES["torch"], path) is None
    metadata = install(tmp_path, "torch", "2.6")
    os.utime(tmp_path, ns=(1, 1))  # file systems with coarse clocks
    assert find_library(LIBRARIES["torch"], path) is not None
    shutil.rmtree(metadata)
    assert find_library(LIBRARIES["torch"], path) is None


def test_the_stamp_changes_when_the_same_version_is_installed_again(tmp_path: Path) -> None:
    metadata = install(tmp_path, "torch", "2.6")
    found = find_library(LIBRARIES["torch"], [str(tmp_path)])
    assert found is not None
    before = found.stamp()
    (metadata / "RECORD").write_text("torch/__init__.py,,\n")
    assert found.stamp() != before
    (metadata / "RECORD").unlink()
    assert found.stamp()[2] == (metadata / "METADATA").stat().st_size
    shutil.rmtree(metadata)
    assert found.stamp()[1:] == (0, 0)


class TestImportPath:
    def test_entries_that_are_relative_are_folders_of_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", ["", "lib", "/opt/a/../b", 3])
        here = os.getcwd()  # noqa: PTH109 - as the import does
        assert import_path() == (here, os.path.join(here, "lib"), "/opt/a/../b")  # noqa: PTH118

    def test_has_no_working_directory_where_the_import_has_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", ["/opt/b"])
        assert import_path() == ("/opt/b",)

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the working directory")
    def test_of_a_folder_that_is_gone_has_no_part(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        monkeypatch.setattr(sys, "path", ["", "lib", "/opt/b"])
        assert import_path() == ("/opt/b",)


@pytest.mark.parametrize("library", ["onnxruntime", "openvino", "litert", "torch"])
def test_every_library_has_the_attribute_that_tells_it_from_a_shell(library: str) -> None:
    known = LIBRARIES[library]
    module = pytest.importorskip(known.module)
    assert known.attribute is not None
    assert hasattr(module, known.attribute)


class TestWhatAnImportWouldFind:
    @pytest.mark.parametrize("name", ["numpy", "packaging", "json"])
    def test_is_what_python_itself_imports(self, name: str) -> None:
        file = importlib.import_module(name).__file__
        assert file is not None
        status = Path(file).stat()
        assert module_stamp(name, sys.path) == (file, status.st_mtime_ns, status.st_size)

    @pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
    def test_is_the_first_on_the_path_as_another_interpreter_finds_it(
        self, tmp_path: Path, order: tuple[str, str]
    ) -> None:
        put(tmp_path, "a/odd/__init__.py", "")
        put(tmp_path, "b/odd.py", "")
        path = [str(tmp_path / folder) for folder in order]
        code = f"import sys; sys.path[:0] = {path!r}; import odd; print(odd.__file__)"
        run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
        assert found_file("odd", path) == run.stdout.strip()

    def test_runs_nothing(self, tmp_path: Path) -> None:
        put(tmp_path, "odd/__init__.py", POISON)
        put(tmp_path, "odd/interpreter.py", POISON)
        assert found_file("odd.interpreter", [str(tmp_path)]) == str(tmp_path / "odd/__init__.py")
        assert "odd" not in sys.modules

    def test_may_be_a_folder_lie_in_an_archive_or_not_be_there(self, tmp_path: Path) -> None:
        put(tmp_path, "odd/libs/some.so", "")
        assert found_file("odd", [str(tmp_path)]) == str(tmp_path / "odd")
        archive = tmp_path / "x.zip"
        with zipfile.ZipFile(archive, "w") as stream:
            stream.writestr("even/__init__.py", "")
        assert module_stamp("even", [str(archive)]) == (str(archive / "even/__init__.py"), 0, 0)
        assert module_stamp("even", [str(tmp_path), str(tmp_path / "nowhere")]) is None

    @pytest.mark.parametrize("file", ["odd.py", "odd/__init__.py"])
    def test_may_hide_what_is_installed_behind_it(self, tmp_path: Path, file: str) -> None:
        site = put(tmp_path, "site/odd/__init__.py", "").parents[1]
        put(tmp_path, f"fake/{file}", "")
        path = [str(tmp_path / "fake"), str(site)]
        assert hiding("odd", path, str(site)) == str(tmp_path / "fake" / file.partition("/")[0])
        assert hiding("odd", path[::-1], str(site)) is None
        assert hiding("odd", [str(tmp_path / "fake"), str(tmp_path)], str(tmp_path)) is None

    @pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
    def test_is_not_hidden_by_another_name_of_the_same_folder(self, tmp_path: Path) -> None:
        site = put(tmp_path, "lib/odd/__init__.py", "").parents[1]
        (tmp_path / "lib64").symlink_to(site)
        assert hiding("odd", [str(tmp_path / "lib64"), str(site)], str(site)) is None


def found_file(module: str, path: list[str]) -> str | None:
    found = module_stamp(module, path)
    return None if found is None else found[0]
