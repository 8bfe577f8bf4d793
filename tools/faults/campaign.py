"""Runs the faults, judges each with the oracle, and says what was found.

scripts/fault-campaign [--full] [--seed N] [--only F1,F4] [--base FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faults import disk, kills, network, processes, rest
from faults.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAITS = ("0", "2", "date", "garbage", "86400", "none")


@dataclass(frozen=True)
class Group:
    """Cases of one row of the table of faults."""

    about: str
    full: Callable[[World], Iterator[tuple[str, list[str]]]]
    short: Callable[[World], Iterator[tuple[str, list[str]]]]
    share: float = 1.0
    """Of the cases, in the short form."""
    measures: bool = False
    """Whether the names of the cases say what was measured, and are kept."""


GROUPS = {
    "F1": Group(
        "`kill -9`: 15 points x 20 x (1 KB, 3 MB, 80 MB)",
        lambda world: kills.f1(world, repeats=20),
        lambda world: kills.f1(world, repeats=1, sizes=("3 MB",)),
        0.4,
    ),
    "F2": Group(
        "SIGTERM, Ctrl-C, exception in the callback: 11 points x 3 ways x 3 sizes",
        lambda world: kills.f2(world, repeats=1),
        lambda world: kills.f2(world, repeats=1, sizes=("3 MB",)),
        0.1,
    ),
    "F3": Group(
        "power cuts: unsynced writes and names are dropped",
        lambda world: disk.f3(world, cuts=200),
        lambda world: disk.f3(world, cuts=15),
        0.25,
    ),
    "F4": Group(
        "truncated bodies",
        lambda world: network.f4(world, repeats=4),
        lambda world: network.f4(world, repeats=2),
        0.05,
    ),
    "F5": Group(
        "wrong bytes",
        lambda world: network.f5(world, repeats=5),
        lambda world: network.f5(world, repeats=1),
        0.25,
    ),
    "F6": Group(
        "lies about ranges and versions",
        lambda world: network.f6(world, repeats=2),
        lambda world: network.f6(world, repeats=1),
        0.3,
    ),
    "F7": Group(
        "429 and 503 storms",
        lambda world: network.f7(world, waits=WAITS),
        lambda world: network.f7(world, waits=("none", "86400")),
        0.3,
    ),
    "F8": Group(
        "slow and silent servers",
        lambda world: network.f8(world, repeats=2),
        lambda world: network.f8(world, repeats=1),
        0.25,
    ),
    "F10": Group(
        "full and failing disks",
        lambda world: disk.f10(world, repeats=5),
        lambda world: disk.f10(world, repeats=1),
        0.25,
    ),
    "F11": Group("complete and read-only", disk.f11, disk.f11),
    "F12": Group("incomplete and read-only", disk.f12, disk.f12),
    "F13": Group(
        "concurrent cold loads, locks on",
        lambda world: processes.f13(world, rounds=200, locked=True),
        lambda world: processes.f13(world, rounds=1, locked=True),
    ),
    "F13n": Group(
        "concurrent cold loads, `flock` does nothing",
        lambda world: processes.f13(world, rounds=200, locked=False),
        lambda world: processes.f13(world, rounds=1, locked=False),
    ),
    "F13w": Group(
        "32 waiters for one fetch: the slowest takes at most 1.2 x the fetch alone + 0.5 s to start 8 processes",
        lambda world: processes.f13w(world, rounds=10, seconds=4.0),
        lambda world: processes.f13w(world, rounds=1, seconds=2.0),
        measures=True,
    ),
    "F14": Group(
        "stopped, dead and stale holders of locks",
        lambda world: processes.f14(world, repeats=13),
        lambda world: processes.f14(world, repeats=1),
        0.4,
    ),
    "F15": Group("wrong clocks", rest.f15, rest.f15),
    "F16": Group("damage at rest", rest.f16, rest.f16, 0.06),
    "F17": Group("links", rest.f17, rest.f17, 0.2),
    "F18": Group(
        "`rm` and `gc` racing with loads",
        lambda world: processes.f18(world, rounds=100),
        lambda world: processes.f18(world, rounds=1),
    ),
    "F19": Group("caches of other releases", rest.f19, rest.f19),
}


def run_group(world: World, name: str, *, full: bool) -> dict:
    """Counts and problems of one group."""
    group = GROUPS[name]
    started, problems = time.monotonic(), []
    labels: list[str] = []
    world.share = 1.0 if full else group.share
    for label, wrong in (group.full if full else group.short)(world):
        labels.append(label)
        if wrong:
            problems.append({"case": label, "wrong": wrong})
            print(f"{name} {label}: {'; '.join(wrong)}", file=sys.stderr, flush=True)
    return {
        "group": name,
        "about": group.about,
        "cases": len(labels),
        "failures": len(problems),
        "problems": problems,
        "seconds": round(time.monotonic() - started, 1),
        **({"measured": labels} if group.measures else {}),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="every case; takes about an hour on two cores")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, separated by commas")
    parser.add_argument("--base", type=Path, help="folder for caches and models; a temporary one by default")
    asked = parser.parse_args(arguments)
    failures = 0
    with tempfile.TemporaryDirectory(dir=asked.base) as base:
        world = World(Path(base) / "world", seed=asked.seed)
        try:
            for name in asked.only.split(","):
                found = run_group(world, name, full=asked.full)
                failures += found["failures"]
                print(json.dumps(found), flush=True)
        finally:
            world.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
