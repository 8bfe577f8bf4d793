from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch", reason="TorchScript archives are read by PyTorch")

import torch
from torch import Tensor, nn

import torch_graphs
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.torchscript_file import read_archive_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REFUSAL = (
    "weights.torchscript: the archive holds what networks do not need, so none of its code was run.\n"
    "needs code that names its operators plainly, and only ones that networks are made of; found: {found}\n"
    "export the model to ONNX, or again with torch.jit.save, without what is named here"
)


class Writer(nn.Module):
    """Writes a file when it is loaded, and another when it runs."""

    def __init__(self, loaded: str, run: str) -> None:
        super().__init__()
        self.loaded = loaded
        self.run = run

    def forward(self, images: Tensor) -> Tensor:
        return images + torch.from_file(self.run, True, 4).sum()

    @torch.jit.export
    def __getstate__(self) -> tuple[str, str]:
        return self.loaded, self.run

    @torch.jit.export
    def __setstate__(self, state: tuple[str, str]) -> None:
        self.loaded = state[0]
        self.run = state[1]
        self.training = torch.from_file(state[0], True, 4).numel() == 0


def test_an_archive_that_writes_files_does_so_in_pytorch_and_is_never_run_here(tmp_path: Path) -> None:
    loaded, run = tmp_path / "loaded", tmp_path / "run"
    path = tmp_path / "weights.torchscript"
    torch_graphs.save_archive(Writer(str(loaded), str(run)), path)
    with pytest.raises(CorruptedModelPackageError) as caught:
        read_archive_code(path, torch)
    assert not loaded.exists()
    assert str(caught.value) == REFUSAL.format(found="the operator from_file")
    # PyTorch 2.13 itself: this is what the refusal is for.
    torch.jit.load(str(path))
    assert loaded.exists()


def _zip(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"archive/{name}", b"3\n")
    return path


NO_ARCHIVE = (
    "weights.torchscript is no TorchScript archive.\n"
    "needs a zip file with code/ and constants.pkl, as torch.jit.save writes it; found: {found}\n"
    "export the model again: torch.jit.save(torch.jit.trace(model, example), 'weights.torchscript')"
)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: path.write_bytes(b"\x08\x07 an ONNX graph"), "a file of another kind"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut off"), "a file of another kind"),
        (lambda path: torch.save({"a": torch.zeros(2)}, path), "a checkpoint written by torch.save"),
        (lambda path: _zip(path, ["version", "readme.txt"]), "a zip file of another kind"),
        (
            lambda path: _zip(path, ["version", "model.json", "constants.pkl", "code/a.py"]),
            "an archive of before PyTorch 1.4",
        ),
    ],
)
def test_anything_else_than_an_archive_is_refused(tmp_path: Path, make: Any, found: str) -> None:
    path = tmp_path / "weights.torchscript"
    make(path)
    with pytest.raises(CorruptedModelPackageError) as caught:
        read_archive_code(path, torch)
    assert str(caught.value) == NO_ARCHIVE.format(found=found)


# PyTorch 2.13 warns about its own use of these tensors.
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_the_code_of_a_quantised_network_is_accepted(tmp_path: Path) -> None:
    layer = torch.ao.nn.quantized.Linear(4, 2)
    path = torch_graphs.save_archive(nn.Sequential(layer).eval(), tmp_path / "weights.torchscript")
    assert "quantized" in read_archive_code(path, torch)


def refusal(path: Path) -> str:
    with pytest.raises(CorruptedModelPackageError) as caught:
        read_archive_code(path, torch)
    return str(caught.value)


