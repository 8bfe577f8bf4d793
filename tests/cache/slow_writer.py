"""Stores a package and stops for good at a chosen point, so that a test can kill it there."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from inference_models.cache import install, partial, store
from inference_models.entities import FileDownloadSpecs, InlineFileSpecs
from inference_models.files import durable

CONTENT = bytes(range(256)) * 1024


def specs(sha256: str) -> list:
    return [
        FileDownloadSpecs("x:w", "weights.onnx", sha256_hash=sha256, size=len(CONTENT)),
        FileDownloadSpecs("x:w", "sub/more.bin", sha256_hash=sha256, size=len(CONTENT)),
        InlineFileSpecs("class_names.txt", "a\n"),
    ]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def pieces(point: str):
    yield CONTENT[:1000]
    if point == "first bytes":
        die()
    yield CONTENT[1000:-1]
    if point == "last byte":
        die()
    yield CONTENT[-1:]


def main(root: str, sha256: str, point: str) -> None:
    def wrap(module, name):
        original = getattr(module, name)

        def dying(*args, **kwargs):
            if point == f"before {name}":
                die()
            result = original(*args, **kwargs)
            if point == f"after {name}":
                die()
            return result

        setattr(module, name, dying)

    for step in ("_withdraw_other_version", "_move_in", "_commit", "_stamp"):
        wrap(install.Installation, step)
    wrap(install, "manifest_text")
    wrap(partial, "make_folder")
    wrap(durable.os, "fsync")
    key = store.PackageKey("test", "m", "p1")
    folder = store.PackageStore(Path(root)).ensure(key, specs(sha256), lambda _: pieces(point))
    print(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
