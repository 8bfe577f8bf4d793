"""F15, F16, F17, F19: wrong clocks, damage at rest, links, and caches of earlier releases."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from faults.network import fresh
from faults.oracle import judge
from faults.world import NoSource, run
from inference_models.cache import inventory
from inference_models.cache.manifest import FORMAT, MANIFEST_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.world import World

SIZE = 1 << 16
ENTRIES = ("blob", "manifest", "lock", "stamps", "partial", "resolution", "measurement")
DAMAGES = ("0 bytes", "truncated", "1 bit", "random", "deleted", "folder", "wrong owner", "mode 0000")
TEN_YEARS = 10 * 365 * 86400


def f15(world: World) -> Iterator[tuple[str, list[str]]]:
    """Clocks that are wrong by ten years, jump, or only count every second second."""
    world.ensure_before()
    name = world.model_of(SIZE)
    for skew in (-TEN_YEARS, TEN_YEARS):
        for stored_first in (True, False):
            fresh(world, name)
            world.server.faults()
            if stored_first:
                world.ensure(name)
            outcome = run(lambda skew=skew: skewed(world, name, skew, NoSource() if stored_first else None))
            wrong = [] if outcome.result == world.reference[name] else [f"ended by {outcome.error}"]
            yield (
                f"clock {skew // 86400} days, stored {stored_first}",
                wrong + judge(world, name, None, before="before"),
            )
    for label, step in (("files of the future", TEN_YEARS), ("files of the past", -TEN_YEARS)):
        world.ensure(name)
        for path in world.root.rglob("*"):
            os.utime(path, (time.time() + step,) * 2)
        outcome = run(lambda: world.load(name, NoSource()))
        wrong = [] if outcome.result == world.reference[name] else [f"ended by {outcome.error}"]
        yield label, wrong + judge(world, name, None, before="before")


def skewed(world: World, name: str, skew: float, source: object) -> object:
    original = time.time
    jumps = iter(range(1 << 30))
    time.time = lambda: original() + skew * (1 if next(jumps) % 2 else 0.5)
    return world.load(name, source)


def f16(world: World, *, entries: tuple[str, ...] = ENTRIES) -> Iterator[tuple[str, list[str]]]:
    """Damage at rest is found before any inference: healed with a source, named without one."""
    world.ensure_before()
    name = world.model_of(SIZE)
    for entry in entries:
        for how in DAMAGES:
            for online in (True, False):
                if world.skips():
                    continue
                fresh(world, name)
                world.server.faults()
                world.ensure(name)
                path = target(world, name, entry)
                world.server.faults()
                essential = entry in {"blob", "manifest"} and harm(path, how, world)
                if entry not in {"blob", "manifest"}:
                    harm(path, how, world)
                source = None if online else NoSource()
                outcome = run(lambda source=source: world.load(name, source, remember=entry == "resolution"))
                denied = essential and path.exists() and not os.access(path, os.R_OK)
                named = path.name if essential and (denied or not online) else None
                wrong = after_damage(world, name, outcome, named=named, denied=denied)
                if denied:
                    path.chmod(0o600)  # what the error tells its owner; nothing is fetched beside what cannot be read
                elif essential and online and entry == "blob":
                    sent = {item["path"].rpartition("/")[2] for item in world.server.requests()}
                    if sent != {"weights.onnx"}:
                        wrong.append(f"fetched {sent} for one damaged file")
                label = f"{entry}, {how}, {'online' if online else 'offline'}"
                yield label, wrong + judge(world, name, None, before="before")


def after_damage(world: World, name: str, outcome: object, *, named: str | None, denied: bool = False) -> list[str]:
    """The right output; or, without a source, an error that names the file. A manifest can be rebuilt without one.

    A file that a plain user may not read is named, online too: unreadable is not absent. (Root reads it.)
    """
    if outcome.result == world.reference[name]:
        rebuilt = named == MANIFEST_NAME and not denied
        return [] if named is None or rebuilt else ["damage was not noticed"]
    if named is None:
        return [f"ended by {outcome.error}"]
    text = outcome.error["text"]
    return [] if named in text and "BaseInferenceModelsError" in outcome.error["bases"] else [f"ended by {text}"]


def target(world: World, name: str, entry: str) -> Path:
    folder = world.folder(name)
    weights = next(
        item for item in world.models[name].model_packages[0].package_artefacts if item.file_handle == "weights.onnx"
    )
    if entry == "blob":
        return folder / "weights.onnx"
    if entry == "manifest":
        return folder / MANIFEST_NAME
    if entry == "lock":
        (folder / "extra.bin").unlink()  # or nobody would ask for a lock
        path = world.root / "locks" / f"{weights.sha256_hash}.lock"
        path.parent.mkdir(exist_ok=True)
        path.write_text("1")
        world.ensure(name)
        return path
    if entry == "stamps":
        return inventory.stamps_path(world.root, folder)
    if entry == "resolution":
        run(lambda: world.load(name, remember=True))
        return next(path for path in (world.root / "resolutions").rglob("*") if path.is_file())
    if entry == "measurement":
        outcome = run(lambda: measured(world, name))
        if not outcome.ok:
            raise RuntimeError(f"nothing was measured: {outcome.error}")
        return next(path for path in (world.root / "measurements").iterdir())
    path = world.root / "partials" / weights.sha256_hash / "free-1" / "data"
    path.parent.mkdir(parents=True)
    path.write_bytes(world.graphs[name])
    size = len(world.graphs[name])
    (path.parent / "plan.json").write_text(json.dumps({"version": '"1"', "size": size, "starts": [0]}))
    (path.parent / "done").write_bytes((size // 2).to_bytes(8, "little"))
    world.ensure(name)
    return path


def measured(world: World, name: str) -> None:
    """Remember that the model is fastest with one thread, as a measurement would, and that a load believes it."""
    from inference_models.loading.remember import RememberedModels
    from inference_models.measure import select as selection
    from inference_models.measure import store

    kept: list[object] = []
    select_plans = selection.select_plans

    def remembering(model: object, source: object, choice: object, load: object) -> object:
        subject = store.subject_of(model, source.name, load, RememberedModels(load, choice.environment))
        winner = store.name_plan(selection.Plan(choice.admissible[0], 1))
        made = datetime.now(timezone.utc)
        measurement = store.Measurement(
            subject=subject,
            created_at=made,
            library_version="1",
            budget=60,
            winner=winner,
            looked_at=tuple(store.name_candidate(candidate) for candidate in choice.admissible),
        )
        store.MeasurementStore().facts.write(subject.key, measurement)
        chosen = select_plans(model, source, choice, load)
        kept.append(chosen.reason)
        return chosen

    selection.select_plans = remembering
    (world.root / "measurements").mkdir(parents=True, exist_ok=True)
    world.load(name)
    if kept != ["measured"]:
        raise RuntimeError(f"the measurement was not taken: {kept}")


def harm(path: Path, how: str, world: World) -> bool:
    """Damage a file; returns whether its content or kind is another now."""
    if how == "wrong owner":
        if os.getuid() == 0:
            os.chown(path, 12345, 12345)
        return False
    if how == "mode 0000":
        path.chmod(0)
        return os.getuid() != 0
    data = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "0 bytes":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "1 bit":
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        place = world.random.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << world.random.randrange(8)]) + data[place + 1 :])
        os.utime(path, ns=times)  # as a bad disk would: nothing but the content changes
    else:
        path.write_bytes(world.random.randbytes(len(data)))
    return True


def f17(world: World) -> Iterator[tuple[str, list[str]]]:
    """Links and what is no file: never followed, never read, put aside. Only the root may be a link."""
    world.ensure_before()
    name = world.model_of(SIZE)
    canary = world.base / "canary"
    for what in ("file", "manifest", "package", "model", "packages"):
        for how in ("inside", "outside", "dangling", "loop", "hard link", "pipe", "socket"):
            if world.skips():
                continue
            if how in {"hard link", "pipe", "socket"} and what not in {"file", "manifest"}:
                continue
            fresh(world, name)
            world.server.faults()
            world.ensure(name)
            place = linked(world, name, what)
            elsewhere = (world.root / "inside") if how == "inside" else canary
            shutil.rmtree(elsewhere, ignore_errors=True)
            elsewhere.unlink(missing_ok=True)
            link(place, elsewhere, how)
            outcome = run(lambda: world.load(name, NoSource()))
            wrong = []
            if outcome.ok and what != "manifest":
                wrong.append("a link was followed")
            yield f"{what}, {how}", wrong + judge(world, name, None, before=None if what == "packages" else "before")
            if not (world.root / "inside").is_dir():
                (world.root / "inside").unlink(missing_ok=True)
            shutil.rmtree(world.root / "inside", ignore_errors=True)
    alias = world.base / "alias"
    alias.symlink_to(world.root)
    outcome = run(lambda: world.load(name, NoSource(), root=alias))
    yield "the root is a link", [] if outcome.result == world.reference[name] else [f"ended by {outcome.error}"]
    alias.unlink()


def linked(world: World, name: str, what: str) -> Path:
    folder = world.folder(name)
    return {
        "file": folder / "weights.onnx",
        "manifest": folder / MANIFEST_NAME,
        "package": folder,
        "model": folder.parent,
        "packages": folder.parent.parent,
    }[what]


def link(place: Path, elsewhere: Path, how: str) -> None:
    if how == "hard link":
        os.link(place, elsewhere)
        return
    if how in {"pipe", "socket"}:
        place.unlink()
        if how == "pipe":
            os.mkfifo(place)
            return
        import socket

        with socket.socket(socket.AF_UNIX) as listener:
            os.chdir(place.parent)
            listener.bind(place.name)
        return
    place.rename(elsewhere)
    if how == "dangling":
        shutil.rmtree(elsewhere) if elsewhere.is_dir() else elsewhere.unlink()
    place.symlink_to(place if how == "loop" else elsewhere)


def f19(world: World) -> Iterator[tuple[str, list[str]]]:
    """Manifests of earlier and later releases are written anew from the files, which are not fetched again."""
    world.ensure_before()
    name = world.model_of(SIZE)
    changes: dict[str, Callable[[dict], dict]] = {
        "an earlier format": lambda old: without_checksum({**old, "format": 2}),
        "a later format": lambda old: {**old, "format": FORMAT + 1},
        "an unknown field": lambda old: {**old, "later": 1},
    }
    for label, change in changes.items():
        fresh(world, name)
        world.server.faults()
        world.ensure(name)
        shutil.rmtree(world.root / "stamps")
        path = world.folder(name) / MANIFEST_NAME
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
        world.server.faults()
        outcome = run(lambda: world.load(name, NoSource()))
        wrong = [] if outcome.result == world.reference[name] else [f"ended by {outcome.error}"]
        written = json.loads(path.read_text())
        if written["format"] != FORMAT or "checksum" not in written or "later" in written:
            wrong.append("taken as it is")
        yield label, wrong + judge(world, name, None, before="before")


def without_checksum(manifest: dict) -> dict:
    return {key: value for key, value in manifest.items() if key != "checksum"}
