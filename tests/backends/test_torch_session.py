"""What both PyTorch backends say where PyTorch is missing; these tests run without it too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from inference_models.backends import find_backend, torch_session
from inference_models.backends.runtime import Runtime
from inference_models.backends.session import SessionRequest
from inference_models.entities import BackendType
from inference_models.errors import EnvironmentConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {BackendType.TORCH: "PyTorch", BackendType.TORCH_SCRIPT: "TorchScript"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_backend_is_found_by_its_kind_and_states_what_it_reads_and_needs(kind: BackendType) -> None:
    backend = find_backend(kind)
    assert backend is not None
    record = backend.RUNTIME
    assert record.formats == (kind,)
    assert (record.requires, record.install) == ("torch>=2.6", 'pip install "torch>=2.6" safetensors')


@pytest.mark.parametrize(("kind", "name"), KINDS.items())
def test_without_pytorch_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: BackendType, name: str
) -> None:
    backend = find_backend(kind)
    assert backend is not None
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(Runtime, "installed_version", lambda self: None)
    with pytest.raises(MissingDependencyError) as caught:
        backend.open_session(SessionRequest(directory=tmp_path, files={}))
    assert str(caught.value) == (
        f"{name} packages cannot run here.\n"
        "needs torch>=2.6; found: not installed\n"
        'pip install "torch>=2.6" safetensors'
    )


def test_a_pytorch_that_cannot_be_imported_is_another_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = find_backend(BackendType.TORCH)
    assert backend is not None
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(Runtime, "installed_version", lambda self: "2.13.0")
    with pytest.raises(EnvironmentConfigurationError) as caught:
        backend.open_session(SessionRequest(directory=tmp_path, files={}))
    assert str(caught.value).splitlines()[0] == "torch 2.13.0 is installed and cannot be imported."


@pytest.mark.parametrize(
    ("error", "first", "last"),
    [
        (RuntimeError("one\ntwo"), "one", "two"),
        (RuntimeError("A sentence. Another one.\nRuntimeError: the reason"), "A sentence", "the reason"),
        (RuntimeError(""), "RuntimeError", "RuntimeError"),
    ],
)
def test_long_reports_of_pytorch_become_one_line(error: Exception, first: str, last: str) -> None:
    assert (torch_session.first_line(error), torch_session.last_line(error)) == (first, last)
