from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from inference_models.backends.imports import error_text, first_line, import_runtime
from inference_models.errors import EnvironmentConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from pathlib import Path


def imported(module: str, installed: Version | None) -> Any:
    return import_runtime(module, "Odd", installed=installed, requires="odd>=2", install='pip install "x[odd]"')


def test_a_runtime_that_is_there_is_imported() -> None:
    assert imported("json", None).dumps({}) == "{}"


def test_a_runtime_that_is_missing_is_called_missing() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        imported("odd_runtime_that_nobody_has", None)
    assert str(caught.value) == (
        'Odd packages cannot run here.\nneeds odd>=2; found: not installed\npip install "x[odd]"'
    )


def test_a_runtime_that_is_installed_and_broken_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_broken_runtime.py").write_text("raise ImportError('libodd.so.2: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentConfigurationError) as caught:
        imported("odd_broken_runtime", Version("2.1"))
    assert str(caught.value) == (
        "odd_broken_runtime 2.1 is installed and cannot be imported.\n"
        "needs a working odd>=2; found: libodd.so.2: cannot open shared object file\n"
        'pip install --force-reinstall "x[odd]"'
    )


def test_the_words_of_an_error_are_its_first_line() -> None:
    assert first_line(RuntimeError("\n one \n two")) == "one"
    assert first_line(RuntimeError("")) == "RuntimeError"
    assert len(first_line(RuntimeError("x" * 1000))) == 300


def test_words_that_are_no_text_are_shown_with_their_bytes() -> None:
    error = UnicodeDecodeError("utf-8", b"no operator Re\xbfu", 14, 15, "invalid start byte")
    assert error_text(error) == r"no operator Re\xbfu"
