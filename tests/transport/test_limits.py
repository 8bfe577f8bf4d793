from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from inference_models.errors import ModelNotFoundError, RetryError
from inference_models.transport.limits import call_with_retries, seconds_to_wait


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("inference_models.transport.limits.time.sleep", clock.sleep)
    monkeypatch.setattr("inference_models.transport.limits.time.monotonic", lambda: clock.now)
    return clock


def failing(times: int, *, retry_after: float | None = None):
    calls = []

    def call():
        calls.append(1)
        if len(calls) <= times:
            raise RetryError("http://a.example/x cannot answer now.", found="503", retry_after=retry_after)
        return len(calls)

    return call


@pytest.mark.parametrize("storm", [0, 1, 2])
def test_a_short_storm_is_waited_out_with_growing_pauses(clock, storm):
    assert call_with_retries(failing(storm)) == storm + 1
    assert len(clock.pauses) == storm
    for attempt, pause in enumerate(clock.pauses):
        assert 0.25 * 2**attempt <= pause <= 0.5 * 2**attempt


def test_a_long_storm_is_given_up_with_the_time_and_the_cause(clock):
    with pytest.raises(RetryError) as caught:
        call_with_retries(failing(10, retry_after=2.0))
    spent = clock.now - 100
    assert len(clock.pauses) == 2
    assert str(caught.value) == (
        f"http://a.example/x cannot answer now: given up after 3 tries in {spent:.1f} s.\n"
        "needs an answer within 3 tries and 60 s; found: 503; it asks to wait 2 s"
    )


@pytest.mark.parametrize("stated", [0.0, 2.0, 30.0])
def test_the_server_is_waited_for_at_least_as_long_as_it_asks(clock, stated):
    call_with_retries(failing(1, retry_after=stated))
    assert stated <= clock.pauses[0] <= stated * 1.1 + 0.11


def test_a_day_is_not_waited_for(clock):
    with pytest.raises(RetryError, match=r"given up after 1 try in 0\.0 s"):
        call_with_retries(failing(1, retry_after=86_400.0))
    assert clock.pauses == []


def test_the_budget_ends_the_tries(clock, monkeypatch):
    monkeypatch.setenv("API_CALLS_MAX_TRIES", "100")
    with pytest.raises(RetryError, match="given up after 7 tries"):
        call_with_retries(failing(100, retry_after=9.0))
    assert clock.now - 100 <= 60


def test_what_will_not_pass_is_not_tried_again(clock):
    calls = []

    def call():
        calls.append(1)
        raise ModelNotFoundError("no")

    with pytest.raises(ModelNotFoundError):
        call_with_retries(call)
    assert len(calls) == 1


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 2 "}, 2.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "86400"}, 86_400.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Sun, 99 Foo 2026 00:00:00 GMT"}, None),
        ({"ratelimit": '"default";r=0;t=30'}, 30.0),
        ({"ratelimit": "limit=100, remaining=0, reset=7"}, 7.0),
        ({"ratelimit": "t=x"}, None),
        ({"ratelimit-reset": "12"}, 12.0),
        ({"x-ratelimit-reset": "1772366400"}, None),
        ({"retry-after": "3", "ratelimit": "t=30"}, 3.0),
        ({"retry-after": "garbage", "ratelimit": "t=30"}, 30.0),
    ],
)
def test_what_the_server_asks_for_is_understood(headers, seconds):
    assert seconds_to_wait(headers) == seconds


@pytest.mark.parametrize(("offset", "seconds"), [(90, 90.0), (0, 0.0), (-90, 0.0)])
def test_a_date_counts_from_the_clock_of_the_server(offset, seconds):
    # NOW is far from the clock of this machine, which must play no part.
    headers = {
        "date": format_datetime(NOW, usegmt=True),
        "retry-after": format_datetime(NOW + timedelta(seconds=offset), usegmt=True),
    }
    assert seconds_to_wait(headers) == seconds


def test_a_date_without_the_clock_of_the_server_counts_from_ours():
    moment = datetime.now(timezone.utc) + timedelta(seconds=100)
    assert 95 <= seconds_to_wait({"retry-after": format_datetime(moment, usegmt=True)}) <= 100
