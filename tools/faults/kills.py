"""F1 and F2: the process ends at a chosen point, by force, by request, or by an error of the caller."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from faults.oracle import judge
from faults.source import UrlSource
from faults.world import run
from inference_models.cache import download, partial, stamps
from inference_models.cache.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.world import World

SIZES = {"1 KB": 1 << 10, "3 MB": 3 << 20, "80 MB": 80 << 20}
POINTS = (
    "after mkdir",
    "after temp open",
    "at 1 %",
    "at 25 %",
    "at 50 %",
    "at 75 %",
    "at 99 %",
    "after last byte",
    "after hash",
    "after fsync",
    "after rename",
    "before manifest",
    "after manifest",
    "after stamps",
    "in model init",
)
SIGNALS = ("SIGTERM", "SIGINT", "callback")
REFETCH_ALLOWED = 1 << 20


def hook(point: str, size: int, act: Callable[[], None]) -> None:
    """Let `act` happen at `point`, while `extra.bin` or its package is on its way. For use in a child."""
    if point == "after mkdir":
        after(partial, "make_folder", act)
    elif point == "after temp open":
        after(partial.Partial, "__init__", act)
    elif point.endswith("%"):
        at_bytes(int(point.split()[1]) * size // 100, act)
    elif point == "after last byte":
        at_bytes(size, act)
    elif point == "after hash":
        after(download._Download, "run", act)
    elif point == "after fsync":
        after(partial.Partial, "sync", act)
    elif point == "after rename":
        at_rename("extra.bin", act, late=True)
    elif point in {"before manifest", "after manifest"}:
        at_rename(MANIFEST_NAME, act, late=point == "after manifest")
    elif point == "after stamps":
        after(stamps.Stamps, "save", act, only=lambda self: self.changed is False and self.path.exists())
    else:
        from inference_models.loading import attempt

        original = attempt.load_package

        def dying(*arguments: object, **options: object) -> object:
            act()
            return original(*arguments, **options)

        attempt.load_package = dying


def after(owner: object, name: str, act: Callable[[], None], only: Callable[..., bool] | None = None) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: object, **options: object) -> object:
        result = original(*arguments, **options)
        if only is None or only(*arguments):
            act()
        return result

    setattr(owner, name, wrapped)


def at_bytes(count: int, act: Callable[[], None]) -> None:
    original = partial.Partial.write

    def write(self: partial.Partial, part: int, chunk: bytes) -> None:
        original(self, part, chunk)
        if self.stored >= count:
            act()

    partial.Partial.write = write


def at_rename(name: str, act: Callable[[], None], *, late: bool) -> None:
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        aimed = Path(target).name == name
        if aimed and not late:
            act()
        result = original(self, target)
        if aimed and late:
            act()
        return result

    Path.replace = replace


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def f1(world: World, *, repeats: int, sizes: tuple[str, ...] = tuple(SIZES)) -> Iterator[tuple[str, list[str]]]:
    """`kill -9`: 15 points x repeats x sizes."""
    world.ensure_before()
    for size, point, repeat in itertools.product(sizes, POINTS, range(repeats)):
        if world.skips():
            continue
        name = world.model_of(SIZES[size])
        shutil.rmtree(world.folder(name).parent, ignore_errors=True)
        world.server.faults()

        def work(name: str = name, point: str = point, size: str = size) -> object:
            hook(point, SIZES[size], die)
            return world.load(name, UrlSource(chunk=max(1, min(1 << 16, SIZES[size] // 100))))

        fault = run(work)
        wrong = [] if fault.status == -signal.SIGKILL else [f"the process was not killed: {fault}"]
        wrong += killed(world, name, SIZES[size])
        yield f"{size}, {point}, {repeat}", wrong


def killed(world: World, name: str, size: int) -> list[str]:
    """The oracle, and how much of what was stored is fetched again."""
    stored = on_disk(world, name)
    wrong = judge(world, name, None, before="before")
    served = sum(request["sent"] for request in world.server.requests() if request["path"].endswith("extra.bin"))
    again = served - (size - stored)
    # A byte that was sent twice; each of four parts may lose the piece that was on its way.
    if again > REFETCH_ALLOWED + stored // 10:
        wrong.append(f"{again} of {stored} stored bytes were fetched again")
    return wrong


def on_disk(world: World, name: str) -> int:
    """Bytes of `extra.bin` that are on this machine."""
    place = world.folder(name) / "extra.bin"
    if place.is_file():
        return place.stat().st_size
    item = world.models[name].model_packages[0].package_artefacts[0]
    return partial.stored_bytes(world.root / "partials" / item.sha256_hash)


def f2(world: World, *, repeats: int, sizes: tuple[str, ...] = tuple(SIZES)) -> Iterator[tuple[str, list[str]]]:
    """SIGTERM, Ctrl-C, and an exception in the progress callback; what was temporary is gone at once."""
    world.ensure_before()
    for size, point, how, repeat in itertools.product(sizes, POINTS[:11], SIGNALS, range(repeats)):
        if world.skips():
            continue
        name = world.model_of(SIZES[size])
        shutil.rmtree(world.folder(name).parent, ignore_errors=True)
        world.server.faults()
        fault = run(lambda name=name, how=how, point=point, size=size: ended(world, name, how, point, SIZES[size]))
        left = [place for blob in (world.root / "partials").glob("*/*") for place in blob.rglob("data")]
        complete = [place for place in left if place.stat().st_size in {SIZES[size], len(world.graphs[name])}]
        wrong = [f"temporary files were left: {left}"] if len(left) > len(complete) else []
        if fault.seconds > 5:
            wrong.append(f"it took {fault.seconds:.1f} s to end")
        expected = {"SIGTERM": 143, "SIGINT": "KeyboardInterrupt", "callback": "KeyError"}[how]
        seen = fault.status if how == "SIGTERM" else (fault.error or {}).get("class")
        if seen != expected and not fault.ok:
            wrong.append(f"it ended by {fault}")
        yield f"{size}, {point}, {how}, {repeat}", wrong + judge(world, name, None, before="before")


def ended(world: World, name: str, how: str, point: str, size: int) -> object:
    source = UrlSource(chunk=max(1, min(1 << 16, size // 100)))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if how != "callback":
        once = threading.Event()

        def act() -> None:
            if not once.is_set():
                once.set()
                os.kill(os.getpid(), getattr(signal, how))

        hook(point, size, act)
        return world.ensure(name, source)
    reached = threading.Event()
    hook(point, size, reached.set)

    def report(progress: object) -> None:
        if reached.is_set():
            raise KeyError("of the caller")

    return world.ensure(name, source, progress=report)
