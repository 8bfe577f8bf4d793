from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from inference_models.transport.waits import seconds_to_wait

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
