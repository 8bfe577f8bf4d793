from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.cache import download as engine
from inference_models.cache.download import WORTH_COUNTING, Clock, DownloadRequest, Limits, download
from inference_models.entities import FileDownloadSpecs
from inference_models.errors import (
    EnvironmentConfigurationError,
    FileHashSumMissmatch,
    InvalidEnvVariable,
    ModelRetrievalError,
    RetryError,
)
from inference_models.transport.stream import FileStream

CONTENT = bytes(range(256)) * 4096
QUICK = Limits(deadline=20, idle=5, budget=2)


def spec(content=CONTENT, **facts):
    given_facts = {"sha256_hash": hashlib.sha256(content).hexdigest(), "size": len(content), **facts}
    return FileDownloadSpecs("x", "w.bin", **given_facts)


@dataclass
class Scripted:
    """A source whose every answer may be spoilt: by a function from (start, stop) to a stream, or an exception."""

    content: bytes = CONTENT
    script: list = field(default_factory=list)
    ranges: bool = True
    version: str | None = "1"
    chunk: int = 5000
    asked: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, file, *, start=0, stop=None):
        with self.lock:
            self.asked.append((start, stop))
            step = self.script.pop(0) if self.script else None
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            return step(self, start, stop)
        return self.stream(start, stop)

    def stream(self, start, stop, *, cut=None, error=None, version=None, content=None):
        content = self.content if content is None else content
        begin, end = (start, stop) if self.ranges else (0, None)
        body = content[begin:end][:cut]

        def chunks():
            for place in range(0, len(body), self.chunk):
                yield body[place : place + self.chunk]
            if error is not None:
                raise error

        return FileStream(chunks(), begin, len(content), version or self.version, ranges=self.ranges)


def cut_at(count, error):
    return lambda source, start, stop: source.stream(start, stop, cut=count, error=error)


def fetch(tmp_path, source, file=None, *, limits=QUICK, report=lambda progress: None):
    wanted = DownloadRequest(file or spec(source.content), source, report, tmp_path)
    return download(wanted, tmp_path / "partials" / "blob", limits)


def left(tmp_path):
    return list((tmp_path / "partials" / "blob").glob("*"))


def broken(retry_after=None):
    return RetryError("w.bin: the connection was cut.", retry_after=retry_after)


def test_the_whole_file_arrives_with_its_hashes(tmp_path):
    partial, digest = fetch(tmp_path, Scripted(), spec(md5_hash=hashlib.md5(CONTENT).hexdigest()))
    assert partial.data.read_bytes() == CONTENT
    assert (digest.sha256, digest.md5) == (hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest())


def test_an_empty_file_is_not_asked_for(tmp_path):
    source = Scripted(content=b"")
    partial, _ = fetch(tmp_path, source)
    assert (partial.data.read_bytes(), source.asked) == (b"", [])


def test_a_file_whose_size_nobody_knows_ends_where_its_source_ends(tmp_path):
    source = Scripted(script=[lambda self, start, stop: FileStream(iter([CONTENT]), 0, None, None, ranges=False)])
    partial, digest = fetch(tmp_path, source, spec(size=None))
    assert partial.data.read_bytes() == CONTENT
    assert digest.size == len(CONTENT)


def test_a_cut_download_goes_on_where_it_broke_off(tmp_path):
    source = Scripted(script=[cut_at(600_000, broken())])
    partial, _ = fetch(tmp_path, source)
    assert partial.data.read_bytes() == CONTENT
    assert source.asked == [(0, None), (600_000, None)]


def test_a_source_without_ranges_is_read_again_and_what_is_there_is_skipped(tmp_path):
    source = Scripted(script=[cut_at(600_000, broken())], ranges=False)
    partial, _ = fetch(tmp_path, source)
    assert partial.data.read_bytes() == CONTENT


def test_two_versions_are_never_joined(tmp_path):
    other = CONTENT[::-1]

    def old(source, start, stop):
        return source.stream(start, stop, cut=600_000, error=broken(), version="0", content=other)

    source = Scripted(script=[old])
    partial, _ = fetch(tmp_path, source)
    assert partial.data.read_bytes() == CONTENT
    assert source.asked[-1] == (0, None)


def test_versions_that_nobody_names_are_told_apart_by_the_hash(tmp_path):
    def old(source, start, stop):
        return source.stream(start, stop, cut=600_000, error=broken(), content=CONTENT[::-1])

    source = Scripted(script=[old], version=None)
    partial, _ = fetch(tmp_path, source)
    assert partial.data.read_bytes() == CONTENT
    assert source.asked == [(0, None), (600_000, None), (0, None)]


