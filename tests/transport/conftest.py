from __future__ import annotations

from contextlib import closing

import pytest

from inference_models.transport.client import HttpClient


@pytest.fixture
def client():
    with closing(HttpClient()) as opened:
        yield opened
