"""What a TorchScript archive may do, read from its code before any of it runs.

An archive is a zip file with tensors, pickles and code. `torch.jit.load` reads the pickles with a reader of its own
that knows numbers, tensors and the classes of the archive, and never imports Python. The code is not Python either: an
interpreter inside PyTorch runs it, `__setstate__` methods already while it loads, `forward` at every prediction. That
code can compute, and can call every operator that is registered in the process. Two of PyTorch's own reach beyond
memory: `from_file` maps any file for reading or writing, `save` writes one. Others belong to communication between
machines, or to whatever extension has been imported.

So an archive is refused unless all of its code keeps to this:

1. operators are named plainly, `torch.NAME` or `ops.NAMESPACE.NAME`; the names `torch` and `ops` stand nowhere else;
2. their namespaces, and those of the built-in classes it makes use of, are among the ones that only compute;
3. `from_file` and `save` are not named, neither as an operator nor as a method;
4. `getattr` takes a literal that is not an identifier, the only use PyTorch makes of it when it writes code.
"""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING, Any

from inference_models.errors import CorruptedModelPackageError

if TYPE_CHECKING:
    from pathlib import Path

ZIP_MAGIC = b"PK\x03\x04"
NAMESPACES = frozenset(
    {
        "_quantized",
        "aten",
        "mkl",
        "mkldnn",
        "mkldnn_prepacked",
        "onednn",
        "prepacked",
        "prim",
        "profiler",
        "quantized",
        "sparse",
        "torchvision",
    }
)
"""Of operators that compute and do nothing else."""
CLASS_NAMESPACES = frozenset({"mkldnn", "profiler", "quantized", "rnn", "sparse", "xnnpack"})
"""Of built-in classes that hold packed weights and do nothing else."""
REACHES_BEYOND = ("from_file", "rpc_async", "rpc_remote", "rpc_sync", "save")
_NAME, _LITERAL = "\x00", "\x01"
"""What stands for a literal while code is read: one that is no identifier, and any other."""
_TOKEN = re.compile(r'#[^\n]*|"((?:[^"\\\n]|\\.)*)"')
_NOT_WRITTEN = re.compile("[\"'`]")
_NEVER_WRITTEN = ('"""', _NAME, _LITERAL)
_GETATTR = re.compile(rf"getattr\(\s*([\w.]+)\s*,\s*{_NAME}\s*\)")
_DOT = re.compile(r"\s*\.\s*")
_FIELD = re.compile(r"^\s+(?:torch|ops) :", re.MULTILINE)
_ALIASED = re.compile(r"(?<![\w.])(?:torch|ops)\b(?!\.)")
_OPERATOR = re.compile(r"(?<![\w.])ops\.(\w+)")
_CLASS = re.compile(r"torch\.classes\.(\w+)")
_BEYOND = re.compile(rf"\.({'|'.join(REACHES_BEYOND)})\b|(?<!\w)((?:from_file|rpc_\w+)\b)")
_EXPORT_AGAIN = "export the model again with torch.jit.save, without the operators that are named here"


def read_archive_code(path: Path, torch: Any) -> str:
    """All code of the archive at `path`, which does nothing but compute.

    Raises:
        CorruptedModelPackageError: it is no TorchScript archive, or its code could do something else.
    """
    if not _is_zip(path):
        raise _no_archive(path, "a file of another kind")
    try:
        # The reader that `torch.jit.load` uses: another one might see other files in a crafted archive.
        reader = torch._C.PyTorchFileReader(str(path))  # noqa: SLF001
        names = reader.get_all_records()
        records = {name: reader.get_record(name) for name in names if _is_read(name)}
    except RuntimeError as exc:
        raise _no_archive(path, str(exc).splitlines()[0][:200]) from exc
    present = {name.lower() for name in names}
    if "constants.pkl" not in present or not any(name.startswith("code/") for name in present):
        found = "a checkpoint written by torch.save" if "data.pkl" in present else "a zip file of another kind"
        raise _no_archive(path, found)
    if "model.json" in present:
        raise _no_archive(path, "an archive of before PyTorch 1.4")
    code = "\n".join(_text(path, content) for name, content in records.items() if name.lower().endswith(".py"))
    pickles = b"\n".join(content for name, content in records.items() if name.lower().endswith(".pkl"))
    reason = reason_to_refuse(code) or _foreign_class(pickles.decode("latin-1"))
    if reason is not None:
        raise CorruptedModelPackageError(
            f"{path.name}: the code of the archive could do more than compute, so none of it was run.",
            needs="code that names its operators plainly, and only ones that compute",
            found=reason,
            fix=_EXPORT_AGAIN,
        )
    return code


def reason_to_refuse(code: str) -> str | None:
    """What in `code` is more than computing, in words; None when all of it only computes."""
    if any(text in code for text in _NEVER_WRITTEN) or _NOT_WRITTEN.search(_TOKEN.sub("", code)):
        return "quotes or control characters that PyTorch does not write"
    plain = _without_plain_getattr(_DOT.sub(".", _TOKEN.sub(_stand_in, code)))
    if re.search(r"\bgetattr\b", plain):
        return "getattr with a name that could be written plainly"
    alias = _ALIASED.search(_FIELD.sub("", plain))
    if alias:
        return f"{alias.group()} under another name"
    beyond = _BEYOND.search(plain)
    if beyond:
        return beyond.group(1) or beyond.group(2)
    foreign = next((name for name in _OPERATOR.findall(plain) if name not in NAMESPACES), None)
    return f"operators of {foreign!r}" if foreign else _foreign_class(plain)


def _foreign_class(text: str) -> str | None:
    foreign = next((name for name in _CLASS.findall(text) if name not in CLASS_NAMESPACES), None)
    return f"built-in classes of {foreign!r}" if foreign else None


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


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC and zipfile.is_zipfile(path)


def _is_read(name: str) -> bool:
    return name.lower().endswith((".py", ".pkl"))


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise _no_archive(path, "code that is no text") from exc


def _no_archive(path: Path, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{path.name} is no TorchScript archive.",
        needs="a zip file with code/ and constants.pkl, as torch.jit.save writes it",
        found=found,
        fix="export the model again: torch.jit.save(torch.jit.trace(model, example), 'weights.torchscript')",
    )
