from __future__ import annotations

import pytest

from inference_models.cache.source import as_range_source, next_chunk, opened
from inference_models.entities import FileDownloadSpecs
from inference_models.errors import ModelRetrievalError, RetryError
from inference_models.transport.stream import FileStream

FILE = FileDownloadSpecs("x", "w.bin", size=3)


class Ranged:
    def open(self, file, *, start=0, stop=None):
        return FileStream(iter([b"abc"[start:stop]]), start, 3, "1", ranges=True)


class Whole:
    def read(self, file):
        yield b"abc"


def test_a_source_that_can_open_is_used_as_it_is():
    source = Ranged()
    assert as_range_source(source) is source


@pytest.mark.parametrize("source", [Whole(), Whole().read])
def test_a_provider_that_only_reads_always_begins_at_the_beginning(source):
    stream = as_range_source(source).open(FILE, start=2)
    assert (stream.start, stream.size, stream.version, stream.ranges) == (0, 3, None, False)
    assert list(stream.chunks) == [b"abc"]


def test_an_answer_is_closed_whatever_happens():
    closed = []

    def chunks():
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(1)

    class Source:
        def open(self, file, *, start=0, stop=None):
            return FileStream(chunks(), 0, 2, None, ranges=False)

    def use():
        with opened(Source(), FILE, 0, None) as stream:
            raise KeyError(next_chunk(stream, FILE))

    with pytest.raises(KeyError, match="b'a'"):
        use()
    assert closed == [1]


def test_an_answer_that_cannot_be_closed_is_fine():
    with opened(Ranged(), FILE, 1, 2) as stream:
        assert next_chunk(stream, FILE) == b"b"
        assert next_chunk(stream, FILE) is None


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            ConnectionResetError(104, "Connection reset by peer"),
            RetryError,
            "w.bin: the connection broke.\nneeds an answer; found: Connection reset by peer",
        ),
        (TimeoutError(), RetryError, "w.bin: the connection broke.\nneeds an answer; found: TimeoutError"),
        (
            FileNotFoundError(2, "No such file or directory"),
            ModelRetrievalError,
            "w.bin cannot be read from its source.\nneeds an answer; found: [Errno 2] No such file or directory",
        ),
    ],
)
def test_faults_of_the_network_are_named_wherever_they_happen(error, kind, text):
    class Failing:
        def open(self, file, *, start=0, stop=None):
            raise error

    def chunks():
        raise error
        yield

    with pytest.raises(kind) as caught, opened(Failing(), FILE, 0, None):
        pass
    assert str(caught.value) == text
    with pytest.raises(kind) as caught:
        next_chunk(FileStream(chunks(), 0, 3, None, ranges=False), FILE)
    assert str(caught.value) == text
