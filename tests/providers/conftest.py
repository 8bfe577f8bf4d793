from __future__ import annotations

import pytest

from providers.published import published


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> dict[str, bytes]:
    return published(tmp_path_factory.mktemp("published"))
