"""Two users and one cache: unreadable is not absent, and no hint that cannot be had stops a load."""

from __future__ import annotations

import os
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from cache.test_store import FILES, KEY, Source, assert_complete, no_source
from inference_models import AutoModel
from inference_models.cache.store import PackageKey, PackageStore
from inference_models.cli import main
from inference_models.doctor.cache import examine_cache
from inference_models.errors import BaseInferenceModelsError, EnvironmentConfigurationError
from plain_user import NOBODY, as_user, folder_for_everyone, needs_two_users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = needs_two_users
HINTS = ["stamps", "locks", "tmp", "partials", "quarantine", "resolutions", "probes", "pins", "parity", "measurements"]


@pytest.fixture
def root() -> Iterator[Path]:
    with folder_for_everyone() as folder:
        yield folder / "cache"


def refused(work: Callable[[], object]) -> tuple[str, str | None]:
    """The error of the work, and its advice."""
    try:
        work()
    except EnvironmentConfigurationError as exc:
        return str(exc), exc.fix
    return "", None


def baked(root: Path, mask: int) -> PackageStore:
    """A cache that root filled under a umask."""
    before = os.umask(mask)
    try:
        store = PackageStore(root)
        store.ensure(KEY, FILES, Source())
    finally:
        os.umask(before)
    return store


def test_a_cache_of_root_opens_for_others_under_the_usual_umask(root: Path) -> None:
    store = baked(root, 0o022)
    assert_complete(as_user(lambda: store.open(KEY, FILES)))


@pytest.mark.parametrize(
    "place",
    ["", "packages", "packages/*", "packages/*/p1", "packages/*/p1/.manifest.json", "packages/*/p1/weights.onnx"],
)
def test_what_may_not_be_read_is_named_with_its_owner_and_who_may_not(root: Path, place: str) -> None:
    store = baked(root, 0o022)
    closed = next(root.glob(place)) if place else root
    closed.chmod(0o600 if closed.is_file() else 0o700)
    text, fix = as_user(lambda: refused(lambda: store.open(KEY)))
    mode = "0600" if closed.is_file() else "0700"
    assert f"needs read permission for user {NOBODY}; found: '{closed}' belongs to user 0 and has mode {mode}" in text
    assert fix == f"as its owner: chmod -R a+rX '{closed}'"
    assert as_user(store.unreadable) == [closed]


def test_a_load_from_a_cache_that_nobody_else_may_enter_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baked(root, 0o077)
    monkeypatch.setenv("INFERENCE_HOME", str(root))
    monkeypatch.setenv("OFFLINE_MODE", "1")
    AutoModel.explain("centerface")  # what a load imports is in folders of root
    text, fix = as_user(lambda: refused(lambda: AutoModel.from_pretrained("centerface")))
    assert f"needs read permission for user {NOBODY}; found: '{root}' belongs to user 0 and has mode 0700" in text
    assert fix == f"as its owner: chmod -R a+rX '{root}'"


def test_the_list_names_what_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = baked(root, 0o022)
    (store.folder_of(KEY) / "weights.onnx").chmod(0o600)
    monkeypatch.setenv("INFERENCE_HOME", str(root))

    def listed() -> tuple[int, str]:
        with redirect_stderr(StringIO()) as told, redirect_stdout(StringIO()):
            return main(["cache", "ls"]), told.getvalue()

    main(["cache", "ls"])  # what it imports is in folders of root
    code, told = as_user(listed)
    assert code == 1
    assert f"needs read permission for user {NOBODY}; found: '{store.folder_of(KEY)}/weights.onnx' belongs" in told


def test_the_doctor_names_what_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baked(root, 0o077)
    monkeypatch.setenv("INFERENCE_HOME", str(root))
    found = as_user(lambda: [item.what for item in examine_cache()])
    assert f"'{root}' belongs to user 0 and has mode 0700" in found[0]


@pytest.mark.parametrize("name", HINTS)
def test_a_folder_of_hints_that_nobody_may_enter_stops_no_load(root: Path, name: str) -> None:
    store = baked(root, 0o000)
    (root / name).mkdir(exist_ok=True)
    (root / name).chmod(0o000)
    assert_complete(as_user(lambda: store.ensure(KEY, FILES, no_source)))


@pytest.mark.parametrize("name", HINTS)
def test_fetching_beside_a_folder_that_nobody_may_enter_works_or_ends_in_words(root: Path, name: str) -> None:
    store = baked(root, 0o000)
    (root / name).mkdir(exist_ok=True)
    (root / name).chmod(0o000)

    def fetch() -> str:
        try:
            store.ensure(PackageKey("test", "other", "p2"), FILES, Source(b"x"))
        except BaseInferenceModelsError as exc:
            return str(exc)
        return "stored"

    assert as_user(fetch)


def test_users_of_one_group_share_a_cache(root: Path) -> None:
    root.mkdir()
    os.chown(root, 0, 4321)
    root.chmod(0o2775)
    first, second = {"user": 1111, "group": 4321, "mask": 0o002}, {"user": 2222, "group": 4321, "mask": 0o002}
    store = PackageStore(root)
    folder = as_user(lambda: store.ensure(KEY, FILES, Source()), **first)
    assert_complete(as_user(lambda: store.ensure(KEY, FILES, no_source), **second))
    (folder / "weights.onnx").write_bytes(b"damaged")
    assert_complete(as_user(lambda: store.ensure(KEY, FILES, Source()), **second))
    assert as_user(lambda: store.remove(KEY), **first)
    as_user(lambda: store.gc().freed, **second)
