"""Is the remembered winner right? Tune, then measure every candidate again, thoroughly and by other means.

    python benchmarks/bench_tune.py [--runs 10] [--budget 60] [--seconds 12] [MODEL ...]

Each run begins with an empty store of measurements. After `tune`, every candidate that was measured is opened in a
fresh process through `AutoModel.from_pretrained` with its setting stated. The processes take turns, in an order drawn
anew for each turn, for `--seconds` each in all. The winner's excess is the median over the turns of its time over that
of the fastest in the same turn.

Meant for a machine that does nothing else: the share of the processors that other programs used is printed, and with
more than a few percent of it the numbers say little.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from timing import table

if TYPE_CHECKING:
    from collections.abc import Sequence

MODELS = ("centerface", "picodet-layout-cdla", "pplcnet-page-orientation")
ALLOWED = 0.05
TURN_S = 0.6
SERVE = """
import json, sys, time
from inference_models import AutoModel
from inference_models.parity.images import probe_images
said = json.loads(sys.argv[1])
model = AutoModel.from_pretrained(said.pop("model"), select="order", **said)
image = max(probe_images(), key=lambda image: image.size)
for _ in range(3):
    model(image)
print("ready", flush=True)
for line in sys.stdin:
    until = time.perf_counter() + float(line)
    times = []
    model(image)
    while time.perf_counter() < until or len(times) < 2:
        start = time.perf_counter()
        model(image)
        times.append(time.perf_counter() - start)
    print(json.dumps(times), flush=True)
"""


class Server:
    """One candidate, opened the way a user opens it."""

    def __init__(self, model: str, row: dict[str, Any]) -> None:
        self.label = f"{row['backend']}/{row['threads'] or '-'}"
        self.is_winner = row["status"] == "winner"
        self.turns: list[float] = []
        wishes = {
            "model": model,
            "model_package_id": row["package_id"],
            "backend": row["backend"],
            "threads": row["threads"],
            "onnx_execution_providers": row["execution_providers"],
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, json.dumps(wishes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._process.stdout.readline()

    def turn(self) -> None:
        self._process.stdin.write(f"{TURN_S}\n")
        self._process.stdin.flush()
        self.turns.append(statistics.median(json.loads(self._process.stdout.readline())))
        time.sleep(0.05)  # threads of its pool fall asleep

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def tuned(model: str, budget: float) -> dict[str, Any]:
    from inference_models.measure.store import MeasurementStore

    MeasurementStore().clear()
    command = "import typer; from inference_models.cli.tune import tune; typer.run(tune)"
    arguments = [model, "--budget", f"{budget:g}s", "--json"]
    done = subprocess.run([sys.executable, "-c", command, *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measured_again(model: str, rows: Sequence[dict[str, Any]], seconds: float) -> list[Server]:
    servers = [Server(model, row) for row in rows if row["timing"] is not None]
    try:
        for _ in range(max(6, round(seconds / TURN_S))):
            for server in random.sample(servers, len(servers)):
                server.turn()
    finally:
        for server in servers:
            server.close()
    return servers


def excess(server: Server, other: Server) -> float:
    return statistics.median(mine / its for mine, its in zip(server.turns, other.turns, strict=True)) - 1


def one_run(model: str, options: argparse.Namespace) -> tuple[bool, tuple[str, ...]]:
    from inference_models.machine.usage import OtherPrograms

    others = OtherPrograms()
    report = tuned(model, options.budget)
    busy, others = others.share(), OtherPrograms()
    servers = measured_again(model, report["rows"], options.seconds)
    winner = next(server for server in servers if server.is_winner)
    behind = max(0.0, *(excess(winner, server) for server in servers))
    best = max(servers, key=lambda server: excess(winner, server))
    times = ", ".join(f"{server.label} {statistics.median(server.turns) * 1e3:.2f}" for server in servers)
    took = f"{report['seconds']:.0f} s"
    beside = f"{busy:.0%}, {others.share():.0%}"
    right = behind <= ALLOWED
    return right, (model, took, winner.label, best.label, f"{behind:.1%}", "yes" if right else "NO", beside, times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--budget", type=float, default=60)
    parser.add_argument("--seconds", type=float, default=12)
    options = parser.parse_args()
    rows, counts = [], []
    with tempfile.TemporaryDirectory() as home:
        os.environ["INFERENCE_HOME"] = home
        for model in options.models:
            outcomes = []
            for _ in range(options.runs):
                outcomes.append(one_run(model, options))
                print(" | ".join(outcomes[-1][1]), file=sys.stderr, flush=True)
            rows += [row for _, row in outcomes]
            counts.append(f"{model}: {sum(right for right, _ in outcomes)} of {len(outcomes)} within {ALLOWED:.0%}")
    header = (
        "model",
        "tuned for",
        "remembered",
        "fastest again",
        "behind it",
        "within 5 %",
        "other programs, then and again",
        "ms again",
    )
    print(table(rows, header))
    print("\n".join(["", *counts]))


if __name__ == "__main__":
    main()
