"""What the Hub library and the HTTP library below it log while they work for us, with everything turned on."""

from __future__ import annotations

import json
import logging
from contextlib import closing, contextmanager

import pytest

from inference_models.errors import BaseInferenceModelsError
from inference_models.providers import open_provider
from providers.hub_server import Repository, served_hub

NAME = "acme/tiny-vit"
TOKEN = "hf_canarycanary77"
CONFIG = {"architectures": ["ViTForImageClassification"], "model_type": "vit", "id2label": {"0": "cat"}}


class Collected(logging.Handler):
    """Every record, formatted at once, as a handler of the user would."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.name}: {self.format(record)}")


@contextmanager
def everything_logged():
    """A handler at every logger there is, and at the root for those that come."""
    collected, before = Collected(), []
    names = [None, "huggingface_hub", *list(logging.Logger.manager.loggerDict)]
    for logger in {logging.getLogger(name) for name in names}:
        before.append((logger, logger.level))
        logger.setLevel(logging.DEBUG)
        if logger.name in {"root", "huggingface_hub"}:
            logger.addHandler(collected)
    try:
        yield collected.lines
    finally:
        for logger, level in before:
            logger.setLevel(level)
            logger.removeHandler(collected)


@pytest.fixture
def hub(monkeypatch):
    pytest.importorskip("huggingface_hub")
    repository = Repository({"config.json": json.dumps(CONFIG).encode(), "model.safetensors": b"s" * 300})
    with served_hub({NAME: repository}, token=TOKEN) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("API_CALLS_MAX_TRIES", "1")
        # Set for a whole process, before it starts: requests are then logged as commands for a shell.
        monkeypatch.setattr("huggingface_hub.constants.HF_DEBUG", True)
        yield server


def seen(lines: list[str], words: str) -> bool:
    return any(words in line for line in lines)


def test_neither_the_token_nor_a_signed_address_reaches_a_handler(hub):
    with everything_logged() as lines, closing(open_provider("huggingface")) as provider:
        model = provider.describe(NAME)
        large = next(f for f in model.model_packages[0].package_artefacts if f.file_handle == "model.safetensors")
        assert b"".join(provider.read(large)) == b"s" * 300
    # Proof that there was something to hide.
    assert ("127.0.0.1", f"/api/models/{NAME}/revision/main?blobs=true", f"Bearer {TOKEN}") in hub.seen
    assert any("X-Amz-Signature=s1gned" in path for _, path, _ in hub.seen)
    assert seen(lines, "/cdn/")
    text = "\n".join(lines)
    assert "canary" not in text
    assert "s1gned" not in text


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_token_that_the_hub_sends_back_reaches_no_handler(hub, status):
    headers = {
        "X-HF-Warning": f"topic-{status}; your token {TOKEN} is old",
        "X-Error-Message": f"token {TOKEN}",
        "X-Request-Id": TOKEN,
        "RateLimit": f'"api";r=0;t={TOKEN}',
    }
    hub.failures[:] = [(status, f'{{"error":"unknown token {TOKEN}"}}'.encode(), headers)] * 6
    with (
        everything_logged() as lines,
        closing(open_provider("huggingface")) as provider,
        pytest.raises(BaseInferenceModelsError),
    ):
        provider.describe(NAME)
    assert "canary" not in "\n".join(lines)


def test_what_the_user_asks_the_hub_himself_is_logged_as_ever(hub):
    from huggingface_hub import HfApi

    with closing(open_provider("huggingface")) as provider:
        provider.describe(NAME)
    with everything_logged() as lines:
        HfApi(endpoint=hub.url, token=TOKEN).model_info(NAME, revision="main", files_metadata=True)
    assert seen(lines, f"/api/models/{NAME}/revision/main?blobs=true")
