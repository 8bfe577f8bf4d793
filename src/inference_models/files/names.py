"""Names that are the same on every file system, and the folder names made from them."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from inference_models.errors import CorruptedModelPackageError, InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_NAME = 255
MAX_MODEL_ID = 512
_SEGMENT = r"[A-Za-z0-9._-]+"
_PACKAGE_ID = r"[A-Za-z0-9]+"
_HUB_REPOSITORY = r"(models|datasets|spaces)--."
_RESERVED_STEMS = frozenset(
    {"con", "prn", "aux", "nul"} | {f"com{digit}" for digit in range(10)} | {f"lpt{digit}" for digit in range(10)}
)
"""Names Windows keeps for devices, with any extension."""
HANDLE_RULE = "relative names of letters, digits, '.', '_' and '-', with forward slashes"
MANIFEST_NAME = ".manifest.json"


def is_portable_handle(handle: str) -> bool:
    """Whether `handle` names the same one file below a folder on every system."""
    return len(handle) <= MAX_NAME and all(_is_portable_segment(segment) for segment in handle.split("/"))


def is_plain_name(name: str) -> bool:
    """Whether `name` is such a handle but for letters of any script, spaces inside it and marks that files may have."""
    plain = re.sub(r'[^A-Za-z0-9._\-<>:"/\\|?*]', "x", name.replace(" ", ""))
    return name.isprintable() and is_portable_handle(plain) and all(part == part.strip() for part in name.split("/"))


def may_lead(folder: Path, target: Path) -> bool:
    """Whether a link in `folder` may lead to `target`: below the folder, or from a snapshot of the Hub to its files.

    Both are real paths. `huggingface_hub` keeps `models--owner--name/snapshots/<commit>/` as links into `blobs/` of the
    same cache, `models--owner--name/blobs/`.
    """
    if target.is_relative_to(folder):
        return True
    for place in (folder, *folder.parents):
        repository = place.parent.parent
        if place.parent.name == "snapshots" and re.match(_HUB_REPOSITORY, repository.name):
            inside = target.relative_to(repository.parent).parts if target.is_relative_to(repository.parent) else ()
            return len(inside) > 2 and bool(re.match(_HUB_REPOSITORY, inside[0])) and inside[1] == "blobs"
    return False


def check_handles(handles: Iterable[str]) -> None:
    """Refuse file names that could leave the package folder, or mean one file on some systems.

    Raises:
        CorruptedModelPackageError: names the first such handle.
    """
    seen: dict[str, str] = {}
    for handle in handles:
        if not is_portable_handle(handle) or handle.partition("/")[0].lower() == MANIFEST_NAME:
            raise CorruptedModelPackageError(
                "the package lists a file name that is not safe.", needs=HANDLE_RULE, found=ascii(handle)
            )
        folded = handle.lower()
        if folded in seen:
            raise _clash(seen[folded], handle)
        seen[folded] = handle
    for folded, handle in seen.items():
        for parent in _parents(folded):
            if parent in seen:
                raise _clash(seen[parent], handle)


def check_package_id(package_id: str) -> str:
    """`package_id`, which is letters and digits only.

    Raises:
        CorruptedModelPackageError: it is something else.
    """
    fits = re.fullmatch(_PACKAGE_ID, package_id) is not None and len(package_id) <= MAX_NAME
    if not fits or package_id.lower() in _RESERVED_STEMS:
        raise CorruptedModelPackageError(
            "the package has an id that cannot be a folder name.",
            needs=f"1 to {MAX_NAME} letters and digits",
            found=ascii(package_id[:80]),
        )
    return package_id


def check_model_id(model_id: str) -> str:
    """`model_id`, which is one printable line.

    Raises:
        InvalidParameterError: it is empty, too long, or holds characters that cannot be shown.
    """
    if not 1 <= len(model_id) <= MAX_MODEL_ID or not model_id.isprintable() or model_id.isspace():
        raise InvalidParameterError(
            "the model id cannot be used.",
            needs=f"1 to {MAX_MODEL_ID} printable characters",
            found=ascii(model_id[:80]),
        )
    return model_id


def model_slug(provider: str, model_id: str) -> str:
    """Folder name of a model: a readable prefix and a hash that tells any two (provider, id) pairs apart."""
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", model_id).strip("-").lower()[:48].rstrip("-") or "model"
    digest = hashlib.blake2s(f"{provider}\0{model_id}".encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{prefix}-{digest.hexdigest()}"


def _is_portable_segment(segment: str) -> bool:
    if not re.fullmatch(_SEGMENT, segment) or segment.endswith("."):
        return False
    return segment.partition(".")[0].lower() not in _RESERVED_STEMS


def _parents(handle: str) -> list[str]:
    parts = handle.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _clash(first: str, second: str) -> CorruptedModelPackageError:
    return CorruptedModelPackageError(
        "two files of the package would get the same name.",
        needs="names that differ in more than upper and lower case",
        found=f"{first!r} and {second!r}",
    )
