"""F13, F14, F18: many processes that wait for each other, stopped holders of locks, and removals during loads."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from faults.kills import hook
from faults.network import fresh
from faults.oracle import judge
from faults.server import BLOCK
from faults.source import UrlSource
from faults.world import run, start
from inference_models.cache import locks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.world import World

SIZE = 3 << 20
THREADS = 4
START_S = 0.5
"""What making 8 processes and 32 threads may take on two shared cores, beside the fetch itself."""
SLOWEST = 1.2
"""Of the time of a fetch alone."""
SHAPES = ((2, 1), (8, 1), (32, 1), (8, 8))
"""(processes, models)"""


def f13(world: World, *, rounds: int, locked: bool) -> Iterator[tuple[str, list[str]]]:
    """Cold loads at the same time, in several processes of four threads; with locks that work, and that do nothing."""
    world.ensure_before()
    names = [world.model_of(SIZE + number) for number in range(8 if rounds >= len(SHAPES) else 1)]
    for number in range(rounds):
        processes, models = SHAPES[number % len(SHAPES)]
        for name in names:
            fresh(world, name)
        world.server.faults()
        children = [
            start(lambda wanted=[names[(place + index) % 8] for index in range(models)]: threads(world, wanted, locked))
            for place in ([0] * processes if models == 1 else range(processes))
        ]
        outcomes = [child.wait() for child in children]
        wrong = [f"a process ended by {outcome.error or outcome.status}" for outcome in outcomes if not outcome.ok]
        sent: dict[str, int] = {}
        for request in world.server.requests():
            sent[request["path"]] = sent.get(request["path"], 0) + request["sent"]
        for path, count in sent.items():
            size = len(world.graphs[path.split("/")[1]]) if path.endswith("onnx") else int(path.split("/")[1][1:])
            allowed = size if locked else size * processes * THREADS
            if count > allowed:
                wrong.append(f"{path} was fetched {count / size:.1f} times")
        partials = list((world.root / "partials").glob("*/*"))
        if partials:
            wrong.append(f"downloads were left: {partials}")
        label = f"{number}: {processes} processes, {models} models, locks {'on' if locked else 'do nothing'}"
        yield label, wrong + judge(world, names[0], None, before="before")


def threads(world: World, names: list[str], locked: bool, *, count: int = THREADS) -> int:
    if not locked:
        fcntl.flock = lambda descriptor, operation: None
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for name in names:
                world.ensure(name, progress=lambda progress: None)
        except BaseException as exc:  # noqa: BLE001 - raised below, in the thread that answers
            failures.append(exc)

    running = [threading.Thread(target=work) for _ in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]
    return len(names)


def f13w(world: World, *, rounds: int, seconds: float) -> Iterator[tuple[str, list[str]]]:
    """The slowest of 32 waiters against one that fetches alone, from a server paced to take about `seconds`."""
    world.ensure_before()
    name = world.model_of(SIZE)
    paced = {"pause": seconds / (SIZE / BLOCK)}
    for _ in range(rounds):
        alone, wrong = waits(world, name, paced, processes=1, count=1)
        slowest, errors = waits(world, name, paced, processes=8, count=THREADS)
        wrong += errors
        limit = SLOWEST * alone + START_S
        label = f"{alone:.2f} s alone, {slowest:.2f} s the slowest of 32 ({slowest / alone:.2f})"
        if not seconds * 0.9 <= alone <= seconds * 2:
            wrong.append(f"the fetch alone was not paced: {alone:.2f} s instead of {seconds} s")
        if slowest > limit:
            wrong.append(f"the slowest waiter took {slowest:.2f} s, more than {limit:.2f} s")
        sent = sum(item["sent"] for item in world.server.requests() if item["path"].endswith("extra.bin"))
        if sent != SIZE:
            wrong.append(f"{sent / SIZE:.2f} of the file was fetched")
        yield label, wrong + judge(world, name, None, before="before")


def waits(world: World, name: str, paced: dict, *, processes: int, count: int) -> tuple[float, list[str]]:
    """Seconds from the start of the first process until the last thread has the model, and what went wrong."""
    fresh(world, name)
    world.server.faults(repeat=paced)
    begin = time.monotonic()  # one clock for all processes
    children = [start(lambda: finished(world, name, count)) for _ in range(processes)]
    outcomes = [child.wait() for child in children]
    wrong = [f"a process ended by {outcome.error or outcome.status}" for outcome in outcomes if not outcome.ok]
    return max([outcome.result - begin for outcome in outcomes if outcome.ok], default=0.0), wrong


def finished(world: World, name: str, count: int) -> float:
    threads(world, [name], True, count=count)
    return time.monotonic()


def f14(world: World, *, repeats: int) -> Iterator[tuple[str, list[str]]]:
    """The holder of the lock is stopped or dead, or a lock file lies about: who waits goes on by itself."""
    world.ensure_before()
    name = world.model_of(SIZE)
    lock = world.root / "locks" / f"{world.models[name].model_packages[0].package_artefacts[0].sha256_hash}.lock"
    interval = 0.5
    for repeat in range(repeats):
        for how, point in (("stopped", "at 50 %"), ("stopped", "at 1 %"), ("dead", "at 50 %"), ("stale file", "")):
            if world.skips():
                continue
            fresh(world, name)
            world.server.faults(repeat={"pause": 0.005})
            holder = None
            if how == "stale file":
                lock.parent.mkdir(exist_ok=True)
                lock.write_text("of another machine")
            else:
                number = signal.SIGSTOP if how == "stopped" else signal.SIGKILL
                holder = start(lambda point=point, number=number: stopping(world, name, point, number))
                until_stopped(holder.pid)
            world.server.faults()
            waiter = run(lambda: waiting(world, name, interval))
            wrong = [] if waiter.ok else [f"the waiter ended by {waiter.error}"]
            if waiter.seconds > 2 * interval + 2.5:  # the load itself takes up to 2 s on a busy machine
                wrong.append(f"the waiter took {waiter.seconds:.1f} s")
            if how == "stopped":
                sent = sum(item["sent"] for item in world.server.requests() if item["path"].endswith("extra.bin"))
                if point == "at 50 %" and sent > SIZE * 0.6:
                    wrong.append(f"the waiter did not continue: {sent} bytes")
                holder.kill(signal.SIGCONT)
                resumed = holder.wait()
                if resumed.result != world.reference[name]:
                    wrong.append(f"the holder that came back ended by {resumed.error or resumed.status}")
            elif holder is not None:
                holder.wait()
            yield f"{how}, {point}, {repeat}", wrong + judge(world, name, None, before="before")


def stopping(world: World, name: str, point: str, number: int) -> object:
    once = threading.Event()

    def act() -> None:
        if not once.is_set():
            once.set()
            os.kill(os.getpid(), number)

    hook(point, SIZE, act)
    return world.load(name, UrlSource(chunk=1 << 15))


def until_stopped(pid: int) -> None:
    for _ in range(1000):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TZ":
            return
        time.sleep(0.01)


def waiting(world: World, name: str, interval: float) -> object:
    locks.PROGRESS_INTERVAL_S, locks.HEARTBEAT_S = interval, interval / 5
    return world.load(name)


def f18(world: World, *, rounds: int) -> Iterator[tuple[str, list[str]]]:
    """`rm` and `gc` while others load: every load gives the right output, or beside `rm` an error of ours."""
    world.ensure_before()
    name = world.model_of(SIZE)
    world.store.pin(world.key("before"))
    for number in range(rounds):
        world.server.faults()
        world.ensure(name)
        quota = number % 2 == 0
        loaders = [start(lambda: again(world, name)) for _ in range(3)]
        remover = start(lambda quota=quota: removing(world, name, quota))
        outcomes = [loader.wait() for loader in loaders]
        removed = remover.wait()
        wrong = [] if removed.ok else [f"removing ended by {removed.error}"]
        for outcome in outcomes:
            # `gc` leaves what is being loaded; `rm` is a wish of its own, and may end a load in words.
            documented = outcome.error is None or (not quota and "BaseInferenceModelsError" in outcome.error["bases"])
            if not documented or (outcome.ok and not outcome.result):
                wrong.append(f"a load ended by {outcome.error}")
        yield f"{number}, {'gc' if quota else 'rm'}", wrong + judge(world, name, None, before="before")
    world.store.unpin(world.key("before"))


def again(world: World, name: str) -> bool:
    for _ in range(4):
        if world.load(name) != world.reference[name]:
            raise AssertionError("half a model")
    return True


def removing(world: World, name: str, quota: bool) -> int:
    for _ in range(8):
        if quota:
            world.store.gc(quota=0)
        else:
            world.store.remove(world.key(name))
        time.sleep(0.02)
    return 0