def rewritten(folder: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> Path:
    """A network that adds one, with every record that `change` does not leave out as `change` gives it."""

    class Plus(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images + 1

    whole = torch_graphs.save_archive(Plus(), folder / "whole" / "weights.torchscript")
    path = folder / "weights.torchscript"
    writer = torch._C.PyTorchFileWriter(str(path))
    with zipfile.ZipFile(whole) as archive:
        for entry in archive.namelist():
            name = entry.partition("/")[2]
            written_anyway = name in {"version", "byteorder"} or name.startswith(".")
            changed = None if written_anyway else change(name, archive.read(entry))
            if changed is not None:
                writer.write_record(*changed, len(changed[1]))
    writer.write_end_of_file()
    return path


def with_long_source(folder: Path, length: int, body: bytes) -> Path:
    """The same network, whose class lies in a source file with a name of `length` letters."""
    module = b"a" * length
    classes: list[bytes] = []

    def change(name: str, content: bytes) -> tuple[str, bytes] | None:
        if name.endswith("debug_pkl"):
            return None
        if name.endswith(".py"):
            (qualified,) = set(re.findall(rb"self: ([\w.]+),", content))
            classes.append(qualified)
            renamed = content.replace(qualified, b"__torch__." + module + b".Plus")
            return f"code/__torch__/{module.decode()}.py", renamed.replace(b"    return", body + b"    return")
        if name == "data.pkl":
            start = content.index(b"c__torch__")
            end = content.index(b"\n", content.index(b"\n", start) + 1)
            return name, content[:start] + b"c__torch__." + module + b"\nPlus" + content[end:]
        return name, content

    return rewritten(folder, change)


def test_a_source_file_whose_name_pytorch_cuts_off_runs_in_pytorch_and_is_never_run_here(tmp_path: Path) -> None:
    written = tmp_path / "written"
    body = f'    _9 = torch.save([1], "{written}")\n'.encode()
    path = with_long_source(tmp_path, 600, body)
    assert refusal(path) == REFUSAL.format(found="a file name of more than 255 bytes")
    assert not written.exists()
    # PyTorch 2.13 itself: this is what the refusal is for.
    torch.jit.load(str(path))(torch.zeros(1))
    assert written.exists()


def test_a_source_file_with_a_name_of_ordinary_length_is_read(tmp_path: Path) -> None:
    path = with_long_source(tmp_path, 100, b'    _9 = torch.save([1], "never")\n')
    assert refusal(path) == REFUSAL.format(found="the operator save")


def test_other_files_among_the_code_are_refused(tmp_path: Path) -> None:
    path = rewritten(tmp_path, lambda name, data: (name.replace(".debug_pkl", ".bin"), data))
    (odd,) = [name for name in torch._C.PyTorchFileReader(str(path)).get_all_records() if name.endswith(".bin")]
    assert refusal(path) == REFUSAL.format(found=f"{odd!r} among the code")


def test_names_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    path = torch_graphs.save_archive(torch_graphs.convolution(), tmp_path / "weights.torchscript")
    with zipfile.ZipFile(path, "a") as archive:
        source = next(name for name in archive.namelist() if name.endswith(".py"))
        archive.writestr(source.replace(".py", ".PY"), b"")
    assert refusal(path) == REFUSAL.format(found="several files of one name")


def test_names_that_two_readers_of_zip_files_read_differently_are_refused(tmp_path: Path) -> None:
    path = torch_graphs.save_archive(torch_graphs.convolution(), tmp_path / "weights.torchscript")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("weights/extra/xx", b"")
    # Two bytes of UTF-8 without the mark that says so: PyTorch reads one letter, Python two.
    path.write_bytes(path.read_bytes().replace(b"extra/xx", "extra/é".encode()))
    assert refusal(path) == REFUSAL.format(found="names that two readers of zip files read differently")


class Corrupter(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        far = torch.tensor([[1_000_000_000]])
        return torch.ops.aten._sparse_coo_tensor_unsafe(far, torch.ones(1), [4]).to_dense() + images.sum()


def test_an_operator_that_writes_to_memory_unchecked_is_refused(tmp_path: Path) -> None:
    path = torch_graphs.save_archive(Corrupter(), tmp_path / "weights.torchscript")
    assert refusal(path).splitlines()[1].endswith("found: the operator _sparse_coo_tensor_unsafe")


class Sparse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.eye(3).to_sparse())

    def forward(self, images: Tensor) -> Tensor:
        return self.table.matmul(images)


def test_a_sparse_tensor_whose_positions_nobody_checks_is_refused(tmp_path: Path) -> None:
    path = torch_graphs.save_archive(Sparse(), tmp_path / "weights.torchscript")
    assert refusal(path) == REFUSAL.format(found="tensors made by _rebuild_sparse_tensor")


class Endless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = 1

    def forward(self, images: Tensor) -> Tensor:
        for _ in range(self.count):
            images = images + 1
        return images

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return self.count, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        count = state[0]
        while count >= 0:
            count = (count + 1) % 1000
        self.count = count
        self.training = state[1]


def test_an_endless_loop_while_the_archive_loads_is_refused(tmp_path: Path) -> None:
    path = torch_graphs.save_archive(Endless(), tmp_path / "weights.torchscript")
    assert refusal(path) == REFUSAL.format(found="a loop in __setstate__, which runs while the archive loads")


class Attention(nn.Module):
    """A transformer, a recurrent layer and a detector's head: what real exports are made of."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.recurrent = nn.LSTM(16, 8, 1, batch_first=True, bidirectional=True)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.recurrent(self.encoder(rows))[0]
        rows = self.attention(rows, rows, rows)[0]
        boxes, scores = rows.split([4, 12], -1)
        best = scores.softmax(-1).amax(-1).topk(3)[1]
        grid = torch.stack(torch.meshgrid([torch.arange(2), torch.arange(2)], indexing="ij"), -1)
        for _ in range(2):
            boxes = boxes.clamp_(0, 1)
        return boxes.gather(1, best.unsqueeze(-1).repeat(1, 1, 4)), grid


# PyTorch 2.13 warns about nested tensors and about sizes that a trace makes constant.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("example", [None, (1, 5, 16)], ids=["scripted", "traced"])
def test_transformers_recurrent_layers_and_heads_are_accepted(tmp_path: Path, example: tuple[int, ...] | None) -> None:
    path = torch_graphs.save_archive(Attention().eval(), tmp_path / "weights.torchscript", example=example)
    assert "topk" in read_archive_code(path, torch)
