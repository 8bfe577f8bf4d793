"""Fetches one file: in parallel parts where that pays, resumed where it broke off, hashed on the way, within limits."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from inference_models import config
from inference_models.cache.partial import Partial, PartialClosedError, Plan, continued_partial, new_partial
from inference_models.cache.progress import Progress
from inference_models.cache.workspace import own_name
from inference_models.errors import FileHashSumMissmatch, ModelRetrievalError, RetryError
from inference_models.files.digest import CHUNK, RunningDigest
from inference_models.files.durable import refuse_when_full, remove_tree
from inference_models.record import Record, replace
from inference_models.transport.stream import FileStream, RangeSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from inference_models.cache.progress import ProgressCallback
    from inference_models.entities import FileDownloadSpecs

PARALLEL_FROM = 32 << 20
"""Bytes; below, a second connection costs more than it brings."""
WORTH_COUNTING = 64 << 10
"""Bytes; a source that gives less before it fails again does not get the download any further."""
_RESTARTS = 4
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_JITTER = 0.25
_POLL_S = 0.1
_JOIN_S = 0.2
_HASH_AT_ONCE = 16 * CHUNK


@runtime_checkable
class Reader(Protocol):
    """A provider that can only hand over whole files."""

    def read(self, file: FileDownloadSpecs) -> Iterator[bytes]:
        """The bytes of `file`, in pieces."""


AnySource: TypeAlias = "RangeSource | Reader | Callable[[FileDownloadSpecs], Iterator[bytes]]"


class DownloadRequest(Record, frozen=True):
    """A file to download, its source, and the callback that is told the progress."""

    file: FileDownloadSpecs
    source: AnySource
    report: ProgressCallback
    root: Path
    """The cache folder."""


class Limits(Record, frozen=True):
    """In seconds, but for the number of connections."""

    deadline: float
    """For one file, from the first request to the last byte."""
    idle: float
    """Without a byte on any connection."""
    budget: float
    """Without a byte while the source fails, pauses between attempts included."""
    connections: int = 4

    @classmethod
    def configured(cls, size: int | None) -> Limits:
        """The limits of the environment variables, for a file of this size."""
        return cls(config.download_deadline(size), config.download_idle_timeout(), config.DOWNLOAD_RETRY_BUDGET)


@dataclass
class Clock:
    """Watches one download."""

    limits: Limits
    file: FileDownloadSpecs
    started: float = field(default_factory=time.monotonic)
    moved: float = field(default_factory=time.monotonic)
    """When enough new bytes had arrived: the budget counts from here."""
    heard: float = field(default_factory=time.monotonic)
    """When the last byte arrived, also one that was there: tells a dead connection."""
    _gained: int = 0
    _pauses: list[object] = field(default_factory=list)

    def hear(self, new: int) -> None:
        """A piece has arrived, with so many bytes that were not there yet."""
        self.heard = time.monotonic()
        self._gained += new
        if self._gained >= WORTH_COUNTING:
            self._gained, self.moved = 0, self.heard

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """A connection waits on purpose for the block."""
        self._pauses.append(None)
        try:
            yield
        finally:
            self._pauses.pop()
            self.heard = time.monotonic()

    def refuse_when_late(self, stored: int) -> None:
        """Raise when the download takes too long, or nothing arrives.

        Raises:
            RetryError: says how far it got.
        """
        now, limits, what = time.monotonic(), self.limits, ""
        if now - self.started > limits.deadline:
            what, needs = "did not arrive in time", f"all of it within {limits.deadline:g} s"
        elif not self._pauses and now - self.heard > limits.idle:
            what, needs = "stopped arriving", f"a byte within {limits.idle:g} s"
        if what:
            size = "" if self.file.size is None else f" of {self.file.size}"
            found, fix = f"{stored}{size} bytes", "run again; it goes on where it stopped"
            raise RetryError(f"{self.file.file_handle} {what}.", needs=needs, found=found, fix=fix)

    def pause_after(self, error: RetryError, failures: int) -> float:
        """Seconds to wait before the next attempt, never less than the source asks for.

        Raises:
            RetryError: that would be longer than the budget allows.
        """
        self._gained = 0
        own = min(_FIRST_PAUSE_S * 2**failures, _LONGEST_PAUSE_S)
        pause = max(error.retry_after or 0.0, own) * (1 + _JITTER * random.random())  # noqa: S311 - spreads load
        now = time.monotonic()
        if pause <= min(self.limits.budget - (now - self.moved), self.limits.deadline - (now - self.started)):
            return float(pause)
        waited = f"{error.found or error.summary} (gave up after {now - self.moved:.0f} s)"
        if error.retry_after is not None:
            waited += f"; the source asks to wait {error.retry_after:g} s"
        raise RetryError(
            f"{self.file.file_handle} could not be fetched.",
            needs=f"an answer within {self.limits.budget:g} s",
            found=waited,
            fix="run again later; what has arrived is kept",
            retry_after=error.retry_after,
        ) from error


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
    folder, clock, connections = parent / own_name(), Clock(limits, wanted.file), limits.connections
    partial: Partial | None = None
    why = ""
    try:
        for _ in range(_RESTARTS):
            partial = new_partial(folder) if why else continued_partial(folder)
            try:
                return partial, _Download(wanted, partial, clock, connections).run()
            except _RestartError as exc:
                why, connections = str(exc), exc.connections or connections
                partial.discard()
    except RetryError:
        if partial is not None:
            partial.release()
        raise
    except BaseException:
        if partial is not None:
            partial.close()
        remove_tree(folder)
        raise
    raise RetryError(
        f"{wanted.file.file_handle} could not be fetched in one piece.",
        needs="a source that hands over one version",
        found=why,
        fix="run again later",
    )


def other_file(file: FileDownloadSpecs, needs: str, found: str) -> FileHashSumMissmatch:
    """The error for a file that is not the announced one."""
    return FileHashSumMissmatch(
        f"{file.file_handle} is not the file that was announced; it was thrown away.",
        needs=needs,
        found=found,
        fix="run again; if it happens again, the source is damaged or not to be trusted",
    )


class _Download:
    """Threads that fetch, and the caller's thread, which hashes and watches."""

    def __init__(self, wanted: DownloadRequest, partial: Partial, clock: Clock, connections: int) -> None:
        self._wanted = wanted
        self._file = wanted.file
        self._partial = partial
        self._clock = clock
        self._connections = connections
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._ended: list[BaseException | None] = []
        """Of each thread that has ended, the reason."""
        self._digest = RunningDigest(with_md5=wanted.file.md5_hash is not None)
        self._buffer = memoryview(bytearray(CHUNK))
        self._ends: dict[int, int] = {}
        self._joined = partial.stored > 0
        """Whether the file consists of several answers."""

    def run(self) -> RunningDigest:
        """Fetch what is missing; returns the hashes of the whole."""
        if self._file.size == 0:
            self._partial.set_plan(Plan(None, 0))
        try:
            for part in [part for part in range(len(self._partial.done)) if not self._partial.is_complete(part)]:
                self._start(part)
            self._watch()
        except _TruncatedError as exc:
            raise other_file(self._file, f"{self._partial.plan.size} bytes", f"{exc} bytes") from None
        finally:
            self._end()
        mismatch = self._digest.mismatch(self._file)
        if mismatch and self._joined:  # the parts may be of different versions, or of a disk that lost power
            raise _RestartError("parts that do not make the announced file", connections=1)
        if mismatch:
            raise other_file(self._file, *mismatch)
        self._partial.sync()
        return self._digest

    def _start(self, part: int) -> None:
        def target() -> None:
            reason: BaseException | None = None
            try:
                self._fetch(part)
            except BaseException as exc:  # noqa: BLE001 - carried to the caller's thread, which raises it
                reason = exc
            self._ended.append(reason)
            self._notify()

        # A daemon: one that hangs in a dead connection must not keep the process from ending.
        thread = threading.Thread(target=target, name="inference-models-fetch", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _end(self) -> None:
        self._stop.set()
        until = time.monotonic() + _JOIN_S
        # A signal may have come between the making of a thread and its start.
        for thread in (thread for thread in self._threads if thread.ident is not None):
            thread.join(max(0.0, until - time.monotonic()))

    def _watch(self) -> None:
        reported, is_done = 0.0, False
        while not is_done:
            hashed = self._hash_what_is_there()
            self._clock.refuse_when_late(self._partial.stored)
            if time.monotonic() - reported >= _POLL_S:
                reported = time.monotonic()
                self._report()
            with self._changed:
                is_done = len(self._ended) == len(self._threads) and self._digest.size == self._partial.stored
                if not (hashed or is_done or any(self._ended)):
                    self._changed.wait(_POLL_S)
            for reason in filter(None, self._ended):
                raise reason
        self._report()

    def _report(self) -> None:
        size = self._partial.plan.size or self._file.size
        self._wanted.report(Progress(self._file.file_handle, self._partial.stored, size))

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
                failures = 0 if self._partial.done[part] - before >= WORTH_COUNTING else failures + 1
                pause = self._clock.pause_after(exc, failures)
                with self._clock.pausing():
                    self._stop.wait(pause)

    def _refuse_early_end(self, part: int) -> None:
        """Raise when an answer ended without an error, but too early: once it may have been cut off."""
        if self._partial.is_complete(part) or self._stop.is_set():
            return
        end = self._partial.plan.starts[part] + self._partial.done[part]
        if self._ends.get(part) == end:
            raise _TruncatedError(end)
        self._ends[part] = end
        needs = f"{self._partial.plan.stop(part)} bytes"
        raise RetryError(f"{self._file.file_handle}: the answer ended early.", needs=needs, found=f"{end} bytes")

    def _stream(self, part: int) -> None:
        start = self._partial.plan.starts[part] + self._partial.done[part]
        with _opened(self._wanted, start, self._stop_for(part)) as stream:
            skip = self._agree(stream, start)
            for chunk in stream.chunks:
                self._clock.hear(max(0, len(chunk) - skip))
                fresh, skip = chunk[skip:], max(0, skip - len(chunk))
                if self._stop.is_set() or (fresh and self._take(part, fresh)):
                    return
        plan = self._partial.plan
        if part == 0 and plan.size is None:  # nobody said how long the file is: it ends where the source ends
            self._partial.set_plan(Plan(plan.version, self._partial.done[0]))

    def _stop_for(self, part: int) -> int | None:
        size = self._file.size
        if self._partial.plan.size is None and size is not None and self._is_parallel(size):
            return -(-size // self._connections)
        return self._partial.plan.stop(part) if len(self._partial.done) > 1 else None

    def _take(self, part: int, chunk: bytes) -> bool:
        """Store a piece; True when the part is complete."""
        plan = self._partial.plan
        stop = plan.stop(part)
        room = None if stop is None else stop - plan.starts[part] - self._partial.done[part]
        if room is not None and len(chunk) > room:
            if stop == plan.size:
                raise other_file(self._file, f"{stop} bytes", f"more than {stop} bytes")
            chunk = chunk[:room]
        self._partial.write(part, chunk)
        self._notify()
        return stop is not None and stop != plan.size and self._partial.is_complete(part)

    def _agree(self, stream: FileStream, start: int) -> int:
        """Hold the answer against what is known; the first answer decides how the file is divided.

        Returns how many bytes of the answer are there already.

        Raises:
            _RestartError: it is another version than what is stored, or cannot begin where it should.
        """
        plan, file = self._partial.plan, self._file
        if stream.size is not None and file.size is not None and stream.size != file.size:
            raise other_file(file, f"{file.size} bytes", f"{stream.size} bytes")
        if stream.start > start or (stream.start < start and len(self._partial.done) > 1):
            raise _RestartError(f"an answer from byte {stream.start} on instead of {start}", connections=1)
        self._joined |= start > 0
        if self._partial.stored and (plan.version, plan.size) != (stream.version, stream.size or plan.size):
            raise _RestartError(f"version {stream.version} instead of {plan.version}")
        if plan.size is None:
            self._divide(stream)
        return start - stream.start

    def _divide(self, stream: FileStream) -> None:
        size = stream.size if stream.size is not None else self._file.size
        if size is not None:
            refuse_when_full(self._wanted.root, size - self._partial.stored)
        starts: tuple[int, ...] = (0,)
        if size is not None and stream.ranges and not self._partial.stored and self._is_parallel(size):
            starts = tuple(range(0, size, -(-size // self._connections)))
        self._partial.set_plan(Plan(stream.version, size, starts))
        for part in range(1, len(starts)):
            self._start(part)

    def _is_parallel(self, size: int) -> bool:
        return self._connections > 1 and size >= PARALLEL_FROM


@contextmanager
def _opened(wanted: DownloadRequest, start: int, stop: int | None) -> Iterator[FileStream]:
    """The answer of any source, closed at the end of the block; its pieces raise errors of this library."""
    source, file = wanted.source, wanted.file
    with _network_errors_named(file):
        if isinstance(source, RangeSource):
            stream = source.open(file, start=start, stop=stop)
        else:
            read = source.read if isinstance(source, Reader) else source
            stream = FileStream(read(file), 0, file.size, None, ranges=False)

    def chunks() -> Iterator[bytes]:
        with _network_errors_named(file):
            yield from stream.chunks

    try:
        yield replace(stream, chunks=chunks())
    finally:
        close = getattr(stream.chunks, "close", None)
        if close is not None:
            close()


@contextmanager
def _network_errors_named(file: FileDownloadSpecs) -> Iterator[None]:
    """Translate errors of a source, which are not those of the cache folder.

    Raises:
        RetryError: instead of a broken or silent connection.
        ModelRetrievalError: instead of any other `OSError`.
    """
    try:
        yield
    except (ConnectionError, TimeoutError) as exc:
        found = exc.strerror or type(exc).__name__
        raise RetryError(f"{file.file_handle}: the connection broke.", needs="an answer", found=found) from exc
    except OSError as exc:
        raise ModelRetrievalError(
            f"{file.file_handle} cannot be read from its source.", needs="an answer", found=str(exc)
        ) from exc
