"""Fetches one file: in parallel parts where that pays, resumed where it broke off, hashed on the way, within limits."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_models.cache.pace import WORTH_COUNTING, Clock, Limits
from inference_models.cache.partial import Partial, PartialClosedError, Plan, continued_partial, new_partial
from inference_models.cache.progress import Progress
from inference_models.cache.source import next_chunk, open_stream
from inference_models.cache.workspace import own_name
from inference_models.errors import FileHashSumMissmatch, RetryError
from inference_models.files.digest import CHUNK, RunningDigest
from inference_models.files.durable import refuse_when_full
from inference_models.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from inference_models.cache.progress import ProgressCallback
    from inference_models.entities import FileDownloadSpecs
    from inference_models.transport.stream import FileStream, RangeSource

PARALLEL_FROM = 32 << 20
"""Bytes; below, a second connection costs more than it brings."""
_RESTARTS = 4
_POLL_S = 0.1
_JOIN_S = 0.2
_SYNC_EVERY = 64 << 20
_HASH_AT_ONCE = 16 * CHUNK


@dataclass(frozen=True)
class DownloadRequest:
    """A file to download, its source, and the callback that is told the progress."""

    file: FileDownloadSpecs
    source: RangeSource
    report: ProgressCallback
    root: Path
    """The cache folder."""


class _RestartError(Exception):
    """The part of the file that is stored cannot be continued: the download starts again."""

    def __init__(self, why: str, *, connections: int | None = None) -> None:
        super().__init__(why)
        self.connections = connections


class _TruncatedError(Exception):
    """The source ended the file too early, twice."""


def download(wanted: DownloadRequest, parent: Path, limits: Limits | None = None) -> tuple[Partial, RunningDigest]:
    """The whole file in a folder below `parent`, verified and on the disk; the caller moves it or discards it.

    After a `RetryError` what has arrived stays for the next call, of whatever process. After anything else, Ctrl-C
    included, it is removed.

    Raises:
        RetryError: it may work later.
        FileHashSumMissmatch: it is not the announced file.
        ModelRetrievalError: the source cannot hand it over.
        EnvironmentConfigurationError: it does not fit on the disk.
    """
    limits = limits or Limits.configured(wanted.file.size)
    folder = parent / own_name()
    try:
        return _download(wanted, folder, limits)
    except RetryError:
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _download(wanted: DownloadRequest, folder: Path, limits: Limits) -> tuple[Partial, RunningDigest]:
    clock = Clock(limits, wanted.file)
    partial = continued_partial(folder)
    why = ""
    for _ in range(_RESTARTS):
        attempt = _Download(wanted, partial, clock, limits.connections)
        try:
            digest = attempt.run()
            _refuse_other(wanted.file, digest, again=attempt.joined)
        except _RestartError as exc:
            why = str(exc)
            partial.discard()
            partial = new_partial(folder)
            limits = replace(limits, connections=exc.connections or limits.connections)
        except RetryError:
            partial.release()
            raise
        except BaseException:
            partial.discard()
            raise
        else:
            return partial, digest
    partial.discard()
    raise RetryError(
        f"{wanted.file.file_handle} could not be fetched in one piece.",
        needs="a source that hands over one version",
        found=why,
        fix="run again later",
    )


def _refuse_other(file: FileDownloadSpecs, digest: RunningDigest, *, again: bool) -> None:
    mismatch = digest.mismatch(file)
    if mismatch is None:
        return
    if again:  # the parts may be of different versions, or of a disk that lost power
        raise _RestartError("parts that do not make the announced file", connections=1)
    raise other_file(file, *mismatch)


def other_file(file: FileDownloadSpecs, needs: str, found: str) -> FileHashSumMissmatch:
    """The error for a file that is not the announced one."""
    return FileHashSumMissmatch(
        f"{file.file_handle} is not the file that was announced; it was thrown away.",
        needs=needs,
        found=found,
        fix="run again; if it happens again, the source is damaged or not to be trusted",
    )


class _Download:
    """Threads that fetch, one thread that waits for the disk, and the caller's thread, which hashes and watches."""

    def __init__(self, wanted: DownloadRequest, partial: Partial, clock: Clock, connections: int) -> None:
        self._wanted = wanted
        self._partial = partial
        self._clock = clock
        self._connections = connections
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._running: list[tuple[threading.Thread, Future[None]]] = []
        self._digest = RunningDigest(with_md5=wanted.file.md5_hash is not None)
        self._buffer = memoryview(bytearray(CHUNK))
        self._ends: dict[int, int] = {}
        self.joined = partial.stored > 0
        """Whether the file consists of several answers."""

    def run(self) -> RunningDigest:
        """Fetch what is missing; returns the hashes of the whole."""
        if self._wanted.file.size == 0:
            self._partial.set_plan(Plan(None, 0))
        try:
            parts = [part for part in range(len(self._partial.done)) if not self._partial.is_complete(part)]
            for part in parts:
                self._start(self._fetch, part)
            self._start(self._sync)
            self._watch()
        except _TruncatedError as exc:
            raise other_file(self._wanted.file, f"{self._partial.plan.size} bytes", f"{exc} bytes") from None
        finally:
            self._end()
        return self._digest

    def _start(self, work: Callable[..., None], *arguments: int) -> None:
        future: Future[None] = Future()

        def target() -> None:
            try:
                work(*arguments)
            except BaseException as exc:  # noqa: BLE001 - carried to the caller's thread, which raises it
                future.set_exception(exc)
            else:
                future.set_result(None)
            with self._changed:
                self._changed.notify_all()

        # A daemon: one that hangs in a dead connection must not keep the process from ending.
        thread = threading.Thread(target=target, name="inference-models-fetch", daemon=True)
        self._running.append((thread, future))
        thread.start()

    def _end(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        until = time.monotonic() + _JOIN_S
        # A signal may have come between the making of a thread and its start.
        for thread in (thread for thread, _ in self._running if thread.ident is not None):
            thread.join(max(0.0, until - time.monotonic()))

    def _watch(self) -> None:
        reported = 0.0
        while True:
            for _, future in tuple(self._running):
                if future.done():
                    future.result()
            hashed = self._hash_what_is_there()
            self._clock.refuse_when_late(self._partial.stored)
            if time.monotonic() - reported >= _POLL_S:
                reported = time.monotonic()
                self._report()
            if hashed:
                continue
            with self._changed:
                if all(future.done() for _, future in self._running) and self._digest.size == self._partial.stored:
                    break
                self._changed.wait(_POLL_S)
        self._report()

    def _report(self) -> None:
        file, plan = self._wanted.file, self._partial.plan
        self._wanted.report(Progress(file.file_handle, self._partial.stored, plan.size or file.size))

    def _hash_what_is_there(self) -> bool:
        """Take the next bytes in; read back from the disk cache, so that what is hashed is what is stored."""
        before = self._digest.size
        until = min(self._partial.contiguous, before + _HASH_AT_ONCE)
        while self._digest.size < until:
            count = self._partial.read(self._digest.size, self._buffer[: until - self._digest.size])
            if not count:
                raise _RestartError("a file that became shorter", connections=1)
            self._digest.update(self._buffer[:count])
        return self._digest.size > before

    def _sync(self) -> None:
        synced = -1
        while not self._stop.is_set():
            fetched = all(future.done() for _, future in self._fetchers())
            stored = self._partial.stored
            if fetched or stored - max(synced, 0) >= _SYNC_EVERY:
                self._partial.sync()
                synced = stored
            if fetched:
                return
            with self._changed:
                self._changed.wait(_POLL_S)

    def _fetchers(self) -> list[tuple[threading.Thread, Future[None]]]:
        return [pair for pair in tuple(self._running) if pair[0] is not threading.current_thread()]

    def _fetch(self, part: int) -> None:
        failures = 0
        while not self._stop.is_set() and not self._partial.is_complete(part):
            before = self._partial.done[part]
            try:
                self._stream(part)
                self._refuse_early_end(part)
            except PartialClosedError:
                return
            except RetryError as exc:
                gained = self._partial.done[part] - before
                failures = 0 if gained >= WORTH_COUNTING else failures + 1
                self._pause(self._clock.pause_after(exc, failures))

    def _refuse_early_end(self, part: int) -> None:
        """Raise when an answer ended without an error, but too early.

        Raises:
            RetryError: once: it may have been cut off.
            _TruncatedError: at the same byte as the answer before: that is all there is.
        """
        if self._partial.is_complete(part) or self._stop.is_set():
            return
        end = self._partial.plan.starts[part] + self._partial.done[part]
        if self._ends.get(part) == end:
            raise _TruncatedError(end)
        self._ends[part] = end
        needs = f"{self._partial.plan.stop(part)} bytes"
        raise RetryError(f"{self._wanted.file.file_handle}: the answer ended early.", needs=needs, found=f"{end} bytes")

    def _pause(self, seconds: float) -> None:
        with self._clock.pausing():
            self._stop.wait(seconds)

    def _stream(self, part: int) -> None:
        start = self._partial.plan.starts[part] + self._partial.done[part]
        with open_stream(self._wanted.source, self._wanted.file, start, self._stop_for(part)) as stream:
            skip = self._agree(stream, start)
            while not self._stop.is_set():
                chunk = next_chunk(stream, self._wanted.file)
                if chunk is None:
                    self._end_of_stream(part)
                    return
                self._clock.hear(max(0, len(chunk) - skip))
                fresh, skip = chunk[skip:], max(0, skip - len(chunk))
                if fresh and self._take(part, fresh):
                    return

    def _stop_for(self, part: int) -> int | None:
        size = self._wanted.file.size
        if self._partial.plan.size is None and size is not None and self._is_parallel(size):
            return -(-size // self._connections)
        return self._partial.plan.stop(part) if len(self._partial.done) > 1 else None

    def _take(self, part: int, chunk: bytes) -> bool:
        """Store a piece; True when the part is complete."""
        stop = self._partial.plan.stop(part)
        room = None if stop is None else stop - self._partial.plan.starts[part] - self._partial.done[part]
        if room is not None and len(chunk) > room:
            if stop == self._partial.plan.size:
                raise other_file(self._wanted.file, f"{stop} bytes", f"more than {stop} bytes")
            chunk = chunk[:room]
        if self._stop.is_set():
            return True
        self._partial.write(part, chunk)
        with self._changed:
            self._changed.notify_all()
        return stop is not None and stop != self._partial.plan.size and self._partial.is_complete(part)

    def _end_of_stream(self, part: int) -> None:
        plan = self._partial.plan
        if part == 0 and plan.size is None:  # nobody said how long the file is: it ends where the source ends
            self._partial.set_plan(Plan(plan.version, self._partial.done[0]))

    def _agree(self, stream: FileStream, start: int) -> int:
        """Hold the answer against what is known; the first answer decides how the file is divided.

        Returns how many bytes of the answer are there already.

        Raises:
            _RestartError: it is another version than what is stored, or cannot begin where it should.
        """
        plan, file = self._partial.plan, self._wanted.file
        if stream.size is not None and file.size is not None and stream.size != file.size:
            raise other_file(file, f"{file.size} bytes", f"{stream.size} bytes")
        if stream.start > start or (stream.start < start and len(self._partial.done) > 1):
            raise _RestartError(f"an answer from byte {stream.start} on instead of {start}", connections=1)
        self.joined |= start > 0
        if self._partial.stored and (plan.version, plan.size) != (stream.version, stream.size or plan.size):
            raise _RestartError(f"version {stream.version} instead of {plan.version}")
        if plan.size is None:
            self._divide(stream)
        return start - stream.start

    def _divide(self, stream: FileStream) -> None:
        size = stream.size if stream.size is not None else self._wanted.file.size
        if size is not None:
            refuse_when_full(self._wanted.root, size - self._partial.stored)
        starts: tuple[int, ...] = (0,)
        if size is not None and stream.ranges and not self._partial.stored and self._is_parallel(size):
            share = -(-size // self._connections)
            starts = tuple(range(0, size, share))
        self._partial.set_plan(Plan(stream.version, size, starts))
        for part in range(1, len(starts)):
            self._start(self._fetch, part)

    def _is_parallel(self, size: int) -> bool:
        return self._connections > 1 and size >= PARALLEL_FROM
