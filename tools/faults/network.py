"""F4 to F8: answers that are cut, wrong, spliced, refused or slow."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from faults.oracle import judge
from faults.source import UrlSource
from faults.world import Outcome, run, start
from inference_models import config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.world import World

SIZE = 3 << 20
BIG = 40 << 20
TRANSIENT = {"RetryError"}
REFUSED = {"FileHashSumMissmatch"}


def fresh(world: World, name: str) -> None:
    shutil.rmtree(world.folder(name).parent, ignore_errors=True)
    shutil.rmtree(world.root / "partials", ignore_errors=True)
    shutil.rmtree(world.root / "resolutions", ignore_errors=True)


def load(world: World, name: str, *, budget: float = 1.5, timeout: float = 30.0) -> Outcome:
    def work() -> object:
        config.DOWNLOAD_RETRY_BUDGET = budget
        return world.load(name, UrlSource(timeout=timeout))

    return run(work)


def f4(world: World, *, repeats: int) -> Iterator[tuple[str, list[str]]]:
    """A body cut at 0, 1, half, n-1 bytes; with right, short, no Content-Length, or chunked without an end."""
    world.ensure_before()
    name = world.model_of(SIZE)
    lengths, cuts, resumable = ("right", "cut", "none", "chunked"), (0, 1, SIZE // 2, SIZE - 1), (True, False)
    for length, cut, ranges, repeat in itertools.product(lengths, cuts, resumable, range(repeats)):
        if world.skips():
            continue
        fresh(world, name)
        fault = {"cut": cut, "length": length, "no_ranges": not ranges}
        forever = repeat % 2 == 1
        world.server.faults([fault], repeat=fault if forever else None)
        outcome = load(world, name)
        wrong = []
        served = sum(request["sent"] for request in world.server.requests() if request["path"].endswith("extra.bin"))
        if not forever and outcome.ok and ranges and served > SIZE + (1 << 20) and length == "right":
            wrong.append(f"not resumed: {served} bytes for {SIZE}")
        if not outcome.ok and outcome.error["class"] not in TRANSIENT | REFUSED:
            wrong.append(f"ended by {outcome.error}")
        if forever and not ranges and outcome.ok:
            wrong.append("a cut body was accepted")
        label = f"{length} length, cut at {cut}, ranges {ranges}, {'always' if forever else 'once'}"
        yield label, wrong + judge(world, name, outcome, before="before")


def f5(world: World, *, repeats: int) -> Iterator[tuple[str, list[str]]]:
    """Wrong bytes are refused, every time, and nothing of them is kept."""
    world.ensure_before()
    names = [world.model_of(SIZE), world.model_of(BIG)]
    kinds = ("bit", "swapped", "other", "html", "gzip", "model")
    for name, kind, repeat in itertools.product(names, kinds, range(repeats)):
        if world.skips():
            continue
        fresh(world, name)
        world.server.faults(repeat={"wrong": kind})
        outcome = load(world, name)
        wrong = [] if (outcome.error or {}).get("class") in REFUSED else [f"not refused: {outcome}"]
        if list((world.root / "partials").glob("*/*")):
            wrong.append("something of it was kept")
        yield f"{name}, {kind}, {repeat}", wrong + judge(world, name, outcome, before="before")


def f6(world: World, *, repeats: int) -> Iterator[tuple[str, list[str]]]:
    """A server that lies about ranges or versions never makes two versions one file."""
    world.ensure_before()
    other = {"etag": '"2"', "wrong": "swapped"}
    half = SIZE // 2
    lies = {
        "ignores the range after a cut": [{"cut": half}, {"whole": True}],
        "starts too late": [{"cut": half}, {"shift": 7}],
        "starts too early": [{"cut": half}, {"shift": -7}],
        "answers 416": [{"cut": half}, {"status": 416}],
        "changes version after a cut": [{"cut": half, **other}, {}],
        "changes version without an ETag": [{"cut": half, "wrong": "swapped", "etag": ""}, {"etag": ""}],
        "changes version in one of four parts": [{}, {}, other, {}],
        "ignores the range in one of four parts": [{}, {"whole": True}, {}, {}],
        "starts wrong in one of four parts": [{}, {"shift": 9}, {}, {}],
        "always starts wrong": [{"shift": 1}] * 40,
    }
    for (label, faults), repeat in itertools.product(lies.items(), range(repeats)):
        if world.skips():
            continue
        name = world.model_of(BIG if "four" in label else SIZE)
        fresh(world, name)
        world.server.faults(faults)
        outcome = load(world, name)
        wrong = []
        if outcome.ok and outcome.result != world.reference[name]:
            wrong.append("another output")
        bare = "416" in label  # the text is that of the source, which this suite does not test
        yield f"{label}, {repeat}", wrong + judge(world, name, None if bare else outcome, before="before")


def f7(world: World, *, waits: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """429 and 503, once and in a row: waits as long as asked, within a budget; a stored model needs nobody."""
    world.ensure_before()
    name = world.model_of(1 << 10)
    for status, count, wait in itertools.product((429, 503), (1, 3, 10), waits):
        if world.skips():
            continue
        fresh(world, name)
        header = formatdate(time.time() + 2, usegmt=True) if wait == "date" else wait
        headers = {"RateLimit": '"a";r=0;t=1'} if wait == "none" else {"Retry-After": header}
        fault = {"status": status, "headers": headers}
        world.server.faults([fault] * count)
        outcome = load(world, name, budget=6.0)
        requests = [item["at"] for item in world.server.requests() if item["path"].endswith("extra.bin")]
        wrong = []
        if wait == "2" and any(later - earlier < 2 for earlier, later in itertools.pairwise(requests[: count + 1])):
            wrong.append(f"asked again too early: {requests}")
        if wait == "86400" and (outcome.ok or outcome.seconds > 3 or "86400" not in outcome.error["text"]):
            wrong.append(f"did not give up at once, with the time: {outcome}")
        if wait in {"0", "garbage", "none"} and count < 10 and not outcome.ok:
            wrong.append(f"gave up: {outcome.error}")
        world.server.faults(repeat=fault)
        stored = run(lambda: world.load("before"))
        if stored.result != world.reference["before"] or world.server.requests():
            wrong.append(f"the stored model needed the network: {stored.error} {world.server.requests()}")
        yield f"{status} x {count}, Retry-After {wait}", wrong + judge(world, name, outcome, before="before", bound=15)


def f8(world: World, *, repeats: int) -> Iterator[tuple[str, list[str]]]:
    """Slow and silent servers: the deadline holds for the whole, and Ctrl-C ends it within a second."""
    world.ensure_before()
    name = world.model_of(SIZE)
    slow = {
        "a byte at a time": {"step": 1, "pause": 0.2},
        "stalls in the middle": {"stall_at": SIZE // 2, "stall": 30, "step": SIZE // 2},
        "says nothing at first": {"latency": 30},
    }
    for (label, fault), repeat in itertools.product(slow.items(), range(repeats)):
        for limit, variable in ((3.0, "INFERENCE_MODELS_DOWNLOAD_TIMEOUT"), (2.0, "CHUNK_DOWNLOAD_READ_TIMEOUT")):
            if variable == "CHUNK_DOWNLOAD_READ_TIMEOUT" and "byte" in label:
                continue  # something always arrives
            if world.skips():
                continue
            fresh(world, name)
            world.server.faults(repeat=fault)

            def work(variable: str = variable, limit: float = limit) -> object:
                os.environ[variable] = str(int(limit))
                return world.load(name)

            start_s = run(lambda: world.load("before")).seconds
            outcome = run(work)
            wrong = [] if (outcome.error or {}).get("class") in TRANSIENT else [f"ended by {outcome}"]
            if not limit <= outcome.seconds <= limit * 1.1 + 0.7 + start_s:  # the imports, and a busy machine
                wrong.append(f"ended after {outcome.seconds:.2f} s, limit {limit} s")
            yield f"{label}, {variable}, {repeat}", wrong + judge(world, name, outcome, before="before")
        if world.skips():
            continue
        fresh(world, name)
        world.server.faults(repeat=fault)
        child = start(lambda: cancellable(world, name))
        time.sleep(1.0)
        child.kill(signal.SIGINT)
        asked = time.monotonic()
        outcome = child.wait()
        wrong = [] if (outcome.error or {}).get("class") == "KeyboardInterrupt" else [f"ended by {outcome}"]
        if time.monotonic() - asked > 1.0:
            wrong.append(f"Ctrl-C took {time.monotonic() - asked:.2f} s")
        yield f"{label}, Ctrl-C, {repeat}", wrong + judge(world, name, None, before="before")


def cancellable(world: World, name: str) -> object:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return world.load(name)
