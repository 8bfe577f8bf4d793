"""Work done by another user, without special rights, in a process of its own."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
needs_two_users = pytest.mark.skipif(
    not hasattr(os, "setresuid") or os.getuid() != 0, reason="only root can act as two users"
)


@contextmanager
def folder_for_everyone() -> Iterator[Path]:
    """A folder that any user can reach; those of pytest are for one user only."""
    folder = Path(tempfile.mkdtemp(prefix="inference-models-test-"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_user(work: Callable[[], Any], *, user: int = NOBODY, group: int = NOBODY, mask: int = 0o022) -> Any:
    """What `work` returns, or raises, in a process of this user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
            os.umask(mask)
            answer = (True, work())
        except BaseException as exc:  # noqa: BLE001 - raised by the parent
            answer = (False, (type(exc), str(exc)))
        with os.fdopen(writer, "wb") as stream:
            pickle.dump(answer, stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        done, value = pickle.load(stream)
    os.waitpid(child, 0)
    if not done:
        kind, text = value
        raise AssertionError(f"{kind.__mro__[-3].__name__ if len(kind.__mro__) > 3 else ''} {kind.__name__}: {text}")
    return value
