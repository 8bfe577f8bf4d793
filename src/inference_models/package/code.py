"""Code in packages: it runs only with consent that names the hash of its content."""

from __future__ import annotations

import hashlib
import importlib.util
import stat
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

from inference_models.errors import CorruptedModelPackageError, ForbiddenLocalCodePackageAccessError
from inference_models.files.digest import file_sha256
from inference_models.files.names import MANIFEST_NAME
from inference_models.package.private_imports import refuse_private_imports
from inference_models.package.text_files import removed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

    from inference_models.package.model_config import ModelConfig


def code_digest(directory: str | Path) -> str:
    """`sha256:` and 64 digits over the names and contents of all files of a package, sorted by name.

    All files, because code can read any of them and do what it says. Only compiled files that Python writes by
    itself (`__pycache__`) are left out; they are never run.

    Raises:
        CorruptedModelPackageError: something below `directory` is a link.
    """
    root = Path(directory).absolute()
    total = hashlib.sha256()
    for name, path in sorted(_files(root)):
        # Lengths in front: no two sets of names and contents give the same bytes.
        encoded = name.encode("utf-8", "surrogatepass")
        total.update(len(encoded).to_bytes(8, "big") + encoded + bytes.fromhex(file_sha256(path)))
    return f"sha256:{total.hexdigest()}"


def load_model_class(directory: str | Path, config: ModelConfig, consent: str | bool | None) -> type:
    """The class that a code package names, imported from its folder.

    Args:
        directory: The package folder.
        config: Its `model_config.json`.
        consent: The digest of the package, as `code_digest` gives it. `True` is not enough: it would also hold for
            the code of tomorrow.

    Raises:
        ForbiddenLocalCodePackageAccessError: there is no consent to exactly this code; nothing was run.
        CorruptedModelPackageError: the module lies outside the package, fails to import, or has no such class.
    """
    root = Path(directory).absolute()
    path = _module_path(root, config.model_module or "")
    digest = code_digest(root)
    if not _is_consent_to(digest, consent):
        raise ForbiddenLocalCodePackageAccessError(
            f"package folder '{directory}' brings Python code, which was not run.",
            needs="consent to exactly this code, after you have read it",
            found=_consent_text(consent),
            fix=f'pass allow_local_code_packages="{digest}" (on the command line --allow-code {digest})',
        )
    refuse_private_imports(path.read_text("utf-8", "replace"), path.name)
    module = _import(path, f"_inference_models_code_{digest.removeprefix('sha256:')[:32]}", config)
    found = getattr(module, config.model_class or "", None)
    if not isinstance(found, type):
        raise CorruptedModelPackageError(
            f"{config.model_module} does not hold what model_config.json says.",
            needs=f"a class {config.model_class!r}",
            found="no such name" if found is None else f"a {type(found).__name__} of that name",
        )
    return found


def check_archive_consent(paths: Sequence[Path], consent: str | bool | None) -> None:
    """Returns when `consent` covers the TorchScript archives of a package; runs none of them.

    Args:
        paths: The archives.
        consent: The SHA-256 of the one archive; of several, the SHA-256 over theirs, sorted by file name.

    Raises:
        ForbiddenLocalCodePackageAccessError: it is not.
        CorruptedModelPackageError: an archive is gone.
    """
    digests = [_archive_digest(path) for path in sorted(paths, key=lambda path: path.name)]
    digest = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    names = " and ".join(sorted(path.name for path in paths))
    what = "is a TorchScript archive, a program that PyTorch would run; it was"
    if len(paths) > 1:
        what = "are TorchScript archives, programs that PyTorch would run; they were"
    if not _is_consent_to(digest, consent):
        raise ForbiddenLocalCodePackageAccessError(
            f"{names} {what} not run.",
            needs=f"consent to exactly {'this file' if len(paths) == 1 else 'these files'}, from somebody you trust",
            found=_consent_text(consent),
            fix=f'pass allow_local_code_packages="sha256:{digest}" (on the command line --allow-code sha256:{digest})',
        )


def _archive_digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except FileNotFoundError as exc:
        raise removed(path.name) from exc


class _SourceLoader(SourceFileLoader):
    """Runs the source that the digest covers, never a compiled file that lies beside it."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the loader has one file
        return self.source_to_code(self.get_data(self.path), self.path)


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        name = relative.as_posix()
        if path.is_symlink():
            raise CorruptedModelPackageError(
                f"'{name}' is a link, and the package brings code.",
                needs="regular files",
                found=f"a link to '{path.readlink()}'",
                fix="replace the link by a copy of what it points to",
            )
        # The cache writes its manifest beside the files of the author, whose digest does not know it.
        if path.is_file() and "__pycache__" not in relative.parts and name != MANIFEST_NAME:
            yield name, path


def _module_path(root: Path, module: str) -> Path:
    relative = PurePosixPath(module)
    plain = bool(module) and not relative.is_absolute() and not set(module) & set("\\:\0")
    if plain and relative.as_posix() == module and not {".", ".."} & set(relative.parts):
        path = root / module
        links = [part for part in (path, *path.parents) if part != root and root in part.parents and part.is_symlink()]
        if not links and path.is_file() and stat.S_ISREG(path.lstat().st_mode):
            return path
        found = f"{module!r}, which is a link" if links else f"{module!r}, which does not exist"
    else:
        found = ascii(module[:80])
    raise CorruptedModelPackageError(
        "model_config.json: model_module cannot be used.", needs="a regular file inside the package", found=found
    )


def _import(path: Path, name: str, config: ModelConfig) -> ModuleType:
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(path):
        return loaded
    loader = _SourceLoader(name, str(path))
    module = importlib.util.module_from_spec(
        cast("ModuleSpec", importlib.util.spec_from_file_location(name, path, loader=loader))
    )
    # Dataclasses and pickling look the module up by name, while it is imported and afterwards.
    sys.modules[name] = module
    # A package folder may be read-only, and nothing of ours belongs into it.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    except Exception as exc:
        del sys.modules[name]
        raise CorruptedModelPackageError(
            f"{config.model_module} failed while it was imported.",
            needs="code that imports here",
            found=f"{type(exc).__name__}: {exc}",
        ) from exc
    finally:
        sys.dont_write_bytecode = before
    return module


def _is_consent_to(digest: str, consent: str | bool | None) -> bool:
    return isinstance(consent, str) and consent.removeprefix("sha256:") == digest.removeprefix("sha256:")


def _consent_text(consent: str | bool | None) -> str:
    if consent is None or consent is False:
        return "no consent"
    return "a consent to any code" if consent is True else f"consent to other code ({consent[:80]})"
