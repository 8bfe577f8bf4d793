"""What the doctor says about the cache folder and the clock."""

from __future__ import annotations

import os
import shutil
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import TYPE_CHECKING

from inference_models import config
from inference_models.cache.inventory import Inventory
from inference_models.cache.resolution_files import CLOCK_TOLERANCE_S
from inference_models.doctor.findings import BAD, GOOD, NOTE, Finding
from inference_models.files.regular import unreadable
from inference_models.machine.hardware import ROOT, read_text
from inference_models.machine.mends import set_variable

if TYPE_CHECKING:
    from collections.abc import Iterable

LOW_SPACE = 1_000_000_000
"""Bytes free in the cache's file system below which downloads are likely to fail."""
_IN_MEMORY = ("ramfs", "tmpfs")
_OVER_NETWORK = ("9p", "afs", "beegfs", "ceph", "cifs", "fuse.", "gluster", "gpfs", "lustre", "ncpfs", "nfs", "smb")
"""How the kinds of file systems begin."""
_LOCAL_FUSE = ("fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.ntfs-3g", "fuse.portal")
_OTHER_PLACES = ("~", "/var/tmp", gettempdir())  # noqa: S108 - shown, not written to
_SYNCHRONISE = {"darwin": "sudo sntp -sS time.apple.com", "win32": "w32tm /resync"}


def examine_cache(root: Path = ROOT) -> Iterable[Finding]:
    """Whether the cache folder can be written, keeps what it gets, and has room."""
    folder = config.cache_directory()
    elsewhere = _elsewhere(folder, root)
    for place in Inventory(folder).unreadable():
        error = unreadable(place, folder)
        yield Finding(BAD, f"{error.summary} needs {error.needs}; found: {error.found}", error.fix or elsewhere)
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110 - never raises
    if not existing.is_dir():
        yield Finding(BAD, f"the cache {folder} cannot be used: {existing} is a file", elsewhere)
        return
    room = shutil.disk_usage(existing)
    if not os.access(existing, os.W_OK) or (room.total == 0 and not _takes_files(existing)):
        if existing == folder:
            what = f"the cache {folder} is read-only: only models that are in it load"
            yield Finding(NOTE, what, elsewhere)
        else:
            yield Finding(BAD, f"the cache {folder} cannot be written: {existing} takes no files", elsewhere)
        return
    kind = file_system(existing.resolve(), root)
    if kind in _IN_MEMORY:
        yield Finding(NOTE, f"the cache {folder} lies in memory ({kind}) and is lost at a restart", elsewhere)
    elif not _is_local(existing, root):
        what = f"the cache {folder} lies on a network file system ({kind}): every load reads over the network"
        yield Finding(NOTE, what, elsewhere)
    if room.total == 0:
        yield Finding(GOOD, f"cache {folder}, its file system does not say how much is free")
    elif room.free < LOW_SPACE:
        what = f"the cache {folder} has {room.free / 1e9:.1f} GB left: large models do not fit"
        yield Finding(BAD, what, "inference-models cache gc")
    else:
        yield Finding(GOOD, f"cache {folder}, {room.free / 1e9:.1f} GB free")


def _elsewhere(folder: Path, root: Path) -> str:
    """The command that moves the cache to a disk of this machine where files can be made, if there is one."""
    places = [Path(place).expanduser() / "inference-models" for place in _OTHER_PLACES]
    fit = (place for place in places if os.access(place.parent, os.W_OK) and _is_local(place.parent, root))
    return set_variable("INFERENCE_HOME", str(next((place for place in fit if place != folder), places[-1])))


def _is_local(place: Path, root: Path) -> bool:
    kind = file_system(place.resolve(), root)
    return kind not in _IN_MEMORY and (not kind.startswith(_OVER_NETWORK) or kind in _LOCAL_FUSE)


def examine_clock(now: float | None = None, file: Path = Path(config.__file__)) -> Iterable[Finding]:
    """Whether the clock is behind the files of this library: without a network nothing else tells the time.

    Args:
        now: Seconds since the epoch; None: what the clock says.
        file: Something that was written in the past.
    """
    now, written = time.time() if now is None else now, file.stat().st_mtime
    if written - now > CLOCK_TOLERANCE_S:
        here, there = (datetime.fromtimestamp(seconds, tz=timezone.utc) for seconds in (now, written))
        what = (
            f"the clock says {here:%Y-%m-%d %H:%M} UTC, which is before this library was installed "
            f"({there:%Y-%m-%d %H:%M} UTC): certificates of servers do not count yet, "
            "and nothing that is remembered grows old"
        )
        yield Finding(BAD, what, _SYNCHRONISE.get(sys.platform, "sudo timedatectl set-ntp true"))


def file_system(path: Path, root: Path = ROOT) -> str:
    """The kind of file system that holds `path`, as Linux calls it; empty when it is not known."""
    holding: tuple[int, str] = (0, "")
    for line in read_text(root / "proc/mounts", limit=1 << 20).splitlines():
        _, place, kind, *_ = [*line.split(), "", "", ""]
        place = place.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        # Of several file systems at one place the last one hides the others.
        if place and len(place) >= holding[0] and path.is_relative_to(place):
            holding = len(place), kind
    return holding[1]


def _takes_files(folder: Path) -> bool:
    """Whether a file can be made there: what the kernel shows as files has no size, and rights say nothing to root."""
    try:
        with TemporaryFile(dir=folder):  # has no name where that is possible, and is gone at once
            return True
    except OSError:
        return False
