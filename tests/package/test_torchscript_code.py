from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the code of TorchScript archives names operators of PyTorch")

import torch

from inference_models.package.torchscript_code import (
    reason_to_refuse,
    reason_to_refuse_pickle,
    registered_operators,
)
from inference_models.package.torchscript_operators import ATEN, OPERATORS

REGISTERED = registered_operators(torch)
NOT_WRITTEN = "characters that PyTorch does not write"

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
    "    _0 = torch.relu_(x)\n    _1 = ops.aten.relu_(x)\n    _2 = (x).resize(y)\n",
    "    x0 : __torch__.torch.nn.modules.sparse.Embedding = self.sparse.weight\n",
    "  def forward(self, x):\n    for i in range(3):\n      x = torch.add(x, i)\n",
    "  def __setstate__(self, s: Tuple[int]):\n    self.b = s[0]\n  def other(self):\n    while True:\n      pass\n",
]

REFUSED = {
    'x = torch.from_file("/etc/passwd", True, 3)': "the operator from_file",
    'x = torch . aten . from_file("/etc/passwd")': "the operator aten.from_file",
    '"/etc/passwd".from_file(True, 1)': "the operator from_file",
    'torch.save(x, "/tmp/x")': "the operator save",
    'x.save("/tmp/x")': "the operator save",
    "write = x.save": "the operator save",
    'ops.aten.save(x, "/tmp/x")': "the operator aten.save",
    'torch# "\n.save(x, "p") #"': "the operator save",
    'f("getattr(a, "); torch.save(x, y); g(")")': "the operator save",
    's = "\\""\ntorch.save(x, y)\nt = "\\""': "the operator save",
    'rpc_sync("worker", f)': "rpc_sync",
    'ops.image.write_file("a", x)': "operators of 'image'",
    "ops.c10d.send(x, y)": "operators of 'c10d'",
    "a : __torch__.torch.classes._nnapi.Compilation": "built-in classes of '_nnapi'",
    "t = torch\nt.f(x)": "torch under another name",
    "(torch).f(x)": "torch under another name",
    "torch\\\n.f(x)": NOT_WRITTEN,
    'getattr(torch, "0")': "torch under another name",
    "o = [ops]": "ops under another name",
    'f = getattr(x, "save")': "getattr with a name that could be written plainly",
    'f = getattr(x, "sa" "ve")': "getattr with a name that could be written plainly",
    'f = getattr(x, "s\\x61ve")': "getattr with a name that could be written plainly",
    'f = getattr(f(x), "0")': "getattr with a name that could be written plainly",
    "x = 'text'": NOT_WRITTEN,
    'x = """a"b""" + torch.save(x, y) + """c"d"""': NOT_WRITTEN,
    'x = "a\n torch.save(x, y) "': NOT_WRITTEN,
    "getattr(x, \x00)": NOT_WRITTEN,
    "x = torch._sparse_coo_tensor_unsafe(i, v, [4])": "the operator _sparse_coo_tensor_unsafe",
    "x = ops.aten._sparse_coo_tensor_unsafe(i, v, [4])": "the operator aten._sparse_coo_tensor_unsafe",
    "x = i._sparse_coo_tensor_unsafe(v, [4])": "the operator _sparse_coo_tensor_unsafe",
    "x = (i)._nested_view_from_buffer(a, b, c)": "the operator _nested_view_from_buffer",
    "make = self.buffer._sparse_coo_tensor_unsafe": "the operator _sparse_coo_tensor_unsafe",
    "__torch__ = i\n  x = __torch__._sparse_coo_tensor_unsafe(v, [4])": "the operator _sparse_coo_tensor_unsafe",
    "x = torch.autograd.grad(x)": "the operator autograd.grad",
    "x = torch.set_(x, y)": "the operator set_",
    "x = ops.mkldnn.data_ptr(x)": "operators of 'mkldnn'",
    "x = ops.quantized.make_quantized_cell_params(x)": "the operator quantized.make_quantized_cell_params",
    "o = ops.quantized": "the operator quantized",
    "x = i.\\\n_sparse_coo_tensor_unsafe(v, [4])": NOT_WRITTEN,
    "x\u00e9 = 1": NOT_WRITTEN,
}

