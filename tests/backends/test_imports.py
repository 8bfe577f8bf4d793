from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from inference_models.backends.imports import error_text, first_line, import_runtime
from inference_models.backends.runtime import Runtime
from inference_models.entities import BackendType
from inference_models.errors import EnvironmentConfigurationError, MissingDependencyError
from inference_models.machine.libraries import Library
from machines import put

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(module: str, installed: Version | None) -> Any:
        monkeypatch.setattr(Runtime, "installed_version", lambda self: installed)
        library = Library("odd", module, ("odd",), attribute="Core" if module == "openvino" else None)
        install = 'pip install "odd>=2"'
        record = Runtime(type=BackendType.VLLM, order=0, libraries=(library,), requires="odd>=2", install=install)
        return import_runtime(record, "Odd")

    return run


def test_a_runtime_that_is_there_is_imported(imported: Any) -> None:
    assert imported("json", None).dumps({}) == "{}"


def test_a_runtime_that_is_missing_is_called_missing(imported: Any) -> None:
    with pytest.raises(MissingDependencyError) as caught:
        imported("odd_runtime_that_nobody_has", None)
    assert str(caught.value) == (
        'Odd packages cannot run here.\nneeds odd>=2; found: not installed\npip install "odd>=2"'
    )


def test_a_runtime_that_is_installed_and_broken_is_not_called_missing(
    imported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_broken_runtime.py").write_text("raise ImportError('libodd.so.2: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentConfigurationError) as caught:
        imported("odd_broken_runtime", Version("2.1"))
    assert str(caught.value) == (
        "odd_broken_runtime 2.1 is installed and cannot be imported.\n"
        "needs a working odd>=2; found: libodd.so.2: cannot open shared object file\n"
        'pip install --force-reinstall "odd>=2"'
    )


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("raise AttributeError('_ARRAY_API not found')", "AttributeError: _ARRAY_API not found"),
        ("raise OSError('libodd.so.2: wrong ELF class')", "libodd.so.2: wrong ELF class"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise KeyError", "KeyError"),
        ("def f(: pass", "SyntaxError: invalid syntax (odd_runtime.py, line 1)"),
    ],
)
@pytest.mark.parametrize(
    ("installed", "error"),
    [(Version("2.1"), EnvironmentConfigurationError), (None, MissingDependencyError)],
    ids=["installed", "not installed"],
)
def test_whatever_an_import_raises_is_an_error_of_ours(
    imported: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    found: str,
    installed: Version | None,
    error: type[Exception],
) -> None:
    (tmp_path / "odd_runtime.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(error) as caught:
        imported("odd_runtime", installed)
    words = {
        True: "odd_runtime 2.1 is installed and cannot be imported.\n"
        f"needs a working odd>=2; found: {found}\n"
        'pip install --force-reinstall "odd>=2"',
        False: "Odd packages cannot run here.\n"
        f"needs odd>=2; found: not installed, and a module 'odd_runtime' that cannot be used: {found}\n"
        'pip install "odd>=2"',
    }
    assert str(caught.value) == words[installed is not None]


@pytest.mark.parametrize("left", ["openvino/__init__.py", "openvino/libs/some.so"], ids=["package", "folder"])
@pytest.mark.parametrize(
    ("installed", "words"),
    [
        (
            Version("2026.4"),
            (
                "openvino 2026.4 is installed and cannot be imported.\n"
                "needs a working odd>=2; found: it has no 'Core': files of it are missing\n"
                'pip install --force-reinstall "odd>=2"'
            ),
        ),
        (
            None,
            (
                "Odd packages cannot run here.\n"
                "needs odd>=2; found: not installed, and a module 'openvino' that cannot be used: "
                "it has no 'Core': files of it are missing\n"
                'pip install "odd>=2"'
            ),
        ),
    ],
    ids=["installed", "not installed"],
)
def test_a_runtime_of_which_only_a_shell_is_left_is_not_used(
    imported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str, installed: Version | None, words: str
) -> None:
    put(tmp_path, left, "")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "modules", {name: module for name, module in sys.modules.items() if name != "openvino"})
    with pytest.raises((EnvironmentConfigurationError, MissingDependencyError)) as caught:
        imported("openvino", installed)
    assert str(caught.value) == words


def test_the_words_of_an_error_are_its_first_line() -> None:
    assert first_line(RuntimeError("\n one \n two")) == "one"
    assert first_line(RuntimeError("")) == "RuntimeError"
    assert len(first_line(RuntimeError("x" * 1000))) == 300


def test_words_that_are_no_text_are_shown_with_their_bytes() -> None:
    error = UnicodeDecodeError("utf-8", b"no operator Re\xbfu", 14, 15, "invalid start byte")
    assert error_text(error) == r"no operator Re\xbfu"
