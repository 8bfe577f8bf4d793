"""Records of runtimes, and importing the library of one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from inference_models.backends import find_backend, known_runtimes, runtimes_for
from inference_models.backends.runtime import Runtime, error_text, first_line, import_runtime
from inference_models.backends.session import SessionRequest
from inference_models.backends.torch_session import reason_of
from inference_models.entities import BackendType
from inference_models.errors import EnvironmentConfigurationError, MissingDependencyError
from inference_models.machine.libraries import Library
from machines import put

if TYPE_CHECKING:
    from pathlib import Path

REINSTALL = 'pip install --force-reinstall "odd>=2"'
DRIVEN = [BackendType.LITERT, BackendType.ONNX, BackendType.OPENVINO, BackendType.TORCH, BackendType.TORCH_SCRIPT]


@pytest.mark.parametrize("kind", DRIVEN)
def test_a_record_says_what_it_needs_and_how_to_install_it(kind: BackendType) -> None:
    record = known_runtimes()[kind]
    assert record.formats[0] is kind
    assert record.library is not None
    assert record.requires.startswith(record.library.distributions[0])
    assert record.install is not None
    assert record.requires in record.install


def test_every_runtime_has_a_record_and_its_formats_are_opened_by_it() -> None:
    assert set(known_runtimes()) == set(BackendType)
    assert runtimes_for(BackendType.ONNX) == (BackendType.ONNX, BackendType.OPENVINO)
    assert runtimes_for(BackendType.TRT) == (BackendType.TRT,)
    assert find_backend(BackendType.TRT) is None


@pytest.mark.parametrize("kind", DRIVEN)
def test_without_its_library_a_backend_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: BackendType
) -> None:
    backend, record = find_backend(kind), known_runtimes()[kind]
    assert backend is not None
    assert record.library is not None
    monkeypatch.setitem(sys.modules, record.library.module, None)
    monkeypatch.setattr(Runtime, "installed_version", lambda self: None)
    with pytest.raises(MissingDependencyError) as caught:
        backend.open_session(SessionRequest(directory=tmp_path, files={}))
    first, second, last = str(caught.value).splitlines()
    assert first == f"{record.label} cannot be used here."
    assert second.startswith(f"needs {record.requires}; found: not installed")
    assert last == record.install


def imported(monkeypatch: pytest.MonkeyPatch, module: str, version: str | None, attribute: str | None = None) -> Any:
    monkeypatch.setattr(Runtime, "installed_version", lambda self: version and Version(version))
    libraries = (Library("odd", module, ("odd",), attribute=attribute),)
    install = 'pip install "odd>=2"'
    record = Runtime(
        label="Odd", type=BackendType.VLLM, order=0, libraries=libraries, requires="odd>=2", install=install
    )
    return import_runtime(record)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (
            "raise ImportError('libodd.so.2: cannot open shared object file')",
            "libodd.so.2: cannot open shared object file",
        ),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("raise OSError('libodd.so.2: wrong ELF class')", "libodd.so.2: wrong ELF class"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise KeyError", "KeyError"),
        ("def f(: pass", "SyntaxError: invalid syntax (odd_runtime.py, line 1)"),
        ("", "it has no 'Core': files of it are missing"),
    ],
)
def test_whatever_an_import_raises_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, found: str
) -> None:
    put(tmp_path, "odd_runtime.py", code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_runtime", raising=False)
    with pytest.raises(EnvironmentConfigurationError) as broken:
        imported(monkeypatch, "odd_runtime", "2.1", "Core")
    assert str(broken.value) == (
        f"odd_runtime 2.1 is installed and cannot be imported.\nneeds a working odd>=2; found: {found}\n{REINSTALL}"
    )
    with pytest.raises(MissingDependencyError) as missing:
        imported(monkeypatch, "odd_runtime", None, "Core")
    hint = f"not installed, and a module 'odd_runtime' that cannot be used: {found}"
    assert str(missing.value).splitlines()[1] == f"needs odd>=2; found: {hint}"


def test_a_library_that_works_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert imported(monkeypatch, "json", "2.1", "dumps").dumps({}) == "{}"


def test_what_pytorch_before_2_6_would_read_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cu124")
    for kind in (BackendType.TORCH, BackendType.TORCH_SCRIPT):
        backend = find_backend(kind)
        assert backend is not None
        with pytest.raises(EnvironmentConfigurationError) as caught:
            backend.open_session(SessionRequest(directory=tmp_path, files={}))
        assert str(caught.value) == (
            "reading a file with this release of PyTorch could run code that the file brings.\n"
            "needs torch>=2.6; found: 2.5.1+cu124\n"
            'pip install -U "torch>=2.6"'
        )


@pytest.mark.parametrize(
    ("words", "first", "of_pytorch"),
    [
        ("\none\ntwo", "one", "one"),
        ("A sentence. Another.", "A sentence. Another.", "A sentence"),
        ("In the TorchScript interpreter:\n trace\nRuntimeError: why", "In the TorchScript interpreter:", "why"),
        ("", "RuntimeError", "RuntimeError"),
        ("x" * 1000, "x" * 300, "x" * 300),
    ],
)
def test_reports_of_runtimes_become_one_line(words: str, first: str, of_pytorch: str) -> None:
    assert (first_line(RuntimeError(words)), reason_of(RuntimeError(words))) == (first, of_pytorch)


def test_words_that_are_no_text_are_shown_with_their_bytes() -> None:
    error = UnicodeDecodeError("utf-8", b"no operator Re\xbfu", 14, 15, "invalid start byte")
    assert error_text(error) == r"no operator Re\xbfu"