def test_a_source_that_changes_all_the_time_is_given_up(tmp_path):
    def moving(source, start, stop):
        return source.stream(start, stop, cut=600_000, error=broken(), version=str(len(source.asked)))

    with pytest.raises(RetryError) as caught:
        fetch(tmp_path, Scripted(script=[moving] * 20))
    assert str(caught.value) == (
        "w.bin could not be fetched in one piece.\n"
        "needs a source that hands over one version; found: version 8 instead of 7\n"
        "run again later"
    )


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_the_cuts_and_the_parts_are_the_file_is_the_file(tmp_path_factory, data):
    """Cuts at any byte of any request, with 1 to 5 parts; compared with the bytes themselves."""
    tmp_path = tmp_path_factory.mktemp("cuts")
    size = data.draw(st.integers(1, 200_000))
    content = hashlib.shake_128(size.to_bytes(4, "big")).digest(size)
    cuts = data.draw(st.lists(st.integers(0, size), max_size=3))
    source = Scripted(content, [cut_at(cut, broken()) for cut in cuts], chunk=data.draw(st.integers(1000, 70_000)))
    pause, engine._FIRST_PAUSE_S = engine._FIRST_PAUSE_S, 0.001
    before, engine.PARALLEL_FROM = engine.PARALLEL_FROM, data.draw(st.sampled_from([1, 10_000, 1 << 30]))
    try:
        limits = Limits(deadline=20, idle=5, budget=10, connections=data.draw(st.integers(1, 5)))
        partial, digest = fetch(tmp_path, source, limits=limits)
    finally:
        engine.PARALLEL_FROM, engine._FIRST_PAUSE_S = before, pause
    assert partial.data.read_bytes() == content
    assert digest.sha256 == hashlib.sha256(content).hexdigest()


def test_large_files_come_in_parallel_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "PARALLEL_FROM", 1000)
    together = threading.Barrier(4)

    def meeting(source, start, stop):
        together.wait(10)
        return source.stream(start, stop)

    source = Scripted(script=[None, meeting, meeting, meeting])
    first = source.stream

    def slow_first(start, stop, **options):
        stream = first(start, stop, **options)
        if start:
            return stream

        def chunks():
            for number, chunk in enumerate(stream.chunks):
                if number == 1:
                    together.wait(10)
                yield chunk

        return FileStream(chunks(), stream.start, stream.size, stream.version, stream.ranges)

    source.stream = slow_first
    partial, _ = fetch(tmp_path, source)
    quarter = len(CONTENT) // 4
    assert sorted(source.asked) == [(0, quarter), *((quarter * n, quarter * (n + 1)) for n in (1, 2, 3))]
    assert partial.data.read_bytes() == CONTENT


def test_wrong_content_is_refused_at_once_and_thrown_away(tmp_path):
    source = Scripted(content=CONTENT[::-1])
    with pytest.raises(FileHashSumMissmatch):
        fetch(tmp_path, source, spec())
    assert source.asked == [(0, None)]
    assert left(tmp_path) == []


def test_another_size_is_refused_before_a_byte_is_stored(tmp_path):
    source = Scripted(content=b"<html>502</html>")
    with pytest.raises(FileHashSumMissmatch, match=f"needs {len(CONTENT)} bytes; found: 16 bytes"):
        fetch(tmp_path, source, spec())


def test_what_has_arrived_stays_when_the_source_gives_up_and_the_next_call_continues(tmp_path):
    source = Scripted(script=[cut_at(600_000, broken()), *[broken()] * 50])
    with pytest.raises(RetryError):
        fetch(tmp_path, source, limits=Limits(deadline=20, idle=5, budget=0.5))
    assert len(left(tmp_path)) == 1
    fresh = Scripted()
    partial, _ = fetch(tmp_path, fresh)
    assert partial.data.read_bytes() == CONTENT
    assert fresh.asked == [(600_000, None)]


def test_giving_up_says_when_and_why(tmp_path):
    source = Scripted(script=[RetryError("w.bin: HTTP 503.", needs="200", found="503", retry_after=86400.0)])
    with pytest.raises(RetryError) as caught:
        fetch(tmp_path, source)
    assert str(caught.value) == (
        "w.bin could not be fetched.\n"
        "needs an answer within 2 s; found: 503 (gave up after 0 s); the source asks to wait 86400 s\n"
        "run again later; what has arrived is kept"
    )
    assert caught.value.retry_after == 86400.0


def test_a_broken_connection_counts_as_one_and_other_faults_of_the_source_end_it(tmp_path):
    source = Scripted(script=[ConnectionResetError(104, "reset"), TimeoutError()])
    assert fetch(tmp_path, source)[0].data.read_bytes() == CONTENT
    with pytest.raises(ModelRetrievalError) as caught:
        fetch(tmp_path / "other", Scripted(script=[PermissionError(13, "Permission denied")]))
    assert str(caught.value) == (
        "w.bin cannot be read from its source.\nneeds an answer; found: [Errno 13] Permission denied"
    )


def silent(source, start, stop):
    def chunks():
        yield source.content[:70_000]
        threading.Event().wait()

    return FileStream(chunks(), start, len(source.content), "1", ranges=True)


def test_the_deadline_holds_though_the_source_hangs(tmp_path):
    with pytest.raises(RetryError) as caught:
        fetch(tmp_path, Scripted(script=[silent]), limits=Limits(deadline=0.5, idle=30, budget=30))
    assert str(caught.value) == (
        "w.bin did not arrive in time.\n"
        f"needs all of it within 0.5 s; found: 70000 of {len(CONTENT)} bytes\n"
        "run again; it goes on where it stopped"
    )


