"""Measure everything and write the tables into README.md and docs/benchmarks.md.

python benchmarks/write_tables.py [--skip-install]
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHOTO = str(ROOT / "examples" / "astronaut.jpg")
START, END = "<!-- numbers: written by benchmarks/write_tables.py -->", "<!-- end of numbers -->"
SECTIONS = (
    ("A call against `session.run` alone, 1920x1080 photograph", ["bench_call.py", PHOTO]),
    ("Starting", ["bench_start.py", PHOTO]),
    ("Pre-processing and decoding", ["bench_stages.py"]),
    ("Installing", ["bench_install.py"]),
)


def main() -> None:
    sections = [item for item in SECTIONS if item[1] != ["bench_install.py"] or "--skip-install" not in sys.argv]
    parts = [f"**{title}**\n\n{measured(command)}" for title, command in sections]
    machine = (
        f"{date.today().isoformat()}, {os.cpu_count()} cores of {processor()}, Python {platform.python_version()}, "
        f"ONNX Runtime {version('onnxruntime')}, OpenCV {version('opencv-python-headless')}, NumPy {version('numpy')}."
    )
    text = "\n\n".join([machine, *parts])
    for name in ("README.md", "docs/benchmarks.md"):
        path = ROOT / name
        head, rest = path.read_text(encoding="utf-8").split(START)
        _, tail = rest.split(END)
        path.write_text(f"{head}{START}\n{text}\n{END}{tail}", encoding="utf-8")


def measured(command: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\n\n")[0].strip()


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
