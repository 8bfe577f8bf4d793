from __future__ import annotations

import pytest

from inference_models.cache import pace
from inference_models.cache.pace import WORTH_COUNTING, Clock, Limits
from inference_models.entities import FileDownloadSpecs
from inference_models.errors import InvalidEnvVariable, RetryError

FILE = FileDownloadSpecs("x", "w.bin", size=100)


@pytest.fixture
def now(monkeypatch):
    """A clock that only the test moves."""
    time = [1000.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: time[0])
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
