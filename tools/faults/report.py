"""Writes the results of a full campaign into docs/reliability.md.

python -m faults.report --seed N --date YYYY-MM-DD RESULTS.jsonl...
(with `src`, `tools` and `tests` on PYTHONPATH)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from faults.campaign import GROUPS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
START, END = "<!-- results: written by faults.report -->", "<!-- end of results -->"


def results_table(results: dict[str, dict]) -> str:
    lines = ["| row | faults | cases | failures | seconds |", "|---|---|---|---|---|"]
    names = [name for name in GROUPS if name in results]
    for name in names:
        found = results[name]
        lines.append(f"| {name} | {found['about']} | {found['cases']} | {found['failures']} | {found['seconds']:.0f} |")
    cases, failures = (sum(found[what] for found in results.values()) for what in ("cases", "failures"))
    lines.append(f"| | **all** | **{cases}** | **{failures}** | |")
    lines += [f"\n{name}, by round: {'; '.join(results[name]['measured'])}." for name in names if GROUPS[name].measures]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", required=True)
    parser.add_argument("--date", required=True)
    parser.add_argument("results", nargs="+", type=Path)
    asked = parser.parse_args()
    lines = [line for path in asked.results for line in path.read_text("utf-8").splitlines()]
    results = {found["group"]: found for found in map(json.loads, lines)}
    head, _, rest = PAGE.read_text("utf-8").partition(START)
    title = f"Full run of {asked.date}, seed {asked.seed}:"
    PAGE.write_text(
        f"{head}{START}\n{title}\n\n{results_table(results)}\n{END}{rest.partition(END)[2]}", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
