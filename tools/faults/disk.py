"""F3, F10, F11, F12: power cuts, full disks, caches that must not be written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from faults.kills import POINTS, hook
from faults.network import fresh
from faults.oracle import judge
from faults.source import UrlSource
from faults.world import NoSource, run
from inference_models.cache import partial, stamps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.world import World

SIZE = 3 << 20


def f3(world: World, *, cuts: int) -> Iterator[tuple[str, list[str]]]:
    """Power cuts: whatever was not synced is lost or torn, names that were not synced are undone, the boot is new."""
    world.ensure_before()
    name = world.model_of(SIZE)
    for number in range(cuts):
        if world.skips():
            continue
        point = POINTS[number % len(POINTS)]
        fresh(world, name)
        world.server.faults()
        log = world.base / "sync.log"
        log.unlink(missing_ok=True)
        old = {path.stat().st_ino for path in world.root.rglob("*") if path.is_file()}

        def work(point: str = point, log: Path = log) -> object:
            record_syncs(log)
            hook(point, SIZE, lambda: os.kill(os.getpid(), signal.SIGKILL))
            return world.load(name)

        run(work)
        lost = cut_power(world, log, old)
        with another_boot():
            after = run(lambda: world.load(name, NoSource()))
            wrong = [] if after.error or after.result == world.reference[name] else ["a torn file was loaded"]
            yield f"{number}, {point}, {lost} files torn", wrong + judge(world, name, None, before="before")


def record_syncs(log: Path) -> None:
    """Write down which inodes are on the disk, with how many bytes, and which names."""
    stream = log.open("a", buffering=1)
    fsync, replace, rename = os.fsync, Path.replace, Path.rename

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        stream.write(json.dumps({"inode": status.st_ino, "size": status.st_size}) + "\n")

    def renaming(original: object) -> object:
        def renamed(self: Path, target: Path) -> Path:
            result = original(self, target)
            inode, folder = os.lstat(target).st_ino, Path(target).parent.stat().st_ino
            stream.write(json.dumps({"renamed": str(target), "inode": inode, "folder": folder}) + "\n")
            return result

        return renamed

    os.fsync, Path.replace, Path.rename = synced, renaming(replace), renaming(rename)


def cut_power(world: World, log: Path, old: set[int]) -> int:
    """What a disk may look like: unsynced content is zeros or gone, unsynced names do not exist.

    `old` are the inodes that were there before; their content is on the disk.
    """
    durable_size, unsynced_names = {}, {}
    for line in log.read_text().splitlines() if log.exists() else []:
        entry = json.loads(line)
        if "renamed" in entry:
            unsynced_names[entry["renamed"]] = entry["folder"]
            continue
        durable_size[entry["inode"]] = entry["size"]
        unsynced_names = {name: folder for name, folder in unsynced_names.items() if folder != entry["inode"]}
    lost = 0
    for name in unsynced_names:
        if Path(name).is_file() and world.random.random() < 0.5:
            Path(name).unlink()
            lost += 1
    for path in sorted(world.root.rglob("*")):
        if not path.is_file() or path.stat().st_ino in old:
            continue
        status = path.stat()
        kept = durable_size.get(status.st_ino, 0)
        if status.st_size > kept and "stamps" not in path.parts:
            lost += 1
            with path.open("r+b") as stream:
                stream.truncate(kept)
                if world.random.random() < 0.5:
                    stream.truncate(status.st_size)  # the length was written, the content was not
    return lost


@contextmanager
def another_boot() -> Iterator[None]:
    original = stamps.boot_id
    name = os.urandom(8).hex()
    stamps.boot_id = lambda: name
    try:
        yield
    finally:
        stamps.boot_id = original


def f10(world: World, *, repeats: int) -> Iterator[tuple[str, list[str]]]:
    """A disk without room, at the beginning, in the middle, near the end, and at the manifest."""
    world.ensure_before()
    name = world.model_of(SIZE)
    codes = ("ENOSPC", "EDQUOT", "EIO")
    places = ("0 %", "50 %", "99 %", "manifest")
    for code in codes:
        for place in places:
            for repeat in range(repeats):
                if world.skips():
                    continue
                fresh(world, name)
                world.server.faults()
                outcome = run(lambda place=place, code=code: failing_disk(world, name, place, getattr(errno, code)))
                wrong = []
                if (outcome.error or {}).get("class") != "EnvironmentConfigurationError":
                    wrong.append(f"ended by {outcome}")
                elif code != "EIO" and "bytes free" not in outcome.error["text"]:
                    wrong.append(f"does not say needed and free bytes: {outcome.error['text']}")
                yield f"{code} at {place}, {repeat}", wrong + judge(world, name, outcome, before="before")
    yield from small_disk(world, name)


def failing_disk(world: World, name: str, place: str, code: int) -> object:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    if place == "manifest":
        from inference_models.cache import install

        install.write_file = fail
    else:
        limit, original = int(place.split(maxsplit=1)[0]) * SIZE // 100, partial._write_at

        def write(descriptor: int, data: bytes, start: int) -> None:
            if len(data) > 8 and start + len(data) > limit:
                fail()
            original(descriptor, data, start)

        partial._write_at = write
    return world.load(name)


def small_disk(world: World, name: str) -> Iterator[tuple[str, list[str]]]:
    """A real file system of 64 MB, where one can be mounted."""
    point = world.base / "small"
    point.mkdir(exist_ok=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", point], capture_output=True, check=False
    ).returncode:
        return
    try:
        for extra, known in ((80 << 20, True), (80 << 20, False)):
            big = world.model_of(extra)
            files = list(world.models[big].model_packages[0].package_artefacts)
            world.server.faults()
            root = point / str(known)

            def work(root: Path = root, files: list = files, known: bool = known) -> object:
                from inference_models.cache.store import PackageStore

                hidden = [item if known or not hasattr(item, "size") else replace(item, size=None) for item in files]
                return str(PackageStore(root).ensure(world.key(big), hidden, UrlSource()))

            outcome = run(work)
            wrong = [] if "bytes free" in (outcome.error or {}).get("text", "") else [f"ended by {outcome}"]
            sent = sum(request["sent"] for request in world.server.requests())
            if sent > 16 << 20:
                wrong.append(f"{sent} bytes were fetched for a disk that cannot hold them")
            if sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) > 4096:
                wrong.append("something was left on the full disk")
            yield f"64 MB file system, size announced {known}", wrong
            shutil.rmtree(root, ignore_errors=True)
    finally:
        subprocess.run(["umount", point], check=True)


def f11(world: World) -> Iterator[tuple[str, list[str]]]:
    """A complete cache that must not be written: no write is tried, no socket is opened."""
    world.ensure_before()
    for how in ("0555", "read-only mount", "other owner"):
        for boot in ("same boot", "another boot"):
            with read_only(world.root, how) as possible:
                if not possible:
                    continue
                yield (
                    f"{how}, {boot}",
                    traced(world, "before", another=boot == "another boot", privileged=how == "read-only mount"),
                )


def f12(world: World) -> Iterator[tuple[str, list[str]]]:
    """A cache that must not be written and lacks something says so."""
    world.ensure_before()
    name = world.model_of(1 << 10)
    fresh(world, name)
    # Only root can mount; other users are kept from writing by the modes of folders.
    way, reason = ("read-only mount", "Read-only file system") if os.getuid() == 0 else ("0555", "Permission denied")
    for how in ("nothing", "missing file", "damaged file"):
        if how != "nothing":
            world.ensure(name)
            path = world.folder(name) / "weights.onnx"
            path.unlink() if how == "missing file" else path.write_bytes(b"")
        with read_only(world.root, way) as possible:
            if not possible:
                continue
            outcome = run(lambda: world.load(name))
            text = (outcome.error or {}).get("text", "")
            right = reason in text and "INFERENCE_HOME" in text
        yield f"{way}, {how} there", [] if right else [f"ended by {outcome}"]
    fresh(world, name)


@contextmanager
def read_only(root: Path, how: str) -> Iterator[bool]:
    if how == "read-only mount":
        done = subprocess.run(["mount", "--bind", root, root], capture_output=True, check=False).returncode == 0
        if done:
            subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True, capture_output=True)
        try:
            yield done
        finally:
            if done:
                subprocess.run(["umount", root], check=True)
        return
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    if how == "other owner" and os.getuid() != 0:
        yield False
        return
    for path in [root, *root.rglob("*")]:
        if how == "other owner":
            os.chown(path, 12345, 12345)
    for folder in folders:
        folder.chmod(0o555)
    try:
        yield True
    finally:
        for folder in folders:
            folder.chmod(0o700)
        for path in [root, *root.rglob("*")]:
            if how == "other owner":
                os.chown(path, os.getuid(), os.getgid())


WRITES = (
    "openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,utimensat,connect,ftruncate,link,"
    "symlink"
)
TRACED = """
import os, sys
from inference_models.cache import stamps
if sys.argv[3] == "another":
    stamps.boot_id = lambda: "another boot"