CALLED = "  def helper(self):\n    while True:\n      pass\n"
LOOPS = {
    "  def __setstate__(self, s):\n    while True:\n      pass\n": "__setstate__",
    "  def __getstate__(self):\n    for i in range(9):\n      pass\n": "__getstate__",
    "  def __setstate__(self, s):\n    x = [i for i in s]\n": "__setstate__",
    CALLED + "  def __setstate__(self, s):\n    self.helper()\n": "helper",
    "  def __setstate__(self, s):\n    _0 = __torch__.between(s)\ndef between(s):\n  return self.helper()\n"
    + CALLED: "helper",
}


@pytest.mark.parametrize("code", WRITTEN_BY_PYTORCH)
def test_what_pytorch_writes_for_a_network_is_accepted(code: str) -> None:
    assert reason_to_refuse(code, REGISTERED) is None


@pytest.mark.parametrize(("code", "reason"), REFUSED.items())
def test_what_networks_do_not_need_is_refused_with_the_reason(code: str, reason: str) -> None:
    assert reason_to_refuse("def f(x):\n  " + code, REGISTERED) == reason


@pytest.mark.parametrize(("code", "method"), LOOPS.items())
def test_a_loop_in_what_runs_while_the_archive_loads_is_refused(code: str, method: str) -> None:
    assert reason_to_refuse("class M(Module):\n" + code, REGISTERED) == (
        f"a loop in {method}, which runs while the archive loads"
    )


@pytest.mark.parametrize(
    "code", ["while True:\n  pass\n", "def f():\n  pass\nclass M(Module):\n  while True:\n    pass\n"]
)
def test_a_loop_outside_of_methods_is_refused(code: str) -> None:
    assert reason_to_refuse(code, REGISTERED) == "a loop outside of methods"


def test_a_method_that_calls_itself_while_the_archive_loads_is_refused() -> None:
    code = "  def __setstate__(self, s):\n    self.step()\n  def step(self):\n    self.other.step()\n"
    assert reason_to_refuse("class M(Module):\n" + code, REGISTERED) == (
        "step, which calls itself while the archive loads"
    )


def test_a_method_that_is_called_twice_while_the_archive_loads_is_accepted() -> None:
    code = (
        "  def __setstate__(self, s):\n    self.a()\n    self.b()\n"
        "  def a(self):\n    self.c()\n  def b(self):\n    self.c()\n  def c(self):\n    pass\n"
    )
    assert reason_to_refuse("class M(Module):\n" + code, REGISTERED) is None


def test_a_long_name_takes_no_longer_than_its_length_asks_for() -> None:
    # Tried from every position, a million letters would take hours.
    assert reason_to_refuse("x" * 1_000_000, REGISTERED) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ctorch._utils\n_rebuild_tensor_v2\n", None),
        ("ctorch._utils\n_rebuild_sparse_tensor\n", "tensors made by _rebuild_sparse_tensor"),
        ("c__torch__.torch.classes._nnapi.Compilation\n", "built-in classes of '_nnapi'"),
    ],
)
def test_pickles_hold_plain_tensors_and_classes_with_weights(text: str, reason: str | None) -> None:
    assert reason_to_refuse_pickle(text) == reason


class TestTheListOfOperators:
    def test_every_name_is_one_that_pytorch_has(self) -> None:
        # Against the registry of PyTorch 2.13; a name may be that of the form that writes in place alone.
        known = REGISTERED | {name.removesuffix("_") for name in REGISTERED}
        if torch.__version__.startswith("2.13"):
            assert known >= ATEN

    def test_no_operator_that_reaches_beyond_or_checks_nothing_is_on_it(self) -> None:
        every = {name for names in OPERATORS.values() for name in names}
        assert not every & {"from_file", "save", "set", "set_data", "to_here", "data_ptr"}
        assert not [name for name in every if "unsafe" in name or "sparse" in name.replace("is_sparse", "")]
