"""Nothing lost: what must hold after any fault and one normal retry."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from faults.world import SECRET, NoSource, is_documented, run
from inference_models.cache.inventory import package_folders
from inference_models.cache.locks import is_held
from inference_models.cache.manifest import Damage, not_listed, read_manifest

if TYPE_CHECKING:
    from faults.world import Outcome, World


def judge(
    world: World, name: str, fault: Outcome | None, *, before: str | None = None, bound: float = 60.0
) -> list[str]:
    """What is wrong; empty when nothing is. `before` is a model that was stored before the fault."""
    wrong = []
    if fault is not None:
        wrong += _error(fault, bound)
    partials = [len(list(blob.iterdir())) for blob in _entries(world.root / "partials")]
    if any(count > 1 for count in partials):
        wrong.append(f"O4: {max(partials)} partials of one file before gc")
    world.server.faults()
    retry = run(lambda: world.load(name))
    if retry.result != world.reference[name]:
        wrong.append(f"O1: the retry gave {retry.error or 'another output'}")
    if retry.seconds > bound:
        wrong.append(f"O8: the retry took {retry.seconds:.1f} s")
    wrong += _stored(world)
    if before is not None:
        offline = run(lambda: world.load(before, NoSource()))
        if offline.result != world.reference[before]:
            wrong.append(f"O5: the model stored before does not load offline: {offline.error}")
    return wrong


def _error(fault: Outcome, bound: float) -> list[str]:
    wrong = []
    if fault.seconds > bound:
        wrong.append(f"O8: {fault.seconds:.1f} s, bound {bound} s")
    if fault.error is None:
        return wrong
    text = fault.error["text"]
    if not is_documented(fault.error):
        wrong.append(f"O6: not an error of ours: {fault.error}")
    if SECRET in text:
        wrong.append("O6: the error shows the secret")
    if text.count("\n") < 1:
        wrong.append(f"O6: the error has no facts or no remedy: {text!r}")
    return wrong


def _stored(world: World) -> list[str]:
    """O2, O3, O4 and O7, on the disk."""
    wrong = [f"O2/O3: {item}" for item in world.store.verify(full=True) if not item.ok]
    world.store.gc()
    for kind in ("partials", "quarantine", "tmp"):
        left = list(_entries(world.root / kind))
        if left:
            wrong.append(f"O4: {kind} holds {[path.name for path in left]} after gc")
    for folder in package_folders(world.root):
        manifest = read_manifest(folder)
        if isinstance(manifest, Damage) or not_listed(folder, manifest):
            wrong.append(f"O4: {folder} is an orphan after gc")
    wrong += [f"O7: {lock.name} is held" for lock in _entries(world.root / "locks") if is_held(lock)]
    shutil.rmtree(world.root / "locks", ignore_errors=True)
    return wrong


def _entries(folder):
    return sorted(folder.iterdir()) if folder.is_dir() else []
