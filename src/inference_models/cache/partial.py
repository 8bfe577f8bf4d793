"""A file that is being downloaded: its bytes, how it is divided, and how much of each part is there.

Three files in a folder that belongs to one process: `data`, `plan.json` and `done`, eight bytes per part. Bytes are
counted after they were written, so what `done` says is there was written, whatever happens to the process.
"""

from __future__ import annotations

import os
import shutil
import struct
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from inference_models.cache.workspace import is_abandoned, is_of_this_machine
from inference_models.files.digest import CHUNK
from inference_models.files.durable import make_folder, move, remove_tree, sync, write_atomic
from inference_models.files.prepared import prepared
from inference_models.files.regular import read_json_object, read_regular_file
from inference_models.fork import Lock
from inference_models.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_COUNT = struct.Struct("<Q")
_MAX_PARTS = 64
_RELEASED = "free-"
_WRITING = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Plan(Record, frozen=True):
    """Which file this is, and its parts."""

    version: str | None
    size: int | None
    """None: the source does not know, and there is one part."""
    starts: tuple[int, ...] = (0,)

    def stop(self, part: int) -> int | None:
        """Where a part ends; None when unknown."""
        return self.starts[part + 1] if part + 1 < len(self.starts) else self.size


class PartialClosedError(Exception):
    """Write to a download that was closed."""


class Partial:
    """A download on disk. One process writes to it; any process may copy it."""

    def __init__(self, folder: Path, plan: Plan, done: Sequence[int]) -> None:
        self.folder = folder
        self.plan = plan
        self.done = list(done)
        self._lock = Lock()
        self._data: int | None = os.open(self.data, _WRITING, 0o666)
        self._done = os.open(folder / "done", _WRITING, 0o666)
        self._write_plan()

    @property
    def data(self) -> Path:
        """The file the bytes go to."""
        return self.folder / "data"

    @property
    def stored(self) -> int:
        """Bytes that are there."""
        return sum(self.done)

    @property
    def contiguous(self) -> int:
        """Bytes that are there from the beginning on without a gap."""
        for part, done in enumerate(self.done):
            end = self.plan.starts[part] + done
            if end != self.plan.stop(part):
                return end
        return end

    def is_complete(self, part: int) -> bool:
        """Whether a part is there."""
        stop = self.plan.stop(part)
        return stop is not None and self.plan.starts[part] + self.done[part] >= stop

    def set_plan(self, plan: Plan) -> None:
        """Divide the file otherwise; what is there of the first part stays.

        Raises:
            PartialClosedError: the download has ended.
        """
        with self._lock:
            if self._data is None:
                raise PartialClosedError
            self.plan = plan
            self.done = [self.done[0], *([0] * (len(plan.starts) - 1))]
            self._write_plan()

    def write(self, part: int, chunk: bytes) -> None:
        """Append to a part.

        Raises:
            PartialClosedError: the download has ended.
        """
        with self._lock:
            if self._data is None:
                raise PartialClosedError
            _write_at(self._data, chunk, self.plan.starts[part] + self.done[part])
            self._count(part, self.done[part] + len(chunk))

    def read(self, start: int, buffer: memoryview) -> int:
        """Bytes read into `buffer` from `start` on."""
        with self.data.open("rb", buffering=0) as stream:
            stream.seek(start)
            return stream.readinto(buffer) or 0

    def sync(self) -> None:
        """Wait until the disk has the bytes written so far."""
        with self._lock:
            if self._data is not None:
                sync(self._data)

    def close(self) -> None:
        """No more writing, by whatever thread; a second call does nothing."""
        with self._lock:
            if self._data is not None:
                os.close(self._data)
                os.close(self._done)
                self._data = None

    def release(self) -> None:
        """Close it and leave its files for another process to continue."""
        self.close()
        with suppress(OSError):
            self.folder.rename(self.folder.with_name(f"{_RELEASED}{uuid.uuid4().hex}"))

    def discard(self) -> None:
        """Close it and remove it."""
        self.close()
        remove_tree(self.folder)

    def _write_plan(self) -> None:
        for part, done in enumerate(self.done):
            self._count(part, done)
        write_atomic(self.folder / "plan.json", msgspec.json.encode(self.plan), durable=False)

    def _count(self, part: int, done: int) -> None:
        _write_at(self._done, _COUNT.pack(done), part * _COUNT.size)
        self.done[part] = done


