"""Opening regular files and nothing else: what lies in the place of one never blocks and is never followed unasked."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from inference_models.errors import EnvironmentConfigurationError
from inference_models.text import strict_object

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 4 << 20
"""Of a small file of ours: as JSON objects it takes up to thirty times as much memory."""
_READING = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
_UNBLOCKED = getattr(os, "O_NONBLOCK", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_QUIETLY = getattr(os, "O_NOATIME", 0)
"""Open flag that keeps the access time, which counts as the last use of a package, where the system has it."""
_JUNCTION = 0xA0000003
"""IO_REPARSE_TAG_MOUNT_POINT: what Windows calls a folder that leads elsewhere and is no symbolic link."""


def open_regular(path: Path, *, follow: bool = False, quietly: bool = False) -> int:
    """A descriptor for reading a regular file.

    Args:
        path: The file.
        follow: Whether it may be a link to one.
        quietly: Leave its time of last use as it is, where that is possible.

    Raises:
        OSError: it cannot be read, or is something else: a pipe, a device, a socket, a folder, a link.
    """
    flags = _READING | _UNBLOCKED | (0 if follow else _NO_LINK)
    if not follow and is_link(path):  # systems without the flag
        raise OSError(errno.ELOOP, "a link", str(path))
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - before it is opened: that alone can move a device
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    descriptor = None
    if quietly and _QUIETLY:
        with suppress(PermissionError):  # only the owner of a file may ask for it
            descriptor = os.open(path, flags | _QUIETLY)
    descriptor = os.open(path, flags) if descriptor is None else descriptor
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def read_regular_file(path: Path, limit: int = MAX_BYTES, *, follow: bool = False) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises:
        OSError: there is none, it is something else, or it cannot be read.
        ValueError: it is larger.
    """
    with os.fdopen(open_regular(path, follow=follow), "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it has more than {limit} bytes")
    return data


def read_json_object(path: Path, limit: int = MAX_BYTES) -> dict[str, object]:
    """The JSON object in a regular file of at most `limit` bytes; bounded in values and levels too.

    Raises:
        OSError: there is none, it is something else, or it cannot be read.
        ValueError: it is larger, or holds something else.
    """
    data = read_regular_file(path, limit)
    try:
        return strict_object(data.decode())
    except ValueError as exc:
        raise ValueError("it is no JSON object") from exc


def is_link(path: Path) -> bool:
    """Whether `path` is a symbolic link, or a junction of Windows; False where nothing is."""
    with suppress(OSError, ValueError):
        status = os.lstat(path)
        return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _JUNCTION
    return False


def is_denied(path: Path) -> bool:
    """Whether something is, or may be, at `path` that this user may not read: not the same as nothing."""
    try:
        status = os.lstat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(status.st_mode) else 0))


def unreadable(path: Path, root: Path) -> EnvironmentConfigurationError:
    """The error for a place in the cache folder `root` that this user may not read: says who, what and why."""
    place = next((place for place in (*reversed(path.parents), path) if is_denied(place)), path)
    found = "no permission"
    with suppress(OSError):
        status = os.lstat(place)
        found = f"'{place}' belongs to user {status.st_uid} and has mode {stat.S_IMODE(status.st_mode):04o}"
    user = f"user {os.geteuid()}" if hasattr(os, "geteuid") else "this user"
    inside = place == root or root in place.parents
    return EnvironmentConfigurationError(
        f"the cache folder '{root}' holds what this process may not read.",
        needs=f"read permission for {user}",
        found=found,
        fix=f"as its owner: chmod -R a+rX '{place}'" if inside else "set INFERENCE_HOME to a folder this user may read",
    )
