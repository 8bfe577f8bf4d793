"""TorchScript archives: the code in one, read without running any of it, or the reason to refuse the archive.

An archive is a zip file with tensors, pickles and code. `torch.jit.load` reads the pickles with a reader of its own
that knows numbers, tensors and the classes of the archive, and never imports Python. What the code may be is the matter
of `inference_models.package.torchscript_code`; this module sees to it that the code that is judged is all that would
run. PyTorch lists names cut off after 511 bytes and looks them up whole, without regard to case, so an archive is
refused where a name is long, where two differ in case alone, and where Python's reader lists other names.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from inference_models.errors import CorruptedModelPackageError
from inference_models.package.torchscript_code import (
    reason_to_refuse,
    reason_to_refuse_pickle,
    registered_operators,
)

if TYPE_CHECKING:
    from pathlib import Path

ZIP_MAGIC = b"PK\x03\x04"
LONGEST_NAME = 255
"""Bytes; of a name with its folders. PyTorch reads up to 511."""
_CODE = "code/"
_CODE_FILES = (".py", ".py.debug_pkl")
_EXPORT_AGAIN = "export the model to ONNX, or again with torch.jit.save, without what is named here"


def read_archive_code(path: Path, torch: Any) -> str:
    """All code of the archive at `path`, of which nothing was run; see `torchscript_code` for what it may be.

    Raises:
        CorruptedModelPackageError: it is no TorchScript archive, or one that holds more than a network needs.
    """
    if not _is_zip(path):
        raise _no_archive(path, "a file of another kind")
    try:
        # The reader that `torch.jit.load` uses: another one might see other content in a crafted archive.
        reader = torch._C.PyTorchFileReader(str(path))  # noqa: SLF001
        names = reader.get_all_records()
        odd = _odd_name(path, names)
        records = {} if odd else {name: reader.get_record(name) for name in names if _is_read(name)}
    except (RuntimeError, UnicodeDecodeError) as exc:
        raise _no_archive(path, str(exc).splitlines()[0][:200]) from exc
    if odd is not None:
        raise _refusal(path, odd)
    _refuse_other_archives(path, {name.lower() for name in names})
    code = "\n".join(_text(path, content) for name, content in records.items() if name.lower().endswith(".py"))
    pickles = b"\n".join(content for name, content in records.items() if name.lower().endswith("pkl"))
    reason = reason_to_refuse(code, registered_operators(torch)) or reason_to_refuse_pickle(pickles.decode("latin-1"))
    if reason is not None:
        raise _refusal(path, reason)
    return code


def _refuse_other_archives(path: Path, present: set[str]) -> None:
    if "constants.pkl" not in present or not any(name.startswith(_CODE) for name in present):
        raise _no_archive(
            path, "a checkpoint written by torch.save" if "data.pkl" in present else "a zip file of another kind"
        )
    if "model.json" in present:
        raise _no_archive(path, "an archive of before PyTorch 1.4")


def _refusal(path: Path, found: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        f"{path.name}: the archive holds what networks do not need, so none of its code was run.",
        needs="code that names its operators plainly, and only ones that networks are made of",
        found=found,
        fix=_EXPORT_AGAIN,
    )


def _odd_name(path: Path, names: list[str]) -> str | None:
    """What about the names of the records would let code run that was not read, in words; None when nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as exc:
        return f"a list of files that Python cannot read: {exc}"
    if any(len(name.encode("utf-8", "replace")) > LONGEST_NAME for name in listed):
        return f"a file name of more than {LONGEST_NAME} bytes"
    if len({name.lower() for name in listed}) != len(listed):
        return "several files of one name"
    folder = listed[0].partition("/")[0] if listed else ""
    if sorted(listed) != sorted(f"{folder}/{name}" for name in names):
        return "names that two readers of zip files read differently"
    odd = next((name for name in names if name.lower().startswith(_CODE) and not name.endswith(_CODE_FILES)), None)
    return f"{odd!r} among the code" if odd is not None else None


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC and zipfile.is_zipfile(path)


def _is_read(name: str) -> bool:
    return name.lower().endswith((".py", "pkl"))


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
