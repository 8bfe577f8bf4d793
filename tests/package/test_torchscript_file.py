from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch", reason="TorchScript archives are read by PyTorch")

import torch
from torch import Tensor, nn

import torch_graphs
from inference_models.errors import CorruptedModelPackageError
from inference_models.package.torchscript_file import read_archive_code, reason_to_refuse

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN_BY_PYTORCH = [
    "  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return torch.add(x, 1)\n",
    '    _0 = getattr(self.features, "0")\n    _1 = getattr(getattr(self, "0"), "1.a")\n',
    '    ops.prim.RaiseException("torch.save and getattr(x, \\"y\\") in a text", "builtins.ValueError")\n',
    "  ops : int\n  torch : int\n  def forward(self):\n    ops0 = self.ops\n    return torch.add(ops0, self.torch)\n",
    "    _2 = annotate(List[__torch__.torch.classes.quantized.Conv2dPackedParamsBase], [])\n",
    "    _3 = ops.quantized.conv2d(x, self._packed_params, 0.5, 0)\n",
    "    boxes = ops.torchvision.nms(x, y, 0.5)\n",
    "    # a comment about torch, ops, 'quotes' and getattr\n",
    "    mode = self.from_file_mode\n    saved = self.saved\n",
]

REFUSED = {
    'x = torch.from_file("/etc/passwd", True, 3)': "from_file",
    'x = torch . aten . from_file("/etc/passwd")': "from_file",
    '"/etc/passwd".from_file(True, 1)': "from_file",
    'torch.save(x, "/tmp/x")': "save",
    'x.save("/tmp/x")': "save",
    "write = x.save": "save",
    'ops.aten.save(x, "/tmp/x")': "save",
    'torch# "\n.save(x, "p") #"': "save",
    'f("getattr(a, "); torch.save(x, y); g(")")': "save",
    's = "\\""\ntorch.save(x, y)\nt = "\\""': "save",
    'rpc_sync("worker", f)': "rpc_sync",
    'ops.image.write_file("a", x)': "operators of 'image'",
    "ops.c10d.send(x, y)": "operators of 'c10d'",
    "a : __torch__.torch.classes._nnapi.Compilation": "built-in classes of '_nnapi'",
    "t = torch\nt.f(x)": "torch under another name",
    "(torch).f(x)": "torch under another name",
    "torch\\\n.f(x)": "torch under another name",
    'getattr(torch, "0")': "torch under another name",
    "o = [ops]": "ops under another name",
    'f = getattr(x, "save")': "getattr with a name that could be written plainly",
    'f = getattr(x, "sa" "ve")': "getattr with a name that could be written plainly",
    'f = getattr(x, "s\\x61ve")': "getattr with a name that could be written plainly",
    'f = getattr(f(x), "0")': "getattr with a name that could be written plainly",
    "x = 'text'": "quotes or control characters that PyTorch does not write",
    'x = """a"b""" + torch.save(x, y) + """c"d"""': "quotes or control characters that PyTorch does not write",
    'x = "a\n torch.save(x, y) "': "quotes or control characters that PyTorch does not write",
    "getattr(x, \x00)": "quotes or control characters that PyTorch does not write",
}


@pytest.mark.parametrize("code", WRITTEN_BY_PYTORCH)
def test_what_pytorch_writes_for_a_network_is_accepted(code: str) -> None:
    assert reason_to_refuse(code) is None


@pytest.mark.parametrize(("code", "reason"), REFUSED.items())
def test_code_that_could_do_more_than_compute_is_refused_with_the_reason(code: str, reason: str) -> None:
    assert reason_to_refuse("def f(x):\n  " + code) == reason


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
    assert str(caught.value) == (
        "weights.torchscript: the code of the archive could do more than compute, so none of it was run.\n"
        "needs code that names its operators plainly, and only ones that compute; found: from_file\n"
        "export the model again with torch.jit.save, without the operators that are named here"
    )
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
