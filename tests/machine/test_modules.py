"""What an import would find: the same as importing finds, without running anything."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from inference_models.machine.modules import find_module, hiding
from machines import put

POISON = "raise SystemExit"


@pytest.mark.parametrize("name", ["numpy", "packaging", "json"])
def test_is_what_python_itself_imports(name: str) -> None:
    found = find_module(name, sys.path)
    assert found is not None
    assert found.file == importlib.import_module(name).__file__
    status = Path(found.file).stat()
    assert found.stamp() == (found.file, status.st_mtime_ns, status.st_size)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_is_the_first_on_the_path_as_another_interpreter_finds_it(tmp_path: Path, order: tuple[str, str]) -> None:
    put(tmp_path, "a/odd/__init__.py", "")
    put(tmp_path, "b/odd.py", "")
    path = [str(tmp_path / folder) for folder in order]
    code = f"import sys; sys.path[:0] = {path!r}; import odd; print(odd.__file__)"
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    found = find_module("odd", path)
    assert found is not None
    assert found.file == run.stdout.strip()
    assert found.place == str(tmp_path / {"a": "a/odd", "b": "b/odd.py"}[order[0]])


def test_runs_nothing(tmp_path: Path) -> None:
    put(tmp_path, "odd/__init__.py", POISON)
    put(tmp_path, "odd/interpreter.py", POISON)
    found = find_module("odd.interpreter", [str(tmp_path)])
    assert found is not None
    assert (found.file, found.size) == (str(tmp_path / "odd/__init__.py"), len(POISON))
    assert "odd" not in sys.modules


def test_of_a_folder_without_a_package_is_the_folder(tmp_path: Path) -> None:
    put(tmp_path, "odd/libs/some.so", "")
    found = find_module("odd", [str(tmp_path)])
    assert found is not None
    assert (found.file, found.place) == (str(tmp_path / "odd"), str(tmp_path / "odd"))


def test_in_an_archive_has_a_name_and_no_stamp(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("odd/__init__.py", "")
    found = find_module("odd", [str(archive)])
    assert found is not None
    assert found.stamp() == (str(archive / "odd/__init__.py"), 0, 0)


def test_is_nothing_where_nothing_is(tmp_path: Path) -> None:
    assert find_module("odd", [str(tmp_path), str(tmp_path / "nowhere")]) is None


class TestHiding:
    def test_is_done_by_what_comes_first(self, tmp_path: Path) -> None:
        site = put(tmp_path, "site/odd/__init__.py", "").parents[1]
        put(tmp_path, "fake/odd.py", "")
        path = [str(tmp_path / "fake"), str(site)]
        assert hiding("odd", path, str(site)) == str(tmp_path / "fake/odd.py")
        assert hiding("odd", path[::-1], str(site)) is None

    def test_is_not_done_where_nothing_lies_behind(self, tmp_path: Path) -> None:
        put(tmp_path, "source/odd/__init__.py", "")
        assert hiding("odd", [str(tmp_path / "source"), str(tmp_path)], str(tmp_path)) is None

    @pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
    def test_is_not_done_by_another_name_of_the_same_folder(self, tmp_path: Path) -> None:
        site = put(tmp_path, "lib/odd/__init__.py", "").parents[1]
        (tmp_path / "lib64").symlink_to(site)
        assert hiding("odd", [str(tmp_path / "lib64"), str(site)], str(site)) is None
