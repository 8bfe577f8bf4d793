"""What stands in the code of a TorchScript archive, read before any of it runs.

The code is not Python: an interpreter inside PyTorch runs it, `__setstate__` methods already while the archive loads,
`forward` at every prediction. It can compute, and call every operator that is registered in the process. Some of those
reach beyond memory (`from_file` maps any file for writing, `save` writes one), others read and write memory at
positions that nobody checks, others belong to whatever extension has been imported.

So code is refused unless it keeps to this:

1. operators are named plainly, `torch.NAME` or `ops.NAMESPACE.NAME`, and are on the list of
   `inference_models.package.torchscript_operators`; `torch` and `ops` stand nowhere else;
2. nothing that is read from a value, `value.NAME`, is called as an operator which is not on that list;
3. built-in classes are among those that hold packed weights;
4. `getattr` takes a literal that is not an identifier, the only use PyTorch makes of it when it writes code;
5. what runs while the archive loads has no loops and does not call itself.

What this gives: no file is read or written, no process or network reached, by a call that can be named; and no loop
without end holds up the load. What it does not give: an operator on the list may have a defect of its own, take all
memory, or run for hours on a large tensor; calls of calls may add up; and `forward` may loop. It stays code for an
interpreter: packages from untrusted sources still need `allow_untrusted_packages`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from inference_models.package.torchscript_operators import OPERATORS, is_computing

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASS_NAMESPACES = frozenset({"mkldnn", "profiler", "quantized", "rnn", "xnnpack"})
"""Of built-in classes that hold packed weights and do nothing else."""
LOADERS = ("__getstate__", "__setstate__")
"""Methods that the reader of archives calls."""
_OWN = "aten::"
_NAME, _LITERAL = "\x00", "\x01"
"""What stands for a literal while code is read: one that is no identifier, and any other."""
_TOKEN = re.compile(r'#[^\n]*|"((?:[^"\\\n]|\\.)*)"')
_NOT_WRITTEN = re.compile(r"[^\n !#-&(-\[\]-_a-~]")
"""Everything but printable ASCII, and quotes and backslashes, which stand in literals alone."""
_NEVER_WRITTEN = ('"""', _NAME, _LITERAL)
_GETATTR = re.compile(rf"getattr\(\s*([\w.]+)\s*,\s*{_NAME}\s*\)")
_DOT = re.compile(r"\s*\.\s*")
_FIELD = re.compile(r"^\s+(?:torch|ops) :", re.MULTILINE)
_ALIASED = re.compile(r"(?<![\w.])(?:torch|ops)\b(?!\.)")
_CHAIN = re.compile(r"(?<!\w)(\w*)((?:\.\w+)+)")
_CLASS = re.compile(r"torch\.classes\.(\w+)")
_SPARSE = re.compile(r"_rebuild_(?:sparse|nested)\w*")
_REMOTE = re.compile(r"(?<![\w.])(from_file|rpc_\w+)\b")
_DEF = re.compile(r"\bdef\s+(\w+)")
_LOOP = re.compile(r"(?<![\w.])(?:while|for)\b")
_CLASS_HEAD = re.compile(r"^class\b", re.MULTILINE)


def registered_operators(torch: Any) -> frozenset[str]:
    """Names of PyTorch's own operators, as they can be called on a value."""
    schemas = torch._C._jit_get_all_schemas()  # noqa: SLF001
    return frozenset(item.name.removeprefix(_OWN) for item in schemas if item.name.startswith(_OWN))


def reason_to_refuse(code: str, registered: frozenset[str]) -> str | None:
    """What in `code` networks do not need, in words; None when there is no such thing."""
    if any(text in code for text in _NEVER_WRITTEN) or _NOT_WRITTEN.search(_TOKEN.sub("", code)):
        return "characters that PyTorch does not write"
    plain = _without_plain_getattr(_DOT.sub(".", _TOKEN.sub(_stand_in, code)))
    if re.search(r"\bgetattr\b", plain):
        return "getattr with a name that could be written plainly"
    alias = _ALIASED.search(_FIELD.sub("", plain))
    if alias:
        return f"{alias.group()} under another name"
    remote = _REMOTE.search(plain)
    if remote:
        return remote.group(1)
    foreign = next(_foreign_operators(plain, registered), None)
    return foreign or _foreign_class(plain) or _loop_while_loading(plain)


def reason_to_refuse_pickle(text: str) -> str | None:
    """What a pickle of the archive, as `text` in Latin-1, holds that networks do not need; None when nothing."""
    unchecked = _SPARSE.search(text)
    return f"tensors made by {unchecked.group()}" if unchecked else _foreign_class(text)


def _foreign_operators(plain: str, registered: frozenset[str]) -> Iterator[str]:
    for head, tail in _CHAIN.findall(plain):
        parts = tail[1:].split(".")
        if head == "torch" and not (len(parts) == 1 and is_computing(parts[0])):
            yield f"the operator {tail[1:]}"
        elif head == "ops":
            yield from _foreign_in_namespace(parts)
        elif head != "torch" and parts[-1] in registered and not is_computing(parts[-1]):
            yield f"the operator {parts[-1]}"


def _foreign_in_namespace(parts: list[str]) -> Iterator[str]:
    allowed = OPERATORS.get(parts[0])
    if allowed is None:
        yield f"operators of {parts[0]!r}"
    elif len(parts) != 2 or not (parts[1] in allowed or (parts[0] == "aten" and is_computing(parts[1]))):
        yield f"the operator {'.'.join(parts)}"


def _foreign_class(text: str) -> str | None:
    foreign = next((name for name in _CLASS.findall(text) if name not in CLASS_NAMESPACES), None)
    return f"built-in classes of {foreign!r}" if foreign else None


def _loop_while_loading(plain: str) -> str | None:
    """The loop in what runs while the archive loads, in words: in `LOADERS`, and in whatever they may call."""
    outside, bodies = _methods(plain)
    if _LOOP.search(outside):
        return "a loop outside of methods"
    waiting = [name for name in LOADERS if name in bodies]
    calls: dict[str, set[str]] = {}
    while waiting:
        name = waiting.pop()
        if _LOOP.search(bodies[name]):
            return f"a loop in {name}, which runs while the archive loads"
        calls[name] = set(re.findall(r"\w+", bodies[name])) & bodies.keys()
        waiting.extend(sorted(calls[name] - calls.keys()))
    try:
        TopologicalSorter(calls).prepare()
    except CycleError as exc:
        return f"{exc.args[1][0]}, which calls itself while the archive loads"
    return None


def _methods(plain: str) -> tuple[str, dict[str, str]]:
    """What stands outside of methods, and the bodies of all methods by name: of those that share one, together."""
    first, *pieces = _DEF.split(plain)
    outside, bodies = [first], defaultdict(list)
    for name, text in zip(pieces[::2], pieces[1::2], strict=True):
        body, *heads = _CLASS_HEAD.split(text)
        bodies[name].append(body)
        outside.extend(heads)
    return "\n".join(outside), {name: "\n".join(parts) for name, parts in bodies.items()}


def _without_plain_getattr(plain: str) -> str:
    """`plain` with every `getattr(value, "0")` replaced by the value, inner ones first."""
    before = None
    while before != plain:
        before, plain = plain, _GETATTR.sub(r"\1", plain)
    return plain


def _stand_in(match: re.Match[str]) -> str:
    literal = match.group(1)
    if literal is None:
        return ""
    return _LITERAL if "\\" in literal or literal.isidentifier() else _NAME