def test_a_silent_connection_is_given_up(tmp_path):
    with pytest.raises(RetryError, match=r"stopped arriving\.\nneeds a byte within 0\.5 s"):
        fetch(tmp_path, Scripted(script=[silent]), limits=Limits(deadline=30, idle=0.5, budget=30))


def test_an_error_of_the_callback_ends_it_at_once_and_leaves_nothing(tmp_path):
    def report(progress):
        raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        fetch(tmp_path, Scripted(script=[silent]), report=report)
    assert left(tmp_path) == []


def test_an_answer_is_closed_when_it_breaks_and_when_it_ends(tmp_path):
    closed = []

    def watched(source, start, stop):
        def chunks():
            try:
                yield source.content[start : start + 600_000]
                raise ConnectionResetError
            finally:
                closed.append(start)

        return FileStream(chunks(), start, len(source.content), "1", ranges=True)

    fetch(tmp_path, Scripted(script=[watched, watched]))
    assert closed == [0, 600_000]


def test_progress_ends_with_the_whole_file(tmp_path):
    seen = []
    fetch(tmp_path, Scripted(), report=seen.append)
    assert (seen[-1].handle, seen[-1].done, seen[-1].size) == ("w.bin", len(CONTENT), len(CONTENT))


def test_a_size_that_only_the_source_knows_is_held_against_the_disk(tmp_path):
    def huge(source, start, stop):
        return FileStream(iter([b"x"]), 0, 1 << 60, "1", ranges=True)

    with pytest.raises(EnvironmentConfigurationError, match="does not fit into the cache folder"):
        fetch(tmp_path, Scripted(script=[huge]), spec(size=None))
    assert left(tmp_path) == []


def test_threads_end_with_the_download(tmp_path):
    before = set(threading.enumerate())  # those that hang in another test's silent connection
    fetch(tmp_path, Scripted())
    assert set(threading.enumerate()) <= before


def test_ctrl_c_between_the_making_of_a_thread_and_its_start_is_still_ctrl_c(tmp_path, monkeypatch):
    start = threading.Thread.start
    started = []

    def interrupted(thread):
        started.append(thread)
        if thread.name == "inference-models-fetch":
            raise KeyboardInterrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path, Scripted())
    assert left(tmp_path) == []


FILE = FileDownloadSpecs("x", "w.bin", size=100)


@pytest.fixture
def now(monkeypatch):
    """A clock that only the test moves."""
    time = [1000.0]
    monkeypatch.setattr(engine.time, "monotonic", lambda: time[0])
    return time


def clock(now, **limits):
    return Clock(Limits(**{"deadline": 600, "idle": 60, "budget": 60, **limits}), FILE, started=now[0], moved=now[0])


def test_a_pause_is_never_shorter_than_the_source_asks(now):
    watch = clock(now)
    pauses = [watch.pause_after(RetryError("no", retry_after=2.0), 0) for _ in range(50)]
    assert min(pauses) >= 2.0
    assert max(pauses) <= 2.5
    assert len(set(pauses)) > 1  # many that were refused together do not come back together


def test_pauses_grow_up_to_ten_seconds(now):
    watch = clock(now)
    assert [watch.pause_after(RetryError("no"), count) >= 0.25 * 2**count for count in range(5)] == [True] * 5
    assert 10 <= watch.pause_after(RetryError("no"), 30) <= 12.5


def test_the_budget_counts_from_the_last_bytes_worth_counting(now):
    watch = clock(now)
    now[0] += 59
    watch.hear(10)
    with pytest.raises(RetryError, match=r"gave up after 59 s"):
        watch.pause_after(RetryError("no"), 5)
    watch.hear(WORTH_COUNTING)
    assert watch.pause_after(RetryError("no"), 5) > 0


def test_who_pauses_is_not_idle(now):
    watch = clock(now)
    watch.hear(0)
    with watch.pausing():
        now[0] += 100
        watch.refuse_when_late(0)
    watch.refuse_when_late(0)
    now[0] += 61
    with pytest.raises(RetryError) as caught:
        watch.refuse_when_late(7)
    assert str(caught.value) == (
        "w.bin stopped arriving.\n"
        "needs a byte within 60 s; found: 7 of 100 bytes\n"
        "run again; it goes on where it stopped"
    )


def test_limits_come_from_the_environment(monkeypatch):
    assert Limits.configured(None) == Limits(600, 60, 60)
    assert Limits.configured(1 << 30).deadline == 600 + (1 << 30) // (64 << 10)
    monkeypatch.setenv("INFERENCE_MODELS_DOWNLOAD_TIMEOUT", "90")
    monkeypatch.setenv("CHUNK_DOWNLOAD_READ_TIMEOUT", "7")
    assert Limits.configured(1 << 30) == Limits(90, 7, 60)
    monkeypatch.setenv("INFERENCE_MODELS_DOWNLOAD_TIMEOUT", "soon")
    with pytest.raises(InvalidEnvVariable):
        Limits.configured(None)