from inference_models.cache.store import PackageKey, PackageStore
from pathlib import Path
if sys.argv[4] == "unprivileged" and os.getuid() == 0:
    os.setgid(54321), os.setuid(54321)
    os.umask(0o022)
folder = PackageStore(Path(sys.argv[1])).open(PackageKey("faults", sys.argv[2], "p1"))
assert folder is not None
"""


def traced(world: World, name: str, *, another: bool, privileged: bool) -> list[str]:
    """What the kernel saw of an unprivileged process that opens a stored package."""
    if shutil.which("strace") is None:
        outcome = run(lambda: world.load(name, NoSource()))
        return [] if outcome.result == world.reference[name] else [f"ended by {outcome}"]
    log = world.base / "strace.log"
    source = Path(stamps.__file__).parents[2]
    command = ["strace", "-f", "-qq", "-e", f"trace={WRITES}", "-o", str(log), sys.executable, "-B", "-c", TRACED]
    arguments = [str(world.root), name, "another" if another else "same"]
    arguments.append("privileged" if privileged else "unprivileged")
    modes = opened_for_others(world.root)
    done = subprocess.run(
        [*command, *arguments],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    for path, mode in modes:
        path.chmod(mode)
    wrong = [] if done.returncode == 0 else [f"did not open: {done.stderr[-400:]}"]
    for line in log.read_text().splitlines():
        writing = any(flag in line for flag in ("O_WRONLY", "O_RDWR", "O_CREAT")) or "open" not in line.split("(")[0]
        if writing and str(world.root) in line:
            wrong.append(f"tried to write: {line}")
        if "connect(" in line:
            wrong.append(f"opened a socket: {line}")
    return wrong


def opened_for_others(root: Path) -> list[tuple[Path, int]]:
    """Let an unprivileged process in, as far as the mount allows; returns the modes as they were."""
    changed = []
    for path in [root.parent.parent, root.parent, root, *root.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        try:
            path.chmod(mode | (0o555 if path.is_dir() else 0o444))
        except OSError:
            continue
        changed.append((path, mode))
    return changed
