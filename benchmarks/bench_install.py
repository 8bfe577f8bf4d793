"""What an installation weighs: a fresh virtual environment with the bare distribution and `onnx-cpu`.

python benchmarks/bench_install.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from timing import table

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_WITH_VENV = {"pip", "setuptools"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
        before = size(folder)
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-compile", f"{ROOT}[onnx-cpu]"], check=True)
        listed = subprocess.run(
            [python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True
        )
        names = sorted(item["name"] for item in json.loads(listed.stdout) if item["name"] not in SHIPPED_WITH_VENV)
        megabytes = (size(folder) - before) / 1e6
    print(
        table(
            [
                ("size on disk", f"{megabytes:.0f} MB", "< 350 MB"),
                ("distributions", str(len(names)), "< 30"),
            ],
            ("bare + onnx-cpu", "measured", "promise"),
        )
    )
    print("\n" + ", ".join(names))


def size(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    main()