def new_partial(folder: Path) -> Partial:
    """An empty download in a new folder."""
    make_folder(folder)
    return Partial(folder, Plan(version=None, size=None), [0])


def continued_partial(mine: Path) -> Partial:
    """The download beside `mine` that got furthest, now in the folder `mine`; an empty one when there is none.

    One whose process is gone is taken over; that of a process that is stopped, or on a machine nobody here can ask,
    is copied: its owner may come back and write to it.
    """
    make_folder(mine.parent)
    for _, folder in sorted(_candidates(mine.parent), reverse=True):
        try:
            if _is_free(folder):
                move(folder, mine)
            else:
                _copy(folder, mine)
            plan, done = _read(mine)
            return Partial(mine, plan, done)
        except (OSError, ValueError):
            remove_tree(mine)
    return new_partial(mine)


def stored_bytes(parent: Path) -> int:
    """Bytes of the download below `parent` that got furthest, for the progress bar of a waiting process."""
    return max((stored for stored, _ in _candidates(parent)), default=0)


def free_partials(parent: Path) -> list[Path]:
    """Downloads below `parent` that no process works on."""
    try:
        return [folder for folder in parent.iterdir() if _is_free(folder) or is_abandoned(folder)]
    except OSError:
        return []


def _is_free(folder: Path) -> bool:
    return folder.name.startswith(_RELEASED) or (is_of_this_machine(folder) and is_abandoned(folder))


def _candidates(parent: Path) -> list[tuple[int, Path]]:
    found = []
    with suppress(OSError):
        for folder in parent.iterdir():
            with suppress(OSError, ValueError):
                found.append((sum(_read(folder)[1]), folder))
    return [(stored, folder) for stored, folder in found if stored]


def _read(folder: Path) -> tuple[Plan, list[int]]:
    """Plan and counts of a download.

    Raises:
        OSError: a file is missing.
        ValueError: the files contradict each other.
    """
    counts = read_regular_file(folder / "done", _MAX_PARTS * _COUNT.size)
    try:
        plan = msgspec.convert(read_json_object(folder / "plan.json"), prepared(Plan))
        done = [_COUNT.unpack_from(counts, part * _COUNT.size)[0] for part in range(len(plan.starts))]
    except (msgspec.ValidationError, struct.error) as exc:
        raise ValueError("not the files of a download") from exc
    ends = [plan.stop(part) for part in range(len(done))]
    held = [end is None or start + count <= end for start, count, end in zip(plan.starts, done, ends, strict=True)]
    size = os.lstat(folder / "data").st_size
    last = max(start + count for start, count in zip(plan.starts, done, strict=True))
    if not all(held) or plan.starts[0] != 0 or list(plan.starts) != sorted(plan.starts) or last > size:
        raise ValueError("the files of a download contradict each other")
    return plan, done


def _copy(source: Path, target: Path) -> None:
    """Copy what is done, part by part; what its owner writes meanwhile is left out."""
    plan, done = _read(source)
    make_folder(target)
    with (source / "data").open("rb") as reader, (target / "data").open("xb") as writer:
        for start, count in zip(plan.starts, done, strict=True):
            for place in range(start, start + count, CHUNK):
                reader.seek(place)
                writer.seek(place)
                writer.write(reader.read(min(CHUNK, start + count - place)))
    shutil.copyfile(source / "plan.json", target / "plan.json")
    (target / "done").write_bytes(b"".join(_COUNT.pack(count) for count in done))
    if _read(source)[0] != plan:
        raise ValueError("the download was divided anew while it was copied")


def _write_at(descriptor: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        if hasattr(os, "pwrite"):
            count = os.pwrite(descriptor, view, start)
        else:
            os.lseek(descriptor, start, os.SEEK_SET)
            count = os.write(descriptor, view)
        view, start = view[count:], start + count
