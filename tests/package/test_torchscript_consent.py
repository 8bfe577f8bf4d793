"""A TorchScript archive is a program: it runs where somebody vouches for its content, and nowhere else."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="TorchScript runs in PyTorch")

import torch

import torch_graphs
from inference_models import AutoModel, providers
from inference_models.developer_tools import register_model_provider
from inference_models.entities import FileDownloadSpecs, PackageSourceType
from inference_models.errors import ForbiddenLocalCodePackageAccessError, NoCompatiblePackageError
from inference_models.freeze.lockfile import make_lock, write_lock
from inference_models.freeze.pull import PullOptions, pull_model
from inference_models.negotiate.request import PackageRequest
from inference_models.package.torchscript_file import read_graph
from inference_models.providers.local import LocalProvider
from scripted_server import served_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BARE: dict[str, Any] = {"labels": ["a", "b"], "model_type": "classifier", "task_type": "classification"}
IMAGE = np.zeros((8, 8, 3), np.uint8)
FORBIDDEN = (
    "{0} is a TorchScript archive, a program that PyTorch would run; it was not run.\n"
    "needs consent to exactly this file, from somebody you trust; found: {1}\n"
    'pass allow_local_code_packages="sha256:{2}" (on the command line --allow-code sha256:{2})'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stated = {"model_architecture": "classifier", "task_type": "classification", "backend_type": "torch-script"}
    inference = {
        "network_input": torch_graphs.network_input((8, 8)),
        "post_processing": {"type": "softmax", "fused": False},
    }
    folder = torch_graphs.describe_package(tmp_path / "package", names=["a", "b"], inference=inference, **stated)
    module = torch_graphs.Rows(torch.tensor([[0.0, 2.0]]))
    torch_graphs.save_archive(module, folder / "weights.torchscript", example=(1, 3, 8, 8))
    return folder


@pytest.fixture
def bare(folder: Path, tmp_path: Path) -> Path:
    return (folder / "weights.torchscript").rename(tmp_path / "best.torchscript")


@pytest.fixture
def no_archive_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("an archive was opened"))


def digest_of(archive: Path) -> str:
    return hashlib.sha256(archive.read_bytes()).hexdigest()


@pytest.mark.usefixtures("no_archive_is_opened")
@pytest.mark.parametrize(
    ("consent", "found"),
    [
        ({}, "no consent"),
        ({"allow_untrusted_packages": True}, "no consent"),
        ({"allow_local_code_packages": True}, "a consent to any code"),
        ({"allow_local_code_packages": "sha256:00"}, "consent to other code (sha256:00)"),
    ],
)
def test_a_path_is_nobodys_word(bare: Path, consent: dict[str, Any], found: str) -> None:
    with pytest.raises(ForbiddenLocalCodePackageAccessError) as caught:
        AutoModel.from_pretrained(bare, **BARE, **consent)
    assert str(caught.value) == FORBIDDEN.format("best.torchscript", found, digest_of(bare))


@pytest.mark.parametrize("prefix", ["sha256:", ""])
def test_a_bare_file_runs_with_consent_to_its_content(bare: Path, prefix: str) -> None:
    with AutoModel.from_pretrained(bare, **BARE, allow_local_code_packages=prefix + digest_of(bare)) as model:
        assert model.resolved_model.backend == "torch-script"
        assert int(model(IMAGE).class_id[0]) == 1


def test_a_folder_runs_with_consent_to_its_archive(folder: Path) -> None:
    archive = folder / "weights.torchscript"
    with pytest.raises(ForbiddenLocalCodePackageAccessError) as caught:
        AutoModel.from_pretrained(folder)
    assert str(caught.value) == FORBIDDEN.format(archive.name, "no consent", digest_of(archive))
    (folder / "class_names.txt").write_text("other\nnames")  # texts are no program
    consent = digest_of(archive)
    AutoModel.from_pretrained(folder, allow_local_code_packages=consent).close()
    archive.write_bytes(archive.read_bytes() + b"\n")
    with pytest.raises(ForbiddenLocalCodePackageAccessError, match="consent to other code"):
        AutoModel.from_pretrained(folder, allow_local_code_packages=consent)


def test_an_explanation_tells_of_the_consent_that_is_missing(folder: Path) -> None:
    assert "needs your consent to the code it brings" in str(AutoModel.explain(folder))
    assert AutoModel.explain(folder, allow_local_code_packages="sha256:00").would_run is not None


@contextmanager
def published(folder: Path, *, trusted: bool) -> Iterator[None]:
    """The package in `folder` behind a web server, as the provider `host` describes it."""
    contents = {f"/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    model = LocalProvider().describe(str(folder))
    with served_files(contents) as web:
        files = [
            FileDownloadSpecs(web.url(path), path[1:], sha256_hash=hashlib.sha256(data).hexdigest(), size=len(data))
            for path, data in contents.items()
        ]
        package = replace(
            model.model_packages[0],
            package_artefacts=files,
            package_source=PackageSourceType.PLATFORM,
            trusted_source=trusted,
        )
        register_model_provider(
            "host", lambda model_id, *_, **__: replace(model, model_id=model_id, model_packages=[package])
        )
        yield


@pytest.fixture(autouse=True)
def _no_registered_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "_registered", {})


def test_the_word_of_a_provider_is_enough(folder: Path) -> None:
    with published(folder, trusted=True):
        for _ in range(2):  # fetched, and from the cache
            with AutoModel.from_pretrained("host:two") as model:
                assert int(model(IMAGE).class_id[0]) == 1


def test_where_nobody_vouches_consent_is_needed_as_for_a_path(folder: Path) -> None:
    allowed = {"allow_untrusted_packages": True}
    consent = digest_of(folder / "weights.torchscript")
    with published(folder, trusted=False):
        with pytest.raises(NoCompatiblePackageError, match="a trusted source"):
            AutoModel.from_pretrained("host:two")
        with pytest.raises(ForbiddenLocalCodePackageAccessError):
            AutoModel.from_pretrained("host:two", **allowed)
        AutoModel.from_pretrained("host:two", **allowed, allow_local_code_packages=consent).close()


def test_a_lock_pins_the_content(folder: Path, tmp_path: Path) -> None:
    with published(folder, trusted=False):
        pulled = pull_model("host:two", PullOptions(request=PackageRequest(allow_untrusted=True)))
        write_lock(make_lock(pulled), tmp_path / "models.lock")
        AutoModel.from_lock(tmp_path / "models.lock", allow_untrusted_packages=True).close()


class WeightsInBytes(torch.nn.Module):
    """A program that widens its weights itself, as weight-only quantisation does."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w", torch.ones(8, 8, dtype=torch.int8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (self.w.float() * 0.1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda: torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(8, 8))), "int8"),
        (WeightsInBytes, "int8"),
        (lambda: torch.nn.Linear(8, 8), "fp32"),
        (lambda: torch.nn.Linear(8, 8).half(), "fp16"),
        (lambda: torch.nn.Linear(8, 8).bfloat16(), "bf16"),
        (torch.nn.ReLU, "unknown"),
    ],
    ids=["quantised modules", "weights in bytes", "fp32", "fp16", "bf16", "no weights"],
)
def test_the_number_format_of_an_archive_is_read_from_the_kinds_of_its_tensors(
    made: Callable[[], torch.nn.Module], kind: str, tmp_path: Path
) -> None:
    torch.jit.script(made()).save(tmp_path / "m.torchscript")
    assert read_graph(tmp_path / "m.torchscript").quantization.value == kind


def test_an_archive_that_is_quantised_is_not_loaded_unasked(tmp_path: Path) -> None:
    path = tmp_path / "m.torchscript"
    torch.jit.script(WeightsInBytes()).save(path)
    consent = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(NoCompatiblePackageError, match='pass quantization="int8"'):
        AutoModel.from_pretrained(path, **BARE, allow_local_code_packages=f"sha256:{consent}")
