"""Answers of the hosted API with damage, each made from a seed, and what a reader may do with them."""

from __future__ import annotations

import copy
import json
import random
from typing import TYPE_CHECKING, Any

from inference_models.entities import ModelPackageMetadata
from inference_models.errors import ModelRetrievalError
from inference_models.providers._wire import parse_page
from providers.api_answers import MANIFESTS, metadata, package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference_models.providers._wire import Page

WHERE = "https://api.example"
GOOD = metadata(
    *(package(packageId=f"p{number}", packageManifest=item) for number, item in enumerate(MANIFESTS.values()))
)
JUNK: list[Any] = [
    *(None, True, 0, -1, 1.5, float("nan"), 10**30, "", "x" * 5_000, "../x", "\0", "\u00e9\u202e"),
    *([], {}, [[]], {"type": 1}),
]


def mutated(seed: int) -> bytes:
    """An answer with up to three values exchanged or removed, and sometimes bytes flipped."""
    generator = random.Random(seed)
    answer = copy.deepcopy(GOOD)
    for _ in range(generator.randint(1, 3)):
        paths = [path for path in _sites(answer) if path]
        if paths:
            _damage(answer, generator.choice(paths), generator)
    body = bytearray(json.dumps(answer).encode())
    if generator.random() < 0.1:
        body[generator.randrange(len(body))] = generator.randrange(256)
    return bytes(body)


def parse(data: bytes) -> Page | None:
    """The page, or None when it is refused with an error of ours; anything else is a failure."""
    page, refusal = None, ""
    try:
        page = parse_page(data, where=WHERE)
    except ModelRetrievalError as exc:
        refusal = str(exc)
    if page is None:
        assert 0 < len(refusal) < 2_000
        return None
    assert all(isinstance(item, ModelPackageMetadata) for item in page.packages)
    assert all(item.reason and "\n" not in item.reason and len(item.reason) < 2_000 for item in page.skipped)
    return page


def _damage(answer: Any, path: tuple[Any, ...], generator: random.Random) -> None:
    owner = answer
    for key in path[:-1]:
        owner = owner[key]
    if generator.random() < 0.3:
        del owner[path[-1]]
    else:
        owner[path[-1]] = generator.choice(JUNK)


def _sites(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield from _sites(child, (*path, key))
